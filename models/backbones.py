"""Networks of others by name, each turned into a trunk without its last linear layer.

Most are PaddleClas's. `import paddleclas` costs four seconds and half a gigabyte, so it happens
inside the functions here and only when one of its networks is asked for. The few of `VISION` are of
`paddle.vision`: weights with a published hash are tensor by tensor theirs (`models.published`).
Nothing is downloaded here.
"""

import contextlib
import io
import logging
import warnings
from typing import Any

from models.errors import UsageError
from models.framework import paddle
from models.networks import OWN, Advice, suggestion

nn: Any = paddle.nn

# The ones to offer; any other constructor that PaddleClas exports is taken as well.
NAMES = (
    "PPLCNet_x0_25", "PPLCNet_x0_5", "PPLCNet_x1_0", "PPLCNet_x1_5", "PPLCNet_x2_0",
    "MobileNetV1", "MobileNetV2", "MobileNetV3_small_x0_5", "MobileNetV3_small_x1_0",
    "MobileNetV3_large_x1_0", "ResNet18", "ResNet34", "ResNet50", "ResNet101", "VGG11", "VGG13",
    "VGG16", "VGG19", "InceptionV3", "DenseNet121", "DenseNet161", "DenseNet169",
    "SqueezeNet1_1", "EfficientNetB0", "ShuffleNetV2_x1_0", "GhostNet_x1_0", "AlexNet",
    "PPHGNet_tiny", "RepVGG_A0", "HarDNet68", "MobileViT_S",
)  # fmt: skip

# Where pooling and head hang in networks of paddle.vision. Pooling that stands last is taken off
# too, so that the trunk gives a map; VGG's stands before its other linear layers.
VISION = {
    "resnet50": ("avgpool", "fc"), "vgg16": ("", "classifier.6"), "vgg19": ("", "classifier.6"),
    "inception_v3": ("avg_pool", "fc"), "densenet121": ("pool2d_avg", "out"),
}  # fmt: skip

# Below this side (pixels) a map shrinks to nothing inside the network.
_SMALLEST = {"InceptionV3": 75, "InceptionV4": 75, "AlexNet": 224, "SqueezeNet1_1": 32,
             "inception_v3": 75}  # fmt: skip
_IMAGENET = ((123.675, 116.28, 103.53), (1 / 58.395, 1 / 57.12, 1 / 57.375))


def advice(name: str) -> Advice:
    """ImageNet's normalisation; 112 pixels unless the network needs more, or 224 as published."""
    mean, scale = _IMAGENET
    if name in VISION:
        return Advice(299 if name == "inception_v3" else 224, "rgb", mean, scale)
    return Advice(max(112, _SMALLEST.get(name, 0)), "rgb", mean, scale)


def check_name(name: str) -> None:
    """Refuse an unknown name with the nearest known ones.

    Raises:
        UsageError: neither our own nor PaddleClas's.
    """
    if name in NAMES or name in OWN or name in VISION:
        return
    if not callable(getattr(_paddleclas(), name, None)) or not name[:1].isupper():
        raise UsageError(
            f"There is no network {name!r}. {suggestion(name, (*OWN, *NAMES, *VISION))}"
        )


def trunk(name: str, channels: int, size: int) -> Any:
    """Build the network `name` and take its last linear layer off.

    Args:
        name: one of `VISION`, or a constructor that PaddleClas exports.
        channels: 3; or 1, which is shown to the network three times over.
        size: side of the input in pixels.

    Returns:
        A layer from (N, channels, size, size) to (N, width), or to a map (N, width, h, w), with the
        attribute `width`.

    Raises:
        UsageError: unknown name, a size too small, or a network of a kind that has no linear head.
    """
    check_name(name)
    smallest = _SMALLEST.get(name, 32)
    if size < smallest:
        raise UsageError(
            f"{name} needs images of at least {smallest} pixels, not {size}: "
            f"give --image-size {smallest} or more."
        )
    if name in VISION:
        network = getattr(paddle.vision.models, name)(num_classes=2)
        return _Open(name, network, grey=channels == 1)
    constructor = getattr(_paddleclas(), name)
    try:
        with _quiet():
            network = constructor(pretrained=False, class_num=2)
    except Exception as error:
        raise UsageError(
            f"PaddleClas's {name} cannot be built here ({str(error).splitlines()[0][:120]}). "
            "Choose another network."
        ) from error
    return _Headless(name, network, grey=channels == 1)


class _Headless(nn.Layer):  # type: ignore[misc]
    """A PaddleClas network whose last linear layer is the identity."""

    def __init__(self, name: str, network: Any, grey: bool = False) -> None:
        super().__init__()
        self.grey = grey
        parent, attribute, last = _last_linear(name, network)
        self.width = int(last.weight.shape[0])
        setattr(parent, attribute, nn.Identity())
        if name.startswith("VGG"):
            # Its first linear layer wants 7 x 7: pooled to that, any size from 32 pixels on works.
            network.flatten = nn.Sequential(nn.AdaptiveAvgPool2D(7), nn.Flatten())
        self.network = network
        self.__dict__["stages"] = list(network.children())

    def forward(self, x: Any) -> Any:
        x = self.network(_colour(x) if self.grey else x)
        return (x[0] if isinstance(x, list | tuple) else x).flatten(1)


class _Open(nn.Layer):  # type: ignore[misc]
    """A network of paddle.vision whose head, and pooling where it stands last, are the identity."""

    def __init__(self, name: str, network: Any, grey: bool = False) -> None:
        super().__init__()
        self.grey = grey
        pooling, head = VISION[name]
        self.width = int(_found(network, head)[2].weight.shape[0])
        for path in filter(None, (pooling, head)):
            parent, attribute, _ = _found(network, path)
            setattr(parent, attribute, nn.Identity())
        if pooling:
            network.num_classes = 0  # else it flattens the map
        self.network = network
        parts: list[Any] = []
        for part in network.children():
            parts += list(part) if isinstance(part, nn.LayerList) else [part]
        self.__dict__["stages"] = [part for part in parts if part.parameters()]

    def forward(self, x: Any) -> Any:
        return self.network(_colour(x) if self.grey else x)


def _colour(x: Any) -> Any:
    return paddle.concat([x] * 3, axis=1)


def _last_linear(name: str, network: Any) -> tuple[Any, str, Any]:
    """Where the linear head hangs: its parent, the attribute's name, and the layer."""
    found = [path for path, layer in network.named_sublayers() if isinstance(layer, nn.Linear)]
    if not found:
        raise UsageError(f"{name} has no linear head to replace. Choose another network.")
    return _found(network, found[-1])


def _found(network: Any, path: str) -> tuple[Any, str, Any]:
    """A layer by its path: its parent, its name there, and itself."""
    *parents, attribute = path.split(".")
    parent = network
    for step in parents:
        parent = parent[int(step)] if step.isdigit() else getattr(parent, step)
    return parent, attribute, getattr(parent, attribute)


def _paddleclas() -> Any:
    with _quiet():
        import paddleclas
    return paddleclas


@contextlib.contextmanager
def _quiet() -> Any:
    """PaddleClas warns and prints while it is imported and while networks are built."""
    root = logging.getLogger()
    before, level = list(root.handlers), logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
    for handler in [handler for handler in root.handlers if handler not in before]:
        root.removeHandler(handler)
