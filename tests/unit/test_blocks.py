"""A network that is written down is what is built, trained, exported and served."""

import io
from pathlib import Path

import numpy as np
import pytest

from models import blocks, bundle, datasets, experiment, networks, pictures, shipping
from models.console import Console
from models.errors import UsageError
from models.face_spec import FaceSpec
from models.framework import paddle
from models.networks import NetworkSpec
from models.predictor import Predictor
from models.recipes import recipe
from models.runs import Run
from models.training import Trainer
from models.wishes import Wishes
from tests import shapes

QUIET = Console(io.StringIO(), live=False)


@pytest.mark.parametrize(
    ("plan", "width", "units", "wide", "map_px"),
    [
        ("3x64 3x32 2x16 1x8", 16, 9, 128, 4),  # the paper's
        ("1x32", 8, 1, 8, 16),
        ("2x96,1X48", 4, 3, 8, 24),  # commas and a capital are taken too
    ],
)
def test_each_size_has_its_blocks_the_last_halves_and_channels_double(
    plan: str, width: int, units: int, wide: int, map_px: int
) -> None:
    spec = NetworkSpec(blocks.NAME, {"plan": plan, "width": width})
    side = blocks.side(plan)
    network = networks.build(spec, 3, 1, side)
    network.eval()
    assert sum(isinstance(layer, blocks.Unit) for layer in network.sublayers()) == units
    out = network.trunk(paddle.zeros([2, 1, side, side]))
    assert out.shape == [2, wide, map_px, map_px] and network.trunk.width == wide
    assert network(paddle.zeros([2, 1, side, side])).shape == [2, 3]
    assert len(network.stages()) == len(blocks.rows(plan))


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        ("3x64 3x30", "30 is not half of 64"),
        ("3x64 3x64", "64 is not half of 64"),
        ("3x64 three", "'three' is not understood"),
        ("3*64", "is not understood"),
        ("0x64", "0 blocks at 64"),
        ("99x64", "99 blocks at 64"),
        ("1x8", "may be 32 to 512 pixels"),
        ("1x1024", "may be 32 to 512 pixels"),
        ("1x34 1x17", "a map of 17 pixels cannot be halved"),
        ("1x64 1x32 1x16 1x8 1x4 1x2 1x1", "a map of 1 pixels cannot be halved"),
        (" ,", "names no block"),
    ],
)
def test_nonsense_is_refused_with_an_example(plan: str, says: str) -> None:
    with pytest.raises(UsageError, match=says.replace("*", r"\*")):
        blocks.rows(plan)


def test_the_input_is_the_first_number_in_the_colours_asked_for() -> None:
    made, _ = recipe(Wishes(network="1x48 1x24", colour="grey"), False, ("a", "b"), 50)
    assert (made.input.size, made.input.color, made.input.channels) == (48, "gray", 1)
    made, _ = recipe(Wishes(network="blocks"), False, ("a", "b"), 50)
    assert (made.input.size, made.input.color) == (blocks.side(blocks.PLAN), "rgb")
    with pytest.raises(UsageError, match="takes images of 48 pixels, its first number"):
        recipe(Wishes(network="1x48", image_size=64), False, ("a", "b"), 50)


def test_grey_pictures_go_through_a_network_of_colours() -> None:
    network = networks.build(NetworkSpec("PPLCNet_x0_25"), 2, 1, 64)
    network.eval()
    assert network(paddle.zeros([1, 1, 64, 64])).shape == [1, 2]
    assert network.trunk.grey
    made, _ = recipe(Wishes(network="ResNet18", colour="grey"), False, ("a", "b"), 50)
    assert made.input.channels == 1


def test_it_trains_and_the_served_bundle_answers_as_the_network_does(tmp_path: Path) -> None:
    dataset = datasets.read(shapes.folders(tmp_path / "set", 8))
    wishes = Wishes(network="1x32 1x16", width=8, epochs=2, batch_size=12)
    made, _ = recipe(wishes, False, dataset.labels, len(dataset.samples))
    held = pictures.read(dataset, FaceSpec(wanted=False), made.input.size)
    trainer = Trainer(held, made, Run(tmp_path / "run", {}, False), QUIET)
    final = experiment.ship(trainer)
    shipping.write(tmp_path / "out", "written", trainer, final, None, "python train.py")
    saved = bundle.load(tmp_path / "out")
    assert saved.manifest.network["options"] == {"plan": "1x32 1x16", "width": 8}
    assert saved.manifest.explains
    assert "1x32 1x16" in (tmp_path / "out" / "report" / "card.md").read_text()
    ours = trainer.probabilities(final.network, np.arange(4))
    assert np.allclose(ours, Predictor(saved).probabilities(held.crops(range(4))), atol=1e-4)
