"""The discriminant head learns what is there and nothing where nothing is."""

import numpy as np
import pytest

from models import heads

CLASSES = 4


def clouds(seed: int, count: int = 120, width: int = 40, apart: float = 3.0):
    """Gaussian clouds with a shared, uneven covariance; features (3, N, D) with two copies."""
    draw = np.random.default_rng(seed)
    y = np.arange(count) % CLASSES
    centres = np.random.default_rng(99).normal(0, 1, (CLASSES, width)) * apart / np.sqrt(width)
    uneven = np.linspace(0.1, 2.0, width)
    x = centres[y] * uneven + draw.normal(0, 0.5, (count, width)) * uneven
    copies = [x + draw.normal(0, 0.05, x.shape) for _ in range(2)]
    return np.stack([x, *copies]).astype(np.float32), y


def thirds(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    turn = np.arange(count) // CLASSES % 3
    every = np.arange(count)
    return [(every[turn != k], every[turn == k]) for k in range(3)]


def test_it_separates_clouds_it_has_not_seen() -> None:
    x, y = clouds(1)
    head, tried = heads.fit_lda(x, y, CLASSES, thirds(len(y)))
    fresh, right = clouds(2, 400)
    assert heads.accuracy(head.logits(fresh[0]), right) > 0.9
    assert sum(row["chosen"] for row in tried) == 1
    assert {row["shrinkage"] for row in tried} == set(heads.SHRINKAGES)


def test_shuffled_labels_teach_it_nothing() -> None:
    x, y = clouds(1)
    shuffled = np.random.default_rng(5).permutation(y)
    head, _ = heads.fit_lda(x, shuffled, CLASSES, thirds(len(y)))
    fresh, right = clouds(2, 400)
    assert heads.accuracy(head.logits(fresh[0]), right) < 0.45  # chance is 0.25


def test_the_temperature_makes_probabilities_honest() -> None:
    x, y = clouds(1, apart=1.5)
    head, _ = heads.fit_lda(x, y, CLASSES, thirds(len(y)))
    fresh, right = clouds(2, 2000, apart=1.5)
    confidence = heads.softmax(head.logits(fresh[0])).max(axis=1).mean()
    assert confidence == pytest.approx(heads.accuracy(head.logits(fresh[0]), right), abs=0.1)


def test_cooling_softens_and_decides_the_same() -> None:
    x, y = clouds(1)
    head = heads.Statistics(x[0], y, CLASSES).head(0.1)
    hot, cool = head.logits(x[0]), head.cooled(4.0).logits(x[0])
    assert np.array_equal(hot.argmax(axis=1), cool.argmax(axis=1))
    assert heads.softmax(cool).max() < heads.softmax(hot).max() or heads.softmax(hot).max() == 1


def test_temperature_of_logits_made_too_sharp_is_found() -> None:
    draw = np.random.default_rng(0)
    logits = draw.normal(0, 1.5, (4000, 3))
    y = np.array([draw.choice(3, p=row) for row in heads.softmax(logits)])
    assert heads.temperature_for(logits * 5, y) == pytest.approx(5, rel=0.2)


def test_a_feature_that_never_changes_does_no_harm() -> None:
    x, y = clouds(1)
    x[..., 7] = 3.0
    head, _ = heads.fit_lda(x, y, CLASSES, thirds(len(y)))
    assert np.isfinite(head.weight).all()
    assert heads.accuracy(head.logits(x[0]), y) > 0.9
