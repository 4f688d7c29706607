"""The face detector's library, where the weights of its network come from.

The package `yuface` carries libfacedetection (Shiqi Yu, BSD-3-Clause) as a shared library. Faces
are found by OpenCV with the same network (`models.face_finder`).
"""

import ctypes
import importlib.util
from pathlib import Path

from models.errors import UsageError


def library() -> ctypes.CDLL:
    """The shared library.

    Raises:
        UsageError: the package or its library is missing.
    """
    found = importlib.util.find_spec("yuface")
    if found is None or found.origin is None:
        raise UsageError("The face detector's package is missing: pip install yuface.")
    try:
        return ctypes.CDLL(str(Path(found.origin).with_name("libfacedetection.so")))
    except OSError as error:
        raise unfit(error) from None


def unfit(why: object) -> UsageError:
    """The error for a library that is not the one this project knows."""
    return UsageError(
        f"The face detector cannot be loaded ({why}). Install the version of yuface that "
        "requirements.txt names."
    )
