"""Settings: each from the environment, each refused with a sentence that helps."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.errors import SettingsError
from service.settings import PREFIX, Settings, load_settings, table

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine at hand has set does not count."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)


def test_defaults_need_no_environment() -> None:
    settings = load_settings()
    assert (settings.host, settings.port, settings.model) == ("127.0.0.1", 8000, "emotion")
    assert 1 <= settings.predictors <= 4
    assert settings.max_image_bytes == 12 * 1024 * 1024


def test_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYOJO_PORT", "9000")
    monkeypatch.setenv("HYOJO_LOG_FORMAT", " JSON ")
    monkeypatch.setenv("HYOJO_MODELS", "emotion, smile,")
    monkeypatch.setenv("HYOJO_HOST", "")  # empty is as good as not set
    settings = load_settings()
    assert (settings.port, settings.log_format, settings.host) == (9000, "json", "127.0.0.1")
    assert settings.model_names == ("emotion", "smile")


def test_an_override_counts_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYOJO_PORT", "9000")
    assert load_settings(port=9001).port == 9001


def test_the_worker_is_in_a_folder_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    assert load_settings().worker.startswith("ipc:///run/user/7/hyojo-")


@pytest.mark.parametrize(
    ("name", "value", "wants"),
    [
        ("PORT", "abc", "a whole number from 0 to 65535"),
        ("PORT", "65536", "a whole number from 0 to 65535"),
        ("DEADLINE_S", "0", "a number above 0 to 600"),
        ("DEADLINE_S", "nan", "a number above 0 to 600"),
        ("MAX_IMAGES", "9", "a whole number from 1 to 8"),
        ("LOG_FORMAT", "xml", "console or json"),
        ("URL_INPUT", "on", "off or https or http"),
        ("WORKER", "somewhere", "ipc:// and a path, or tcp://address:port"),
        ("WORKER", "tcp://somewhere", "a port at the end"),
        ("WORKER", "ipc:///" + "x" * 120, "a socket path of at most 107 bytes"),
        ("HOST", " ", "a name that is not blank"),
        ("RATE_LIMIT", "100", "such as 100/minute"),
        ("RATE_LIMIT", "0/minute", "such as 100/minute"),
        ("CORS_ORIGINS", "*", "origins such as https://example.com"),
        ("CORS_ORIGINS", "https://a.example/", "no path"),
        ("TRUSTED_PROXIES", "proxy.example", "addresses or networks"),
        ("TRUSTED_PROXIES", "10.0.0.1/8", "addresses or networks"),
    ],
)
def test_a_bad_value_is_named_with_what_it_takes(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, wants: str
) -> None:
    monkeypatch.setenv(f"HYOJO_{name}", value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert f"HYOJO_{name} is {value!r} but takes" in str(caught.value)
    assert wants in str(caught.value)


@pytest.mark.parametrize(
    "keys", ["ann", "ann:a-secret", f"ann:{'k' * 16},ann:a-secret{'k' * 16}", f"a b:{'k' * 16}"]
)
def test_keys_that_cannot_be_used_are_not_shown(monkeypatch: pytest.MonkeyPatch, keys: str) -> None:
    monkeypatch.setenv("HYOJO_API_KEYS", keys)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "HYOJO_API_KEYS cannot be used: it takes" in str(caught.value)
    assert "secret" not in str(caught.value) and "kkk" not in str(caught.value)
    assert "kkk" not in repr(load_settings(api_keys=f"ann:{'k' * 16}"))


def test_all_bad_values_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYOJO_PORT", "x")
    monkeypatch.setenv("HYOJO_MODEL", " ")
    with pytest.raises(SettingsError, match=r"HYOJO_PORT .*HYOJO_MODEL "):
        load_settings()


def test_a_misspelt_variable_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYOJO_PROT", "9000")
    with pytest.raises(SettingsError, match="Did you mean HYOJO_PORT"):
        load_settings()


def test_other_variables_with_the_prefix_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYOJO_TEST_DATA", "/somewhere")
    monkeypatch.setenv("HYOJO_SERVICE_HOST", "10.0.0.1")
    load_settings()


def test_what_kubernetes_sets_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYOJO_PORT", "tcp://10.0.0.1:8000")
    with pytest.raises(SettingsError, match="enableServiceLinks"):
        load_settings()


def test_the_table_has_every_setting_and_no_machine_of_ours() -> None:
    rows = table().splitlines()[2:]
    assert len(rows) == len(Settings.model_fields)
    for row, name in zip(rows, Settings.model_fields, strict=True):
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert len(cells) == 4 and all(cells) and cells[0] == f"`HYOJO_{name.upper()}`"
    assert str(PROJECT) not in table()


def test_the_module_prints_the_table() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "service.settings"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == table() + "\n"
