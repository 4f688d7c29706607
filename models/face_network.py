"""The face detector as a network in ONNX, for OpenCV and for browsers.

    $ python -m models.face_network      # writes models/faces.onnx anew

libfacedetection (Shiqi Yu, BSD-3-Clause; the package `yuface`) holds its weights as a table of 53
convolutions. They are read from the installed library and put together as its source does it
(facedetectcnn-model.cpp): a backbone, three scales that are added up from coarse to fine, and four
heads at each.
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

import numpy as np

from models import libfacedetection
from models.errors import UsageError
from models.face_finder import FILE, STRIDES

HEADS = 16
"""Numbers a place: class, object, box (4), landmarks (10)."""
SIDE = 64
"""Of the file that OpenCV reads; see `network`."""
_TABLE = "param_pConvInfo"
_COUNT = 53
_FIRST = 16, 27, 32  # channels of the first convolution; numbers a channel, and as they are stored


class _Entry(ctypes.Structure):
    """ConvInfoStruct of facedetectcnn.h."""

    _fields_ = (
        ("channels", ctypes.c_int),
        ("filters", ctypes.c_int),
        ("depthwise", ctypes.c_bool),
        ("pointwise", ctypes.c_bool),
        ("relu", ctypes.c_bool),
        ("weights", ctypes.POINTER(ctypes.c_float)),
        ("biases", ctypes.POINTER(ctypes.c_float)),
    )


Convolution = tuple[np.ndarray, np.ndarray]
"""Weights float32 (out, in or 1, h, w) and biases float32 (out,)."""


def convolutions() -> list[Convolution]:
    """All 53 of the installed library.

    Raises:
        UsageError: it is missing, or of another version.
    """
    try:
        table = (_Entry * _COUNT).in_dll(libfacedetection.library(), _TABLE)
    except ValueError as error:
        raise libfacedetection.unfit(error) from None
    if (table[0].channels, table[0].filters) != (_FIRST[2], _FIRST[0]):
        raise libfacedetection.unfit("its table of weights is another one")
    return [_first(table[0]), *(_read(entry) for entry in table[1:])]


def _numbers(entry: Any, count: int) -> tuple[np.ndarray, np.ndarray]:
    weights = np.ctypeslib.as_array(entry.weights, (count,)).copy()
    return weights, np.ctypeslib.as_array(entry.biases, (entry.filters,)).copy()


def _first(entry: Any) -> Convolution:
    """3x3 on pixels: rows of y, x, channel, padded to 32 numbers."""
    count, used, stored = _FIRST
    weights, biases = _numbers(entry, count * stored)
    kernel = weights.reshape(count, stored)[:, :used].reshape(count, 3, 3, 3)
    return np.ascontiguousarray(kernel.transpose(0, 3, 1, 2)), biases


def _read(entry: Any) -> Convolution:
    """1x1 as (out, in), or 3x3 on each channel as (place, channel)."""
    out = entry.filters
    weights, biases = _numbers(entry, out * (9 if entry.depthwise else entry.channels))
    if entry.depthwise:
        return np.ascontiguousarray(weights.reshape(9, out).T).reshape(out, 1, 3, 3), biases
    return weights.reshape(out, entry.channels, 1, 1), biases


@dataclass
class _Drawing:
    """Nodes and weights of a graph as it grows; every method returns its output's name."""

    helper: Any
    table: list[Convolution]
    nodes: list[Any] = field(default_factory=list)
    tensors: list[Any] = field(default_factory=list)

    def node(self, kind: str, inputs: Sequence[str], name: str = "", **options: Any) -> str:
        name = name or f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(self.helper.make_node(kind, inputs, [name], **options))
        return name

    def tensor(self, values: np.ndarray) -> str:
        name = f"weights{len(self.tensors)}"
        self.tensors.append(
            self.helper.make_tensor(name, 1, values.shape, values.astype("<f4").tobytes(), raw=True)
        )
        return name

    def convolution(self, x: str, numbers: Sequence[int], stride: int = 1, name: str = "") -> str:
        """Of the table; several that see the same input become one."""
        weights = np.concatenate([self.table[number][0] for number in numbers])
        biases = np.concatenate([self.table[number][1] for number in numbers])
        around = weights.shape[2] // 2
        return self.node(
            "Conv", [x, self.tensor(weights), self.tensor(biases)], name,
            strides=[stride] * 2, pads=[around] * 4, kernel_shape=list(weights.shape[2:]),
            group=len(weights) if weights.shape[1] == 1 and around else 1,
        )  # fmt: skip

    def unit(self, x: str, number: int) -> str:
        """A 1x1 convolution, a 3x3 one on each channel, ReLU."""
        x = self.convolution(x, [number])
        return self.node("Relu", [self.convolution(x, [number + 1])])

    def units(self, x: str, first: int) -> str:
        """Two of them."""
        return self.unit(self.unit(x, first), first + 2)

    def halved(self, x: str) -> str:
        return self.node("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2])

    def doubled(self, x: str) -> str:
        scales = self.tensor(np.array([1, 1, 2, 2], np.float32))
        return self.node(
            "Resize", [x, "", scales], mode="nearest", nearest_mode="floor",
            coordinate_transformation_mode="asymmetric",
        )  # fmt: skip

    def heads(self, x: str, level: int) -> str:
        """Class, object, box and landmarks of a scale as one output."""
        first = [29 + 2 * level, 41 + 2 * level, 35 + 2 * level, 47 + 2 * level]
        x = self.convolution(x, first)
        return self.convolution(x, [number + 1 for number in first], name=f"at{STRIDES[level]}")


def network(side: int | None = None) -> Any:
    """The detector as an `onnx.ModelProto`.

    Args:
        side: of the input, in pixels, where the file must name one; OpenCV does not read a file
            without, and takes other sides all the same.

    Its input `image` is float32 (1, 3, H, W), blue, green and red from 0 to 255, both sides
    multiples of 32. Its outputs `at8`, `at16` and `at32` are (1, `HEADS`, H / stride, W / stride).

    Raises:
        UsageError: the detector's library or the package onnx is missing.
    """
    try:
        import onnx
    except ImportError:
        raise UsageError("The package onnx is not installed. Install it: make onnx.") from None
    helper = onnx.helper
    draw = _Drawing(helper, convolutions())
    x = draw.node("Relu", [draw.convolution("image", [0], stride=2)])
    x = draw.halved(draw.unit(x, 1))
    x = draw.halved(draw.units(draw.units(x, 3), 7))
    fine = draw.units(x, 11)
    middle = draw.units(draw.halved(fine), 15)
    coarse = draw.unit(draw.units(draw.halved(middle), 19), 27)
    middle = draw.unit(draw.node("Add", [draw.doubled(coarse), middle]), 25)
    fine = draw.unit(draw.node("Add", [draw.doubled(middle), fine]), 23)
    ends = [draw.heads(part, level) for level, part in enumerate((fine, middle, coarse))]
    value = helper.make_tensor_value_info
    outputs = [value(end, 1, [1, HEADS, f"h{end[2:]}", f"w{end[2:]}"]) for end in ends]
    sides = [side, side] if side else ["height", "width"]
    graph = helper.make_graph(
        draw.nodes, "faces", [value("image", 1, [1, 3, *sides])], outputs, draw.tensors
    )
    model = helper.make_model(
        graph, producer_name="Hyojo", opset_imports=[helper.make_opsetid("", 13)], ir_version=8
    )
    helper.set_model_props(
        model,
        {
            "source": f"libfacedetection in yuface {metadata.version('yuface')}",
            "licence": notice(),
        },
    )
    onnx.checker.check_model(model)
    return model


def main() -> None:
    """Write the file that OpenCV reads."""
    FILE.write_bytes(network(SIDE).SerializeToString())


def notice() -> str:
    """The licence of the detector's weights, which goes along with them."""
    files = metadata.files("yuface") or []
    (licence,) = [file for file in files if file.name == "LICENSE"]
    return licence.read_text().strip()


if __name__ == "__main__":
    main()
