"""Networks by name: what can be trained, how it is cut into stages, and how it starts.

Every network is a `Classifier`: a trunk of stages, a pooling that may keep some of the place, and a
linear head. `OWN` lists the trunks that are ours; the others are PaddleClas's.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from models import blocks
from models.errors import UsageError
from models.framework import paddle
from models.gabor import Gabor
from models.inverted import EfficientNetLite0, MobileNetV2
from models.units import Unit

nn: Any = paddle.nn


@dataclass(frozen=True)
class NetworkSpec:
    """Which network, and how it is put together.

    Attributes:
        name: a name `build` knows.
        options: the trunk's own settings (for `mobilenet_face` how many `pairs`).
        pool: rows and columns of the map that stay apart; (2, 1) keeps eyes and mouth apart.
        dropout: share of the pooled features that is dropped in training.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    pool: tuple[int, int] = (1, 1)
    dropout: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """What `model.json` keeps under `network`."""
        return {
            "name": self.name,
            "options": dict(self.options),
            "pool": list(self.pool),
            "dropout": self.dropout,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "NetworkSpec":
        """The other way; unknown keys (such as the number of parameters) are left alone."""
        rows, columns = data.get("pool", (1, 1))
        options = data.get("options", {})
        return cls(data["name"], options, (rows, columns), data.get("dropout", 0.0))


@dataclass(frozen=True)
class Advice:
    """What a network wants when nobody says otherwise."""

    size: int
    color: Literal["rgb", "bgr", "gray"]
    mean: tuple[float, ...]
    scale: tuple[float, ...]


_BLOCKS = Advice(blocks.side(blocks.PLAN), "rgb", (127.5,) * 3, (1 / 64.0,) * 3)
_FACE_CNN = Advice(96, "gray", (127.5,), (1 / 64.0,))
_GABOR = Advice(96, "gray", (127.5,), (1 / 64.0,))
_MOBILENET_FACE = Advice(128, "bgr", (103.939, 116.779, 123.68), (1.0, 1.0, 1.0))
_MOBILENET_V2 = Advice(224, "rgb", (123.675, 116.28, 103.53), (1 / 58.395, 1 / 57.12, 1 / 57.375))
_EFFICIENTNET_LITE0 = Advice(224, "rgb", (127.0,) * 3, (1 / 128,) * 3)


class FaceCnn(nn.Layer):  # type: ignore[misc]
    """Our own: seven plain 3x3 convolutions for faces of 96 to 112 pixels, 1.2 million weights.

    Few and large operators on purpose: Paddle's cost an operator on a CPU is what a net of many
    small depthwise ones pays for.
    """

    def __init__(self, channels: int = 1, width: int = 32) -> None:
        super().__init__()
        w = width
        self.stages = nn.LayerList(
            [
                nn.Sequential(Unit(channels, w, stride=2)),
                nn.Sequential(Unit(w, 2 * w, stride=2), Unit(2 * w, 2 * w)),
                nn.Sequential(Unit(2 * w, 4 * w, stride=2), Unit(4 * w, 4 * w)),
                nn.Sequential(Unit(4 * w, 8 * w, stride=2), Unit(8 * w, 8 * w)),
            ]
        )
        self.width = 8 * w

    def forward(self, x: Any) -> Any:
        for stage in self.stages:
            x = stage(x)
        return x


# (channels in, channels out, stride) of each depthwise and pointwise pair of MobileNet v1.
_PAIRS = (
    (32, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2),
    (512, 512, 1), (512, 512, 1), (512, 512, 1), (512, 512, 1), (512, 512, 1),
    (512, 1024, 2), (1024, 1024, 1),
)  # fmt: skip


class MobileNetFace(nn.Layer):  # type: ignore[misc]
    """MobileNet v1 as trained on faces, cut after `pairs` of its 13 pairs (11: 512 channels, 1/16).

    The published weights have batch norm folded in. Here it is back, as the identity: frozen, the
    network computes what was published; to be trained, `calibrate` gives it real statistics.
    """

    def __init__(self, channels: int = 3, pairs: int = 11) -> None:
        super().__init__()
        stages = [Unit(channels, 32, stride=2, clip=True)]
        for wide_in, wide_out, stride in _PAIRS[:pairs]:
            depthwise = Unit(wide_in, wide_in, 3, stride, groups=wide_in, clip=True)
            stages.append(nn.Sequential(depthwise, Unit(wide_in, wide_out, 1, clip=True)))
        self.stages = nn.LayerList(stages)
        self.width = _PAIRS[pairs - 1][1]

    def forward(self, x: Any) -> Any:
        for stage in self.stages:
            x = stage(x)
        return x


OWN: dict[str, tuple[Callable[..., Any], Advice]] = {
    blocks.NAME: (blocks.Blocks, _BLOCKS),
    "face_cnn": (FaceCnn, _FACE_CNN),
    "gabor": (Gabor, _GABOR),
    "mobilenet_face": (MobileNetFace, _MOBILENET_FACE),
    "mobilenet_v2": (MobileNetV2, _MOBILENET_V2),
    "efficientnet_lite0": (EfficientNetLite0, _EFFICIENTNET_LITE0),
}

DESIGNED = frozenset({"gabor"})  # their trunk's weights are formulas: fresh, it sees already


class Classifier(nn.Layer):  # type: ignore[misc]
    """Trunk, pooling and linear head.

    Attributes:
        trunk: images (N, C, size, size) float32 to a map (N, W, h, w), or already (N, W).
        head: pooled features (N, W * rows * columns) to logits (N, classes).
    """

    def __init__(self, trunk: Any, spec: NetworkSpec, classes: int) -> None:
        super().__init__()
        rows, columns = spec.pool
        self.trunk = trunk
        self.pool = nn.AdaptiveAvgPool2D(spec.pool)
        self.dropout = nn.Dropout(spec.dropout)
        self.head = nn.Linear(trunk.width * rows * columns, classes)
        self.spec = spec

    def features(self, x: Any) -> Any:
        """Images to pooled features (N, D)."""
        x = self.trunk(x)
        return x if x.ndim == 2 else self.pool(x).flatten(1)

    def forward(self, x: Any) -> Any:
        """Images to logits (N, classes)."""
        return self.head(self.dropout(self.features(x)))

    def stages(self) -> list[Any]:
        """The trunk in stages, the ones nearest the image first; the head is not among them."""
        return list(getattr(self.trunk, "stages", None) or self.trunk.children())

    def closed(self, trainable: int | None) -> int:
        """How many first stages are closed where the last `trainable` are open; None opens all."""
        return 0 if trainable is None else max(0, len(self.stages()) - trainable)

    def freeze(self, trainable: int | None) -> None:
        """Keep only the head and the last `trainable` stages open; None opens everything.

        A closed stage also keeps its batch-norm statistics, so it stays in evaluation mode.
        """
        closed = self.closed(trainable)
        for number, stage in enumerate(self.stages()):
            stage.frozen = number < closed
            for parameter in stage.parameters():
                parameter.stop_gradient = stage.frozen

    def set_head(self, weight: np.ndarray, bias: np.ndarray) -> None:
        """Give the head weights (D, classes) and biases (classes,)."""
        self.head.weight.set_value(weight.astype(np.float32))
        self.head.bias.set_value(bias.astype(np.float32))

    def cool(self, temperature: float) -> None:
        """Soften the probabilities by a temperature (Guo et al. 2017)."""
        self.set_head(self.head.weight.numpy() / temperature, self.head.bias.numpy() / temperature)

    def train(self) -> None:
        """Training mode for the open stages only."""
        super().train()
        for stage in self.stages():
            if getattr(stage, "frozen", False):
                stage.eval()

    def parameter_count(self) -> int:
        """Weights in all, the batch-norm statistics not counted."""
        statistics = ("_mean", "_variance")
        return int(sum(p.size for n, p in self.named_parameters() if not n.endswith(statistics)))


def advice(name: str) -> Advice:
    """Input size and normalisation a network wants by default.

    Raises:
        UsageError: no network has this name.
    """
    if name in OWN:
        return OWN[name][1]
    from models import backbones

    backbones.check_name(name)
    return backbones.advice(name)


def build(spec: NetworkSpec, classes: int, channels: int, size: int) -> Classifier:
    """Make the network with fresh weights (drawn from Paddle's generator: seed it first).

    Args:
        spec: which one.
        classes: how many labels.
        channels: 1 for grey input, 3 for colour.
        size: side of the square input in pixels.

    Raises:
        UsageError: unknown name, or a size this network cannot take.
    """
    # Fresh parameter names for each network: the optimiser's saved state is found by them.
    with paddle.utils.unique_name.guard():
        if spec.name in OWN:
            if size < 32:
                raise UsageError(
                    f"{spec.name} needs images of at least 32 pixels, not {size}: "
                    "give a larger --image-size."
                )
            trunk = OWN[spec.name][0](channels=channels, **dict(spec.options))
        else:
            from models import backbones

            trunk = backbones.trunk(spec.name, channels, size)
            spec = NetworkSpec(spec.name, spec.options, (1, 1), spec.dropout)
        return Classifier(trunk, spec, classes)


def fold_batch_norm(network: Any) -> None:
    """Fold the batch norms of our own networks; PaddleClas's are left to Paddle Inference."""
    for layer in network.sublayers():
        if isinstance(layer, Unit):
            layer.fold()


def calibrate_batch_norm(network: Any, batch: Any) -> None:
    """Give batch norms that are still the identity the statistics of real input.

    The network computes what it computed before (in evaluation mode exactly), and batch norm now
    works as it should when the network is trained further.

    Args:
        network: any; only batch norms with mean 0 and variance 1 are touched.
        batch: input (N, C, size, size), a few dozen training images.
    """
    removers = []

    def measure(norm: Any, inputs: Any) -> None:
        if float(norm._mean.abs().max()) > 0 or float((norm._variance - 1).abs().max()) > 0:
            return
        x = inputs[0]
        mean, variance = x.mean([0, 2, 3]), x.var([0, 2, 3]) + 1e-3
        old = norm.weight / (norm._variance + norm._epsilon).sqrt()
        norm.bias.set_value(norm.bias + (mean - norm._mean) * old)
        norm.weight.set_value(old * (variance + norm._epsilon).sqrt())
        norm._mean.set_value(mean)
        norm._variance.set_value(variance)

    for layer in network.sublayers():
        if isinstance(layer, nn.BatchNorm2D):
            removers.append(layer.register_forward_pre_hook(measure))
    network.eval()
    with paddle.no_grad():
        network(batch)
    for remover in removers:
        remover.remove()


def suggestion(name: str, known: Sequence[str]) -> str:
    """'Did you mean ResNet18?', or the beginning of the list when nothing is close."""
    lower = {other.lower(): other for other in known}
    close = difflib.get_close_matches(name.lower(), list(lower), n=3, cutoff=0.6)
    if close:
        return "Did you mean " + " or ".join(lower[other] for other in close) + "?"
    return "Try " + ", ".join(list(known)[:8]) + " …"
