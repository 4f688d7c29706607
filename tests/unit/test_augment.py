"""What `--augment` says is what pictures are varied by, and nothing else."""

import numpy as np
import pytest

from models import augment
from models.augment import Augmentation
from models.errors import UsageError
from tests import pictures


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("none", Augmentation()),
        ("", Augmentation()),
        ("default", augment.FACES),
        ("all", augment.USUAL),
        ("flip", Augmentation(flip=0.5)),
        ("flip,rotation=15", Augmentation(flip=0.5, rotation=15)),
        (" Flip , SHIFT=0.1,color", Augmentation(flip=0.5, shift=0.1, colour=1.0)),
        ("default,noise=4", Augmentation(0.5, 8.0, 0.04, 0.09, noise=4)),
        ("default,flip=0", Augmentation(0.0, 8.0, 0.04, 0.09)),
    ],
)
def test_words_add_up_from_the_left_and_are_told_alike(text: str, made: Augmentation) -> None:
    assert augment.parsed(text, augment.FACES) == made
    assert augment.parsed(made.told(), augment.FACES) == made
    assert bool(made) == (made.told() != "none")


@pytest.mark.parametrize(
    "text", ["spin", "flip=2", "rotation=-1", "noise=much", "zoom=9", "flip=nan"]
)
def test_what_is_not_understood_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(UsageError, match=r"flip, rotation, shift|takes a strength from 0 to"):
        augment.parsed(text, augment.FACES)


def test_a_cut_moves_only_as_far_as_its_kinds_let_it() -> None:
    draw = np.random.default_rng(1)
    made = Augmentation(rotation=10, shift=0.1)
    moved = [made.jitter(draw) for _ in range(200)]
    assert max(abs(m.angle_degrees) for m in moved) == pytest.approx(10, rel=0.1)
    assert max(abs(m.shift_x) for m in moved) == pytest.approx(0.1, rel=0.1)
    assert {m.scale for m in moved} == {1.0} and {m.mirror for m in moved} == {False}
    flipped = [Augmentation(flip=0.5).jitter(draw).mirror for _ in range(200)]
    assert 60 < sum(flipped) < 140


def test_light_colour_and_noise_each_change_their_own() -> None:
    crop = pictures.gradient(32, 32)
    assert Augmentation(flip=1.0).relit(np.random.default_rng(1), crop) is crop
    grey = np.full((32, 32, 3), 120, np.uint8)
    lit = Augmentation(light=1.0).relit(np.random.default_rng(1), grey)
    assert len(np.unique(lit)) == 1 and lit[0, 0, 0] != 120  # brighter or darker, still grey
    coloured = Augmentation(colour=1.0).relit(np.random.default_rng(1), grey)
    assert len(np.unique(coloured.reshape(-1, 3), axis=0)) == 1  # one tint all over
    assert len(set(coloured[0, 0].tolist())) > 1
    noisy = Augmentation(noise=20.0).relit(np.random.default_rng(1), grey).astype(int)
    assert 1 < noisy.std() < 20 and abs(noisy.mean() - 120) < 2
    assert crop.dtype == noisy.astype(np.uint8).dtype == lit.dtype


def test_the_usual_ones_are_those_that_the_shipped_bundles_were_trained_with() -> None:
    """Same draws, same order: else a training would not repeat its figures."""
    draw, again = np.random.default_rng(5), np.random.default_rng(5)
    crop = pictures.gradient(32, 32)
    change = augment.usual(faces=True, frozen=False)
    moved, lit = change.jitter(draw), change.relit(draw, crop)
    angle, zoom, x, y, mirror = (
        again.uniform(-12.0, 12.0), again.uniform(-0.13, 0.13), again.uniform(-0.06, 0.06),
        again.uniform(-0.06, 0.06), again.random() < 0.5,
    )  # fmt: skip
    assert (moved.angle_degrees, moved.scale) == (angle, float(np.exp(zoom)))
    assert (moved.shift_x, moved.shift_y, moved.mirror) == (x, y, mirror)
    gain, offset = float(np.exp(again.uniform(-0.35, 0.35))), float(again.uniform(-25, 25))
    old = (crop.astype(np.float32) - 127) * gain + (127 + offset)
    assert np.array_equal(lit, np.clip(old, 0, 255).astype(np.uint8))
