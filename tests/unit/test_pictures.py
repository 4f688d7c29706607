"""Images in memory: what is left out is told, jitter is drawn by name, large pictures stay true."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models import datasets, faces, pictures
from models.datasets import Dataset, Sample
from models.errors import DataError
from models.face_spec import FaceSpec
from tests import shapes

WHOLE = FaceSpec(wanted=False)


def face_set(folder: Path, face_jpeg: bytes) -> Dataset:
    """Two classes of two face pictures each, and one picture without a face."""
    picture = Image.open(io.BytesIO(face_jpeg))
    for kind in ("calm", "glad"):
        (folder / kind).mkdir()
        for number in range(2):
            picture.save(folder / kind / f"{number}.png")
    shapes.drawn("disc", 1, 200).save(folder / "glad" / "noface.png")
    return datasets.read(folder)


def test_unreadable_images_are_listed_and_left_out(tmp_path: Path) -> None:
    root = shapes.folders(tmp_path / "set", 3)
    (root / "disc" / "001.png").write_bytes(b"\x89PNG broken")
    held = pictures.read(datasets.read(root), WHOLE, 32)
    assert [p.sample.path.name for p in held.unreadable] == ["001.png"]
    assert len(held.unreadable[0].reason) > 10
    assert len(held) == len(held.dataset.samples) == 8


def test_a_class_left_with_one_image_is_refused_after_reading(tmp_path: Path) -> None:
    root = shapes.folders(tmp_path / "set", 2)
    (root / "disc" / "001.png").write_bytes(b"")
    with pytest.raises(
        DataError, match=r"'disc'.*only one usable image.*001\.png: The image is empty"
    ):
        pictures.read(datasets.read(root), WHOLE, 32)


def test_a_set_of_broken_images_only_is_refused(tmp_path: Path) -> None:
    root = shapes.folders(tmp_path / "set", 2)
    for path in root.rglob("*.png"):
        path.write_bytes(b"no image")
    with pytest.raises(DataError, match="None of the 6 images"):
        pictures.read(datasets.read(root), WHOLE, 32)


def test_images_without_a_face_are_left_out_or_used_whole(tmp_path: Path, face_jpeg: bytes) -> None:
    dataset = face_set(tmp_path, face_jpeg)
    held = pictures.read(dataset, FaceSpec(wanted=True), 64)
    assert [p.sample.path.name for p in held.faceless] == ["noface.png"]
    assert (len(held), held.whole) == (4, 0)
    held = pictures.read(dataset, FaceSpec(wanted=True), 64, whole_if_faceless=True)
    assert (len(held), held.whole, held.faceless) == (5, 1, ())


def test_no_face_anywhere_names_the_option(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--faces no"):
        pictures.read(datasets.read(shapes.folders(tmp_path / "s", 2)), FaceSpec(True), 32)


def test_folders_of_faces_are_told_from_folders_of_shapes(tmp_path: Path, face_jpeg: bytes) -> None:
    (tmp_path / "faces").mkdir()
    dataset = face_set(tmp_path / "faces", face_jpeg)
    with_face = tuple(s for s in dataset.samples if s.path.name != "noface.png")
    assert pictures.shows_faces(replace(dataset, samples=with_face))
    assert not pictures.shows_faces(datasets.read(shapes.folders(tmp_path / "shapes")))


def test_the_same_key_gives_the_same_crop_and_another_key_another(tmp_path: Path) -> None:
    held = pictures.read(datasets.read(shapes.folders(tmp_path / "s", 2)), WHOLE, 32)
    one, again, other = (held.crops([3], key)[0] for key in ("7/1", "7/1", "7/2"))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert np.array_equal(held.crops([0, 3], "7/1")[1], one)  # whatever else is in the batch
    assert one.shape == (32, 32, 3)
    assert one.dtype == np.uint8


@pytest.mark.parametrize("wanted", [True, False])
def test_a_large_photograph_is_kept_small_and_gives_the_same_crop(
    wanted: bool, tmp_path: Path, face_jpeg: bytes
) -> None:
    small = Image.open(io.BytesIO(face_jpeg)).convert("RGB")
    large = small.resize((small.width * 4, small.height * 4), Image.Resampling.BICUBIC)
    samples = []
    for kind in ("a", "b"):
        for number in range(2):
            path = tmp_path / f"{kind}{number}.png"
            large.save(path, compress_level=1)
            samples.append(Sample(path, kind))
    dataset = Dataset("x", "folders", tmp_path, tuple(samples), ("a", "b"), "")
    spec = FaceSpec(wanted=wanted)
    held = pictures.read(dataset, spec, 64)
    assert held.pixels[0].nbytes < 1_000_000 < np.asarray(large).nbytes
    found = pictures.largest(faces.detector(), np.asarray(large)) if wanted else None
    direct = faces.crop(np.asarray(large), found, spec, 64)
    difference = np.abs(direct.astype(int) - held.crops([0])[0].astype(int))
    assert difference.mean() < 4
