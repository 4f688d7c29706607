"""Copies of one photograph are found, and no split parts them."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models import datasets, evaluation, pictures, twins
from models.datasets import Dataset
from models.errors import UsageError
from models.face_spec import FaceSpec

SIZE = 64


def scene(number: int) -> Image.Image:
    """A picture of coarse random patches, unlike any other's."""
    draw = np.random.default_rng(number)
    return Image.fromarray(draw.integers(0, 256, (9, 9, 3), np.uint8)).resize((160, 160))


@pytest.fixture
def copied(tmp_path: Path) -> Dataset:
    """Two classes of 12 scenes; a00 is also b12 (smaller, worse), a01 also a12 (another type)."""
    for label, first in (("a", 0), ("b", 100)):
        (tmp_path / label).mkdir()
        for number in range(12):
            scene(first + number).save(tmp_path / label / f"{number:02d}.png")
    scene(0).resize((90, 90)).save(tmp_path / "b" / "12.jpg", quality=40)
    scene(1).save(tmp_path / "a" / "12.jpg", quality=80)
    held = pictures.read(datasets.read(tmp_path), FaceSpec(wanted=False), SIZE)
    return twins.marked(held)


def names(dataset: Dataset, indices: np.ndarray) -> set[str]:
    return {f"{dataset.samples[i].path.parent.name}/{dataset.samples[i].path.stem}"
            for i in indices}  # fmt: skip


def test_copies_are_marked_and_nothing_else(copied: Dataset) -> None:
    together: dict[int, set[str]] = {}
    for index, sample in enumerate(copied.samples):
        if sample.twin is not None:
            together.setdefault(sample.twin, set()).update(names(copied, np.array([index])))
    assert sorted(together.values(), key=sorted) == [{"a/00", "b/12"}, {"a/01", "a/12"}]
    assert copied.twins == 4
    assert twins.contradicting(copied) == 1, "a00 is b12"


@pytest.mark.parametrize("seed", range(5))
def test_no_split_parts_copies(copied: Dataset, seed: int) -> None:
    made = [*evaluation.folds("kfold", copied, seed, 4), *evaluation.folds("holdout", copied, seed)]
    for fold in made:
        held = names(copied, fold.test)
        assert ("a/00" in held) == ("b/12" in held)
        assert ("a/01" in held) == ("a/12" in held)
    tested = np.concatenate([fold.test for fold in made[:4]])
    assert sorted(tested) == list(range(26)), "each image is held out once"


def test_a_validation_part_loses_the_copies_of_what_is_learnt(copied: Dataset) -> None:
    alone = replace(copied, samples=tuple(replace(s, twin=None) for s in copied.samples))
    every = np.arange(26)
    dropped = 0
    for draw in range(20):
        ((train, validation),) = evaluation.inner_folds(copied, every, 1, f"draw {draw}")
        ((usual, whole),) = evaluation.inner_folds(alone, every, 1, f"draw {draw}")
        assert list(train) == list(usual), "the draw is the same"
        assert set(validation) <= set(whole)
        learnt = names(copied, train)
        for one, other in (("a/00", "b/12"), ("b/12", "a/00"), ("a/01", "a/12"), ("a/12", "a/01")):
            assert not (one in names(copied, validation) and other in learnt)
        dropped += len(whole) - len(validation)
    assert dropped


def test_even_crops_and_known_subjects_have_no_twins(copied: Dataset, tmp_path: Path) -> None:
    even = [np.full((SIZE, SIZE, 3), level, np.uint8) for level in (0, 0, 90, 255)]
    assert list(twins.groups(even)) == [0, 1, 2, 3]
    known = replace(copied, samples=tuple(replace(s, subject="KA", twin=None)
                                          for s in copied.samples))  # fmt: skip
    held = pictures.read(known, FaceSpec(wanted=False), SIZE)
    assert twins.marked(held).twins == 0


def test_a_chain_of_copies_is_one_photograph() -> None:
    crop = np.asarray(scene(7).resize((SIZE, SIZE)))
    worse = io.BytesIO()
    Image.fromarray(crop).save(worse, "JPEG", quality=30)
    again = np.asarray(Image.open(worse).convert("RGB"))
    other = np.asarray(scene(8).resize((SIZE, SIZE)))
    assert list(twins.groups([other, crop, again, other, crop])) == [0, 1, 1, 0, 1]


def test_a_set_of_copies_alone_says_why_it_cannot_be_split(tmp_path: Path) -> None:
    for label, number in (("a", 0), ("b", 100)):
        (tmp_path / label).mkdir()
        for copy in range(6):
            scene(number).save(tmp_path / label / f"{copy}.png")
    held = pictures.read(datasets.read(tmp_path), FaceSpec(wanted=False), SIZE)
    with pytest.raises(UsageError, match="12 images show the same as others"):
        evaluation.folds("holdout", twins.marked(held), 1)
