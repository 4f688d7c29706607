"""The face detector: libfacedetection's network, run by OpenCV.

libfacedetection (Shiqi Yu, BSD-3-Clause; the package `yuface`) computes the same with code of its
own that takes two to three times as long. `faces.onnx` holds its weights, written by
`python -m models.face_network`; a test holds the answers against the library's.
"""

from collections import OrderedDict
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from models.errors import UsageError

FILE = Path(__file__).with_name("faces.onnx")
STRIDES = (8, 16, 32)
"""Pixels that a place of each output spans."""
OVERLAP, FAINTEST, MOST = 0.45, 0.2, 512
"""The library's own: of two boxes that overlap more the likelier stays; weaker ones are not looked
at; more are not told."""
_OUTPUTS = [f"at{stride}" for stride in STRIDES]
_FAR = 50.0  # beyond it nothing changes, and numbers overflow
_BLOCK = 32  # the network takes sides that are multiples of this
_LEAST_PX = 64  # OpenCV 4.9 misreads maps that are one place high or wide
_READY_PX = 640 * 640  # of all shapes that are kept ready, about 27 MB; a new one costs 2 ms at 160


class FaceFinder:
    """One caller with its networks, one for each shape; not for threads.

    Raises:
        UsageError: the network's file is missing or damaged.
    """

    def __init__(self) -> None:
        try:
            self._file = np.fromfile(FILE, np.uint8)
            self._ready: OrderedDict[tuple[int, int], Any] = OrderedDict()
            self._network(_LEAST_PX, _LEAST_PX)
        except (OSError, cv2.error) as error:
            raise UsageError(
                f"The face detector cannot be loaded: {FILE} is missing or damaged "
                f"({type(error).__name__}). Restore the file."
            ) from None

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Find faces.

        Args:
            image: uint8 (height, width, 3), BGR.

        Returns:
            int16 (N, 15), likeliest first: score 0 to 100, x, y, width, height, and x, y of two
            eyes, the tip of the nose and two corners of the mouth, in whole pixels as the library
            tells them.
        """
        height, width = image.shape[:2]
        across, down = (max(_LEAST_PX, -(-side // _BLOCK) * _BLOCK) for side in (width, height))
        pixels = np.zeros((1, 3, down, across), np.float32)
        pixels[0, :, :height, :width] = image.transpose(2, 0, 1)
        network = self._network(across, down)
        network.setInput(pixels)
        told = zip(network.forward(_OUTPUTS), STRIDES, strict=True)
        rows = np.concatenate([_rows(values[0], stride) for values, stride in told])
        kept = cv2.dnn.NMSBoxes(rows[:, 1:5], rows[:, 0], FAINTEST, OVERLAP)
        rows = rows[np.asarray(kept, int).ravel()[:MOST]]
        rows[:, 0] *= 100
        told_whole: np.ndarray = np.clip(rows, -32768, 32767).astype(np.int16)  # cut towards zero
        return told_whole

    def _network(self, width: int, height: int) -> Any:
        """The network for a shape: laid out once, where it was asked for lately."""
        shape = width, height
        if shape not in self._ready:
            while self._ready and width * height + sum(w * h for w, h in self._ready) > _READY_PX:
                self._ready.popitem(last=False)
            self._ready[shape] = cv2.dnn.readNetFromONNX(self._file)
        self._ready.move_to_end(shape)
        return self._ready[shape]


def _rows(values: np.ndarray, stride: int) -> np.ndarray:
    """Places of one output that may be faces.

    Args:
        values: float32 (16, rows, columns): class, object, box (4), landmarks (10).
        stride: pixels a place.

    Returns:
        float32 (N, 15): score 0 to 1, corner and size of the box, landmarks, in pixels.
    """
    score = np.sqrt(np.prod(1 / (1 + np.exp(-np.maximum(values[:2], -_FAR))), axis=0))
    row, column = np.nonzero(score >= FAINTEST)
    told = values[:, row, column].T
    at = np.column_stack([column, row]).astype(np.float32)
    size = np.exp(np.minimum(told[:, 4:6], _FAR)) * stride
    corner = (at + told[:, 2:4]) * stride - size / 2
    marks = (np.tile(at, 5) + told[:, 6:]) * stride
    return np.column_stack([score[row, column], corner, size, marks])
