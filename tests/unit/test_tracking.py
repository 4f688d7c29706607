"""Which face is which through a video, and labels that hold still."""

from itertools import pairwise

import numpy as np
import pytest

from models.tracking import FORGET_S, HOLD_S, LEAD_S, Sighting, Steady, Tracked, Tracker, apart

LABELS = 3


def _at(x: float, y: float = 100, size: float = 50, label: int = 0, sure: float = 0.9) -> Sighting:
    row = np.full(LABELS, (1 - sure) / (LABELS - 1))
    row[label] = sure
    return Sighting((x, y, size, size), row)


def _run(
    frames: list[list[Sighting]], fps: float = 30, smooth_s: float = 0.5
) -> list[list[Tracked]]:
    tracker = Tracker(smooth_s, 1 / fps)
    return [tracker.update(n / fps, sightings) for n, sightings in enumerate(frames)]


def _flips(labels: list[int]) -> int:
    return sum(a != b for a, b in pairwise(labels))


def test_two_faces_keep_their_ids_whatever_order_they_are_found_in() -> None:
    frames = [[_at(100 + 3 * n), _at(300 - 2 * n, 140)][:: 1 if n % 2 else -1] for n in range(30)]
    for shown in _run(frames):
        ids = [face.id for face in sorted(shown, key=lambda face: face.box[0])]
        assert ids == [2, 1], "the right one was found first on the first frame"


def test_the_largest_is_told_first() -> None:
    (shown,) = _run([[_at(0, size=20), _at(200, size=80), _at(100, size=40)]])
    assert [face.box[2] for face in shown] == [80, 40, 20]


def test_a_missed_face_is_held_for_a_moment_and_told_as_not_seen() -> None:
    held = int(HOLD_S * 30)
    shown = _run([[_at(100)], *[[]] * (held + 2)])
    assert [face.seen for face in shown[0]] == [True]
    assert all([face.seen for face in faces] == [False] for faces in shown[1 : held + 1])
    assert shown[-1] == []


@pytest.mark.parametrize(("gone_s", "number"), [(FORGET_S - 0.1, 1), (FORGET_S + 0.1, 2)])
def test_who_is_back_within_a_second_is_the_same(gone_s: float, number: int) -> None:
    shown = _run([[_at(100)], *[[]] * (round(gone_s * 30) - 1), [_at(105)]])
    assert [face.id for face in shown[-1]] == [number]


@pytest.mark.parametrize(
    ("x", "size", "number"),
    [
        (100, 50, 1),  # where it was
        (140, 50, 1),  # gone by less than its size
        (160, 50, 2),  # further than its size in one frame: somebody else
        (90, 70, 1),  # nearer to the camera
        (75, 100, 2),  # twice as large at once
    ],
)
def test_what_counts_as_the_same_face(x: float, size: float, number: int) -> None:
    _, shown = _run([[_at(100)], [_at(x, 100, size)]])
    assert max(face.id for face in shown) == number


def test_of_two_near_ones_the_nearest_goes_on_and_each_once() -> None:
    _, shown = _run([[_at(100), _at(140)], [_at(120), _at(150)]])
    assert {face.id: face.box[0] > 125 for face in shown} == {1: False, 2: True}


def test_apart_is_told_in_sizes_of_a_face() -> None:
    assert apart((0, 0, 50, 50), (25, 0, 50, 50)) == pytest.approx(0.5)
    assert apart((0, 0, 500, 500), (250, 0, 500, 500)) == pytest.approx(0.5)


@pytest.mark.parametrize("fps", [10, 25, 60, 240])
def test_smoothing_is_the_same_at_any_frame_rate(fps: int) -> None:
    """A second of one expression, then 0.4 s of another."""
    steady = Steady(0.5)
    for n in range(round(1.4 * fps)):
        steady.update(_at(0, label=int(n >= fps)).probabilities, 1 / fps)
    expected = (1 - np.exp(-0.4 / 0.5)) / (1 - np.exp(-1.4 / 0.5)) * 0.85 + 0.05
    assert steady.probabilities[1] == pytest.approx(expected, abs=0.01)
    assert steady.probabilities.sum() == pytest.approx(1)


def test_the_first_frames_count_alike() -> None:
    steady = Steady(0.5)
    steady.update(np.array([1.0, 0.0]), 0.001)
    assert steady.probabilities.tolist() == [1, 0]
    steady.update(np.array([0.0, 1.0]), 0.001)
    assert steady.probabilities == pytest.approx([0.5, 0.5], abs=0.001)


def test_two_expressions_of_one_strength_do_not_flicker() -> None:
    random = np.random.default_rng(1)
    rows = [_at(100, label=int(random.random() < 0.5), sure=0.6) for _ in range(300)]
    flips = {
        smooth_s: _flips([shown[0].label for shown in _run([[row] for row in rows], 30, smooth_s)])
        for smooth_s in (0.0, 0.5)
    }
    assert flips[0.0] > 100 and flips[0.5] <= 10, flips


def test_a_new_expression_is_told_within_half_a_second() -> None:
    frames = [[_at(100, label=int(n >= 60))] for n in range(120)]
    labels = [shown[0].label for shown in _run(frames)]
    assert labels[59] == 0 and _flips(labels) == 1
    assert labels.index(1) - 60 <= 0.5 * 30


def test_a_small_lead_counts_when_it_lasts() -> None:
    steady = Steady(0.5)
    steady.update(np.array([0.6, 0.4]), 1.0)
    seconds = 0.0
    while steady.label == 0:
        steady.update(np.array([0.48, 0.52]), 0.05)  # never leads by LEAD
        seconds += 0.05
        assert seconds < 3
    assert seconds > LEAD_S


def test_without_smoothing_each_frame_speaks_for_itself() -> None:
    frames = [[_at(100, label=n % 2, sure=0.51)] for n in range(10)]
    assert [shown[0].label for shown in _run(frames, smooth_s=0)] == [0, 1] * 5


def test_a_trembling_box_is_calmed_and_a_moving_one_is_not_late() -> None:
    random = np.random.default_rng(2)
    trembling = [[_at(100 + random.normal(0, 1))] for _ in range(100)]
    shown = np.array([faces[0].box[0] for faces in _run(trembling)])
    found = np.array([faces[0].box[0] for faces in trembling])
    assert np.abs(np.diff(shown)).mean() < 0.5 * np.abs(np.diff(found)).mean()
    going = _run([[_at(100 + 10 * n)] for n in range(30)])
    assert going[-1][0].box[0] == pytest.approx(100 + 290)
