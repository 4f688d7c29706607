"""The running average of weights: what it is, and that looking at it changes nothing."""

import numpy as np

from models.average import Average
from models.framework import paddle
from models.weights import state_of


def test_the_average_follows_the_weights_with_a_decay_that_grows() -> None:
    layer = paddle.nn.Linear(1, 1)
    layer.weight.set_value(np.zeros((1, 1), np.float32))
    average = Average(layer, 0.5)
    wanted = 0.0
    for step in range(1, 12):
        layer.weight.set_value(np.full((1, 1), step, np.float32))
        average.step()
        decay = min(0.5, (1 + step) / (10 + step))
        wanted = decay * wanted + (1 - decay) * step
    with average.shown():
        assert np.isclose(layer.weight.numpy().item(), wanted)
    assert layer.weight.numpy().item() == 11


def test_without_a_decay_the_weights_themselves_are_shown() -> None:
    layer = paddle.nn.Linear(2, 2)
    average = Average(layer, 0.0)
    before = state_of(layer)
    average.step()
    with average.shown():
        assert all(np.array_equal(before[name], value) for name, value in state_of(layer).items())
    assert not average.state


def test_a_restored_average_goes_on_where_it_was() -> None:
    layer = paddle.nn.Linear(1, 1)
    one, two = Average(layer, 0.9), Average(layer, 0.9)
    one.step()
    two.restore({name: values.copy() for name, values in one.state.items()}, one.steps)
    layer.weight.set_value(np.full((1, 1), 5, np.float32))
    for average in (one, two):
        average.step()
    assert all(np.array_equal(one.state[name], two.state[name]) for name in one.state)
