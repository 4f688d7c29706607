"""A trained network as Paddle's own inference export, checked against the network it came from.

The head is linear and stands on averages over places, so the logits are a sum over places. Where
the trunk gives a map, the export computes them that way round and answers each place's part too
(class activation maps: Zhou et al., Learning Deep Features for Discriminative Localization, 2016).
Of many labels that would cost a tenth of a small network's time: there only the likeliest label's
part is answered, less the mean of all.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models import graphs
from models.bundle import GRAPH, PARAMETERS, InputSpec
from models.engine import Engine
from models.errors import HyojoError
from models.framework import paddle
from models.networks import Classifier

nn: Any = paddle.nn

MANY_LABELS = 64  # from here on only the likeliest is explained
TOLERANCE = 1e-4  # largest difference of a probability between the network and its export


class ExportError(HyojoError):
    """The export does not compute what the network computes."""

    code = "export_differs"


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        difference: the largest between any two probabilities of network and export.
        explains: the export has a second output, see `models.bundle.Manifest.explains`.
    """

    difference: float
    explains: bool


class _Probabilities(nn.Layer):  # type: ignore[misc]
    """Logits and softmax in one graph, so that every user of the export gets probabilities."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Any) -> Any:
        return nn.functional.softmax(self.network(x), axis=-1)


class _Explained(nn.Layer):  # type: ignore[misc]
    """Probabilities (N, classes), and each place's part of the logits (N, classes, h, w).

    The parts of a class and its bias make its logit. A 1x1 convolution with the head's weights,
    then weighted sums: no slower than pooling and a linear layer.
    """

    def __init__(self, network: Classifier, height: int, width: int) -> None:
        super().__init__()
        rows, columns = network.spec.pool
        cells, classes = rows * columns, int(network.head.weight.shape[1])
        # The head's rows are channel by channel, and within a channel cell by cell.
        kernel = network.head.weight.numpy().reshape(-1, cells, classes).transpose(2, 1, 0)
        self.trunk = network.trunk
        self.parts = nn.Conv2D(kernel.shape[2], classes * cells, 1, bias_attr=False)
        self.parts.weight.set_value(kernel.reshape(classes * cells, -1, 1, 1))
        self.bias = self.create_parameter([classes])
        self.bias.set_value(network.head.bias)
        self.shares = self.create_parameter([1, 1, cells, height, width])
        self.shares.set_value(_shares(rows, columns, height, width)[None, None])
        self.shape = [-1, classes, cells, height, width]

    def forward(self, x: Any) -> Any:
        evidence = (self.parts(self.trunk(x)).reshape(self.shape) * self.shares).sum(2)
        return nn.functional.softmax(evidence.sum([2, 3]) + self.bias, axis=-1), evidence


class _WinnerExplained(nn.Layer):  # type: ignore[misc]
    """Probabilities (N, classes), and what set the likeliest apart at each place (N, 1, h, w): its
    part of its logit less the mean part of all. For heads that stand on one average."""

    def __init__(self, network: Classifier) -> None:
        super().__init__()
        self.trunk, self.pool, self.head = network.trunk, network.pool, network.head
        weight = network.head.weight.numpy().T  # (classes, W)
        self.apart = self.create_parameter(list(weight.shape))
        self.apart.set_value(weight - weight.mean(axis=0))
        self.width = int(weight.shape[1])

    def forward(self, x: Any) -> Any:
        places = self.trunk(x)
        logits = self.head(self.pool(places).flatten(1))
        apart = self.apart[logits.argmax(axis=1)].reshape([-1, 1, self.width])
        height, width = int(places.shape[2]), int(places.shape[3])
        part = paddle.bmm(apart, places.flatten(2)) / (height * width)
        return nn.functional.softmax(logits, axis=-1), part.reshape([-1, 1, height, width])


def export(network: Classifier, spec: InputSpec, folder: Path) -> Exported:
    """Write `inference.json` and `inference.pdiparams`.

    Batch norm is folded into the convolutions of our own networks. The files are read back and
    both networks answer the same random pictures.

    Args:
        network: trained; stays as it is.
        spec: its input.
        folder: where the two files go.

    Returns:
        How near it is, and whether it explains.

    Raises:
        ExportError: a probability differs by more than `TOLERANCE`.
        OSError: it cannot be written.
    """
    twin = graphs.folded(network, spec)
    with paddle.no_grad():
        blank = paddle.zeros([1, spec.channels, spec.size, spec.size])
        places = [int(side) for side in twin.trunk(blank).shape[2:]]
    with paddle.utils.unique_name.guard("export_"):  # no name that the twin's parameters have
        wrapped = _wrapped(twin, places)
    wrapped.eval()
    graphs.save(wrapped, spec, folder / Path(GRAPH).stem)
    return Exported(_compare(network, spec, folder), bool(places))


def _wrapped(network: Classifier, places: list[int]) -> Any:
    if not places:
        return _Probabilities(network)
    many = int(network.head.weight.shape[1]) >= MANY_LABELS and tuple(network.spec.pool) == (1, 1)
    return _WinnerExplained(network) if many else _Explained(network, *places)


def _shares(rows: int, columns: int, height: int, width: int) -> np.ndarray:
    """How much each place counts in each cell's average: float32 (rows * columns, height, width).

    Bounds as adaptive pooling has them; cells overlap where they do not divide the map.
    """
    shares = np.zeros((rows, columns, height, width), np.float32)
    for row in range(rows):
        for column in range(columns):
            down = slice(row * height // rows, -(-(row + 1) * height // rows))
            along = slice(column * width // columns, -(-(column + 1) * width // columns))
            cell = shares[row, column, down, along]
            cell[:] = 1 / cell.size
    return shares.reshape(-1, height, width)


def _compare(network: Classifier, spec: InputSpec, folder: Path) -> float:
    pictures = np.random.default_rng(0).integers(0, 256, (4, spec.size, spec.size, 3), np.uint8)
    x = spec.tensor(list(pictures))
    network.eval()
    with paddle.no_grad():
        ours = nn.functional.softmax(network(paddle.to_tensor(x)), axis=-1).numpy()
    try:
        theirs = Engine(folder / GRAPH, folder / PARAMETERS).run(x)
    except RuntimeError as error:
        raise graphs.unwritten(folder) from error
    difference = float(np.abs(ours - theirs).max())
    if not difference <= TOLERANCE:
        raise ExportError(
            f"The exported network differs from the trained one by {difference:.1e} in a "
            f"probability (at most {TOLERANCE:.0e} is right), so nothing was saved. "
            "Train with another --network and report this one."
        )
    return difference


if __name__ == "__main__":  # the command line is for bundles, which this module's users make
    import sys

    from models.export_command import main

    sys.exit(main())
