"""Find faces in a picture; cut and align the square that a network sees. The same code trains and
serves."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import cv2
import numpy as np

from models.errors import UsageError
from models.face_finder import FaceFinder
from models.face_spec import FaceSpec

WARPED_PX = 32_000
"""Longest side that is warped: OpenCV counts pixels in 16 bits."""

Point = tuple[float, float]
Search = Literal["auto", "all"]


@dataclass(frozen=True)
class Face:
    """One face, in pixels of the upright picture.

    Attributes:
        box: x, y, width, height; may reach past the picture's edge where the face does.
        score: the detector's confidence, 0 to 1.
        landmarks: eye, eye, nose tip, mouth corner, mouth corner; of each pair the one further left
            in the picture first.
    """

    box: tuple[float, float, float, float]
    score: float
    landmarks: tuple[Point, Point, Point, Point, Point]

    @property
    def area(self) -> float:
        """Of the box, in square pixels."""
        return self.box[2] * self.box[3]

    def scaled(self, factor: float) -> "Face":
        """The same face in a picture of `factor` times the size."""
        if factor == 1:
            return self
        x, y, width, height = (value * factor for value in self.box)
        marks = tuple((x * factor, y * factor) for x, y in self.landmarks)
        return Face((x, y, width, height), self.score, marks)  # type: ignore[arg-type]

    def moved(self, right: float, down: float) -> "Face":
        """The same face in a picture that reaches so much further to the left and up."""
        x, y, width, height = self.box
        marks = tuple((x + right, y + down) for x, y in self.landmarks)
        return Face((x + right, y + down, width, height), self.score, marks)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Jitter:
    """A random change of the cut, for training: done in the one warp, so that pixels are resampled
    once.

    Attributes:
        angle_degrees: turned counter-clockwise by this.
        scale: side of the cut times this.
        shift_x: centre moved right by this share of the side.
        shift_y: centre moved down by this share of the side.
        mirror: left and right exchanged.
    """

    angle_degrees: float = 0.0
    scale: float = 1.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    mirror: bool = False


class Detector(Protocol):
    """What any face detector does."""

    def detect(self, image: np.ndarray, search: Search = "auto") -> list[Face]:
        """Find the faces of a picture.

        Args:
            image: uint8 (height, width, 3), RGB.
            search: `auto` looks quickly, and stops at a portrait; `all` looks finely too, for
                small faces.

        Returns:
            Largest first; empty when there is none.
        """
        ...

    def again(self, image: np.ndarray, faces: Sequence[Face]) -> list[Face]:
        """Find faces of the frame before in the next frame of a video, around where they were.

        Args:
            image: uint8 (height, width, 3), RGB.
            faces: as they stood before.

        Returns:
            Largest first, without those that are no longer there.
        """
        ...


class YuFace:
    """libfacedetection's network; see `models.face_finder`."""

    # Longer side that the picture is brought to, coarse to fine.
    LEVELS_PX: Mapping[Search, tuple[int, ...]] = {"auto": (160, 320), "all": (160, 320, 640)}
    PORTRAIT = 0.15  # a face this share of the longer side ends a search that is not for all
    MIN_SCORE = 0.6  # less sure ones are no faces
    MIN_SIDE_PX = 32  # the library's anchors need this much; a thinner picture is padded
    AROUND = 2.0  # a face of the frame before is looked for in a window so many faces wide,
    AROUND_PX = 96  # brought to this side: landmarks are finer than in the whole picture at 320

    def __init__(self, min_score: float = MIN_SCORE) -> None:
        self._find = FaceFinder()
        self._min_score = min_score

    def detect(self, image: np.ndarray, search: Search = "auto") -> list[Face]:
        """See `Detector.detect`.

        Costs about 2 ms at 160 px, 6 ms more at 320 px and 25 ms more at 640 px.
        """
        faces: list[Face] = []
        long_side = max(image.shape[:2])
        for level, side in enumerate(self.LEVELS_PX[search]):
            if level and side > 2 * long_side:  # enlarging further shows nothing new
                break
            faces = _merge(faces + self._at(image, side / long_side))
            if search == "auto" and faces and faces[0].box[2] >= self.PORTRAIT * long_side:
                break
        return faces

    def again(self, image: np.ndarray, faces: Sequence[Face]) -> list[Face]:
        """See `Detector.again`. Costs about 1.5 ms a face."""
        return _merge(found for face in faces if (found := self._around(image, face)))

    def _around(self, image: np.ndarray, face: Face) -> Face | None:
        """The face near its last place, if it is there: of several the one most like it."""
        x, y, width, height = face.box
        half = max(width, height) * self.AROUND / 2
        centre = np.array([x + width / 2, y + height / 2])
        edge = [image.shape[1], image.shape[0]]
        left, top = np.clip(np.floor(centre - half), 0, edge).astype(int)
        right, bottom = np.clip(np.ceil(centre + half), 0, edge).astype(int)
        if right - left < 2 or bottom - top < 2:
            return None
        found = [
            seen.moved(float(left), float(top))
            for seen in self._at(image[top:bottom, left:right], self.AROUND_PX / (2 * half))
        ]
        same = max(found, key=lambda seen: _overlap(seen, face), default=None)
        return same if same and _overlap(same, face) > 0.2 else None

    def _at(self, image: np.ndarray, scale: float) -> list[Face]:
        height, width = image.shape[:2]
        size = max(1, round(width * scale)), max(1, round(height * scale))
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        small = cv2.cvtColor(
            cv2.resize(image, size, interpolation=interpolation), cv2.COLOR_RGB2BGR
        )
        missing = max(0, self.MIN_SIDE_PX - size[0]), max(0, self.MIN_SIDE_PX - size[1])
        if any(missing):
            small = cv2.copyMakeBorder(small, 0, missing[1], 0, missing[0], cv2.BORDER_REPLICATE)
        back = np.tile([width / size[0], height / size[1]], 7)
        rows = self._find(small).astype(float)
        return [
            _face(
                score / 100.0,
                (row[:4] * back[:4]).reshape(2, 2),
                (row[4:] * back[4:]).reshape(5, 2),
            )
            for score, row in zip(rows[:, 0], rows[:, 1:], strict=True)
            if score > 100 * self._min_score
            if row[2] > 0 and row[3] > 0 and row[0] < size[0] and row[1] < size[1]
        ]


_DETECTORS: dict[str, Callable[[], Detector]] = {"yuface": YuFace}


def detector(name: str = "yuface") -> Detector:
    """A detector by name.

    Raises:
        UsageError: unknown name.
    """
    if name not in _DETECTORS:
        raise UsageError(
            f"There is no face detector named {name!r}. Known: {', '.join(sorted(_DETECTORS))}."
        )
    return _DETECTORS[name]()


def crop(
    image: np.ndarray, face: Face | None, spec: FaceSpec, size: int, jitter: Jitter | None = None
) -> np.ndarray:
    """Cut the square that a network sees, in one resampling from the picture.

    Args:
        image: uint8 (height, width, 3), RGB, upright.
        face: whose face; None for the centre square of the whole picture.
        spec: how to align.
        size: side of the result, in pixels.
        jitter: for training only.

    Returns:
        uint8 (size, size, 3), RGB. What lies outside the picture repeats its edge.
    """
    centre, side, angle = _whole(image, spec) if face is None else _square(face, spec)
    jitter = jitter or Jitter()
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = centre + turn @ np.array([jitter.shift_x, jitter.shift_y]) * side
    side *= jitter.scale
    angle += np.deg2rad(jitter.angle_degrees)
    return _warp(image, centre, side, angle, size, jitter.mirror)


def corners(image: np.ndarray, face: Face | None, spec: FaceSpec) -> np.ndarray:
    """Where `crop` (without jitter) cuts.

    Args:
        image: as for `crop`; only its size counts.
        face: likewise.
        spec: likewise.

    Returns:
        float (4, 2): x, y of the square's top left, top right, bottom right and bottom left corner
        in pixels of the picture, as seen in the crop; may lie outside the picture. (0, 0) is the
        outer corner of the first pixel.
    """
    centre, side, angle = _whole(image, spec) if face is None else _square(face, spec)
    across = np.array([np.cos(angle), np.sin(angle)]) * max(side, 1.0) / 2
    down = np.array([-across[1], across[0]])
    return np.array(
        [centre - across - down, centre + across - down, centre + across + down,
         centre - across + down]
    )  # fmt: skip


def side(image: np.ndarray, face: Face | None, spec: FaceSpec) -> float:
    """Side of the square that `crop` (without jitter) cuts, in pixels; arguments as for `crop`."""
    return (_whole(image, spec) if face is None else _square(face, spec))[1]


def _face(score: float, box: np.ndarray, marks: np.ndarray) -> Face:
    order = [
        *sorted((0, 1), key=lambda i: marks[i, 0]),
        2,
        *sorted((3, 4), key=lambda i: marks[i, 0]),
    ]
    points = tuple((float(x), float(y)) for x, y in marks[order])
    (x, y), (width, height) = box.tolist()
    return Face((x, y, width, height), min(1.0, float(score)), points)  # type: ignore[arg-type]


def _merge(faces: Iterable[Face]) -> list[Face]:
    """Each face once, largest first; of two sightings the coarser level's, which comes first."""
    kept: list[Face] = []
    for face in faces:
        if all(_overlap(face, other) < 0.4 for other in kept):
            kept.append(face)
    return sorted(kept, key=lambda face: -face.area)


def _overlap(a: Face, b: Face) -> float:
    """Intersection over the smaller box: a face inside a face is the same face."""
    width = min(a.box[0] + a.box[2], b.box[0] + b.box[2]) - max(a.box[0], b.box[0])
    height = min(a.box[1] + a.box[3], b.box[1] + b.box[3]) - max(a.box[1], b.box[1])
    return max(0.0, width) * max(0.0, height) / max(1e-9, min(a.area, b.area))


def _whole(image: np.ndarray, spec: FaceSpec) -> tuple[np.ndarray, float, float]:
    height, width = image.shape[:2]
    return np.array([width / 2, height / 2]), min(height, width) * spec.centre, 0.0


def _square(face: Face, spec: FaceSpec) -> tuple[np.ndarray, float, float]:
    """Centre (2,), side in pixels and angle in radians of a face's crop."""
    x, y, width, height = face.box
    boxed = np.array([x + width / 2, y + height / 2]), max(width, height) * spec.span, 0.0
    if spec.align == "box":
        return boxed
    marks = np.array(face.landmarks)
    eyes, mouth = marks[:2].mean(axis=0), marks[3:].mean(axis=0)
    distance = float(np.hypot(*(mouth - eyes)))
    if distance < 0.15 * height:  # landmarks fell together: trust the box
        return boxed[0], max(width, height) * spec.span / 2.2, 0.0
    line = marks[1] - marks[0]
    if (
        np.hypot(*line) < 0.3 * distance
    ):  # a profile: the eyes say nothing of the tilt, eyes to mouth does
        line = np.array([(mouth - eyes)[1], -(mouth - eyes)[0]])
    return (eyes + mouth) / 2, distance * spec.span, float(np.arctan2(line[1], line[0]))


def _warp(
    image: np.ndarray, centre: np.ndarray, side: float, angle: float, size: int, mirror: bool
) -> np.ndarray:
    side = max(side, 1.0)
    if side > 2 * size or max(image.shape[:2]) > WARPED_PX:
        # Bilinear sampling would skip pixels: average them first. And OpenCV warps no larger ones.
        reach = side * 0.75 + 2  # half a diagonal is 0.71 of the side
        edge = np.array([image.shape[1], image.shape[0]])
        left, top = np.clip(np.floor(centre - reach), 0, edge - 1).astype(int)
        right, bottom = np.clip(np.ceil(centre + reach), 0, edge).astype(int)
        image = image[top : max(bottom, top + 1), left : max(right, left + 1)]
        centre = centre - [left, top]
    if side > 2 * size:
        new = (
            max(1, round(image.shape[1] * size / side)),
            max(1, round(image.shape[0] * size / side)),
        )
        scale = np.array([new[0] / image.shape[1], new[1] / image.shape[0]])
        image, centre = cv2.resize(image, new, interpolation=cv2.INTER_AREA), centre * scale
        side *= float(np.sqrt(scale.prod()))
    step = side / size
    across = np.array([np.cos(angle), np.sin(angle)]) * step * (-1 if mirror else 1)
    down = np.array([-np.sin(angle), np.cos(angle)]) * step
    origin = (
        centre - (across + down) * (size - 1) / 2 - 0.5
    )  # pixel centres stand at whole numbers in OpenCV
    matrix = np.column_stack([across, down, origin])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(image, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    )
