"""Pictures with what was read on them: heat where the evidence lay, boxes, labels. For `--explain`.

Drawn from the same answer that goes out over HTTP; the network is not asked again.
"""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from models import images
from models.errors import UsageError
from models.explain import overlay
from service.drawing import draw_face, draw_tag
from service.protocol import Explanation, FaceResult, ImageResult

SUFFIX = ".explain.png"
LONGEST_PX = 1600  # larger pictures are made smaller, so that a folder of photographs stays small
SHORTEST_PX = 480  # of the longer side: on a smaller one no label could be read


class Gallery:
    """A folder with one picture for each that was read.

    Args:
        folder: is made if it is not there.
        sources: the pictures to be read, in order; none of them is ever written to.
        max_pixels: of one picture.

    Raises:
        UsageError: the folder cannot be made, or is none.
    """

    def __init__(self, folder: Path, sources: Sequence[Path], max_pixels: int) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"--explain {folder} cannot be made a folder ({error.strerror}). Name another."
            ) from None
        self._folder = folder
        self._max_pixels = max_pixels
        self._kept = {_key(path) for path in sources}
        self.written = 0

    def add(self, source: Path, result: ImageResult) -> Path | None:
        """Draw one picture and write it; None for a picture that could not be read.

        Raises:
            UsageError: it cannot be written.
            ImageError: the file is no longer the picture that was read.
        """
        if result.error is not None:
            return None
        picture = drawn(images.read(source, self._max_pixels), result)
        path = self._place(source.name)
        try:
            _write(path, picture)
        except OSError as error:
            raise UsageError(
                f"{path} cannot be written ({error.strerror}). Make room or name another folder "
                "with --explain; what was written before is complete."
            ) from None
        self.written += 1
        return path

    def _place(self, name: str) -> Path:
        """A file that is no source and was not written before by this gallery."""
        name = os.fsdecode(os.fsencode(name)[:200])  # with the suffix still a file's name
        number = 1
        while True:
            path = self._folder / (name + (f"-{number}" if number > 1 else "") + SUFFIX)
            if _key(path) not in self._kept:
                self._kept.add(_key(path))
                return path
            number += 1


def drawn(picture: np.ndarray, result: ImageResult) -> np.ndarray:
    """The picture with heat, boxes, labels and probabilities.

    Args:
        picture: uint8 (height, width, 3), RGB, upright.
        result: what it was read as.

    Returns:
        uint8 RGB, its longer side between SHORTEST_PX and LONGEST_PX.
    """
    height, width = picture.shape[:2]
    scale = float(np.clip(max(height, width), SHORTEST_PX, LONGEST_PX)) / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if scale != 1:
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        picture = cv2.resize(picture, size, interpolation=how)
    for told in (result.explanation, *(face.explanation for face in result.faces)):
        if isinstance(told, Explanation):
            picture = overlay(picture, np.array(told.corners) * scale, np.array(told.map))
    picture = np.array(picture)
    tallest = max(size) / 32
    for face in reversed(result.faces):  # the largest last, on top
        x, y, wide, tall = (value * scale for value in face.box)
        draw_face(picture, (x, y, wide, tall), _words(face), tallest)
    if not result.faces:
        words = "no face found" if result.label is None else _words(result)
        draw_tag(picture, 0, 0, words, tallest)
    return picture


def _words(read: FaceResult | ImageResult) -> str:
    return f"{read.label} {read.probability:.1%}"


def _key(path: Path) -> str:
    """The same for two names of one file, on disks that tell no upper from lower case too."""
    return str(path.resolve()).casefold()


def _write(path: Path, picture: np.ndarray) -> None:
    """Whole or not at all; a link in its place is replaced, what it led to is not touched."""
    handle, name = tempfile.mkstemp(prefix=".explain-", suffix=".png", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            Image.fromarray(picture).save(file, "PNG")
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
