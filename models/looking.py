"""What a network is to see of one picture: decode it no larger than it takes, find its faces, cut
the crops."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from models import faces as face_cutter
from models import images
from models.errors import ImageError
from models.face_spec import FaceSpec
from models.faces import Face
from models.images import Picture

FacesMode = Literal["auto", "all", "largest", "whole"]
FACES_MODES: tuple[FacesMode, ...] = ("auto", "all", "largest", "whole")

ENOUGH_PX = 1000
"""Longer side that a picture is decoded to at least: the finest search looks at 640 pixels."""
BLUR = 2.0
"""A crop may be enlarged this much before its picture is decoded finer. So were FER2013's faces of
48 pixels, which the expression model learnt from."""


@dataclass(frozen=True)
class Look:
    """A picture between finding and classifying.

    Attributes:
        width: of the upright picture, in pixels.
        height: likewise.
        faces: in pixels of the upright picture, largest first.
        crops: uint8 (size, size, 3), RGB: one a face, or one of the whole picture.
        corners: of each crop's square, (4, 2), in pixels of the upright picture.
        timings_ms: decode and detect (find and cut).
    """

    width: int
    height: int
    faces: tuple[Face, ...]
    crops: list[np.ndarray]
    corners: list[np.ndarray]
    timings_ms: dict[str, float]


class Looker:
    """Looks at pictures for one bundle. Not for threads.

    Args:
        spec: which crop the bundle wants.
        size: side of its network's input, in pixels.
        max_pixels: larger pictures are refused.
    """

    def __init__(self, spec: FaceSpec, size: int, max_pixels: int) -> None:
        self._spec = spec
        self._size = size
        self._max_pixels = max_pixels
        self._detector = face_cutter.detector(spec.detector)

    def look_or_say(self, source: bytes | np.ndarray, mode: FacesMode) -> Look | ImageError:
        """Look, or the error that says why there is nothing to see."""
        try:
            return self.look(source, mode)
        except ImageError as error:
            return error

    def look_through(self, frames: Sequence[np.ndarray], mode: FacesMode) -> list[Look]:
        """Look at consecutive frames of a video.

        The first is searched as a picture is. What was found is then looked for around its place
        in each of them, the first too: finer landmarks at a fifth of the cost. A face that comes in
        later is seen with the next call.

        Args:
            frames: uint8 (height, width, 3), RGB.
            mode: see `Predictor.classify`.
        """
        known: Sequence[Face] | None = None
        if frames and self._finds(mode):
            known = self._detector.detect(frames[0], "all" if mode == "all" else "auto")
        looks: list[Look] = []
        for frame in frames:
            looks.append(self.look(frame, mode, known))
            known = None if known is None else looks[-1].faces
        return looks

    def look(
        self,
        source: bytes | np.ndarray,
        mode: FacesMode,
        known: Sequence[Face] | None = None,
    ) -> Look:
        """Look at one picture.

        Args:
            source: a file's bytes, or decoded uint8 (height, width, 3) RGB.
            mode: see `Predictor.classify`.
            known: faces of the frame before of a video: only these are looked for.

        Raises:
            ImageError: see `models.images.decode`.
        """
        began = time.perf_counter()
        picture = self._decoded(source, ENOUGH_PX)
        decode_s, began = time.perf_counter() - began, time.perf_counter()
        cut: list[Face | None] = [None]
        faces: list[Face] = []
        if self._finds(mode):
            faces = self._found(picture.pixels, mode, known)
            cut = list(faces)
        detect_s = time.perf_counter() - began
        began = time.perf_counter()
        finer = self._finer(source, picture, cut)
        decode_s += time.perf_counter() - began
        began = time.perf_counter()
        inside = [face and face.scaled(picture.scale / finer.scale) for face in cut]
        crops = [face_cutter.crop(finer.pixels, face, self._spec, self._size) for face in inside]
        corners = [
            face_cutter.corners(finer.pixels, face, self._spec) * finer.scale for face in inside
        ]
        told = tuple(face.scaled(picture.scale) for face in faces)
        if not told and cut and self._spec.wanted:  # the whole picture is the face
            box = (0.0, 0.0, float(picture.width), float(picture.height))
            told = (Face(box, 1.0, ((0.0, 0.0),) * 5),)
        detect_s += time.perf_counter() - began
        timings = {"decode": decode_s * 1e3, "detect": detect_s * 1e3}
        return Look(picture.width, picture.height, told, crops, corners, timings)

    def _finds(self, mode: FacesMode) -> bool:
        return mode != "whole" and (mode != "auto" or self._spec.wanted)

    def _found(
        self, pixels: np.ndarray, mode: FacesMode, known: Sequence[Face] | None
    ) -> list[Face]:
        if known is not None:
            faces = self._detector.again(pixels, known)
        else:
            faces = self._detector.detect(pixels, "all" if mode == "all" else "auto")
        return faces[:1] if mode == "largest" else faces

    def _decoded(self, source: bytes | np.ndarray, enough_px: int) -> Picture:
        if isinstance(source, bytes):
            return images.decode_enough(source, enough_px, self._max_pixels)
        return Picture(source, source.shape[1], source.shape[0], 1.0)

    def _finer(
        self, source: bytes | np.ndarray, picture: Picture, cut: Sequence[Face | None]
    ) -> Picture:
        """The picture again, where its smallest crop would be enlarged too much; else itself."""
        if picture.scale == 1 or not cut or not isinstance(source, bytes):
            return picture
        smallest = min(face_cutter.side(picture.pixels, face, self._spec) for face in cut)
        wanted = self._size / BLUR / max(smallest, 1.0)
        if wanted <= 1:
            return picture
        decoded_px = max(picture.pixels.shape[:2])
        return self._decoded(source, round(min(wanted, picture.scale) * decoded_px))
