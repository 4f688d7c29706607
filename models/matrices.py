"""MobileNet's pairs as matrix products: the form in which Paddle trains them quickly on a CPU.

Paddle's depthwise convolution on a CPU works through one channel of one image at a time, and its
gradient likewise. On a map of few places a 3x3 convolution of one channel is a product with a
sparse (places, places) matrix made of its nine weights; all images of a batch go through it at
once, and what follows (batch norm, the 1x1 convolution) is a product too when channels come first.
Same weights, same result; forward and backward together are three times as fast.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from models.framework import paddle

LARGEST_MAP = 16  # side; the matrices grow with its fourth power


def placement(size: int, stride: int) -> np.ndarray:
    """Where each weight of a 3x3 kernel stands in the matrix of the convolution.

    Padding is "SAME" as TensorFlow means it: what is odd goes to the right and the bottom.

    Args:
        size: side of the map.
        stride: 1 or 2.

    Returns:
        float32 (9, size * size, out * out): of weight k, 1 where input place i reaches output
        place o.
    """
    out = -(-size // stride)
    before = max((out - 1) * stride + 3 - size, 0) // 2
    matrix = np.zeros((9, size, size, out, out), np.float32)
    for row, column, y, x in np.ndindex(3, 3, out, out):
        above, left = y * stride + row - before, x * stride + column - before
        if 0 <= above < size and 0 <= left < size:
            matrix[3 * row + column, above, left, y, x] = 1
    return matrix.reshape(9, size * size, out * out)


class PairsAsMatrices:
    """Runs stages of `models.networks.MobileNetFace` (all but its first) on small maps.

    Args:
        stages: pairs of units, depthwise and pointwise; their own parameters are used.
        size: side of the first stage's input.
    """

    def __init__(self, stages: Sequence[Any], size: int) -> None:
        self._stages = list(stages)
        self._places = []
        for depthwise, _ in self._stages:
            stride = depthwise.conv._stride[0]
            self._places.append(paddle.to_tensor(placement(size, stride)))
            size = -(-size // stride)
        self._out = size

    def __call__(self, x: Any) -> Any:
        """Maps (N, C, size, size) to (N, C', out, out)."""
        count, channels = x.shape[:2]
        x = x.reshape([count, channels, -1]).transpose([1, 0, 2])
        for (depthwise, pointwise), places in zip(self._stages, self._places, strict=True):
            weight = depthwise.conv.weight.reshape([channels, 9])
            _, before, after = places.shape
            kernels = paddle.matmul(weight, places.reshape([9, -1]))
            x = paddle.bmm(x, kernels.reshape([channels, before, after]))
            x = _normed(depthwise, x.reshape([channels, -1]))
            weight = pointwise.conv.weight
            wide = weight.shape[0]
            x = _normed(pointwise, paddle.matmul(weight.reshape([wide, channels]), x))
            channels = wide
            x = x.reshape([channels, count, after])
        return x.transpose([1, 0, 2]).reshape([count, channels, self._out, self._out])


def _normed(unit: Any, x: Any) -> Any:
    """The unit's own batch norm and rectifier over (channels, images and places)."""
    channels, places = x.shape
    return unit.rectify(unit.norm(x.reshape([1, channels, places, 1]))).reshape([channels, places])
