"""Protocols keep apart what they say they keep apart; metrics agree with figures made by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models import datasets, evaluation
from models.datasets import Dataset, Sample
from models.errors import UsageError
from tests import shapes


@pytest.fixture
def people(tmp_path: Path) -> Dataset:
    return shapes.with_subjects(tmp_path / "people", 2)


@pytest.fixture
def strangers(tmp_path: Path) -> Dataset:
    return datasets.read(shapes.folders(tmp_path / "strangers", 10))


def who(dataset: Dataset, indices: np.ndarray) -> set[str | None]:
    return {dataset.samples[i].subject for i in indices}


def test_loso_holds_each_subject_out_once_and_wholly(people: Dataset) -> None:
    folds = evaluation.folds("loso", people, 1)
    assert [fold.name for fold in folds] == list(shapes.SUBJECTS)
    for fold in folds:
        assert who(people, fold.test) == {fold.name}
        assert fold.name not in who(people, fold.train)
    tested = np.concatenate([fold.test for fold in folds])
    assert sorted(tested) == list(range(len(people.samples)))


@pytest.mark.parametrize("count", [1, 3, 10])
def test_inner_splits_keep_subjects_apart_and_stay_inside(people: Dataset, count: int) -> None:
    fold = evaluation.folds("loso", people, 1)[0]
    pairs = evaluation.inner_folds(people, fold.train, count, "key")
    assert len(pairs) == min(count, 5)
    for train, validation in pairs:
        assert not who(people, train) & who(people, validation)
        assert set(train) | set(validation) == set(fold.train)
        assert len(validation)
    if count > 1:
        held = np.concatenate([validation for _, validation in pairs])
        assert sorted(held) == sorted(fold.train)


def test_holdout_keeps_subjects_apart(people: Dataset) -> None:
    (fold,) = evaluation.folds("holdout", people, 1)
    assert not who(people, fold.train) & who(people, fold.test)


def test_holdout_takes_the_part_the_set_names(strangers: Dataset) -> None:
    marked = tuple(replace(s, part="test" if i % 5 == 0 else "train")
                   for i, s in enumerate(strangers.samples))  # fmt: skip
    named = replace(strangers, samples=marked)
    (fold,) = evaluation.folds("holdout", named, 1)
    assert set(fold.test) == set(range(0, 30, 5))
    assert set(evaluation.trainable(named)) == set(fold.train)


def test_a_named_validation_part_is_used_as_it_is(strangers: Dataset) -> None:
    marked = tuple(replace(s, part="val" if i % 3 == 0 else "train")
                   for i, s in enumerate(strangers.samples))  # fmt: skip
    named = replace(strangers, samples=marked)
    ((train, validation),) = evaluation.inner_folds(named, np.arange(30), 10, "key")
    assert set(validation) == set(range(0, 30, 3))
    assert not set(train) & set(validation)


def test_kfold_tests_each_image_once_with_every_class_spread(strangers: Dataset) -> None:
    folds = evaluation.folds("kfold", strangers, 1)
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(30))
    for fold in folds:
        assert not set(fold.train) & set(fold.test)
        assert len({strangers.samples[i].label for i in fold.test}) == 3


def test_the_seed_decides_random_splits(strangers: Dataset) -> None:
    one, again, other = (evaluation.folds("kfold", strangers, seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(one.test, again.test)
    assert not np.array_equal(one.test, other.test)


def test_a_tiny_class_never_leaves_the_training_side(tmp_path: Path) -> None:
    samples = [Sample(tmp_path / f"{i}", "many") for i in range(20)]
    samples += [Sample(tmp_path / f"x{i}", "few") for i in range(2)]
    tiny = Dataset("t", "folders", tmp_path, tuple(samples), ("few", "many"), "")
    for seed in range(20):
        pairs = evaluation.inner_folds(tiny, np.arange(22), 1, str(seed))
        assert all({samples[i].label for i in train} == {"few", "many"} for train, _ in pairs)


def test_loso_without_subjects_says_what_to_use(strangers: Dataset) -> None:
    with pytest.raises(UsageError, match="--protocol holdout or kfold"):
        evaluation.folds("loso", strangers, 1)


def test_a_class_only_one_subject_shows_cannot_be_held_out(people: Dataset) -> None:
    only = tuple(s for s in people.samples if s.label != "disc" or s.subject == "AA")
    with pytest.raises(UsageError, match="'disc' would have no image"):
        evaluation.folds("loso", replace(people, samples=only), 1)


def test_auto_means_loso_for_jaffe_and_the_test_part_where_there_is_one(
    tmp_path: Path, strangers: Dataset
) -> None:
    jaffe = datasets.read(shapes.jaffe_like(tmp_path / "jaffe"))
    split = replace(strangers, samples=(*strangers.samples, Sample(tmp_path, "disc", None, "test")))
    assert evaluation.resolve("auto", jaffe) == "loso"
    assert evaluation.resolve("auto", split) == "holdout"
    assert evaluation.resolve("auto", strangers) == "none"
    assert evaluation.resolve("kfold", jaffe) == "kfold"


def test_metrics_agree_with_figures_made_by_hand() -> None:
    truth = np.array([0, 0, 0, 1])
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.4, 0.6]])
    found = evaluation.metrics(("a", "b"), truth, probabilities)
    assert found["accuracy"] == 0.75
    assert found["confusion"] == [[2, 1], [0, 1]]
    assert found["per_class"]["a"] == {
        "precision": 1.0, "recall": 0.6667, "f1": 0.8, "images": 3,
    }  # fmt: skip
    assert found["per_class"]["b"]["precision"] == 0.5
    assert found["macro_f1"] == pytest.approx((0.8 + 2 / 3) / 2, abs=1e-4)
    # bins by confidence .9 (right), .8 (right), .7 (wrong), .6 (right): |gap| .1 .2 .7 .4, mean .35
    assert found["ece"] == pytest.approx(0.35)


def test_a_class_nobody_shows_does_not_count_in_macro_f1() -> None:
    found = evaluation.metrics(("a", "b", "c"), np.array([0, 1]), np.eye(3)[[0, 1]])
    assert found["macro_f1"] == 1.0
    assert found["per_class"]["c"]["images"] == 0


def test_subjects_are_told_apart_in_the_table(people: Dataset) -> None:
    tested = np.arange(len(people.samples))
    right = np.array([sample.subject != "BB" for sample in people.samples])
    table = evaluation.per_subject(people, tested, right)
    assert table["AA"] == {"images": 6, "accuracy": 1.0}
    assert table["BB"]["accuracy"] == 0.0
