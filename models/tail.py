"""The part of a classifier that is trained while its first stages stay closed."""

from typing import Any

from models import devices
from models.framework import paddle
from models.matrices import LARGEST_MAP, StagesAsMatrices, fit
from models.networks import Classifier

nn: Any = paddle.nn


class Tail(nn.Layer):  # type: ignore[misc]
    """Open stages, pooling and head over maps of the closed ones; shares the network's parameters.

    Args:
        network: whose stages run one after the other.
        closed: how many first stages are left out.
        size: side of the maps that the closed stages give.
    """

    def __init__(self, network: Classifier, closed: int, size: int) -> None:
        super().__init__()
        self.stages = nn.LayerList(network.stages()[closed:])
        self.pool, self.dropout, self.head = network.pool, network.dropout, network.head
        # The matrices are quicker on a processor alone; a graphics card convolves by itself.
        matrices = not devices.on_gpu() and size <= LARGEST_MAP and fit(list(self.stages))
        self._run = StagesAsMatrices(self.stages, size) if matrices else self._in_turn

    def forward(self, maps: Any) -> Any:
        """Maps (N, C, size, size) to logits (N, classes)."""
        return self.head(self.dropout(self.features(maps)))

    def features(self, maps: Any) -> Any:
        """Maps to pooled features (N, D)."""
        return self.pool(self._run(maps)).flatten(1)

    def _in_turn(self, x: Any) -> Any:
        for stage in self.stages:
            x = stage(x)
        return x
