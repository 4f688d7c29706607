"""A set's images in memory: decoded once, the face found once, cut as often as training asks.

Crops for training are jittered and cut in one warp from what is kept here; nothing that was
resampled is resampled again, except that a large photograph is first brought near the crop's size.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from models import augment, faces, images
from models.augment import Augmentation
from models.datasets import Dataset, Sample
from models.errors import DataError, ImageError
from models.face_spec import FaceSpec
from models.faces import Face, Jitter

_KEEP_BYTES = 1_000_000  # a picture up to this size is kept as it is
_DETAIL = 2.0  # larger ones are shrunk until the crop's side is this many times the input's


@dataclass(frozen=True)
class Problem:
    """An image that cannot be used, and why."""

    sample: Sample
    reason: str


@dataclass(frozen=True)
class Pictures:
    """Images ready to be cut, in the order of `dataset.samples`.

    Attributes:
        dataset: only the samples that are here.
        unreadable: images left out because they cannot be decoded.
        faceless: images left out because no face was found on them.
        whole: how many images are used whole though faces are wanted (no face was found).
    """

    dataset: Dataset
    spec: FaceSpec
    size: int
    pixels: tuple[np.ndarray, ...]
    found: tuple[Face | None, ...]
    unreadable: tuple[Problem, ...] = ()
    faceless: tuple[Problem, ...] = ()
    whole: int = 0

    def __len__(self) -> int:
        return len(self.pixels)

    def crops(
        self, indices: Sequence[int], key: str = "", change: Augmentation | None = None
    ) -> list[np.ndarray]:
        """Cut the squares the network sees.

        Args:
            indices: which samples.
            key: names the draw of changes (seed and epoch, say); empty for none. The same key and
                sample give the same crop, whatever was cut before.
            change: how they are varied; by default as a head's training does.

        Returns:
            uint8 arrays (size, size, 3), RGB.
        """
        if not key:
            return [self._cut(i, None) for i in indices]
        change = augment.usual(self.spec.wanted, True) if change is None else change
        crops = []
        for i in indices:
            draw = np.random.default_rng(zlib.crc32(f"{key}/{i}".encode()))
            crops.append(change.relit(draw, self._cut(i, change.jitter(draw))))
        return crops

    def _cut(self, index: int, change: Jitter | None) -> np.ndarray:
        return faces.crop(self.pixels[index], self.found[index], self.spec, self.size, change)


def read(
    dataset: Dataset,
    spec: FaceSpec,
    size: int,
    tick: Callable[[], None] = lambda: None,
    whole_if_faceless: bool = False,
) -> Pictures:
    """Decode every image and find its largest face.

    Args:
        dataset: what to read.
        spec: whether and how faces are cut.
        size: side of the network's input in pixels.
        tick: called once an image.
        whole_if_faceless: use an image without a face whole; else it is left out.

    Raises:
        DataError: too little is left to train on.
    """
    detector = faces.detector(spec.detector) if spec.wanted else None
    kept: list[tuple[Sample, np.ndarray, Face | None]] = []
    unreadable: list[Problem] = []
    faceless: list[Problem] = []
    whole = 0
    for sample in dataset.samples:
        tick()
        try:
            image = images.read(sample.path)
        except ImageError as error:
            unreadable.append(Problem(sample, str(error)))
            continue
        face = largest(detector, image) if detector else None
        if detector and face is None:
            if not whole_if_faceless:
                faceless.append(Problem(sample, "No face was found."))
                continue
            whole += 1
        kept.append((sample, *_shrunk(image, face, spec, size)))
    if not kept:
        raise DataError(_none_left(dataset, unreadable, faceless))
    try:
        left = dataset.keep(tuple(sample for sample, _, _ in kept))
    except DataError as error:
        raise DataError(f"{error}{_left_out([*unreadable, *faceless])}") from None
    pixels, found = tuple(p for _, p, _ in kept), tuple(f for _, _, f in kept)
    return Pictures(left, spec, size, pixels, found, tuple(unreadable), tuple(faceless), whole)


def largest(detector: faces.Detector, image: np.ndarray) -> Face | None:
    """The largest face of a picture, if there is one."""
    found = detector.detect(image)
    return found[0] if found else None


def shows_faces(dataset: Dataset, look_at: int = 40, share: float = 0.9) -> bool:
    """Whether nearly every one of a few images spread over the set shows a large face.

    Large: at least an eighth of the shorter side, so that a photograph of a street with
    people in it is not taken for a portrait.
    """
    detector = faces.detector(FaceSpec(wanted=True).detector)
    step = max(1, len(dataset.samples) // look_at)
    seen = hits = 0
    for sample in dataset.samples[::step][:look_at]:
        try:
            image = images.read(sample.path)
        except ImageError:
            continue
        face = largest(detector, image)
        seen += 1
        hits += face is not None and face.box[2] >= 0.12 * min(image.shape[:2])
    return seen > 0 and hits >= share * seen


def _left_out(problems: list[Problem]) -> str:
    if not problems:
        return ""
    first = problems[0]
    verb = "image was" if len(problems) == 1 else "images were"
    return f" {len(problems)} {verb} left out; {first.sample.path.name}: {first.reason}"


def _none_left(dataset: Dataset, unreadable: list[Problem], faceless: list[Problem]) -> str:
    if faceless:
        return (
            f"No face was found on any of the {len(faceless)} readable images in {dataset.root}. "
            "Train on whole images with --faces no."
        )
    first = unreadable[0]
    return (
        f"None of the {len(unreadable)} images in {dataset.root} can be read "
        f"({first.sample.path.name}: {first.reason}) Replace them."
    )


def _shrunk(
    image: np.ndarray, face: Face | None, spec: FaceSpec, size: int
) -> tuple[np.ndarray, Face | None]:
    """A large picture cut to the surroundings of its face and brought near the crop's size."""
    if image.nbytes <= _KEEP_BYTES:
        return image, face
    if face is None:
        factor = _DETAIL * size / min(image.shape[:2])
        return _resized(image, factor), None
    marks = np.array(face.landmarks)
    distance = float(np.hypot(*(marks[3:].mean(axis=0) - marks[:2].mean(axis=0))))
    side = max(face.box[2], face.box[3], distance * spec.span)
    centre = marks.mean(axis=0)
    low = np.maximum(np.floor(centre - 1.5 * side), 0).astype(int)
    high = np.ceil(centre + 1.5 * side).astype(int)
    part = image[low[1] : high[1], low[0] : high[0]]
    factor = min(1.0, _DETAIL * size / side)
    x, y, width, height = face.box
    moved = replace(
        face,
        box=((x - low[0]) * factor, (y - low[1]) * factor, width * factor, height * factor),
        landmarks=tuple(map(tuple, (marks - low) * factor)),  # type: ignore[arg-type]
    )
    return _resized(part, factor), moved


def _resized(image: np.ndarray, factor: float) -> np.ndarray:
    if factor >= 1:
        return np.ascontiguousarray(image)
    height, width = image.shape[:2]
    to = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(cv2.resize(image, to, interpolation=cv2.INTER_AREA))
