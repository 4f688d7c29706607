"""libfacedetection called directly: what its network in OpenCV is held against.

The package's own Python binding never frees the result buffer (36 KB a call, measured), so the
library is called here with a buffer of ours that is used again and again.
"""

import ctypes
import os

# The library spins OpenMP threads; with busy cores they stall it for 100 ms and more.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from models.libfacedetection import library, unfit

_SYMBOL = "_Z14facedetect_cnnPhS_iii"  # int *facedetect_cnn(buffer, pixels, width, height, step)
_BUFFER_BYTES = 0x20000  # the library writes 0x9000 bytes, in older versions 0x20000
_ROW = 16  # 16-bit numbers a face: score 0-100, x, y, width, height, five points, one unused


class LibFaceDetection:
    """One caller with its buffer; not for threads.

    Raises:
        UsageError: the package or its library is missing.
    """

    def __init__(self) -> None:
        try:
            self._call = getattr(library(), _SYMBOL)
        except AttributeError as error:
            raise unfit(error) from None
        pointer, number = ctypes.c_void_p, ctypes.c_int
        self._call.restype = pointer
        self._call.argtypes = [pointer, pointer, number, number, number]
        self._buffer = np.zeros(_BUFFER_BYTES, np.uint8)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Find faces.

        Args:
            image: uint8 (height, width, 3), BGR, contiguous, each side 32 pixels or more.

        Returns:
            int16 (faces, 15): score 0 to 100, x, y, width, height, then x, y of eye, eye, nose,
            mouth corner, mouth corner; in pixels.
        """
        height, width, _ = image.shape
        buffer, pixels = self._buffer.ctypes.data, image.ctypes.data
        if not self._call(buffer, pixels, width, height, image.strides[0]):
            return np.empty((0, _ROW - 1), np.int16)
        count = int(self._buffer[:4].view(np.int32)[0])
        rows = self._buffer[4 : 4 + count * _ROW * 2].view(np.int16).reshape(count, _ROW)
        return rows[:, : _ROW - 1].copy()
