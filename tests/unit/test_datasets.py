"""Layouts are recognised wherever they lie; what cannot be trained on is refused in a sentence."""

import os
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from models import datasets, images, pictures
from models.errors import DataError
from models.face_spec import FaceSpec
from tests import shapes
from tests.archives import unpack

FER_CLASSES = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")


def fer_like(root: Path) -> Path:
    for part in ("train", "test_public"):
        for name in FER_CLASSES:
            folder = root / part / name
            folder.mkdir(parents=True)
            for number in range(2):
                shapes.drawn("disc", number).save(folder / f"{number}.png")
    return root


def test_jaffe_names_tell_expression_and_subject(tmp_path: Path) -> None:
    found = datasets.read(shapes.jaffe_like(tmp_path / "set"))
    assert found.layout == "jaffe"
    assert found.labels == datasets.EXPRESSIONS
    assert found.subjects == ("KA", "KL", "KM")
    first = found.samples[0]
    assert (first.path.name, first.label, first.subject) == ("KA.AN1.1.tiff", "anger", "KA")


def test_a_set_deeper_inside_an_unpacked_archive_is_found(tmp_path: Path) -> None:
    shapes.jaffe_like(tmp_path / "download" / "jaffedbase" / "jaffe")
    assert datasets.read(tmp_path).layout == "jaffe"


def test_palette_tiffs_come_out_grey_not_as_indices(tmp_path: Path) -> None:
    found = datasets.read(shapes.jaffe_like(tmp_path / "set"))
    palette = next(s.path for s in found.samples if s.path.name.startswith("KA.AN2"))
    original = np.array(shapes.drawn(shapes.KINDS[2], 2))
    pixels = images.read(palette)
    assert np.array_equal(pixels[..., 0], pixels[..., 1])
    assert np.array_equal(pixels[..., 0], 255 - original)


def test_fer2013_class_names_become_the_fields_labels(tmp_path: Path) -> None:
    found = datasets.read(fer_like(tmp_path))
    assert found.layout == "fer2013"
    assert found.labels == datasets.EXPRESSIONS
    assert Counter(s.part for s in found.samples) == {"train": 14, "test": 14}
    angry = next(s for s in found.samples if s.path.parent.name == "angry")
    assert angry.label == "anger"


def test_genki_labels_come_from_its_table(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    rows = ["file,smile,yaw,pitch,roll"]
    for number in range(4):
        shapes.drawn("disc", number).save(tmp_path / "files" / f"file{number:04d}.jpg")
        rows.append(f"file{number:04d}.jpg,{number % 2},0,0,0")
    rows.append("file9999.jpg,1,0,0,0")  # in the table but not here, as in a partial copy
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    found = datasets.read(tmp_path)
    assert (found.layout, found.labels) == ("genki4k", ("no smile", "smile"))
    assert [s.label for s in found.samples] == ["no smile", "smile", "no smile", "smile"]


def test_own_folders_may_be_split_already(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        shapes.folders(tmp_path / part, 2)
    found = datasets.read(tmp_path)
    assert (found.layout, found.labels) == ("folders", shapes.KINDS)
    assert Counter(s.part for s in found.samples) == {"train": 6, "val": 6, "test": 6}


def test_a_folder_without_images_beside_the_parts_does_not_make_classes_of_them(
    tmp_path: Path,
) -> None:
    for part in ("train", "test"):
        shapes.folders(tmp_path / part, 2)
    (tmp_path / "annotations" / "boxes").mkdir(parents=True)
    (tmp_path / "annotations" / "all.json").write_text("{}")
    found = datasets.read(tmp_path)
    assert found.labels == shapes.KINDS
    assert Counter(s.part for s in found.samples) == {"train": 6, "test": 6}


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    for name in ("car", "ship", "train"):
        (tmp_path / name).mkdir()
        for number in range(2):
            shapes.drawn("disc", number).save(tmp_path / name / f"{number}.png")
    found = datasets.read(tmp_path)
    assert found.labels == ("car", "ship", "train")
    assert {s.part for s in found.samples} == {""}


def test_the_order_of_samples_does_not_hang_on_the_disk(tmp_path: Path) -> None:
    found = datasets.read(shapes.folders(tmp_path / "set"))
    assert list(found.samples) == sorted(found.samples, key=lambda sample: sample.path)


def only_a_file(root: Path) -> Path:
    (root / "set.zip").write_bytes(b"PK")
    return root / "set.zip"


def flat(root: Path) -> Path:
    for number in range(3):
        shapes.drawn("disc", number).save(root / f"{number}.png")
    return root


def lonely(root: Path) -> Path:
    shapes.folders(root, 1)
    return root


def one_class(root: Path) -> Path:
    shapes.folders(root, 3, ("disc",))
    return root


def class_of_the_test_part(root: Path) -> Path:
    shapes.folders(root / "train", 2, ("disc", "square"))
    shapes.folders(root / "test", 2)
    return root


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda root: root / "nowhere", "There is no folder"),
        (only_a_file, "Unpack it"),
        (lambda root: root, "There are no images"),
        (flat, "one folder a class"),  # images, but no classes
        (one_class, "one class only"),
        (lonely, "only one usable image"),
        (class_of_the_test_part, "no usable image"),
    ],
)
def test_a_folder_that_cannot_be_trained_on(make, says: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=says):
        datasets.read(make(tmp_path))


def test_a_class_name_that_no_answer_could_hold_is_refused(tmp_path: Path) -> None:
    shapes.folders(tmp_path / "set", 2)
    os.rename(tmp_path / "set" / "disc", os.fsencode(tmp_path / "set") + b"/caf\xe9")
    with pytest.raises(DataError, match=r"'caf\\udce9' .* not UTF-8.* Rename the folder"):
        datasets.read(tmp_path / "set")


def test_a_wrong_layout_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--layout"):
        datasets.read(shapes.folders(tmp_path / "set"), "jaffe")


@pytest.mark.data
def test_the_real_jaffe_has_a_face_on_every_image(data_folder: Path, tmp_path: Path) -> None:
    archive = data_folder / "jaffe.tar.gz"
    if not archive.is_file():
        pytest.skip(f"{archive} is not here")
    with tarfile.open(archive) as packed:
        unpack(packed, tmp_path)
    found = datasets.read(tmp_path)
    assert (found.layout, len(found.samples), len(found.subjects)) == ("jaffe", 213, 10)
    counts = Counter(s.label for s in found.samples)
    assert counts == dict(zip(datasets.EXPRESSIONS, (30, 29, 32, 31, 30, 31, 30), strict=True))
    held = pictures.read(found, FaceSpec(wanted=True), 128)
    assert (len(held), held.faceless, held.unreadable) == (213, (), ())
    for pixels in held.pixels:
        assert np.array_equal(pixels[..., 0], pixels[..., 2])  # grey, the palette ones too
