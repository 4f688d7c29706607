"""From what each frame of a video shows to what is told of it: the same faces, steady labels."""

from collections.abc import Sequence

import msgspec
import numpy as np

from models.tracking import Sighting, Steady, Tracked, Tracker
from service.protocol import ImageProblem, ImageResult


class TrackedFace(msgspec.Struct, frozen=True):
    """One face of the video on one frame.

    Attributes:
        id: the same through the video, from 1; one that was gone for a second or more is a new one.
        box: x, y, width, height in pixels of the upright frame.
        seen: this frame shows it; False for one that was missed and is told from the frames before.
        label: steadied: the smoothed probabilities' winner, unless it has only just won.
        probability: the label's own, smoothed, 0 to 1.
        probabilities: by label, smoothed, highest first, cut to `top`.
    """

    id: int
    box: tuple[float, float, float, float]
    seen: bool
    label: str
    probability: float
    probabilities: dict[str, float]


class FrameResult(msgspec.Struct, frozen=True):
    """One frame of the video; label and probabilities are those of its largest face.

    For a model that wants no face they are those of the whole frame, smoothed likewise.
    """

    frame: int
    time: float
    label: str | None = None
    probability: float | None = None
    probabilities: dict[str, float] = {}
    faces: list[TrackedFace] = []
    error: ImageProblem | None = None


class Steadier:
    """What is told of one video, frame by frame.

    Args:
        labels: of the model.
        top: how many labels each answer holds; None for all.
        smooth_s: time constant of the probabilities, in seconds; 0 for none.
        frame_s: how long a frame lasts, in seconds.
    """

    def __init__(
        self, labels: Sequence[str], top: int | None, smooth_s: float, frame_s: float
    ) -> None:
        self._labels = list(labels)
        self._top = top
        self._tracker = Tracker(smooth_s, frame_s)
        self._whole = Steady(smooth_s)
        self._frame_s = frame_s
        self._last_s: float | None = None

    def add(self, number: int, time_s: float, result: ImageResult) -> FrameResult:
        """Take in the next frame's own answer; `result` holds every label."""
        told = FrameResult(number, round(time_s, 4), error=result.error)
        if result.label is not None and not result.faces:
            passed_s = self._frame_s if self._last_s is None else time_s - self._last_s
            self._last_s = time_s
            self._whole.update(self._row(result.probabilities), passed_s)
            answer = self._answer(self._whole.label, self._whole.probabilities)
            return msgspec.structs.replace(told, **answer)
        seen = [Sighting(face.box, self._row(face.probabilities)) for face in result.faces]
        faces = [self._face(face) for face in self._tracker.update(time_s, seen)]
        if not faces:
            return told
        first = faces[0]
        return msgspec.structs.replace(
            told,
            label=first.label,
            probability=first.probability,
            probabilities=first.probabilities,
            faces=faces,
        )

    def _face(self, face: Tracked) -> TrackedFace:
        x, y, width, height = (round(value, 1) for value in face.box)
        answer = self._answer(face.label, face.probabilities)
        return TrackedFace(face.id, (x, y, width, height), face.seen, **answer)  # type: ignore[arg-type]

    def _answer(self, label: int, row: np.ndarray) -> dict[str, object]:
        order = sorted(range(len(self._labels)), key=lambda i: -row[i])[: self._top]
        return {
            "label": self._labels[label],
            "probability": round(float(row[label]), 5),
            "probabilities": {self._labels[i]: round(float(row[i]), 5) for i in order},
        }

    def _row(self, probabilities: dict[str, float]) -> np.ndarray:
        return np.array([probabilities[label] for label in self._labels])
