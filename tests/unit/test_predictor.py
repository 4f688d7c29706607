"""models/predictor.py with the shipped expression bundle."""

import numpy as np
import pytest

from models import bundle, faces, images
from models.errors import ImageError, UsageError
from models.predictor import Prediction, Predictor
from tests.conftest import PROJECT


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(bundle.load(PROJECT / "params" / "emotion"))


@pytest.fixture(scope="module")
def crops(predictor: Predictor, face_jpeg: bytes) -> list[np.ndarray]:
    """Nineteen different cuts of one face."""
    picture = images.decode(face_jpeg)
    (face,) = faces.detector().detect(picture)
    manifest = predictor.bundle.manifest
    jitters = [faces.Jitter(angle_degrees=2.0 * number) for number in range(19)]
    return [faces.crop(picture, face, manifest.faces, manifest.input.size, j) for j in jitters]


def _one(predictor: Predictor, picture: bytes | np.ndarray, **options: str) -> Prediction:
    (prediction,) = predictor.classify([picture], **options)  # type: ignore[arg-type]
    assert isinstance(prediction, Prediction)
    return prediction


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 8, 9, 19])
def test_any_number_of_crops_gets_its_rows(
    predictor: Predictor, crops: list[np.ndarray], count: int
) -> None:
    rows = predictor.probabilities(crops[:count])
    assert rows.shape == (count, len(predictor.labels)) and rows.dtype == np.float32
    assert np.allclose(rows.sum(axis=1), 1, atol=1e-4) and (rows >= 0).all()


def test_a_crop_gets_the_same_row_alone_and_in_company(
    predictor: Predictor, crops: list[np.ndarray]
) -> None:
    together = predictor.probabilities(crops)
    alone = np.concatenate([predictor.probabilities([crop]) for crop in crops])
    assert np.allclose(together, alone, atol=1e-5)
    assert np.ptp(together, axis=0).max() > 1e-4, "and the rows are not all one"


def test_bytes_and_pixels_give_the_same(predictor: Predictor, face_jpeg: bytes) -> None:
    from_bytes = _one(predictor, face_jpeg)
    from_pixels = _one(predictor, images.decode(face_jpeg))
    assert from_bytes.faces == from_pixels.faces
    assert np.array_equal(from_bytes.face_probabilities, from_pixels.face_probabilities)


def test_several_pictures_keep_their_order_and_their_errors(
    predictor: Predictor, face_jpeg: bytes, landscape_png: bytes
) -> None:
    first, second, third, fourth = predictor.classify([landscape_png, face_jpeg, b"x", face_jpeg])
    assert isinstance(first, Prediction) and first.faces == () and first.probabilities is None
    assert isinstance(third, ImageError) and third.code == "unsupported_image"
    assert isinstance(second, Prediction) and isinstance(fourth, Prediction)
    assert np.allclose(second.face_probabilities, fourth.face_probabilities, atol=1e-5)
    assert np.allclose(
        second.face_probabilities, _one(predictor, face_jpeg).face_probabilities, atol=1e-5
    )


def test_whole_is_the_picture_and_its_frame_the_face(
    predictor: Predictor, landscape_png: bytes
) -> None:
    prediction = _one(predictor, landscape_png, faces="whole")
    assert [face.box for face in prediction.faces] == [(0, 0, 320, 240)]
    assert prediction.probabilities is not None


def test_an_unknown_way_to_look_is_refused(predictor: Predictor, face_jpeg: bytes) -> None:
    with pytest.raises(UsageError, match="'some'"):
        predictor.classify([face_jpeg], "some")  # type: ignore[arg-type]


def test_a_mirrored_face_is_found_mirrored(predictor: Predictor, face_jpeg: bytes) -> None:
    picture = images.decode(face_jpeg)
    (face,) = _one(predictor, picture).faces
    (mirrored,) = _one(predictor, np.ascontiguousarray(picture[:, ::-1])).faces
    assert abs((512 - mirrored.box[0] - mirrored.box[2]) - face.box[0]) < 12


@pytest.mark.parametrize(
    ("largest", "count", "batches"),
    [
        (8, 1, [1]),
        (8, 3, [1, 1, 1]),
        (8, 4, [4]),
        (8, 7, [4, 1, 1, 1]),
        (8, 8, [4, 4]),
        (1, 2, [1, 1]),
    ],
)
def test_crops_go_through_the_network_as_fours_and_ones(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch, largest: int, count: int,
    batches: list[int],
) -> None:  # fmt: skip
    one = Predictor(predictor.bundle, largest_batch=largest)
    seen: list[int] = []
    run = one._network.run
    monkeypatch.setattr(one._network, "run", lambda x: (seen.append(len(x)), run(x))[1])
    draw = np.random.default_rng(1)
    crops = [draw.integers(0, 256, (96, 96, 3), np.uint8) for _ in range(count)]
    told = one.probabilities(crops)
    assert seen == batches
    for crop, row in zip(crops, told, strict=True):
        assert np.allclose(predictor.probabilities([crop])[0], row, atol=1e-5)


def test_what_company_saves_is_measured_and_is_nothing_where_there_is_none(
    predictor: Predictor,
) -> None:
    assert -0.5 < predictor.company_saves() < 0.5
    assert Predictor(predictor.bundle, largest_batch=1).company_saves() == 0
