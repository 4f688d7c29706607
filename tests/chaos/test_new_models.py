"""A bundle that is replaced while it is served, by a good one and by bad ones."""

import hashlib
import json
import os
import shutil
import signal
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.amount import amount
from tests.chaos.conftest import of_kind, readiness, seconds_until
from tests.chaos.load import Load, known_answers
from tests.conftest import PROJECT, Running

PREDICTORS = 2


@pytest.fixture
def params(tmp_path: Path) -> Path:
    """A folder with a bundle to be replaced."""
    shutil.copytree(PROJECT / "params" / "emotion", tmp_path / "params" / "emotion")
    return tmp_path / "params"


def replace(bundle: Path, change: Callable[[Path, dict[str, Any]], None]) -> None:
    """Put a changed copy of a bundle in its place, as training does."""
    new = bundle.with_name(".new")
    shutil.copytree(bundle, new)
    manifest = json.loads((new / "model.json").read_text())
    change(new, manifest)
    (new / "model.json").write_text(json.dumps(manifest))
    bundle.rename(bundle.with_name(".old"))
    new.rename(bundle)
    shutil.rmtree(bundle.with_name(".old"))


def renamed(version: str) -> Callable[[Path, dict[str, Any]], None]:
    """The same network under another version, which its labels tell."""

    def change(_folder: Path, manifest: dict[str, Any]) -> None:
        manifest["version"] = version
        manifest["labels"] = [f"{label.split('-')[0]}-{version}" for label in manifest["labels"]]

    return change


def cut_short(folder: Path, manifest: dict[str, Any]) -> None:
    manifest["version"] = "cut"
    whole = (folder / "inference.pdiparams").read_bytes()
    (folder / "inference.pdiparams").write_bytes(whole[:1000])


def no_network(folder: Path, manifest: dict[str, Any]) -> None:
    """Every hash is right, and Paddle cannot load it."""
    manifest["version"] = "odd"
    (folder / "inference.json").write_bytes(b"{}")
    manifest["files"]["inference.json"] = hashlib.sha256(b"{}").hexdigest()


def served(running: Running) -> dict[str, Any]:
    with urllib.request.urlopen(f"{running.url}/models", timeout=5) as answer:
        (model,) = json.load(answer)["models"]
    assert isinstance(model, dict)
    return model


def renew(running: Running) -> None:
    running.process.send_signal(signal.SIGHUP)


def test_a_new_bundle_takes_over_without_a_request_lost_and_a_bad_one_does_not(
    params: Path,
    start: Callable[..., Running],
    pictures: list[bytes],
    figure: Callable[[str], None],
) -> None:
    running = start(params=params, models="emotion", predictors=PREDICTORS)
    old = served(running)["version"]
    known_answers(running.url, pictures)
    took = []
    with Load(running.url, pictures, clients=4, pause_s=0.02) as load:
        for number in range(amount(1, 10)):
            time.sleep(1)
            replace(params / "emotion", renamed(f"new{number}"))
            renew(running)
            took.append(
                seconds_until(
                    lambda number=number: served(running)["version"] == f"new{number}", 60, "it"
                )
            )
        time.sleep(1)
    versions = {answer.body["version"] for answer in load.answers}
    figure(f"{len(took)} new bundles under load: {dict(load.kinds)}, each took {max(took):.1f} s")
    assert set(load.kinds) == {"200"}
    assert versions == {old, *(f"new{number}" for number in range(len(took)))}
    for answer in load.answers:
        label, version = answer.body["label"], answer.body["version"]
        assert label.endswith(f"-{version}") if version != old else "-" not in label
    seconds_until(lambda: len(of_kind(running, "predictor")) == PREDICTORS, 10, "the old ones' end")

    last = f"new{len(took) - 1}"
    for bad, why in ((cut_short, "inference.pdiparams"), (no_network, "cannot be used")):
        replace(params / "emotion", bad)
        renew(running)
        seconds_until(lambda why=why: why in (served(running)["refused"] or ""), 60, "a refusal")
        assert served(running)["version"] == last and served(running)["error"] is None
        assert f"{params}/emotion" in served(running)["refused"]
        assert readiness(running.url)["status"] == 200
        # Who is started now still gets what the others have, not what stands on the disk.
        for pid in of_kind(running, "predictor"):
            os.kill(pid, signal.SIGKILL)
        seconds_until(lambda: readiness(running.url)["status"] != 200, 5, "the loss")
        seconds_until(
            lambda: readiness(running.url).get("predictors_ready") == PREDICTORS, 60, "new ones"
        )
        with Load(running.url, pictures, clients=1) as load:
            seconds_until(lambda: len(load.answers) > len(pictures), 20, "answers")
        assert {answer.body["version"] for answer in load.answers} == {last}
        assert all(answer.body["label"].endswith(f"-{last}") for answer in load.answers)
        shutil.rmtree(params / "emotion")
        shutil.copytree(PROJECT / "params" / "emotion", params / "emotion")
    renew(running)
    seconds_until(lambda: served(running)["version"] == old, 60, "the repaired one")
    assert served(running)["refused"] is None
    assert running.log.count("refused") >= 2 and "Traceback" not in running.log
    assert running.stop() == 0
