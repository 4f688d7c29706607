"""Moving pictures: the camera page beside its browser, and a video through `infer.py --video`."""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.harness import PROJECT, BenchError
from bench.live import HEIGHT, WIDTH, moving

_PACE = re.compile(r"([\d.]+) frames/s")


def measure(seconds: float, frames: int) -> dict[str, Any]:
    """The page for so long, and a video of so many frames at 30 a second.

    Raises:
        BenchError: one of the two did not run; says what it said.
    """
    page = json.loads(_run(["bench/live.py", "--seconds", str(seconds), "--json"]).stdout)
    shown = next(leg for leg in page["legs"] if not leg["floor"])
    camera = next(leg for leg in page["legs"] if leg["floor"])
    with tempfile.TemporaryDirectory(prefix="hyojo-") as folder:
        video, out = Path(folder) / "face.avi", Path(folder) / "annotated.mp4"
        _write(video, frames)
        told = _run(["infer.py", "--video", str(video), "--out", str(out)])
    pace = _PACE.search(told.stderr)
    if pace is None:
        raise BenchError(f"infer.py --video did not say its pace: {told.stderr.strip()[-300:]}")
    return {"page": shown, "camera_alone": camera, "frames": frames, "video_rate": float(pace[1])}


def _write(path: Path, frames: int) -> None:
    """Motion JPEG: the camera's face, to and fro."""
    import cv2
    import numpy as np

    data = moving(PROJECT / "web" / "example.jpg")
    starts = [match.start() for match in re.finditer(b"\xff\xd8\xff", data)]
    pictures = [
        cv2.imdecode(np.frombuffer(data[start:end], np.uint8), cv2.IMREAD_COLOR)
        for start, end in zip(starts, [*starts[1:], len(data)], strict=True)
    ]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (WIDTH, HEIGHT))
    for number in range(frames):
        writer.write(pictures[number % len(pictures)])
    writer.release()


def _run(command: list[str]) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        [sys.executable, *command], cwd=PROJECT, capture_output=True, text=True, timeout=300
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or ["nothing"]
        raise BenchError(f"{command[0]} ended with status {done.returncode}: {said[0]}")
    return done
