"""Two trunks of inverted residuals, as their published weights want them: MobileNetV2 (torchvision)
and EfficientNet-Lite0 (TensorFlow)."""

from typing import Any

from models.framework import paddle
from models.units import SAME, Inverted, Unit

nn: Any = paddle.nn

_FIRST, _LAST = 32, 1280  # channels

# (kernel, channels out, how many, stride of the first, times wider between)
_MOBILENET_V2 = (
    (3, 16, 1, 1, 1), (3, 24, 2, 2, 6), (3, 32, 3, 2, 6), (3, 64, 4, 2, 6), (3, 96, 3, 1, 6),
    (3, 160, 3, 2, 6), (3, 320, 1, 1, 6),
)  # fmt: skip
_EFFICIENTNET_LITE0 = (
    (3, 16, 1, 1, 1), (3, 24, 2, 2, 6), (5, 40, 2, 2, 6), (3, 80, 3, 2, 6), (5, 112, 3, 1, 6),
    (5, 192, 4, 2, 6), (3, 320, 1, 1, 6),
)  # fmt: skip


class _InvertedResiduals(nn.Layer):  # type: ignore[misc]
    """Images (N, C, size, size) to a map (N, 1280, size/32, size/32).

    Each residual is a stage; so are the first and the last convolution.
    """

    def __init__(
        self,
        rows: tuple[tuple[int, int, int, int, int], ...],
        channels: int,
        same: bool,
        epsilon: float,
    ) -> None:
        super().__init__()
        padding = SAME if same else 1
        stages: list[Any] = [
            Unit(channels, _FIRST, stride=2, clip=True, padding=padding, epsilon=epsilon)
        ]
        wide = _FIRST
        for kernel, wide_out, count, stride, wider in rows:
            for number in range(count):
                first = stride if number == 0 else 1
                stages.append(Inverted(wide, wide_out, kernel, first, wider, same, epsilon))
                wide = wide_out
        stages.append(Unit(wide, _LAST, 1, clip=True, epsilon=epsilon))
        self.stages = nn.LayerList(stages)
        self.width = _LAST

    def forward(self, x: Any) -> Any:
        for stage in self.stages:
            x = stage(x)
        return x


class MobileNetV2(_InvertedResiduals):
    """Sandler et al. 2018, width 1.0; padded alike on all sides, as torchvision trained it."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__(_MOBILENET_V2, channels, same=False, epsilon=1e-5)


class EfficientNetLite0(_InvertedResiduals):
    """Tan and Le 2019, without squeeze-and-excitation and with ReLU6, as Liu published it in 2020
    for mobile processors; padded as TensorFlow does."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__(_EFFICIENTNET_LITE0, channels, same=True, epsilon=1e-3)
