"""python infer.py --ray FOLDER --out RESULTS, as a person or a script calls it: stopped by Ctrl-C,
killed, and started again until every image is answered once."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image

from bench.harness import tree
from tests.amount import amount
from tests.conftest import PROJECT
from tests.pictures import saved

IMAGES = amount(480, 3000)
PART = 20
README = (PROJECT / "README.md").read_text()
_PATIENCE_S = 300.0


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory, face_jpeg: bytes, landscape_png: bytes) -> Path:
    """Faces, hills and every kind of damage, in folders."""
    folder = tmp_path_factory.mktemp("album")
    small = Image.open(PROJECT / "web" / "example.jpg").resize((128, 128))
    kinds = [saved(small, "JPEG", quality=quality) for quality in (60, 75, 90)]
    kinds += [landscape_png, face_jpeg[:5000], b"", b"no picture"]
    for number in range(IMAGES):
        below = folder / f"{number % 7}"
        below.mkdir(exist_ok=True)
        (below / f"{number:05} é.jpg").write_bytes(kinds[number % len(kinds)])
    return folder


def _command(*arguments: object) -> list[str]:
    return [sys.executable, str(PROJECT / "infer.py"), *map(str, arguments)]


def _environment() -> dict[str, str]:
    left_out = ("HYOJO_", "RAY_")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(left_out)}
    return {**kept, "RAY_worker_niceness": "0"}  # others on this machine would come first


@contextmanager
def _started(folder: Path, out: Path, *more: object) -> Iterator["subprocess.Popen[str]"]:
    """The command in a group of its own, as a terminal has it; nothing of it is left behind."""
    process = subprocess.Popen(
        _command("--ray", folder, "--out", out, "--part-size", PART, "--processes", 2, *more),
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        for pid in reversed(tree(process.pid) if process.poll() is None else []):
            os.kill(pid, signal.SIGKILL)
        process.communicate()


def _works(pid: int) -> bool:
    """Whether a process is alive; Ray's two agents follow their node within a minute or two."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return command != b"" and not command.startswith((b"ray::DashboardA", b"ray::RuntimeEnv"))


def _parts(out: Path) -> list[Path]:
    return sorted(out.glob("part-*.parquet"))


def _rows(out: Path) -> list[dict[str, Any]]:
    """Read as everybody does: the whole folder."""
    return list(pq.read_table(out).to_pylist())


def _wait_for(out: Path, count: int, process: "subprocess.Popen[str]") -> None:
    end = time.monotonic() + _PATIENCE_S
    while len(_parts(out)) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, f"no {count} parts within {_PATIENCE_S:g} s"
        time.sleep(0.02)


def test_stopped_then_killed_it_goes_on_and_answers_each_image_once(
    album: Path, tmp_path: Path
) -> None:
    out = tmp_path / "results"
    with _started(album, out) as process:
        _wait_for(out, 2, process)
        os.killpg(process.pid, signal.SIGINT)
        told = process.communicate(timeout=60)[1]
        assert process.returncode == 130 and "Traceback" not in told
        stopped_at = re.search(rf"stopped; (\d+) of {IMAGES} images are answered in", told)
        assert stopped_at and 2 * PART <= int(stopped_at[1]) < IMAGES, told
        assert "The same command goes on" in told
    first = {file.name: file.stat().st_mtime_ns for file in _parts(out)}

    with _started(album, out) as process:
        _wait_for(out, len(first) + 2, process)
        everything = tree(process.pid)
        process.kill()  # the one alone, as an impatient person does: all others end with it
        process.wait()
        end = time.monotonic() + 60
        while alive := [pid for pid in everything if _works(pid)]:
            assert time.monotonic() < end, alive
            time.sleep(0.1)
    second = {file.name: file.stat().st_mtime_ns for file in _parts(out)}
    assert len(first) < len(second) < -(-IMAGES // PART)
    assert not [name for name in first if second[name] != first[name]], "nothing is done again"

    with _started(album, out, "--json") as process:
        said, told = process.communicate(timeout=_PATIENCE_S)
    assert process.returncode == 1, f"some are damaged\n{told}"
    summary = json.loads(said)
    assert summary["images"] == IMAGES and summary["before"] == PART * len(second)
    third = {file.name: file.stat().st_mtime_ns for file in _parts(out)}
    assert not [name for name in second if third[name] != second[name]], "nothing is done again"

    rows = _rows(out)
    paths = [row["path"] for row in rows]
    assert sorted(paths) == sorted(str(file) for file in album.rglob("*.jpg"))
    assert summary["failed"] == sum(row["error"] is not None for row in rows) > 0
    _see_that_it_is_as_without_ray(album, rows)
    _see_that_what_is_done_is_not_begun_again(album, out)
    _see_that_the_readme_reads_it(tmp_path, rows)


def _see_that_the_readme_reads_it(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Its example, beside `results/`."""
    (code,) = re.findall(r"```python\n(import pandas.*?)```", README, re.S)
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nprint(answers.label.count(), *answers.columns)"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    labelled = sum(row["label"] is not None for row in rows)
    assert done.stdout.split() == [str(labelled), "path", "error", "label", "p_happiness"], done


def _see_that_it_is_as_without_ray(album: Path, rows: list[dict[str, Any]]) -> None:
    done = subprocess.run(
        _command("--json", album), env=_environment(), capture_output=True, text=True, timeout=300
    )
    answers = {row["path"]: row for row in rows}
    for plain in map(json.loads, done.stdout.splitlines()):
        row = answers.pop(plain["path"])
        error = plain["error"] or {"code": None, "detail": None}
        assert (row["error"], row["error_detail"]) == (error["code"], error["detail"])
        if plain["error"]:
            continue
        assert (row["width"], row["height"]) == tuple(plain["size"].values())
        assert (row["label"], row["face_count"]) == (plain["label"], len(plain["faces"]))
        told = {k[2:]: v for k, v in row.items() if k.startswith("p_") and v is not None}
        assert told == pytest.approx(plain["probabilities"], abs=2e-5)
        for face, wanted in zip(row["faces"], plain["faces"], strict=True):
            assert [face[k] for k in ("x", "y", "width", "height")] == wanted["box"]
    assert not answers


def _see_that_what_is_done_is_not_begun_again(album: Path, out: Path) -> None:
    """Without Ray, in a second; and another question is not mixed with this one."""
    same = ["--ray", album, "--out", out]
    done = subprocess.run(
        _command(*same), env=_environment(), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1 and f"{IMAGES} of them done before" in done.stderr, done.stderr
    for more, word in (
        (["--model", "smile"], "the model was emotion and is now smile"),
        (["--part-size", 7], "--part-size was 20 and is now 7"),
    ):
        done = subprocess.run(
            _command(*same, *more), env=_environment(), capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 2 and word in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
    assert len(_rows(out)) == IMAGES


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--ray", "web"], "--ray needs both"),
        (["--part-size", "5", "web"], "--ray-address and --part-size are for --ray"),
        (["--ray", "web", "--out", "OUT", "--explain", "X"], "explains nothing"),
        (["--ray", "nowhere", "--out", "OUT"], f"There is no file or folder {PROJECT}/nowhere"),
        (["--ray", "docs/DESIGN.md", "--out", "."], "holds other files"),
        (["--ray", "service", "--out", "OUT"], "no image files in"),
    ],
)
def test_wrong_use_is_a_sentence(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    given = [str(tmp_path / "out") if word == "OUT" else word for word in arguments]
    done = subprocess.run(
        _command(*given),
        cwd=PROJECT,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2 and done.stdout == ""
    assert sentence in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr


def test_the_readme_shows_the_command() -> None:
    (line,) = (line for line in README.splitlines() if line.startswith("python infer.py --ray"))
    assert shlex.split(line)[2:] == ["--ray", "millions/", "--out", "results/"]
