"""MobileNet's pairs as matrix products compute what the convolutions compute, gradients too."""

import numpy as np
import pytest

from models.framework import paddle
from models.matrices import PairsAsMatrices, placement
from models.networks import NetworkSpec, build


@pytest.mark.parametrize(("first", "size"), [(4, 9), (5, 8), (6, 7), (7, 5)])
def test_pairs_give_the_same_maps_and_gradients_as_convolutions(first: int, size: int) -> None:
    paddle.seed(first)
    network = build(NetworkSpec("mobilenet_face", {"pairs": 8}), 3, 3, 32)
    stages = network.stages()[first:]
    channels = stages[0][0].conv.weight.shape[0]
    x = paddle.rand([3, channels, size, size])
    gradients = []
    answers = []
    for run in (lambda x: _in_turn(stages, x), PairsAsMatrices(stages, size)):
        network.train()
        y = run(x)
        (y * y).sum().backward()
        weight = stages[0][0].conv.weight
        gradients.append(weight.grad.numpy().copy())
        weight.clear_gradient()
        answers.append(y.numpy())
    assert answers[0].shape == answers[1].shape
    assert np.allclose(answers[0], answers[1], atol=1e-3)
    assert np.allclose(gradients[0], gradients[1], atol=1e-3 * np.abs(gradients[0]).max())


def _in_turn(stages: list, x: object) -> object:
    for stage in stages:
        x = stage(x)
    return x


def test_a_placement_of_stride_two_pads_as_tensorflow_does() -> None:
    even, odd = placement(4, 2), placement(5, 2)
    assert even.shape == (9, 16, 4) and odd.shape == (9, 25, 9)
    assert even[0, 0, 0] == 1  # an even side: nothing before, one after
    assert odd[0, :, 0].sum() == 0 and odd[4, 0, 0] == 1  # an odd side: one before
