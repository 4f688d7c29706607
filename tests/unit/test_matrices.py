"""MobileNet's pairs as matrix products compute what the convolutions compute, gradients too."""

import numpy as np
import pytest

from models.framework import paddle
from models.matrices import StagesAsMatrices, fit, placement
from models.networks import NetworkSpec, build

FACES, V2, LITE = ("mobilenet_face", {"pairs": 8}), ("mobilenet_v2", {}), ("efficientnet_lite0", {})


@pytest.mark.parametrize(
    ("made", "first", "size"),
    [(FACES, 4, 9), (FACES, 5, 8), (FACES, 6, 7), (FACES, 7, 5), (V2, 13, 8), (V2, 13, 7),
     (V2, 16, 4), (LITE, 11, 6)],
)  # fmt: skip
def test_stages_give_the_same_maps_and_gradients_as_convolutions(
    made: tuple[str, dict[str, int]], first: int, size: int
) -> None:
    paddle.seed(first)
    network = build(NetworkSpec(*made), 3, 3, 32)
    stages = network.stages()[first:]
    weight = stages[0].parameters()[0]
    channels = weight.shape[1] if weight.shape[1] > 1 else weight.shape[0]
    x = paddle.rand([3, channels, size, size])
    gradients = []
    answers = []
    assert fit(stages)
    for run in (lambda x: _in_turn(stages, x), StagesAsMatrices(stages, size)):
        network.train()
        y = run(x)
        (y * y).sum().backward()
        gradients.append(weight.grad.numpy().copy())
        weight.clear_gradient()
        answers.append(y.numpy())
    assert answers[0].shape == answers[1].shape
    assert np.allclose(answers[0], answers[1], atol=1e-3)
    assert np.allclose(gradients[0], gradients[1], atol=2e-3 * np.abs(gradients[0]).max())


def test_other_convolutions_do_not_fit() -> None:
    assert not fit(build(NetworkSpec("face_cnn"), 3, 1, 32).stages())
    assert not fit(
        build(NetworkSpec("mobilenet_v2"), 3, 3, 32).stages()
    )  # its first is a plain one


def _in_turn(stages: list, x: object) -> object:
    for stage in stages:
        x = stage(x)
    return x


def test_a_placement_of_stride_two_pads_as_tensorflow_does() -> None:
    even, odd = placement(4, 2), placement(5, 2)
    assert even.shape == (9, 16, 4) and odd.shape == (9, 25, 9)
    assert even[0, 0, 0] == 1  # an even side: nothing before, one after
    assert odd[0, :, 0].sum() == 0 and odd[4, 0, 0] == 1  # an odd side: one before
