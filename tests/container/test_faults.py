"""Bundles that are not as they should be: said, not crashed over."""

import time
from pathlib import Path

import pytest

from tests.container.engine import Container, Engine, wait_until

pytestmark = pytest.mark.container

BUNDLE = "/srv/hyojo/params/emotion"


@pytest.fixture
def bundle(engine: Engine, tmp_path: Path) -> Path:
    """The image's bundle, to be spoilt."""
    tmp_path.chmod(0o755)
    return engine.copy_out(BUNDLE, tmp_path / "emotion")


def start_with(engine: Engine, bundle: Path) -> Container:
    options = ("-v", f"{bundle}:{BUNDLE}:ro", "--restart", "on-failure")
    return engine.start(options=options)


def stays_up_and_says(container: Container, word: str) -> str:
    """It lives, is not ready, names what is wrong, and does not start over and over."""
    wait_until(lambda: container.get("/livez")[0] == 200, 30, "life")
    wait_until(lambda: word in container.logs, 30, f"{word} in the log")
    time.sleep(3)
    assert container.get("/readyz")[0] == 503
    assert container.inspect()["RestartCount"] == 0
    assert "Traceback" not in container.logs
    said = container.get("/readyz")[1].decode()
    wait_until(
        lambda: any(check["ExitCode"] for check in container.state["Health"]["Log"] or ()),
        30,
        "a failed health check",
    )
    return said


@pytest.mark.parametrize("name", ["inference.pdiparams", "inference.json"])
def test_a_truncated_file_is_named_and_the_service_stays_up(name, engine: Engine, bundle: Path):
    whole = (bundle / name).read_bytes()
    (bundle / name).write_bytes(whole[: len(whole) // 2])
    container = start_with(engine, bundle)
    assert name in stays_up_and_says(container, name)
    assert container.classify(b"\xff\xd8")["status"] == 503


def test_an_altered_manifest_is_named(engine: Engine, bundle: Path):
    (bundle / "model.json").write_text("{")
    assert "model.json" in stays_up_and_says(start_with(engine, bundle), "model.json")


def test_a_missing_bundle_is_named(engine: Engine, tmp_path: Path):
    tmp_path.chmod(0o755)
    (tmp_path / "emotion").mkdir(mode=0o755)
    container = start_with(engine, tmp_path / "emotion")
    assert "emotion" in stays_up_and_says(container, "emotion")


def test_a_wrong_setting_is_a_sentence(engine: Engine):
    container = engine.start(options=("-e", "HYOJO_PREDICTORS=many"))
    wait_until(lambda: container.state["Status"] == "exited", 30, "the container's end")
    assert container.state["ExitCode"] == 2
    assert "HYOJO_PREDICTORS" in container.logs and "Traceback" not in container.logs
