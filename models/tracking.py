"""Faces through the frames of a video: which is which, and labels that hold still.

Knows no Paddle and no pictures: numbers of each frame in, steadied ones out. Every constant is in
seconds or in sizes of a face, so that neither frame rate nor resolution change what comes out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

Box = tuple[float, float, float, float]

HOLD_S = 0.25
"""A face that is missed is shown where it was for so long."""
FORGET_S = 1.0
"""One that comes back within this is the same face; later it is a new one."""
REACH = 1.0
"""How far a face may have gone between two sightings, in its own sizes."""
GROWTH = 1.6
"""How many times as large it may have become."""
LEAD = 0.1
"""A label gives way when another's smoothed probability leads by this,"""
LEAD_S = 0.5
"""or has led at all for so long."""
STILL_S = 0.15
"""Time constant of a box that trembles in its place; one that goes somewhere follows at once."""


@dataclass(frozen=True)
class Sighting:
    """A face as one frame shows it.

    Attributes:
        box: x, y, width, height in pixels.
        probabilities: float (labels,).
    """

    box: Box
    probabilities: np.ndarray


@dataclass(frozen=True)
class Tracked:
    """A face as it is told.

    Attributes:
        id: of the face in this video, from 1.
        box: steadied, as of `Sighting`.
        label: index of the shown label.
        probabilities: float (labels,), smoothed.
        seen: this frame shows it; else it is told from the frames before.
    """

    id: int
    box: Box
    label: int
    probabilities: np.ndarray
    seen: bool


@dataclass
class Steady:
    """Smoothed probabilities and the label that is shown for them.

    An exponential mean whose weights add up to 1 from the first frame on, so that the first frames
    count alike. The label changes when another one clearly leads, see LEAD and LEAD_S.

    Args:
        smooth_s: time constant in seconds; 0 shows each frame for itself.
    """

    smooth_s: float
    label: int = -1
    probabilities: np.ndarray = field(default_factory=lambda: np.zeros(0))
    _sum: np.ndarray | float = 0.0
    _weight: float = 0.0
    _led_s: float = 0.0

    def update(self, probabilities: np.ndarray, passed_s: float) -> None:
        """Take in one frame's probabilities, `passed_s` after the last one's."""
        keep = math.exp(-passed_s / self.smooth_s) if self.smooth_s > 0 else 0.0
        keep = min(keep, 1 - 1e-6)  # two frames at one time: the second counts a little
        self._sum = self._sum * keep + probabilities * (1 - keep)
        self._weight = self._weight * keep + 1 - keep
        self.probabilities = np.asarray(self._sum / self._weight)
        best = int(self.probabilities.argmax())
        if self.label < 0 or self.smooth_s <= 0:
            self.label = best
        lead = self.probabilities[best] - self.probabilities[self.label]
        self._led_s = self._led_s + passed_s if best != self.label else 0.0
        if lead >= LEAD or self._led_s >= LEAD_S:
            self.label, self._led_s = best, 0.0


@dataclass
class _Track:
    id: int
    box: Box
    steady: Steady
    last_s: float  # when it was last seen
    raw: Box

    def see(self, sighting: Sighting, now_s: float, frame_s: float) -> None:
        passed_s = now_s - self.last_s or frame_s
        self.box = _calmed(self.box, sighting.box, passed_s)
        self.steady.update(sighting.probabilities, passed_s)
        self.raw, self.last_s = sighting.box, now_s


class Tracker:
    """Names the faces of one video.

    Args:
        smooth_s: time constant of the probabilities, in seconds; 0 for none, and no held label.
        frame_s: how long a frame lasts, in seconds.
    """

    def __init__(self, smooth_s: float, frame_s: float) -> None:
        self._smooth_s = smooth_s
        self._frame_s = frame_s
        self._tracks: list[_Track] = []
        self._ids = 0

    def update(self, now_s: float, sightings: Sequence[Sighting]) -> list[Tracked]:
        """Take in one frame.

        Args:
            now_s: its time; never less than the last one's.
            sightings: the faces found on it.

        Returns:
            The faces to show, largest first: those seen, and those missed since HOLD_S at most.
        """
        self._tracks = [track for track in self._tracks if now_s - track.last_s <= FORGET_S]
        seen = set()
        pairs = self._pairs(sightings)
        for number, sighting in enumerate(sightings):
            track = pairs.get(number) or self._begin(sighting, now_s)
            track.see(sighting, now_s, self._frame_s)
            seen.add(track.id)
        shown = [
            Tracked(t.id, t.box, t.steady.label, t.steady.probabilities, t.id in seen)
            for t in self._tracks
            if t.id in seen or now_s - t.last_s <= HOLD_S
        ]
        return sorted(shown, key=lambda face: -face.box[2] * face.box[3])

    def _begin(self, sighting: Sighting, now_s: float) -> _Track:
        self._ids += 1
        box = sighting.box
        track = _Track(self._ids, box, Steady(self._smooth_s), now_s, box)
        self._tracks.append(track)
        return track

    def _pairs(self, sightings: Sequence[Sighting]) -> dict[int, _Track]:
        """Which sighting goes on with which track: the nearest pairs first, each once."""
        near = sorted(
            (distance, number, place)
            for number, sighting in enumerate(sightings)
            for place, track in enumerate(self._tracks)
            if (distance := apart(track.raw, sighting.box)) <= REACH
        )
        pairs: dict[int, _Track] = {}
        taken: set[int] = set()
        for _, number, place in near:
            if number not in pairs and place not in taken:
                pairs[number] = self._tracks[place]
                taken.add(place)
        return pairs


def apart(a: Box, b: Box) -> float:
    """How far two boxes' centres lie apart, in sizes of a face; infinite if one is much larger."""
    size_a, size_b = math.sqrt(max(1e-9, a[2] * a[3])), math.sqrt(max(1e-9, b[2] * b[3]))
    if max(size_a, size_b) > GROWTH * min(size_a, size_b):
        return math.inf
    dx = a[0] + a[2] / 2 - b[0] - b[2] / 2
    dy = a[1] + a[3] / 2 - b[1] - b[3] / 2
    return math.hypot(dx, dy) / ((size_a + size_b) / 2)


def _calmed(shown: Box, found: Box, passed_s: float) -> Box:
    """The box between where it was shown and where it was found: nearer to the latter, the further
    they are apart. A tenth of a face's size is no trembling any more."""
    moved = max(abs(f - s) for s, f in zip(shown, found, strict=True))
    going = min(1.0, moved / max(1e-9, 0.1 * max(found[2:])))
    new = going + (1 - going) * (1 - math.exp(-passed_s / STILL_S))
    x, y, width, height = (s + (f - s) * new for s, f in zip(shown, found, strict=True))
    return x, y, width, height
