"""models/faces.py: found where they are, cut upright, the same at any size."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models import faces, images
from models.errors import UsageError
from models.face_spec import FaceSpec
from models.faces import Face, Jitter

SPEC = FaceSpec(wanted=True)


@pytest.fixture(scope="module")
def picture(face_jpeg: bytes) -> np.ndarray:
    return images.decode(face_jpeg)


@pytest.fixture(scope="module")
def face(picture: np.ndarray) -> Face:
    return faces.detector().detect(picture)[0]


def _resized(picture: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS))


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


@pytest.mark.parametrize("side", [160, 333, 512, 2000])
@pytest.mark.parametrize("search", ["auto", "all"])
def test_the_face_is_found_at_any_size(
    picture: np.ndarray, side: int, search: faces.Search
) -> None:
    (found,) = faces.detector().detect(_resized(picture, side), search)
    x, y, width, height = (value / side for value in found.box)
    assert 0.40 < x + width / 2 < 0.48 and 0.18 < y + height / 2 < 0.27
    assert 0.12 < width < 0.22 and 0.6 <= found.score <= 1


def test_landmarks_lie_in_their_order(face: Face) -> None:
    left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
    assert left_eye[0] < right_eye[0] and left_mouth[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])


def test_no_face_is_found_where_there_is_none(landscape_png: bytes) -> None:
    assert faces.detector().detect(images.decode(landscape_png), "all") == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (2, 3), (7, 400), (33, 31)])
def test_pictures_of_any_shape_are_searched_and_cut(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (*shape, 3), dtype=np.uint8)
    assert faces.detector().detect(noise, "all") == []
    assert faces.crop(noise, None, SPEC, 64).shape == (64, 64, 3)


def test_all_finds_a_small_face_beside_a_large_one(picture: np.ndarray) -> None:
    head = picture[0:220, 120:340]
    wide = np.full((1200, 1600, 3), 128, np.uint8)
    wide[0:1000, 0:1000] = np.asarray(Image.fromarray(head).resize((1000, 1000)))
    wide[1000:1120, 1300:1420] = np.asarray(Image.fromarray(head).resize((120, 120)))
    assert len(faces.detector().detect(wide, "auto")) == 1
    large, small = faces.detector().detect(wide, "all")
    assert large.area > 20 * small.area and small.box[0] > 1300


def test_looking_again_and_again_takes_no_more_memory(picture: np.ndarray) -> None:
    detector = faces.detector()
    small = _resized(picture, 160)

    def private_kb() -> int:
        lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
        return sum(int(line.split()[1]) for line in lines if line.startswith("Private"))

    for _ in range(50):
        detector.detect(small)
    before = private_kb()
    for _ in range(500):
        detector.detect(small)
    assert private_kb() - before < 2_000, "KB; a leak of the result buffer would be 18,000"


def test_an_unknown_detector_is_told_with_the_known() -> None:
    with pytest.raises(UsageError, match="yuface"):
        faces.detector("haar")


def test_eyes_and_mouth_come_to_the_same_place_in_every_crop(
    picture: np.ndarray, face: Face
) -> None:
    straight = faces.crop(picture, face, SPEC, 128)
    for angle in (-35, -10, 20, 40):
        turned = Image.fromarray(picture).rotate(angle, Image.Resampling.BICUBIC, center=(220, 120))
        again = np.asarray(turned)
        radians = np.deg2rad(angle)
        turn = np.array([[np.cos(radians), np.sin(radians)], [-np.sin(radians), np.cos(radians)]])
        points = (np.array(face.landmarks) - [220, 120]) @ turn.T + [220, 120]
        moved = replace(face, landmarks=tuple(map(tuple, points.tolist())))
        assert _difference(straight, faces.crop(again, moved, SPEC, 128)) < 6, angle


def test_a_crop_is_the_same_from_a_large_and_a_small_picture(
    picture: np.ndarray, face: Face
) -> None:
    big = np.asarray(Image.fromarray(picture).resize((2048, 2048), Image.Resampling.BICUBIC))
    points = tuple((4 * x, 4 * y) for x, y in face.landmarks)
    four = Face(tuple(4 * value for value in face.box), 1.0, points)  # type: ignore[arg-type]
    small = faces.crop(picture, face, SPEC, 96)
    assert _difference(small, faces.crop(big, four, SPEC, 96)) < 2


def test_a_whole_picture_is_cut_to_its_centre_square() -> None:
    wide = np.zeros((100, 300, 3), np.uint8)
    wide[:, 100:200] = 200
    crop = faces.crop(wide, None, FaceSpec(wanted=False), 50)
    assert crop.shape == (50, 50, 3) and crop[:, 1:-1].min() == 200


def test_a_whole_picture_is_cut_to_the_share_that_its_bundle_wants() -> None:
    wide = np.zeros((100, 300, 3), np.uint8)
    wide[10:90, 110:190] = 200
    spec = FaceSpec(wanted=False, centre=0.8)
    assert faces.crop(wide, None, spec, 80).min() == 200
    assert faces.corners(wide, None, spec)[[0, 2]].tolist() == [[110, 10], [190, 90]]
    assert faces.side(wide, None, spec) == 80


def test_a_crop_of_its_own_size_is_pixel_for_pixel_the_picture() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    assert np.array_equal(faces.crop(noise, None, SPEC, 64), noise)
    mirrored = faces.crop(noise, None, SPEC, 64, Jitter(mirror=True))
    assert np.array_equal(mirrored, noise[:, ::-1])


def test_jitter_moves_and_turns_as_it_says() -> None:
    picture = np.zeros((100, 100, 3), np.uint8)
    picture[50, 75] = 255  # right of the centre
    spot = np.unravel_index(
        faces.crop(picture, None, SPEC, 100, Jitter(angle_degrees=90))[..., 0].argmax(), (100, 100)
    )
    assert abs(int(spot[0]) - 24) <= 2 and abs(int(spot[1]) - 50) <= 2, "turned to the top"
    moved = faces.crop(picture, None, SPEC, 100, Jitter(shift_x=0.25))[..., 0]
    assert abs(int(moved.argmax() % 100) - 50) <= 1
    nearer = faces.crop(picture, None, SPEC, 100, Jitter(scale=0.6))[..., 0]
    assert int(nearer.argmax() % 100) > 85


def test_landmarks_that_fell_together_leave_the_box_to_cut_by(picture: np.ndarray) -> None:
    face = Face((182.0, 64.0, 86.0, 102.0), 0.9, ((225.0, 110.0),) * 5)
    crop = faces.crop(picture, face, SPEC, 64)
    boxed = faces.crop(picture, face, replace(SPEC, align="box", span=1.0), 64)
    assert np.array_equal(crop, boxed) and crop.std() > 20


def test_a_face_at_the_edge_repeats_the_edge(picture: np.ndarray) -> None:
    face = Face((-40.0, -40.0, 90.0, 100.0), 0.9, ((-20, 0), (20, 0), (0, 20), (-15, 40), (15, 40)))
    assert faces.crop(picture, face, SPEC, 64).shape == (64, 64, 3)
    outside = replace(face, landmarks=tuple((x - 900, y - 900) for x, y in face.landmarks))
    for size in (16, 64):
        assert faces.crop(picture, outside, SPEC, size).shape == (size, size, 3)


def test_example_is_the_picture_these_tests_speak_of(face_jpeg: bytes) -> None:
    assert Image.open(io.BytesIO(face_jpeg)).size == (512, 512)
