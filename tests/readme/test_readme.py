"""The README's commands do what the README says. `make` and docker have tests of their own."""

import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

from models.videos import Sink, Source
from tests.amount import SOAK
from tests.archives import unpack
from tests.conftest import PROJECT

README = (PROJECT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```(?:\n\n```json\n(.*?)```)?", README, re.S)
COMMANDS = [(text.strip(), answer.strip()) for kind, text, answer in BLOCKS if kind == "sh"]
# What is fetched from elsewhere is not here: tests/contract/test_guests.py asks for such models.
COMMANDS = [(command, answer) for command, answer in COMMANDS if "photo.jpg" not in command]
CURLS = [(command, answer) for command, answer in COMMANDS if "curl" in command]
ELSEWHERE = (
    "make serve", "make test", "make image", "docker run", "make local", "http.server",
    "models.export", "python -m models.zoo fetch", "make ray",
)  # fmt: skip
CHANGING = ("timings_ms", "request_id", "version", "model_version")


def _run(command: str, folder: Path, **env: str) -> "subprocess.CompletedProcess[str]":
    """A README command in bash, `python` being the one that runs the tests."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        cwd=folder,
        env={**os.environ, "PATH": path, **env},
        capture_output=True,
        text=True,
        timeout=300,
    )


def _close(told: Any, got: Any, where: str = "") -> None:
    """The same structure and words; numbers within two hundredths, or two pixels in a box."""
    if isinstance(told, dict):
        assert list(told) == list(got), where
        for key in told:
            if key not in CHANGING:
                _close(told[key], got[key], f"{where}.{key}")
    elif isinstance(told, list):
        assert len(told) == len(got), where
        for number, (a, b) in enumerate(zip(told, got, strict=True)):
            _close(a, b, f"{where}[{number}]")
    elif isinstance(told, float):
        assert got == pytest.approx(told, abs=2 if ".box" in where or told > 1 else 0.02), where
    else:
        assert told == got, where


def test_every_command_of_the_readme_is_tested_somewhere() -> None:
    known = ("curl", "python infer.py", "python train.py", *ELSEWHERE)
    assert len(COMMANDS) >= 10
    for command, _ in COMMANDS:
        assert any(part in command for part in known), command


@pytest.mark.parametrize(("command", "answer"), CURLS, ids=[c[:60] for c, _ in CURLS])
def test_a_curl_example_gets_the_answer_it_shows(
    command: str, answer: str, service_url: str
) -> None:
    asked = command.replace("http://127.0.0.1:8000", service_url).replace("curl", "curl -s")
    done = _run(asked, PROJECT)
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout)
    if answer:
        _close(json.loads(answer), got)
    else:
        label = "smile" if "model=smile" in command else "happiness"
        assert got["results"][0]["faces"][0]["label"] == label


def test_the_example_of_tritons_client_runs(service_url: str) -> None:
    (code,) = (text for kind, text, _ in BLOCKS if kind == "python" and "triton" in text)
    asked = code.replace("127.0.0.1:8000", service_url.removeprefix("http://"))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", asked], cwd=PROJECT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    label, boxes = done.stdout.splitlines()
    assert label.startswith("happiness {'anger': 0.0") and len(json.loads(boxes)) == 1


INFER = [c for c, _ in COMMANDS if c.startswith("python infer.py") and "--ray" not in c]
"""The one with --ray: tests/worker/test_infer_ray.py."""


@pytest.mark.parametrize("command", [c for c in INFER if "--video" not in c])
def test_an_infer_example_runs(command: str) -> None:
    done = _run(command, PROJECT)
    assert done.returncode == 0, done.stderr
    assert "happiness" in done.stdout


def test_the_video_example_runs(tmp_path: Path, face_jpeg: bytes) -> None:
    (command,) = (c for c in INFER if "--video" in c)
    face = cv2.imdecode(np.frombuffer(face_jpeg, np.uint8), cv2.IMREAD_COLOR)
    sink = Sink(tmp_path / "talk.mp4", 25, 512, 512)
    for number in range(10):
        sink.write(face, number / 25)
    sink.finish()
    done = _run(command.replace("infer.py", str(PROJECT / "infer.py")) + " --json", tmp_path)
    assert done.returncode == 0, done.stderr
    labels = [json.loads(line)["faces"][0]["label"] for line in done.stdout.splitlines()]
    assert labels == ["happiness"] * 10 and len(list(Source(tmp_path / "annotated.mp4"))) == 10


def test_training_on_own_folders_as_the_readme_says(tmp_path: Path) -> None:
    (command,) = (c for c, _ in COMMANDS if c.startswith("python train.py --data mugs"))
    _mugs(tmp_path / "mugs", 12)
    bundle = tmp_path / "params" / "mugs"
    full = command.replace("train.py", str(PROJECT / "train.py"))
    done = _run(
        f"{full} --out {bundle} --runs {tmp_path / 'runs'} --image-size 48 --epochs 2", tmp_path
    )
    assert done.returncode == 0, done.stderr
    infer = f"python {PROJECT / 'infer.py'} --json --model {bundle} mugs/without/0.png"
    answer = json.loads(_run(infer, tmp_path).stdout)
    assert set(answer["probabilities"]) == {"with-handle", "without"} and answer["faces"] == []


def test_a_sweep_as_the_readme_says(tmp_path: Path) -> None:
    (command,) = (c for c, _ in COMMANDS if c.startswith("python train.py sweep"))
    _mugs(tmp_path / "mugs", 10)
    full = command.replace("train.py", str(PROJECT / "train.py"))
    done = _run(f"{full} --faces no --width 4 --epochs 1 --repeats 1 --random 2 --json", tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert len(told["rows"]) == 2 and len(told["held_out_of_the_chosen"]) == 1
    assert (tmp_path / "runs" / "mugs-sweep" / "sweep.md").is_file()


@pytest.mark.data
def test_training_on_jaffe_as_the_readme_says(data_folder: Path, tmp_path: Path) -> None:
    (command,) = (c for c, _ in COMMANDS if c.startswith("python train.py --data path/to/jaffe"))
    archive = data_folder / "jaffe.tar.gz"
    if not archive.is_file():
        pytest.skip(f"{archive} is not there: JAFFE is requested from Zenodo, record 3451524")
    (tmp_path / "path" / "to").mkdir(parents=True)
    with tarfile.open(archive) as tar:
        unpack(tar, tmp_path / "path" / "to")
    full = command.replace("train.py", str(PROJECT / "train.py"))
    bundle, runs = tmp_path / "emotion", tmp_path / "runs"
    less = "" if SOAK else " --epochs 3"  # all of it takes three minutes
    done = _run(f"{full} --out {bundle} --runs {runs} --json{less}", tmp_path)
    assert done.returncode == 0, done.stderr
    measured = json.loads((bundle / "model.json").read_text())["metrics"]["accuracy"]
    told = re.search(r"JAFFE alone, from `params/face` \| accuracy ([0-9.]+) %", README)
    assert told is not None
    expected = float(told[1]) / 100
    if SOAK:
        assert measured == pytest.approx(expected, abs=0.03)
    else:
        assert expected - 0.15 < measured < 1


def test_the_figures_of_the_shipped_model_are_its_own() -> None:
    shipped = json.loads((PROJECT / "params" / "emotion" / "model.json").read_text())["metrics"]
    for figure in (
        shipped["seeds"]["accuracy"]["mean"], shipped["seeds"]["macro_f1"]["mean"],
        shipped["company"]["accuracy"], shipped["company"]["ece"],
    ):  # fmt: skip
        told = f"{figure:.3f}" if figure == shipped["company"]["ece"] else f"{figure:.1%}"
        assert told.replace("%", " %") in README, f"{told} is missing"


def test_the_settings_table_is_the_settings_own() -> None:
    table = subprocess.run(
        [sys.executable, "-m", "service.settings"], capture_output=True, text=True, cwd=PROJECT
    ).stdout.strip()
    assert table in README


def test_every_file_the_documents_link_to_is_there() -> None:
    for document in [PROJECT / "README.md", *PROJECT.glob("docs/*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            if not target.startswith("http"):
                assert (document.parent / target).exists(), f"{document.name}: {target}"


def _mugs(folder: Path, each: int) -> None:
    """Two classes of pictures, a folder each."""
    for label, handle in (("with-handle", True), ("without", False)):
        (folder / label).mkdir(parents=True)
        for number in range(each):
            _mug(number, handle).save(folder / label / f"{number}.png")


def _mug(number: int, handle: bool) -> Image.Image:
    """Each stands at a place of its own: pictures that are all alike would be copies of one."""
    image = Image.new("RGB", (96, 96), (200 - number, 190, 170))
    draw = ImageDraw.Draw(image)
    colour = (40 + 12 * number, 60, 120)
    x, y = 7 * (number % 4) - 12, 9 * (number // 4) - 9
    if handle:
        draw.ellipse((50 + x, 34 + y, 82 + x, 66 + y), outline=colour, width=7)
    draw.rectangle((24 + x, 24 + y, 62 + x, 76 + y), fill=colour)
    return image


@pytest.mark.data
def test_training_the_smile_model_as_the_readme_says(data_folder: Path, tmp_path: Path) -> None:
    """The command on every fortieth photograph: on all of them it takes an hour."""
    (command,) = (c for c, _ in COMMANDS if c.startswith("python train.py --data path/to/genki4k"))
    archive = data_folder / "genki4k.tar"
    if not archive.is_file():
        pytest.skip(f"{archive} is not there")
    place = tmp_path / "path" / "to"
    with tarfile.open(archive) as tar:
        files = [member for member in tar if member.isfile()]
        some = [f for f in files if f.name.endswith(".jpg")][::40]
        table = [f for f in files if f.name.endswith("labels.csv")]
        unpack(tar, place, some + table)
    full = command.replace("train.py", str(PROJECT / "train.py"))
    done = _run(
        f"{full} --out {tmp_path / 'b'} --runs {tmp_path / 'r'} --json --copies 1", tmp_path
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["protocol"]["folds"] == 4 and result["labels"] == ["no smile", "smile"]
    told = re.search(r"Smile or not, GENKI-4K \| accuracy ([0-9.]+) %", README)
    shipped = json.loads((PROJECT / "params/smile/model.json").read_text())["metrics"]["accuracy"]
    assert told and round(100 * shipped, 1) == float(told[1])
    assert result["metrics"]["accuracy"] > 0.85, "far from what the README says of all of them"
