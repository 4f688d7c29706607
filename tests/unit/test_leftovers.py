"""Files that a person should know of are named: on the screen, in the report, in the answer."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models import balance, datasets, evaluation, heads, leftovers, pictures, twins
from models.descent import Task
from models.face_spec import FaceSpec
from models.pictures import Pictures
from tests import shapes


@pytest.fixture
def held(tmp_path: Path) -> Pictures:
    root = shapes.folders(tmp_path / "set", 6)
    (root / "disc" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    shutil.copy(root / "disc" / "001.png", root / "disc" / "again.png")
    shutil.copy(root / "square" / "002.png", root / "stripes" / "liar.png")
    read = pictures.read(datasets.read(root), FaceSpec(wanted=False), 48)
    return replace(read, dataset=twins.marked(read))


def test_each_file_is_named_with_what_is_the_matter(held: Pictures, tmp_path: Path) -> None:
    rows = {(row.file, row.what): row.detail for row in leftovers.of(held)}
    assert set(rows) == {
        ("disc/broken.png", "unreadable"), ("disc/001.png", "copy"),
        ("square/002.png", "contradiction"),
    }  # fmt: skip
    assert rows["disc/001.png", "copy"] == "disc/again.png"
    assert rows["square/002.png", "contradiction"] == "stripes/liar.png"
    told = "\n".join(leftovers.copies_told(held))
    assert "1 photographs have two labels" in told and "4 images show" in told
    assert "disc/001.png = disc/again.png" in told
    assert "square/002.png = stripes/liar.png (two labels" in told
    assert leftovers.write(held, tmp_path / "files.csv")
    table = (tmp_path / "files.csv").read_text()
    assert table.startswith("file,what,detail\n") and "disc/broken.png,unreadable," in table
    assert str(tmp_path) not in table


def test_nothing_is_said_or_written_where_nothing_is_the_matter(tmp_path: Path) -> None:
    root = shapes.folders(tmp_path / "set", 4)
    held = pictures.read(datasets.read(root), FaceSpec(wanted=False), 48)
    assert leftovers.copies_told(held) == []
    assert not leftovers.write(held, tmp_path / "files.csv")
    assert not (tmp_path / "files.csv").exists()


def test_no_copy_of_a_test_image_is_learnt_from_where_folders_name_a_test_part(
    held: Pictures,
) -> None:
    parts = {"again.png": "test", "liar.png": "test"}
    samples = tuple(replace(s, part=parts.get(s.path.name, "")) for s in held.dataset.samples)
    parted = replace(held.dataset, samples=samples)
    (fold,) = evaluation.folds("holdout", parted, 1)
    learnt = {samples[i].path.name + samples[i].label for i in fold.train}
    assert not learnt & {"001.pngdisc", "002.pngsquare"} and len(fold.test) == 2
    assert np.array_equal(evaluation.trainable(parted), fold.train)
    published = replace(parted, layout="fer2013")  # its split is part of what its figures mean
    assert len(evaluation.folds("holdout", published, 1)[0].train) == len(fold.train) + 2


def test_classes_that_differ_much_count_alike_unless_told_otherwise(tmp_path: Path) -> None:
    root = shapes.folders(tmp_path / "set", 8)
    even = datasets.read(root)
    for number in range(6):
        (root / "disc" / f"{number:03d}.png").unlink()
    lopsided = datasets.read(root)
    assert balance.counts(lopsided) == {"disc": 2, "square": 8, "stripes": 8}
    assert balance.wanted(lopsided, "auto") and not balance.wanted(even, "auto")
    assert balance.wanted(even, "yes") and not balance.wanted(lopsided, "no")
    assert not balance.wanted(replace(lopsided, layout="fer2013"), "auto")
    assert "square 8, stripes 8, disc 2" in balance.told(lopsided)


def test_what_a_rare_class_teaches_and_judges_weighs_as_much_as_a_common_one() -> None:
    y = np.array([0] * 9 + [1])
    weights = np.array([10 / 18, 5.0])
    task = Task("k", None, y, np.arange(10), np.array([], int), 1, 2, weights=weights)  # type: ignore[arg-type]
    rows = task.targets(0.0)
    assert rows[y == 0].sum() == pytest.approx(rows[y == 1].sum())
    guess = np.zeros((10, 2))
    guess[:, 0] = 1.0  # always the common one
    assert heads.accuracy(guess, y) == 0.9
    assert heads.accuracy(guess, y, weights) == pytest.approx(0.5)
    assert heads.cross_entropy(guess, y, weights) > heads.cross_entropy(guess, y)
