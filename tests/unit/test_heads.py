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
    head, tried, _ = heads.fit_lda(x, y, CLASSES, thirds(len(y)))
    fresh, right = clouds(2, 400)
    assert heads.accuracy(head.logits(fresh[0]), right) > 0.9
    assert sum(row["chosen"] for row in tried) == 1
    assert {row["shrinkage"] for row in tried} == set(heads.SHRINKAGES)


def test_shuffled_labels_teach_it_nothing() -> None:
    x, y = clouds(1)
    shuffled = np.random.default_rng(5).permutation(y)
    head, _, _ = heads.fit_lda(x, shuffled, CLASSES, thirds(len(y)))
    fresh, right = clouds(2, 400)
    assert heads.accuracy(head.logits(fresh[0]), right) < 0.45  # chance is 0.25


def test_the_temperature_makes_probabilities_honest() -> None:
    x, y = clouds(1, apart=1.5)
    head, _, _ = heads.fit_lda(x, y, CLASSES, thirds(len(y)))
    fresh, right = clouds(2, 2000, apart=1.5)
    confidence = heads.softmax(head.logits(fresh[0])).max(axis=1).mean()
    assert confidence == pytest.approx(heads.accuracy(head.logits(fresh[0]), right), abs=0.1)


def test_cooling_softens_and_decides_the_same() -> None:
    x, y = clouds(1)
    head = heads.Statistics.of(x[0], y, CLASSES).head(0.1)
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
    head, _, _ = heads.fit_lda(x, y, CLASSES, thirds(len(y)))
    assert np.isfinite(head.weight).all()
    assert heads.accuracy(head.logits(x[0]), y) > 0.9


def test_a_prior_of_a_larger_set_helps_a_small_one() -> None:
    large = heads.Statistics.of(*_first(clouds(3, 2000, apart=1.5)), CLASSES)
    x, y = clouds(1, 24, apart=1.5)
    fresh, right = clouds(2, 2000, apart=1.5)
    alone, _, _ = heads.fit_lda(x, y, CLASSES, thirds(len(y)))
    blended, _, _ = heads.fit_lda(x, y, CLASSES, thirds(len(y)), heads.Prior(large, 0.5))
    better = heads.accuracy(blended.logits(fresh[0]), right)
    assert better > heads.accuracy(alone.logits(fresh[0]), right) + 0.02


def test_a_blend_lies_between_its_two_sets() -> None:
    one = heads.Statistics.of(*_first(clouds(1)), CLASSES)
    other = heads.Statistics.of(*_first(clouds(2)), CLASSES)
    half = one.blended(other, 0.5)
    assert np.allclose(half.centres, (one.centres + other.centres) / 2)
    assert np.allclose(half.within, (one.within + other.within) / 2)
    assert np.allclose(one.blended(other, 0.0).head(0.1).weight, one.head(0.1).weight)


def test_statistics_are_stored_in_half_the_room_and_come_back() -> None:
    statistics = heads.Statistics.of(*_first(clouds(1)), CLASSES)
    packed = statistics.packed()
    assert packed["within"].shape == (40 * 41 // 2,)
    back = heads.Statistics.unpacked(packed)
    assert np.allclose(back.within, statistics.within, rtol=1e-6)
    assert np.allclose(back.head(0.2).weight, statistics.head(0.2).weight, rtol=1e-3, atol=1e-5)


def _first(set_: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    return set_[0][0], set_[1]


def test_stretching_widens_the_spread_of_copies_about_their_image_alone() -> None:
    draw = np.random.default_rng(4)
    images, shifts = draw.normal(0, 1, (1, 90, 3)), draw.normal(0, 1, (5, 90, 3))
    shifts -= shifts.mean(axis=0)  # so that an image's mean is the image
    shifts[..., 1:] = 0  # only the first feature moves with the crop
    x, y = (images + shifts).astype(np.float32), np.arange(90) % CLASSES
    found = [
        heads.fit_lda(x, y, CLASSES, thirds(len(y)), None, heads.Search((0.1,), (stretch,)))[2]
        for stretch in (1.0, 3.0)
    ]
    assert np.allclose(found[0].centres, found[1].centres, atol=1e-5)
    more = np.diag(found[1].within) - np.diag(found[0].within)
    assert np.isclose(more[0], 2 * (shifts[..., 0] ** 2).mean(), rtol=0.01)
    assert np.abs(more[1:]).max() < 1e-5


def wide(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Far more features (900) than images, each of which says a little; one copy."""
    draw = np.random.default_rng(seed)
    y = np.arange(count) % CLASSES
    centres = np.random.default_rng(98).normal(0, 0.25, (CLASSES, 900))
    x = centres[y] + draw.normal(0, 1, (count, 900)) + 7.0
    return np.stack([x, x + draw.normal(0, 0.1, x.shape)]).astype(np.float32), y


def test_a_ridge_separates_with_far_more_features_than_images() -> None:
    x, y = wide(1, 80)
    head, tried = heads.fit_ridge(x, y, CLASSES, thirds(len(y)))
    fresh, right = wide(2, 400)
    assert heads.accuracy(head.logits(fresh[0]), right) > 0.9
    assert [row["ridge"] for row in tried] == list(heads.RIDGES)
    assert sum(row["chosen"] for row in tried) == 1
    confidence = heads.softmax(head.logits(fresh[0])).max(axis=1).mean()
    assert confidence == pytest.approx(heads.accuracy(head.logits(fresh[0]), right), abs=0.1)


def test_a_ridge_learns_nothing_where_nothing_is() -> None:
    x, y = wide(1, 80)
    shuffled = np.random.default_rng(5).permutation(y)
    head, _ = heads.fit_ridge(x, shuffled, CLASSES, thirds(len(y)))
    fresh, right = wide(2, 400)
    assert heads.accuracy(head.logits(fresh[0]), right) < 0.45  # chance is 0.25


def test_a_ridge_is_the_textbooks() -> None:
    """Against the covariance's formula, (X'X + rI)^-1 X'Y on standardised features."""
    x, y = wide(3, 60)
    head, tried = heads.fit_ridge(x, y, CLASSES, thirds(len(y)))
    chosen = next(row for row in tried if row["chosen"])
    rows = x.reshape(-1, x.shape[2]).astype(float)
    mean, spread = rows.mean(axis=0), rows.std(axis=0)
    spread = (spread + 0.1 * np.sqrt((spread**2).mean())) * np.sqrt(rows.shape[1])
    z = (rows - mean) / spread
    labels = np.eye(CLASSES)[np.tile(y, 2)]
    shares = labels.mean(axis=0)
    ridge = chosen["ridge"] * np.trace(z @ z.T) / len(z) * np.eye(z.shape[1])
    weight = np.linalg.solve(z.T @ z + ridge, z.T @ (labels - shares))
    fresh = wide(4, 20)[0][0]
    expected = (fresh - mean) / spread @ weight + shares
    told = head.logits(fresh) * chosen["temperature"] / 20
    assert np.allclose(told, expected, atol=2e-3)
