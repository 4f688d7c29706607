"""Protocols (who is held out) and metrics (how well it went).

A figure without its protocol is not a figure: `loso` leaves one subject out, `kfold` splits at
random (the same person may stand on both sides, and the report says so), `holdout` keeps one part.
Samples of one photograph (`models.twins`) never stand on both sides of a split that is drawn here.
"""

import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.datasets import Dataset
from models.errors import UsageError

PROTOCOLS = ("auto", "none", "holdout", "kfold", "loso")
FOLDS = 10  # of kfold, unless told
QUICK_FOLDS = 5  # of kfold where nobody asked for it
QUICK_IMAGES = 10  # of each class, from which it is run unasked
_TEST_SHARE = 0.2
_VALIDATION_SHARE = 0.15
_LARGE, _LARGE_SHARE = 10_000, 0.05  # of many images a smaller share is enough


@dataclass(frozen=True)
class Fold:
    """One split of a protocol.

    Attributes:
        name: for people and file names.
        train: indices into the dataset's samples, (N,) int64.
        test: likewise; never looked at before the fold's model is done.
    """

    name: str
    train: np.ndarray
    test: np.ndarray


def resolve(protocol: str, dataset: Dataset, quick: bool = False) -> str:
    """What `auto` means here.

    loso on JAFFE, holdout where a test part is given; else kfold where a fold is `quick` and every
    class of one's own has some images, and none where it takes long.
    """
    if protocol != "auto":
        return protocol
    if dataset.layout == "jaffe":
        return "loso"
    if any(sample.part == "test" for sample in dataset.samples):
        return "holdout"
    held = Counter(sample.label for sample in dataset.samples)
    return "kfold" if quick and min(held.values()) >= QUICK_IMAGES else "none"


def folds(protocol: str, dataset: Dataset, seed: int, count: int = FOLDS) -> list[Fold]:
    """The splits of a protocol; `count` of them with kfold.

    Raises:
        UsageError: the set does not allow it.
    """
    if protocol == "none":
        return []
    if protocol == "holdout":
        return [_holdout(dataset, seed)]
    if protocol == "kfold":
        return _kfold(dataset, seed, count)
    subjects = dataset.subjects
    if len(subjects) < 3:
        raise UsageError(
            f"The protocol loso needs at least 3 known subjects, and {dataset.name} "
            f"({dataset.layout}) tells {len(subjects) or 'none'}. Use --protocol holdout or kfold."
        )
    who = np.array([sample.subject for sample in dataset.samples])
    every = [Fold(s, np.flatnonzero(who != s), np.flatnonzero(who == s)) for s in subjects]
    return [_complete(fold, dataset) for fold in every]


def trainable(dataset: Dataset) -> np.ndarray:
    """Everything the shipped model may learn from: all but a test part that the set names.

    Of one's own folders also no copy of a photograph in it; a published split is taken as it is.
    """
    tested: set[int | None] = {s.twin for s in dataset.samples if s.part == "test"} - {None}
    tested = tested if dataset.layout == "folders" else set()
    learnt = [s.part != "test" and s.twin not in tested for s in dataset.samples]
    return np.flatnonzero(learnt)


def inner_folds(
    dataset: Dataset, train: np.ndarray, count: int, key: str, familiar: bool = False
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split a training part again, for choosing epochs and settings.

    By subject where subjects are known; else at random, every class alike. A validation part that
    the set names is used as it is.

    Args:
        dataset: all samples.
        train: indices of the training part; nothing outside it is returned.
        count: how many splits at most; with 1, a single small validation part.
        key: names the draw.
        familiar: at random even where subjects are known: they stand on both sides.

    Returns:
        (training, validation) pairs of indices into the dataset.
    """
    named = np.array([dataset.samples[i].part == "val" for i in train])
    if named.any() and not named.all():
        return [_without_twins(dataset, train[~named], train[named])]
    draw = np.random.default_rng(zlib.crc32(key.encode()))
    groups = _groups(dataset, train, draw, familiar)
    number = int(groups.max()) + 1
    if count == 1:
        share = _LARGE_SHARE if len(train) >= _LARGE else _VALIDATION_SHARE
        held = max(1, round(share * number))
        part = np.isin(groups, draw.permutation(number)[:held])
        return [_covering(dataset, train, part)]
    turn = draw.permutation(number) % min(count, number)
    pairs = [_covering(dataset, train, turn[groups] == k) for k in range(min(count, number))]
    every = {dataset.samples[i].label for i in train}
    return [p for p in pairs if {dataset.samples[i].label for i in p[0]} == every] or pairs[:1]


def kept_back(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """A set's training part in two: to learn from, and to set a temperature on.

    The draw is that of a first seed's `holdout`, so that a network trained on the set before was
    not trained on the second part either.
    """
    return inner_folds(dataset, trainable(dataset), 1, "1/holdout/test/inner")[0]


def metrics(labels: Sequence[str], truth: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """Accuracy, macro-F1, per-class figures, confusion matrix and calibration.

    Args:
        labels: names in the order of the columns.
        truth: class numbers (N,).
        probabilities: (N, classes).
    """
    guess = probabilities.argmax(axis=1)
    size = len(labels)
    confusion = np.zeros((size, size), int)
    np.add.at(confusion, (truth, guess), 1)
    hit = np.diag(confusion)
    precision = hit / np.maximum(confusion.sum(axis=0), 1)
    recall = hit / np.maximum(confusion.sum(axis=1), 1)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    present = confusion.sum(axis=1) > 0
    per_class = {
        label: {
            "precision": round(float(precision[k]), 4),
            "recall": round(float(recall[k]), 4),
            "f1": round(float(f1[k]), 4),
            "images": int(confusion[k].sum()),
        }
        for k, label in enumerate(labels)
    }
    return {
        "images": len(truth),
        "accuracy": round(float((guess == truth).mean()), 4),
        "macro_f1": round(float(f1[present].mean()), 4),
        "ece": round(expected_calibration_error(truth, probabilities), 4),
        "per_class": per_class,
        "confusion": confusion.tolist(),
    }


def per_subject(dataset: Dataset, tested: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    """Accuracy of each subject's images; empty where subjects are not known."""
    who = np.array([dataset.samples[i].subject or "" for i in tested])
    return {
        str(subject): {
            "images": int((who == subject).sum()),
            "accuracy": round(float(right[who == subject].mean()), 4),
        }
        for subject in sorted(set(who) - {""})
    }


def expected_calibration_error(
    truth: np.ndarray, probabilities: np.ndarray, bins: int = 10
) -> float:
    """Mean distance of confidence and accuracy over equal bins of confidence (Guo et al. 2017)."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    total = 0.0
    for k in range(bins):
        inside = place == k
        if inside.any():
            total += inside.mean() * abs(float(right[inside].mean() - confidence[inside].mean()))
    return float(total)


def _holdout(dataset: Dataset, seed: int) -> Fold:
    named = np.array([sample.part == "test" for sample in dataset.samples])
    if named.any():
        return _complete(Fold("test", trainable(dataset), np.flatnonzero(named)), dataset)
    every = np.arange(len(dataset.samples))
    draw = np.random.default_rng(zlib.crc32(f"holdout/{seed}".encode()))
    groups = _together(dataset, every, _groups(dataset, every, draw))
    number = int(groups.max()) + 1
    held = np.isin(groups, draw.permutation(number)[: max(1, round(_TEST_SHARE * number))])
    train, test = _covering(dataset, every, held)
    return _complete(Fold("test", train, test), dataset)


def _kfold(dataset: Dataset, seed: int, count: int) -> list[Fold]:
    every = np.arange(len(dataset.samples))
    draw = np.random.default_rng(zlib.crc32(f"kfold/{seed}".encode()))
    turn = np.empty(len(every), int)
    start = 0
    for label in dataset.labels:  # every class spread evenly, each beginning where the last ended
        rows = np.array([i for i in every if dataset.samples[i].label == label])
        turn[draw.permutation(rows)] = (start + np.arange(len(rows))) % count
        start += len(rows)
    turn = _together(dataset, every, turn)
    made = [Fold(f"{k + 1:02d}", every[turn != k], every[turn == k]) for k in range(count)]
    return [_complete(fold, dataset) for fold in made if len(fold.test)]


def _together(dataset: Dataset, indices: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The groups with all samples of a photograph in the group of the first of them."""
    groups, home = groups.copy(), dict[int, int]()
    for at, i in enumerate(indices):
        twin = dataset.samples[i].twin
        if twin is not None:
            groups[at] = home.setdefault(twin, int(groups[at]))
    return groups


def _without_twins(
    dataset: Dataset, train: np.ndarray, validation: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The pair without the validation images whose photograph is learnt from.

    They are left out and not moved, so that a draw is the same whether twins are known or not.
    """
    learnt = {dataset.samples[i].twin for i in train} - {None}
    alone = np.array([dataset.samples[i].twin not in learnt for i in validation], bool)
    return train, validation[alone] if alone.any() else validation


def _groups(
    dataset: Dataset, indices: np.ndarray, draw: np.random.Generator, familiar: bool = False
) -> np.ndarray:
    """A group number for each index: its subject, or one of 20 even random groups."""
    subjects = [dataset.samples[i].subject for i in indices]
    known = sorted({subject for subject in subjects if subject is not None})
    if len(known) > 1 and None not in subjects and not familiar:
        return np.array([known.index(subject) for subject in subjects if subject is not None])
    groups = np.zeros(len(indices), int)
    start = 0
    for label in sorted({dataset.samples[i].label for i in indices}):
        rows = np.array([at for at, i in enumerate(indices) if dataset.samples[i].label == label])
        groups[draw.permutation(rows)] = (start + np.arange(len(rows))) % 20
        start += len(rows)
    return groups


def _covering(
    dataset: Dataset, indices: np.ndarray, held: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Split so that each class stays on the training side.

    Where subjects are known a class that would vanish cannot be rescued without letting a subject
    cross, so only sets without subjects are mended: one held image of the class comes back.
    """
    if all(dataset.samples[i].subject is None for i in indices):
        staying = {dataset.samples[i].label for i in indices[~held]}
        held = held.copy()
        for at in np.flatnonzero(held):
            label = dataset.samples[indices[at]].label
            if label not in staying:
                held[at] = False
                staying.add(label)
    return _without_twins(dataset, indices[~held], indices[held])


def _complete(fold: Fold, dataset: Dataset) -> Fold:
    missing = set(dataset.labels) - {dataset.samples[i].label for i in fold.train}
    if missing or not len(fold.test):
        what = f"class {min(missing)!r} would have" if missing else "the held-out part would have"
        copies = (
            f" {dataset.twins} images show the same as others, and such are never parted."
            if dataset.twins
            else ""
        )
        raise UsageError(
            f"The protocol cannot be run: in fold {fold.name} {what} no image.{copies} "
            "Add images, or use --protocol none."
        )
    return fold
