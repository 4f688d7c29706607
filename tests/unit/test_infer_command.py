"""python infer.py PATH …: files and folders at once, as a person or a script calls it."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import PROJECT
from tests.guests import family
from tests.pictures import gradient, saved

EMOTIONS = ["anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"]


def _infer(
    *arguments: object, folder: Path = PROJECT, **env: str
) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(PROJECT / "infer.py"), *map(str, arguments)]
    clean = {k: v for k, v in os.environ.items() if not k.startswith("HYOJO_")}
    return subprocess.run(
        command, cwd=folder, env={**clean, **env}, capture_output=True, text=True, timeout=120
    )


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory, face_jpeg: bytes, landscape_png: bytes) -> Path:
    """Two faces, a landscape, a broken picture and a text."""
    folder = tmp_path_factory.mktemp("album")
    (folder / "b-face.jpg").write_bytes(face_jpeg)
    (folder / "c-hills.png").write_bytes(landscape_png)
    (folder / "d-broken.jpg").write_bytes(face_jpeg[:5000])
    (folder / "notes.txt").write_text("no picture")
    (folder / "sub").mkdir()
    (folder / "sub" / "é face.jpg").write_bytes(face_jpeg)
    return folder


def test_json_gives_one_object_a_line_in_the_order_given(album: Path) -> None:
    done = _infer("--json", album / "sub", album / "c-hills.png", album, "--batch-size", 2)
    assert done.returncode == 1, "one image failed"
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    names = ["é face.jpg", "c-hills.png", "b-face.jpg", "c-hills.png", "d-broken.jpg", "é face.jpg"]
    assert [Path(line["path"]).name for line in lines] == names
    face, hills, same, _, broken, _ = lines
    keys = {"path", "size", "label", "probability", "probabilities", "faces", "error"}
    assert all(set(line) == keys for line in lines)
    assert sorted(face["probabilities"]) == EMOTIONS and face["error"] is None
    assert face["label"] == next(iter(face["probabilities"]))
    assert {"box", "score", "label", "probability", "probabilities"} == set(face["faces"][0])
    assert {**same, "path": ""} == {**face, "path": ""}
    assert hills["label"] is None and hills["faces"] == [] and hills["error"] is None
    assert broken["error"]["code"] == "image_broken" and broken["label"] is None


def test_the_table_is_for_people(album: Path) -> None:
    done = _infer(album)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert "b-face.jpg" in lines[0] and "%" in lines[0]
    assert lines[1].endswith("no face found")
    assert "FAILED" in lines[2] and "truncated or damaged" in lines[2]
    assert done.stderr.splitlines()[-1].startswith("4 images, 1 failed, ")
    assert "Traceback" not in done.stderr


def test_all_well_is_status_0_and_top_cuts(album: Path) -> None:
    done = _infer(album / "b-face.jpg", "--json", "--top", 2, "--faces", "largest")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["probabilities"]) == 2
    assert "1 image, 0 failed" in done.stderr


def test_a_bundle_is_named_by_its_folder_too(album: Path, tmp_path: Path) -> None:
    bundle = PROJECT / "params" / "emotion"
    done = _infer(album / "b-face.jpg", "--model", bundle, "--processes", 1, folder=tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_copied_bundle_answers_under_its_new_name(album: Path, tmp_path: Path) -> None:
    shutil.copytree(PROJECT / "params" / "emotion", tmp_path / "mine")
    done = _infer(album / "b-face.jpg", "--json", "--model", tmp_path / "mine")
    assert done.returncode == 0 and json.loads(done.stdout)["label"] == "happiness"


def test_whole_classifies_a_picture_without_a_face(album: Path) -> None:
    done = _infer(album / "c-hills.png", "--json", "--faces", "whole")
    assert json.loads(done.stdout)["label"] in EMOTIONS


def test_explain_writes_a_picture_of_what_decided(album: Path, tmp_path: Path) -> None:
    done = _infer(album, "--json", "--explain", tmp_path / "new" / "out")
    assert done.returncode == 1, "one image failed"
    assert "Traceback" not in done.stderr and "3 explained in" in done.stderr
    face, hills, broken, same = (json.loads(line) for line in done.stdout.splitlines())
    told = face["faces"][0]["explanation"]
    assert told["label"] == face["label"] == "happiness" and told == same["faces"][0]["explanation"]
    assert hills["faces"] == [] and broken["error"]["code"] == "image_broken"
    written = sorted(path.name for path in (tmp_path / "new" / "out").iterdir())
    assert written == [
        f"{name}.explain.png" for name in ("b-face.jpg", "c-hills.png", "é face.jpg")
    ]
    shown = np.asarray(Image.open(tmp_path / "new" / "out" / written[0])).astype(int)
    source = np.asarray(Image.open(album / "b-face.jpg")).astype(int)
    warmer = (shown - source)[..., 0] - (shown - source)[..., 2]  # red up, blue down
    left, top = (round(v) for v in told["corners"][0])
    right, bottom = (round(v) for v in told["corners"][2])
    middle = (top + bottom) // 2
    upper, lower = warmer[top:middle, left:right].mean(), warmer[middle:bottom, left:right].mean()
    assert lower > upper + 20, "a smile is in the lower half of the face"
    frame = face["faces"][0]["box"]
    floor = max(bottom, round(frame[1] + frame[3])) + 5
    assert (shown == source)[floor:].all(), "and nothing is drawn below it"


def test_explain_into_the_pictures_own_folder_spares_them(tmp_path: Path, face_jpeg: bytes) -> None:
    (tmp_path / "face.jpg").write_bytes(face_jpeg)
    for _ in range(2):  # the second time the first one's picture is read and explained too
        done = _infer(".", "--explain", ".", folder=tmp_path)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "face.jpg").read_bytes() == face_jpeg
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "face.jpg", "face.jpg-2.explain.png", "face.jpg.explain.png",
        "face.jpg.explain.png.explain.png",
    ]  # fmt: skip


def test_a_model_that_cannot_explain_says_so_before_anything_is_read(
    album: Path, tmp_path: Path
) -> None:
    shutil.copytree(PROJECT / "params" / "emotion", tmp_path / "older")
    manifest = tmp_path / "older" / "model.json"
    manifest.write_text(manifest.read_text().replace('"explains": true', '"explains": false'))
    done = _infer(album, "--model", tmp_path / "older", "--explain", tmp_path / "out")
    assert done.returncode == 2 and done.stdout == ""
    assert "'older' cannot show what decided" in done.stderr and "Train it anew" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere.jpg"], "There is no file or folder nowhere.jpg"),
        (["docker"], "holds no image files"),
        (["web/example.jpg", "--model", "smlie"], "There is no model bundle at"),
        (["web/example.jpg", "--model", "face"], "only lends its weights to trainings"),
        (["web/example.jpg", "--top", "0"], "takes a whole number from 1, not '0'"),
        (["web/example.jpg", "--faces", "some"], "invalid choice: 'some'"),
        (["web/example.jpg", "--batch-size", "x"], "takes a whole number from 1"),
        (["web/example.jpg", "--explain", "README.md"], "README.md cannot be made a folder"),
        (["--explain", "out"], "--explain needs the images"),
        (["web/example.jpg", "--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_wrong_use_is_a_sentence_and_status_2(arguments: list[str], sentence: str) -> None:
    done = _infer(*arguments)
    assert done.returncode == 2 and done.stdout == ""
    assert sentence in done.stderr and "Traceback" not in done.stderr


def test_help_names_every_option_with_its_default() -> None:
    done = _infer("--help")
    assert done.returncode == 0
    for option in (
        "--model",
        "--faces",
        "--top",
        "--batch-size",
        "--processes",
        "--json",
        "--explain",
        "--video",
        "--out",
        "--smooth",
    ):
        assert option in done.stdout
    assert done.stdout.count("default") >= 5 and "python infer.py photo.jpg" in done.stdout


def test_a_reader_that_has_seen_enough_is_no_error(album: Path) -> None:
    command = f"{sys.executable} {PROJECT / 'infer.py'} --json {album}"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} | head -n 1"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.count("\n") == 1 and "Traceback" not in done.stderr


def test_ctrl_c_ends_it_with_a_word_and_no_process_is_left(tmp_path: Path) -> None:
    _links(tmp_path, 2000, saved(gradient(600, 400), "PNG"))
    process = subprocess.Popen(
        [
            sys.executable,
            str(PROJECT / "infer.py"),
            "--json",
            "--faces",
            "all",
            str(tmp_path / "in"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert children
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "stopped" in complaint and "Traceback" not in complaint
    assert not any(Path(f"/proc/{child}").exists() for child in children)


# A small process in between: a child's peak begins with the size of the process it was forked from.
PEAK = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""


def test_a_large_folder_takes_bounded_memory_and_keeps_its_order(tmp_path: Path) -> None:
    # Links to one small file: the walk, the window and the order are those of so many images.
    names = _links(tmp_path, 1500, saved(Image.new("RGB", (48, 48), "grey"), "JPEG"))
    command = [str(PROJECT / "infer.py"), "--json", "--faces", "whole", "--top", "1"]
    done = subprocess.run(
        [sys.executable, "-c", PEAK, sys.executable, *command, str(tmp_path / "in")],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert [Path(json.loads(line)["path"]).name for line in done.stdout.splitlines()] == names
    peak_mb = int(done.stderr.splitlines()[-1]) / 1024
    print(f"largest process {peak_mb:.0f} MB")
    assert peak_mb < 700


def _links(folder: Path, count: int, data: bytes) -> list[str]:
    """Fill `folder`/in with links to one image file; returns their names."""
    (folder / "one.bin").write_bytes(data)
    (folder / "in").mkdir()
    names = [f"{number:05}.jpg" for number in range(count)]
    for name in names:
        (folder / "in" / name).symlink_to(folder / "one.bin")
    return names


def test_a_guest_and_an_average_answer_as_over_http_and_in_batches(
    tmp_path: Path, album: Path
) -> None:
    params = family(tmp_path / "params", "a", "b")
    files = [album / "b-face.jpg", album / "c-hills.png", album / "d-broken.jpg"]
    told = {}
    for model in ("imagenet:a", "imagenet:b", "average:a,b"):
        done = _infer("--json", "--model", model, *files, "--top", 7, HYOJO_PARAMS=str(params))
        assert done.returncode == 1 and "3 images, 1 failed" in done.stderr, done.stderr
        told[model] = [json.loads(line) for line in done.stdout.splitlines()]
    a, b, both = told.values()
    assert [line["path"] for line in both] == [str(file) for file in files]
    assert both[2]["error"] == a[2]["error"] and a[2]["error"]["code"] == "image_broken"
    for one, other, mean in zip(a[:2], b[:2], both[:2], strict=True):
        wanted = {k: (v + other["probabilities"][k]) / 2 for k, v in one["probabilities"].items()}
        assert mean["probabilities"] == pytest.approx(wanted, abs=1e-5)
        assert mean["label"] == next(iter(mean["probabilities"]))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--model", "imagenet:none"], "models.zoo fetch none"),
        (["--model", "average:a,b", "--explain", "OUT"], "cannot"),
    ],
)
def test_a_guest_or_an_average_that_cannot_be_had_is_a_sentence(
    tmp_path: Path, album: Path, arguments: list[str], sentence: str
) -> None:
    params = family(tmp_path / "params", "a", "b")
    done = _infer(album, *arguments, folder=tmp_path, HYOJO_PARAMS=str(params))
    assert done.returncode == 2 and done.stdout == "", done.stderr
    assert sentence in done.stderr and len(done.stderr.splitlines()) == 1
