"""The trunk of formulas sees creases by place and direction; it trains, ships and explains."""

from pathlib import Path

import numpy as np
import pytest

from models import export, gabor
from models.bundle import InputSpec
from models.framework import paddle
from models.gabor import DIRECTIONS, GRID, LEVELS, WAVES_PX, Gabor
from models.networks import NetworkSpec, build
from models.weights import state_of

GREY = InputSpec(96, "gray", (127.5,), (1 / 64.0,))


def answer(x: np.ndarray, **options: int) -> np.ndarray:
    """The trunk's map of pictures (N, C, size, size)."""
    trunk = Gabor(channels=x.shape[1], **options)
    trunk.eval()
    with paddle.no_grad():
        return trunk(paddle.to_tensor(x.astype(np.float32))).numpy()


def creases(turn: float, wave: float, size: int = 96) -> np.ndarray:
    """A picture of waves whose crests follow one another in the direction `turn`, in radians."""
    y, x = np.mgrid[:size, :size]
    return np.cos(2 * np.pi / wave * (x * np.cos(turn) + y * np.sin(turn)))[None, None]


def test_filters_are_blind_to_even_light() -> None:
    bank = gabor.filters()
    assert bank.shape == (2 * len(WAVES_PX) * DIRECTIONS, 1, 11, 11)
    assert np.abs(bank.sum(axis=(1, 2, 3))).max() < 1e-6


@pytest.mark.parametrize("direction", range(DIRECTIONS))
@pytest.mark.parametrize("wave", range(len(WAVES_PX)))
def test_each_filter_answers_its_own_waves_most(direction: int, wave: int) -> None:
    trunk = Gabor(levels=1)
    picture = creases(np.pi * direction / DIRECTIONS, WAVES_PX[wave])
    with paddle.no_grad():
        energy = trunk.stages[0](paddle.to_tensor(picture.astype(np.float32))).numpy()
    strength = energy.mean(axis=(0, 2, 3)).reshape(len(WAVES_PX), DIRECTIONS)
    assert strength[wave].argmax() == direction


def test_coarse_creases_are_seen_higher_up_the_pyramid() -> None:
    trunk = Gabor()
    with paddle.no_grad():
        energy = trunk.stages[0](paddle.to_tensor(creases(0, 22.6).astype(np.float32))).numpy()
    assert energy.mean(axis=(0, 2, 3)).reshape(LEVELS, -1).max(axis=1).argmax() == LEVELS - 1


def test_the_map_is_a_grid_of_cells_and_a_crease_stays_in_its_own() -> None:
    picture = np.zeros((1, 1, 96, 96))
    picture[..., 24:26, 24:26] = 2.0  # the middle of the second cell, both ways
    made = answer(picture, levels=1)
    assert made.shape == (1, len(WAVES_PX) * DIRECTIONS, GRID, GRID)
    place = made[0].sum(axis=0)
    assert np.unravel_index(place.argmax(), place.shape) == (1, 1)


def test_brighter_light_and_half_as_much_contrast_again_change_little() -> None:
    faces = np.random.default_rng(1).normal(0, 0.6, (2, 1, 96, 96))
    plain, lit = answer(faces), answer(1.5 * faces + 0.8)
    assert np.abs(plain - lit).mean() < 0.05 * plain.mean()


def test_an_even_picture_gives_numbers() -> None:
    assert np.isfinite(answer(np.zeros((1, 1, 96, 96)))).all()


@pytest.mark.parametrize(("channels", "size"), [(1, 32), (3, 96), (1, 112)])
def test_any_size_and_colour_is_taken(channels: int, size: int) -> None:
    grey = np.random.default_rng(2).normal(0, 1, (2, 1, size, size))
    made = answer(np.repeat(grey, channels, axis=1))
    assert made.shape == (2, LEVELS * len(WAVES_PX) * DIRECTIONS, GRID, GRID)
    assert np.allclose(made, answer(grey), atol=1e-4)


def test_the_trunk_is_the_same_whatever_the_seed() -> None:
    states = []
    for seed in (1, 2):
        paddle.seed(seed)
        network = build(NetworkSpec("gabor"), 3, 1, 96)
        states.append({n: v for n, v in state_of(network).items() if n.startswith("trunk")})
    assert states[0]
    assert all(np.array_equal(states[0][name], states[1][name]) for name in states[0])


def test_its_export_agrees_and_explains(tmp_path: Path) -> None:
    network = build(NetworkSpec("gabor", {"grid": GRID}, (GRID, GRID)), 7, 1, 96)
    made = export.export(network, GREY, tmp_path)
    assert made.difference < 1e-4
    assert made.explains


def test_it_can_be_trained_further_by_gradient() -> None:
    network = build(NetworkSpec("gabor"), 2, 1, 32)
    network.freeze(None)
    network(paddle.zeros([2, 1, 32, 32])).sum().backward()  # no root of nothing
    slopes = [p.grad.numpy() for p in network.parameters() if p.grad is not None]
    assert slopes and all(np.isfinite(slope).all() for slope in slopes)
