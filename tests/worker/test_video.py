"""python infer.py --video: real videos through the real processes."""

import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from models.videos import Sink, Source
from service.batch import Question
from service.kinship import adopt_orphans
from service.pool import Pool
from service.video import Watch
from tests.conftest import PROJECT

EMOTIONS = ["anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"]
FPS = 15


def _command(*arguments: object) -> list[str]:
    return [sys.executable, str(PROJECT / "infer.py"), *map(str, arguments)]


def _infer(*arguments: object) -> "subprocess.CompletedProcess[str]":
    clean = {k: v for k, v in os.environ.items() if not k.startswith("HYOJO_")}
    clean["HYOJO_PREDICTORS"] = "1"
    return subprocess.run(
        _command(*arguments), cwd=PROJECT, env=clean, capture_output=True, text=True, timeout=180
    )


def _lines(done: "subprocess.CompletedProcess[str]") -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def _placed(
    face: np.ndarray, scale: float, x: float, y: float, size: tuple[int, int]
) -> np.ndarray:
    matrix = np.array([[scale, 0, x], [0, scale, y]], float)
    grey = (100, 110, 90)
    return np.asarray(cv2.warpAffine(face, matrix, size, borderValue=grey))


def _written(path: Path, frames: list[np.ndarray], fps: float = FPS) -> Path:
    height, width = frames[0].shape[:2]
    sink = Sink(path, fps, width, height)
    for number, frame in enumerate(frames):
        sink.write(frame, number / fps)
    sink.finish()
    return path


@pytest.fixture(scope="module")
def example() -> np.ndarray:
    picture = cv2.imread(str(PROJECT / "web" / "example.jpg"))
    assert picture is not None
    return picture


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, example: np.ndarray) -> Path:
    """Six seconds, panned, zoomed, noisy: a face, and a second that is gone from 2 to 4.5 s."""
    random = np.random.default_rng(0)
    other = example[:260, 110:370, :][:, ::-1]
    frames = []
    for number in range(6 * FPS):
        t = number / FPS
        frame = _placed(example, 0.8 + 0.1 * np.sin(t), 10 + 30 * np.sin(t), 20, (640, 480))
        if not 2 <= t < 4.5:
            frame[100:360, 380:640] = other
        noisy = frame + random.normal(0, 10, (480, 640, 1))
        frames.append(np.clip(noisy, 0, 255).astype(np.uint8))
    return _written(tmp_path_factory.mktemp("videos") / "two.mp4", frames)


@pytest.fixture(scope="module")
def undecided(tmp_path_factory: pytest.TempPathFactory, example: np.ndarray) -> Path:
    """Four seconds of a noisy face whose smile is half turned over: single frames disagree."""
    random = np.random.default_rng(0)
    face = example.copy()
    mouth = face[126:156, 200:252].copy()
    frames = []
    for number in range(4 * FPS):
        t = number / FPS
        share = 0.7 + 0.3 * np.sin(2 * t)
        face[126:156, 200:252] = cv2.addWeighted(mouth, 1 - share, mouth[::-1], share, 0)
        frame = _placed(face, 0.8, 60 + 30 * np.sin(t), 20, (640, 480))
        noisy = frame + random.normal(0, 25, (480, 640, 1))
        frames.append(np.clip(noisy, 0, 255).astype(np.uint8))
    return _written(tmp_path_factory.mktemp("videos") / "undecided.mp4", frames)


def test_faces_keep_their_ids_and_the_video_its_frames(two: Path, tmp_path: Path) -> None:
    out = tmp_path / "annotated.mp4"
    done = _infer("--video", two, "--out", out, "--json", "--top", 2)
    assert done.returncode == 0, done.stderr
    lines = _lines(done)
    assert [line["frame"] for line in lines] == list(range(90))
    assert [line["time"] for line in lines] == pytest.approx([n / FPS for n in range(90)], abs=1e-3)
    keys = {"frame", "time", "label", "probability", "probabilities", "faces", "error"}
    assert all(set(line) == keys for line in lines)
    (main,) = set.intersection(*({face["id"] for face in line["faces"]} for line in lines))
    others = {face["id"] for line in lines for face in line["faces"]} - {main}
    assert len(others) == 2, "one id until it leaves, another when it comes back later"
    early, late = ({f["id"] for f in line["faces"]} for line in (lines[20], lines[-1]))
    assert len(early) == len(late) == 2 and early != late
    gone = [f for line in lines[35:67] for f in line["faces"]]
    assert {face["id"] for face in gone} == {main}
    for face in lines[20]["faces"]:
        assert set(face) == {"id", "box", "seen", "label", "probability", "probabilities"}
        assert face["label"] == "happiness" and len(face["probabilities"]) == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("90 frames, 0 failed, ") and "frames/s; 90 written to" in last
    _see_the_drawing(two, out, lines)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["annotated.mp4"]


def _see_the_drawing(source: Path, out: Path, lines: list[dict[str, Any]]) -> None:
    before, after = Source(source), Source(out)
    assert (after.width, after.height, after.fps) == (640, 480, FPS)
    drawn = 0
    pairs = zip(before, after, lines, strict=True)
    for was, now, line in pairs:
        changed = np.abs(now.pixels.astype(int) - was.pixels).max(axis=2) > 90
        for face in line["faces"]:
            x, y, width, height = map(round, face["box"])
            drawn += changed[y : y + height, x - 1 : x + 4].mean() > 0.3  # its left side
            changed[max(0, y - 40) : y + height + 4, x - 4 : x + max(200, width) + 4] = False
        assert changed.mean() < 0.01, "elsewhere the frame is as it was"
    assert drawn >= 85


def test_labels_hold_still_where_single_frames_disagree(undecided: Path) -> None:
    flips = {}
    for smooth in (0, 0.5):
        done = _infer("--video", undecided, "--json", "--smooth", smooth)
        assert done.returncode == 0, done.stderr
        labels = [line["label"] for line in _lines(done)]
        assert None not in labels
        flips[smooth] = sum(a != b for a, b in pairwise(labels)) / 4
    print(f"flips a second: {flips[0]} by single frames, {flips[0.5]} smoothed")
    assert flips[0] > 2 and flips[0.5] <= flips[0] / 4 and flips[0.5] <= 1


def test_large_frames_have_their_boxes_in_their_own_pixels(
    tmp_path: Path, example: np.ndarray
) -> None:
    large = _placed(example, 2, 300, 20, (1920, 1080))
    path = _written(tmp_path / "large.avi", [large] * 3, 5)
    lines = _lines(_infer("--video", path, "--json"))
    assert len(lines) == 3
    for line in lines:
        x, y, width, height = line["faces"][0]["box"]
        assert x == pytest.approx(2 * 182 + 300, abs=25) and y == pytest.approx(2 * 64 + 20, abs=25)
        assert 140 < width < 220 and 170 < height < 250


def test_without_a_face_nothing_is_named_and_whole_names_the_frame(
    tmp_path: Path, landscape_png: bytes
) -> None:
    hills = cv2.imdecode(np.frombuffer(landscape_png, np.uint8), cv2.IMREAD_COLOR)
    path = _written(tmp_path / "hills.mp4", [hills[:239, :319]] * 10)
    done = _infer("--video", path, "--json", "--out", tmp_path / "out.webm")
    assert done.returncode == 0, done.stderr
    assert all(line["faces"] == [] and line["label"] is None for line in _lines(done))
    assert len(list(Source(tmp_path / "out.webm"))) == 10
    whole = _lines(_infer("--video", path, "--json", "--faces", "whole"))
    assert {face["id"] for line in whole for face in line["faces"]} == {1}
    assert whole[-1]["label"] in EMOTIONS and len(whole[-1]["probabilities"]) == 7


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_it_keeps_what_was_done(two: Path, tmp_path: Path, number: signal.Signals) -> None:
    path = tmp_path / "long.mp4"
    _written(path, [frame.pixels for frame in Source(two)] * 6)
    out = tmp_path / "out.mp4"
    process = subprocess.Popen(
        _command("--video", path, "--json", "--out", out, "--processes", 1),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for _ in range(20):
        process.stdout.readline()
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(number)
    _, complaint = process.communicate(timeout=30)
    assert process.returncode == 130, complaint
    assert "infer.py: stopped; " in complaint and "Traceback" not in complaint
    kept = len(list(Source(out)))
    assert 19 <= kept < 540 and f"{kept} written to" in complaint
    assert sorted(p.name for p in tmp_path.iterdir()) == ["long.mp4", "out.mp4"]
    assert not any(Path(f"/proc/{child}").exists() for child in children)


def test_a_reader_that_has_seen_enough_is_no_error(two: Path) -> None:
    command = " ".join(_command("--video", two, "--json", "--processes", 1))
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -n 1"], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.count("\n") == 1 and "Traceback" not in done.stderr


def test_a_file_that_is_cut_off_is_told_and_its_beginning_done(two: Path, tmp_path: Path) -> None:
    path = _written(tmp_path / "a.avi", [frame.pixels for frame in Source(two)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    done = _infer("--video", path, "--json")
    assert done.returncode == 1 and 20 < len(_lines(done)) < 70
    assert "It may be cut off or damaged" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--video", "none.mp4", "--json"], "There is no file none.mp4"),
        (["--video", "README.md", "--json"], "is no video that can be read"),
        (["--video", "web", "--json"], "is no file"),
        (["--video", "VIDEO"], "--out annotated.mp4, --json, or both"),
        (["--out", "out.mp4"], "python infer.py --video FILE --out OUT"),
        (["--video", "VIDEO", "--out", "VIDEO"], "is the video that is read"),
        (["--video", "VIDEO", "--out", "out.gif"], "must end in one of .mp4"),
        (["--video", "VIDEO", "--out", "/nowhere/out.mp4"], "there is no folder /nowhere"),
        (["--video", "VIDEO", "--json", "web"], "classify images in a run of their own"),
        (["--video", "VIDEO", "--json", "--explain", "out"], "--explain is for images"),
        (["--video", "VIDEO", "--json", "--smooth", "-1"], "takes seconds from 0 to 60"),
        (["--video", "VIDEO", "--json", "--model", "smlie"], "There is no model bundle at"),
    ],
)
def test_wrong_use_is_a_sentence_and_status_2(
    two: Path, arguments: list[str], sentence: str
) -> None:
    done = _infer(*(str(two) if word == "VIDEO" else word for word in arguments))
    assert done.returncode == 2 and done.stdout == ""
    assert sentence in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1 or "usage:" in done.stderr


@pytest.mark.parametrize("deaths", [1, 2])
def test_a_lost_process_costs_a_second_try_and_then_these_frames_alone(
    two: Path, deaths: int
) -> None:
    pool = Pool({"emotion": PROJECT / "params" / "emotion"}, 1, 10**7, 20.0)
    source = Source(two)
    watch = Watch(pool, source, Question("emotion"), 4)
    results = []
    killed = False
    try:
        for _, result in watch:
            results.append(result)
            if len(results) >= 8 and not killed:
                killed = True
                _kill_while_busy(pool, watch, deaths)
    finally:
        pool.close()
        adopt_orphans(False)  # what other tests leave behind is not this process's
    assert len(results) == 90 and pool.replaced == deaths
    errors = [result.error.code for result in results if result.error]
    assert errors == (["worker_lost"] * 4 if deaths == 2 else [])


def _kill_while_busy(pool: Pool, watch: Watch, deaths: int) -> None:
    """End the process that holds a job; its successors too, as often as told."""
    for _ in range(deaths):
        end = time.monotonic() + 60
        while not watch._out:
            assert time.monotonic() < end
            pool.wait(50)
            watch._turn()
        os.kill(pool.pids[0], signal.SIGKILL)
        while watch._out:
            time.sleep(0.05)
            watch._turn()
