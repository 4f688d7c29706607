"""MobileNets' convolutions as matrix products: the form in which Paddle trains quickly on a CPU.

Paddle's depthwise convolution on a CPU works through one channel of one image at a time, and its
gradient likewise. On a map of few places a depthwise convolution of one channel is a product with a
sparse (places, places) matrix made of its few weights; all images of a batch go through it at
once, and what follows (batch norm, the 1x1 convolution) is a product too when channels come first.
Same weights, same result; forward and backward together are three times as fast.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.framework import paddle
from models.units import SAME, Inverted, Unit

LARGEST_MAP = 16  # side; the matrices grow with its fourth power


def placement(size: int, stride: int, kernel: int = 3, padding: int | str = SAME) -> np.ndarray:
    """Where each weight of a kernel stands in the matrix of the convolution.

    Args:
        size: side of the map.
        stride: 1 or 2.
        kernel: side of the kernel, odd.
        padding: on every side, in pixels; or `SAME` as TensorFlow means it: what is odd goes to
            the right and the bottom.

    Returns:
        float32 (kernel * kernel, size * size, out * out): of weight k, 1 where input place i
        reaches output place o.
    """
    if padding == SAME:
        out = -(-size // stride)
        before = max((out - 1) * stride + kernel - size, 0) // 2
    else:
        before = int(padding)
        out = (size + 2 * before - kernel) // stride + 1
    matrix = np.zeros((kernel * kernel, size, size, out, out), np.float32)
    for row, column, y, x in np.ndindex(kernel, kernel, out, out):
        above, left = y * stride + row - before, x * stride + column - before
        if 0 <= above < size and 0 <= left < size:
            matrix[kernel * row + column, above, left, y, x] = 1
    return matrix.reshape(kernel * kernel, size * size, out * out)


def fit(stages: Sequence[Any]) -> bool:
    """Whether stages are made of depthwise and 1x1 convolutions alone."""
    units = [_units(stage) for stage in stages]
    return all(made and all(_depthwise(u) or _pointwise(u) for u in made) for made in units)


@dataclass(frozen=True)
class _Step:
    """A unit and, where it is a depthwise one, its placement; None for a 1x1 convolution."""

    unit: Any
    places: Any


class StagesAsMatrices:
    """Runs stages that `fit` on small maps.

    Args:
        stages: pairs of depthwise and pointwise units, or inverted residuals; their own parameters
            are used.
        size: side of the first stage's input.
    """

    def __init__(self, stages: Sequence[Any], size: int) -> None:
        self._stages: list[tuple[list[_Step], bool]] = []
        for stage in stages:
            steps = []
            for unit in _units(stage):
                places = None
                if _depthwise(unit):
                    conv = unit.conv
                    stride, kernel = conv._stride[0], conv._kernel_size[0]
                    placed = placement(size, stride, kernel, unit.padding)
                    places = paddle.to_tensor(placed)
                    size = round(placed.shape[2] ** 0.5)
                steps.append(_Step(unit, places))
            self._stages.append((steps, isinstance(stage, Inverted) and stage.skips))
        self._out = size

    def __call__(self, x: Any) -> Any:
        """Maps (N, C, size, size) to (N, C', out, out)."""
        count, channels = x.shape[:2]
        x = x.reshape([count, channels, -1]).transpose([1, 0, 2])
        for steps, skips in self._stages:
            y = x
            for step in steps:
                y = _spread(step, y) if step.places is not None else _mixed(step.unit, y)
            x = x + y if skips else y
        channels = x.shape[0]
        return x.transpose([1, 0, 2]).reshape([count, channels, self._out, self._out])


def _spread(step: _Step, x: Any) -> Any:
    """The depthwise unit over (channels, images, places)."""
    channels, count, _ = x.shape
    weights, before, after = step.places.shape
    kernels = step.unit.conv.weight.reshape([channels, weights])
    kernels = paddle.matmul(kernels, step.places.reshape([weights, -1]))
    x = paddle.bmm(x, kernels.reshape([channels, before, after]))
    return _normed(step.unit, x.reshape([channels, -1])).reshape([channels, count, after])


def _mixed(unit: Any, x: Any) -> Any:
    """The 1x1 unit over (channels, images, places)."""
    channels, count, places = x.shape
    weight = unit.conv.weight
    wide = weight.shape[0]
    x = paddle.matmul(weight.reshape([wide, channels]), x.reshape([channels, -1]))
    return _normed(unit, x).reshape([wide, count, places])


def _normed(unit: Any, x: Any) -> Any:
    """The unit's own batch norm and rectifier over (channels, images and places)."""
    channels, places = x.shape
    return unit.rectify(unit.norm(x.reshape([1, channels, places, 1]))).reshape([channels, places])


def _units(stage: Any) -> list[Any]:
    """The units that a stage runs one after the other; none where it is made of something else."""
    made = stage.units if isinstance(stage, Inverted) else stage
    units = [made] if isinstance(made, Unit) else list(made.children())
    return units if all(isinstance(unit, Unit) for unit in units) else []


def _depthwise(unit: Any) -> bool:
    conv = unit.conv
    return bool(conv._groups == conv._in_channels == conv._out_channels and conv._groups > 1)


def _pointwise(unit: Any) -> bool:
    conv = unit.conv
    return bool(conv._groups == 1 and conv._kernel_size[0] == 1 and conv._stride[0] == 1)
