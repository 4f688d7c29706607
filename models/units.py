"""What our own networks are made of: a convolution with its batch norm and rectifier, and the
inverted residual made of three of them."""

from typing import Any

import numpy as np

from models.framework import paddle

nn: Any = paddle.nn

SAME = "SAME"
"""Padding as TensorFlow has it: what is odd goes to the right and the bottom."""


class Unit(nn.Layer):  # type: ignore[misc]
    """Convolution, batch norm and a rectifier (ReLU6 where the weights were made with it).

    Args:
        wide_in: channels that come in.
        wide_out: channels that go out.
        kernel: side, in pixels.
        stride: 1 or 2.
        groups: of the convolution; `wide_in` for a depthwise one.
        clip: the rectifier ends at 6.
        linear: there is no rectifier.
        padding: on every side, in pixels, or `SAME`.
        epsilon: of the batch norm; it belongs to the weights.
    """

    def __init__(
        self,
        wide_in: int,
        wide_out: int,
        kernel: int = 3,
        stride: int = 1,
        groups: int = 1,
        clip: bool = False,
        linear: bool = False,
        padding: int | str = SAME,
        epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        self.padding = padding
        self.conv = nn.Conv2D(
            wide_in, wide_out, kernel, stride, padding, groups=groups, bias_attr=False
        )
        self.norm = nn.BatchNorm2D(wide_out, epsilon=epsilon)
        self.rectify = nn.Identity() if linear else nn.ReLU6() if clip else nn.ReLU()

    @property
    def clipped(self) -> bool:
        """Whether what it gives lies between 0 and 6."""
        return isinstance(self.rectify, nn.ReLU6)

    def fold(self) -> None:
        """Work the batch norm into the convolution: one operator less, the same answer."""
        old, norm = self.conv, self.norm
        factor = norm.weight.numpy() / np.sqrt(norm._variance.numpy() + norm._epsilon)
        self.conv = nn.Conv2D(
            old._in_channels, old._out_channels, old._kernel_size, old._stride, self.padding,
            groups=old._groups,
        )  # fmt: skip
        self.conv.weight.set_value(old.weight.numpy() * factor.reshape(-1, 1, 1, 1))
        self.conv.bias.set_value(norm.bias.numpy() - norm._mean.numpy() * factor)
        self.norm = nn.Identity()

    def forward(self, x: Any) -> Any:
        return self.rectify(self.norm(self.conv(x)))


class Inverted(nn.Layer):  # type: ignore[misc]
    """Wider, depthwise, narrower again, and the input added where it has the same shape.

    Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, 2018.

    Args:
        wide_in: channels that come in.
        wide_out: channels that go out.
        kernel: side of the depthwise convolution, in pixels.
        stride: of the depthwise convolution.
        wider: channels between, in `wide_in`; 1 leaves the widening out.
        same: pad as TensorFlow does; else alike on all sides.
        epsilon: of the batch norms.
    """

    def __init__(
        self,
        wide_in: int,
        wide_out: int,
        kernel: int,
        stride: int,
        wider: int,
        same: bool,
        epsilon: float,
    ) -> None:
        super().__init__()
        between = wide_in * wider
        padding = SAME if same else kernel // 2
        units = [
            Unit(between, between, kernel, stride, between, True, padding=padding, epsilon=epsilon),
            Unit(between, wide_out, 1, linear=True, epsilon=epsilon),
        ]
        if wider != 1:
            units.insert(0, Unit(wide_in, between, 1, clip=True, epsilon=epsilon))
        self.units = nn.Sequential(*units)
        self.skips = stride == 1 and wide_in == wide_out

    def forward(self, x: Any) -> Any:
        y = self.units(x)
        return x + y if self.skips else y


def ends_clipped(stage: Any) -> bool:
    """Whether all that a stage gives lies between 0 and 6: its last unit ends in ReLU6."""
    units = [layer for layer in stage.sublayers(include_self=True) if isinstance(layer, Unit)]
    return bool(units) and units[-1].clipped
