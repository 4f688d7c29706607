"""The face detector as a network: its library's weights, its library's answers."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from models import face_network, libfacedetection, portable
from models.errors import UsageError
from models.libfacedetection import LibFaceDetection
from tests.conftest import PROJECT


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("network") / "faces.onnx"
    path.write_bytes(face_network.network().SerializeToString())
    return path


def best(told: list[np.ndarray]) -> np.ndarray:
    """Score in hundredths, box and landmarks of the likeliest place, as the library cuts them."""
    rows = []
    for values, stride in zip(told, face_network.STRIDES, strict=True):
        score = np.sqrt(np.prod(1 / (1 + np.exp(-values[0, :2])), axis=0))
        row, column = np.unravel_index(score.argmax(), score.shape)
        place = values[0, :, row, column]
        at = np.array([column, row])
        size = np.exp(place[4:6]) * stride
        corner = (at + place[2:4]) * stride - size / 2
        marks = (at + place[6:].reshape(5, 2)) * stride
        rows.append(np.concatenate([[100 * score.max()], corner, size, marks.ravel()]))
    return np.asarray(max(rows, key=lambda row: float(row[0])))


@pytest.mark.parametrize("size", [(160, 160), (96, 96), (320, 320), (150, 113), (640, 480)])
def test_it_answers_as_the_library_does(size: tuple[int, int], file: Path) -> None:
    picture = cv2.imread(str(PROJECT / "web" / "example.jpg"))
    small = np.ascontiguousarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    width, height = (-(-side // 32) * 32 for side in size)
    x = np.zeros((1, 3, height, width), np.float32)
    x[0, :, : size[1], : size[0]] = small.transpose(2, 0, 1)
    ours = best(portable.session(file).run(["at8", "at16", "at32"], {"image": x}))
    theirs = LibFaceDetection()(small)[0]
    assert np.abs(np.trunc(ours) - theirs).max() <= 1, (ours, theirs)


def test_the_file_carries_its_licence(file: Path) -> None:
    told = {entry.key: entry.value for entry in onnx.load(str(file)).metadata_props}
    assert "Copyright (c) 2023-2025, Shiqi Yu" in told["licence"]
    assert "Redistributions in binary form must reproduce" in told["licence"]
    assert told["source"].startswith("libfacedetection in yuface ")


def test_another_library_is_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library without the table: the C library's mathematics."""
    import ctypes.util

    other = ctypes.CDLL(ctypes.util.find_library("m"))
    monkeypatch.setattr(libfacedetection, "library", lambda: other)
    with pytest.raises(UsageError, match=r"version of yuface that requirements\.txt names"):
        face_network.convolutions()


def test_serving_never_reads_it() -> None:
    """The detector's table and ONNX stay out of the processes that answer."""
    code = (
        "import sys, models.predictor, models.faces; "
        "print([name for name in sys.modules if name[:4] == 'onnx'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT)}, timeout=120,
    )  # fmt: skip
    assert done.stdout.strip() == "[]", done.stderr
