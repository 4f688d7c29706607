"""The face detector as a network: its library's weights, its library's answers."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from models import face_finder, face_network, libfacedetection, portable
from models.errors import UsageError
from models.face_finder import FaceFinder
from models.faces import YuFace
from tests.conftest import PROJECT
from tests.libfacedetection import LibFaceDetection


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("network") / "faces.onnx"
    path.write_bytes(face_network.network().SerializeToString())
    return path


def best(told: list[np.ndarray]) -> np.ndarray:
    """Score in hundredths, box and landmarks of the likeliest place, as the library cuts them."""
    rows = []
    for values, stride in zip(told, face_finder.STRIDES, strict=True):
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


@pytest.mark.parametrize("side", [64, 96, 150, 160, 320, 640])
def test_opencv_finds_what_the_library_finds(side: int) -> None:
    """To the pixel, and in the same order; of one face, two, none."""
    finder, library = FaceFinder(), LibFaceDetection()
    picture = cv2.imread(str(PROJECT / "web" / "example.jpg"))
    for shown in (picture, np.hstack([picture, picture[:, ::-1]]), picture[300:, :400]):
        scale = side / max(shown.shape[:2])
        size = [max(32, round(edge * scale)) for edge in shown.shape[1::-1]]
        small = np.ascontiguousarray(cv2.resize(shown, size, interpolation=cv2.INTER_AREA))
        ours, theirs = finder(small), library(small)
        assert ours.dtype == theirs.dtype and ours.shape[1] == theirs.shape[1]
        sure = theirs[:, 0] > 100 * YuFace.MIN_SCORE
        assert np.array_equal(ours[ours[:, 0] > 100 * YuFace.MIN_SCORE], theirs[sure])


@pytest.mark.parametrize("size", [(1, 1), (32, 32), (33, 160), (160, 5), (640, 32)])
def test_thin_pictures_are_seen_as_the_network_sees_them(size: tuple[int, int], file: Path) -> None:
    """OpenCV gives nonsense for maps of one row: compared with ONNX Runtime on what is padded."""
    noise = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    padded = np.zeros((1, 3, *(max(64, -(-side // 32) * 32) for side in size)), np.float32)
    padded[0, :, : size[0], : size[1]] = noise.transpose(2, 0, 1)
    told = portable.session(file).run(["at8", "at16", "at32"], {"image": padded})
    surest = max(float(np.sqrt((1 / (1 + np.exp(-t[0, :2]))).prod(axis=0)).max()) for t in told)
    rows = FaceFinder()(noise)
    assert (rows[:, 0].max(initial=0) / 100 == pytest.approx(surest, abs=0.011)) or surest < 0.2


def test_the_file_is_the_librarys_network() -> None:
    fresh = face_network.network(face_network.SIDE).SerializeToString()
    assert face_finder.FILE.read_bytes() == fresh, "write it anew: python -m models.face_network"


def test_few_networks_are_kept_ready_however_many_shapes_come() -> None:
    finder = FaceFinder()
    for width in range(32, 700, 32):
        for height in (32, 320, 640):
            finder(np.zeros((height, width, 3), np.uint8))
            held = finder._ready
            assert len(held) == 1 or sum(w * h for w, h in held) <= 640 * 640


def test_a_missing_file_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(face_finder.FILE.read_bytes()[:5000])
    for file in (tmp_path / "none.onnx", broken):
        monkeypatch.setattr(face_finder, "FILE", file)
        with pytest.raises(UsageError, match="is missing or damaged"):
            FaceFinder()


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


def test_serving_needs_opencv_alone() -> None:
    """The package of ONNX and the detector's library stay out of the processes that answer."""
    code = (
        "import sys, models.predictor, models.faces; "
        "models.faces.YuFace(); "
        "print([name for name in sys.modules if name[:4] == 'onnx' or 'libface' in name])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT)}, timeout=120,
    )  # fmt: skip
    assert done.stdout.strip() == "[]", done.stderr
