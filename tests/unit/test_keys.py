"""Keys for a worker over TCP: how they are made, and what is refused before anything listens."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from service import keys
from service.errors import SettingsError
from service.kinship import PROJECT
from service.settings import load_settings

TCP = "tcp://127.0.0.1:5555"


def test_one_command_makes_a_file_for_each_side(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    command = [sys.executable, "-m", "service.keys", "make", str(folder)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    worker, gateway = folder / "worker.keys", folder / "gateway.keys"
    assert str(worker) in done.stdout and str(gateway) in done.stdout
    assert {stat.S_IMODE(path.stat().st_mode) for path in (worker, gateway)} == {0o600}
    server, client = keys.load(worker), keys.load(gateway)
    assert (server.role, client.role) == ("worker", "gateway")
    assert client.worker == server.public != client.public
    assert server.known == {server.public.encode(), client.public.encode()}
    assert server.secret not in gateway.read_text() and client.secret not in worker.read_text()
    assert server.secret not in done.stdout + repr(server)


def test_keys_that_are_there_are_kept(tmp_path: Path) -> None:
    keys.make(tmp_path)
    before = (tmp_path / "worker.keys").read_bytes()
    command = [sys.executable, "-m", "service.keys", "make", str(tmp_path)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 2 and "is there already and is kept" in done.stderr
    assert (tmp_path / "worker.keys").read_bytes() == before


def test_a_unix_socket_needs_none() -> None:
    assert keys.for_endpoint("ipc:///run/hyojo/worker.sock", "") is None


def test_tcp_without_keys_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"HYOJO_WORKER_KEYS is not set: .*service\.keys make"):
        keys.for_endpoint(TCP, "")
    monkeypatch.setenv("HYOJO_WORKER", TCP)
    with pytest.raises(SettingsError, match=r"HYOJO_WORKER_KEYS .*service\.keys make") as caught:
        load_settings()
    assert "`" not in str(caught.value)
    monkeypatch.setenv("HYOJO_WORKER_KEYS", "/etc/hyojo/gateway.keys")
    assert load_settings().worker_keys == "/etc/hyojo/gateway.keys"


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [
        (None, 0o600, "cannot be read from"),
        (b"", 0o600, "is no file of keys"),
        (b"\xff\xfe", 0o600, "is no file of keys"),
        (b"{}", 0o600, "is no file of keys"),
        (b'{"role":"worker","public":"short","secret":"x","worker":"y"}', 0o600, "no file of keys"),
        (b"{}", 0o620, "can be changed by others"),
        (b"{}", 0o602, "can be changed by others"),
    ],
)
def test_what_is_no_file_of_keys_is_a_sentence(
    tmp_path: Path, content: bytes | None, mode: int, says: str
) -> None:
    path = tmp_path / "some.keys"
    if content is not None:
        path.write_bytes(content)
        path.chmod(mode)
    with pytest.raises(SettingsError, match=says) as caught:
        keys.load(path)
    assert str(path) in str(caught.value)


def test_a_secret_is_never_told(tmp_path: Path) -> None:
    keys.make(tmp_path)
    path = tmp_path / "worker.keys"
    secret = keys.load(path).secret
    path.write_text(path.read_text().replace('"role"', '"rule"'))
    with pytest.raises(SettingsError) as caught:
        keys.load(path)
    assert secret not in str(caught.value) and caught.value.__cause__ is None


def test_help_teaches_and_makes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert keys.main(["--help"]) == 0
    assert "python -m service.keys make" in capsys.readouterr().out
