"""What decided: the evidence adds up to the answer, lies where it belongs, and is the network's."""

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from models import bundle, explain, faces, images
from models.bundle import InputSpec
from models.errors import BundleError, UsageError
from models.export import export
from models.face_spec import FaceSpec
from models.faces import Face
from models.framework import paddle
from models.networks import NetworkSpec, build
from models.predictor import Prediction, Predictor
from service.predictor_process import result_of
from service.protocol import Explanation
from tests.conftest import PROJECT

ALIGNED = FaceSpec(wanted=True)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(bundle.load(PROJECT / "params" / "emotion"))


def _tilted(degrees: float, centre: tuple[float, float] = (150, 130)) -> Face:
    """A face turned clockwise: eyes 40 pixels apart, 44 pixels from eyes to mouth."""
    upright = np.array([(-20, -22), (20, -22), (0, 0), (-14, 22), (14, 22)], float)
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    marks = tuple((float(x), float(y)) for x, y in upright @ turn + centre)
    return Face((centre[0] - 40, centre[1] - 45, 80, 90), 1.0, marks)  # type: ignore[arg-type]


def _one(predictor: Predictor, picture: bytes | np.ndarray) -> Prediction:
    (prediction,) = predictor.classify([picture], explain=True)
    assert isinstance(prediction, Prediction)
    return prediction


@pytest.mark.parametrize(
    ("pool", "size"),
    [
        ((1, 1), 64),
        ((2, 1), 64),  # two rows of cells over four places
        ((2, 1), 80),  # over five: the cells share the middle one
        ((2, 3), 80),  # 2.5 and 1.67 places a cell
    ],
)
def test_the_evidence_adds_up_to_the_logits(
    pool: tuple[int, int], size: int, tmp_path: Path
) -> None:
    paddle.seed(4)
    network = build(NetworkSpec("face_cnn", pool=pool), 3, 1, size)
    network.head.bias.set_value(np.array([0.5, -1, 2], np.float32))
    spec = InputSpec(size, "gray", (127.5,), (1 / 64,))
    assert export(network, spec, tmp_path).explains
    x = paddle.to_tensor(np.random.default_rng(1).normal(0, 1, (2, 1, size, size)), "float32")
    network.eval()
    logits = network(x).numpy()
    answer, evidence = (out.numpy() for out in paddle.jit.load(str(tmp_path / "inference"))(x))
    assert evidence.shape == (2, 3, size // 16, size // 16)
    assert np.allclose(evidence.sum((2, 3)) + network.head.bias.numpy(), logits, atol=1e-4)
    assert np.allclose(answer, paddle.nn.functional.softmax(paddle.to_tensor(logits)), atol=1e-5)


def test_of_many_labels_only_the_likeliest_is_explained(tmp_path: Path) -> None:
    """As much as the whole evidence would say of it, without the cost of all the others."""
    paddle.seed(4)
    network = build(NetworkSpec("face_cnn"), 70, 1, 64)
    spec = InputSpec(64, "gray", (127.5,), (1 / 64,))
    assert export(network, spec, tmp_path).explains
    x = paddle.to_tensor(np.random.default_rng(1).normal(0, 1, (2, 1, 64, 64)), "float32")
    network.eval()
    places, weight = network.trunk(x).numpy(), network.head.weight.numpy()
    every = np.einsum("cl,nchw->nlhw", weight, places) / 16
    answer, evidence = (out.numpy() for out in paddle.jit.load(str(tmp_path / "inference"))(x))
    assert evidence.shape == (2, 1, 4, 4)
    for row, one, all_ in zip(answer, evidence, every, strict=True):
        best = int(row.argmax())
        assert np.allclose(explain.contrast(one, best), explain.contrast(all_, best), atol=1e-4)


def test_contrast_is_what_set_the_label_apart() -> None:
    evidence = np.zeros((4, 2, 2), np.float32)
    evidence[:, 0, 0] = 5  # for all labels alike: decides nothing
    evidence[1, 0, 1] = 4
    evidence[2, 1, 0] = 4
    shares = explain.contrast(evidence, 1)
    assert shares.dtype == np.float32 and np.abs(shares).sum() == pytest.approx(1)
    assert shares[0, 1] == pytest.approx(0.75) and shares[1, 0] == pytest.approx(-0.25)
    assert shares[0, 0] == shares[1, 1] == 0


def test_contrast_of_nothing_is_nothing() -> None:
    assert not explain.contrast(np.ones((3, 2, 2), np.float32), 0).any()


@pytest.mark.parametrize("degrees", [0, 30, -30, 75])
def test_the_corners_are_those_of_the_crop(degrees: float) -> None:
    x, y = np.meshgrid(np.arange(256), np.arange(256))
    picture = np.dstack([x, y, x * 0]).astype(np.uint8)  # its colours tell the place
    face = _tilted(degrees)
    crop = faces.crop(picture, face, ALIGNED, 64)
    corners = faces.corners(picture, face, ALIGNED)
    seen = np.array([crop[0, 0], crop[0, -1], crop[-1, -1], crop[-1, 0]])[:, :2] + 0.5
    step = np.linalg.norm(corners[1] - corners[0]) / 64
    assert np.abs(seen - corners).max() < step + 1


@pytest.mark.parametrize("degrees", [0, 40, -65])
def test_the_heat_lies_on_the_turned_face_and_nowhere_else(degrees: float) -> None:
    picture = np.full((260, 300, 3), 90, np.uint8)
    face = _tilted(degrees)
    shares = np.zeros((8, 8), np.float32)
    shares[5:7, 3:5] = 0.25  # around the mouth, which is at 0.73 of the crop's height
    shares[0:3] = -0.1
    shown = explain.overlay(picture, faces.corners(picture, face, ALIGNED), shares)
    changed = np.abs(shown.astype(int) - picture).sum(axis=2)
    assert shown.dtype == np.uint8 and shown.shape == picture.shape and (picture == 90).all()
    y, x = np.nonzero(changed > 30)
    mouth = np.mean(face.landmarks[3:], axis=0)
    assert np.hypot(x.mean() - mouth[0], y.mean() - mouth[1]) < 4
    assert np.hypot(x - mouth[0], y - mouth[1]).max() < 32
    eyes = np.array(face.landmarks[:2]).round().astype(int)
    assert not changed[eyes[:, 1], eyes[:, 0]].any(), "what spoke against is left as it is"


@pytest.mark.parametrize(
    ("corners", "shares"),
    [
        ([(20, 20), (80, 20), (80, 80), (20, 80)], np.zeros((4, 4))),
        ([(20, 20), (80, 20), (80, 80), (20, 80)], np.full((4, 4), -1 / 16)),
        ([(-90, 20), (-10, 20), (-10, 80), (-90, 80)], np.full((4, 4), 1 / 16)),  # outside
    ],
)
def test_without_evidence_in_the_picture_it_stays_as_it_is(
    corners: list[tuple[float, float]], shares: np.ndarray
) -> None:
    picture = np.random.default_rng(2).integers(0, 256, (100, 100, 3), np.uint8)
    assert np.array_equal(explain.overlay(picture, np.array(corners), shares), picture)


def test_an_explanation_is_given_only_when_asked_for_and_changes_no_answer(
    predictor: Predictor, face_jpeg: bytes, landscape_png: bytes
) -> None:
    (plain,) = predictor.classify([face_jpeg])
    assert isinstance(plain, Prediction) and plain.explanations == ()
    alone = _one(predictor, face_jpeg)
    assert np.array_equal(alone.face_probabilities, plain.face_probabilities)
    none, broken, together = predictor.classify([landscape_png, b"x", face_jpeg], explain=True)
    assert isinstance(none, Prediction) and none.explanations == ()
    assert isinstance(together, Prediction) and not isinstance(broken, Prediction)
    (one,), (other,) = alone.explanations, together.explanations
    assert one.label == other.label == "happiness"
    assert one.map.shape == (6, 6) and np.allclose(one.map, other.map, atol=1e-4)
    picture = images.decode(face_jpeg)
    expected = faces.corners(picture, alone.faces[0], predictor.bundle.manifest.faces)
    assert np.array_equal(one.corners, expected)


def test_the_whole_picture_taken_as_the_face_is_explained_in_its_square(
    predictor: Predictor, landscape_png: bytes
) -> None:
    (prediction,) = predictor.classify([landscape_png], "whole", explain=True)
    assert isinstance(prediction, Prediction)
    (one,) = prediction.explanations
    assert one.corners.tolist() == [[40, 0], [280, 0], [280, 240], [40, 240]]


def test_a_model_that_wants_no_face_is_explained_for_the_whole_picture(
    predictor: Predictor, landscape_png: bytes
) -> None:
    """The shipped network, told that it takes whole pictures."""
    manifest = predictor.bundle.manifest
    whole = replace(manifest, faces=replace(manifest.faces, wanted=False))
    taker = Predictor(replace(predictor.bundle, manifest=whole))
    for explained in (True, False):
        (prediction,) = taker.classify([landscape_png], explain=explained)
        assert isinstance(prediction, Prediction)
        result = result_of(prediction, taker.labels, None)
        assert result.faces == [] and result.label is not None
        assert (result.explanation is not msgspec.UNSET) == explained
        if isinstance(result.explanation, Explanation):
            assert result.explanation.label == result.label
            assert result.explanation.corners[2] == (280, 240)


def test_covering_what_spoke_most_costs_more_than_covering_what_spoke_least(
    predictor: Predictor, face_jpeg: bytes
) -> None:
    prediction = _one(predictor, face_jpeg)
    (told,) = prediction.explanations
    spec, index = predictor.bundle.manifest.faces, predictor.labels.index(told.label)
    size = predictor.bundle.manifest.input.size
    crop = faces.crop(images.decode(face_jpeg), prediction.faces[0], spec, size)
    side = size // 4  # a sixteenth of the crop is covered, wherever it is laid
    places = [(y, x) for y in range(0, size - side + 1, 16) for x in range(0, size - side + 1, 16)]
    scale = told.map.shape[0] / size

    def spoke(place: tuple[int, int]) -> float:
        (y, x), reach = (round(v * scale) for v in place), round(side * scale)
        return float(told.map[y : y + reach, x : x + reach].sum())

    covered = []
    for y, x in (min(places, key=spoke), max(places, key=spoke)):
        covered.append(crop.copy())
        covered[-1][y : y + side, x : x + side] = crop.mean(axis=(0, 1))
    before = predictor.probabilities([crop])[0, index]
    least, most = before - predictor.probabilities(covered)[:, index]
    print(f"{told.label} {before:.3f}: {least:+.4f} without the least, {most:+.4f} the most")
    assert most > 0 > least


def test_a_bundle_without_evidence_says_to_train_it_anew(
    predictor: Predictor, face_jpeg: bytes
) -> None:
    """As bundles were before they explained: nothing in their manifest says that they can."""
    old = replace(predictor.bundle, manifest=replace(predictor.bundle.manifest, explains=False))
    older = Predictor(old)
    assert isinstance(older.classify([face_jpeg])[0], Prediction)
    with pytest.raises(UsageError, match="Train it anew") as told:
        older.classify([face_jpeg], explain=True)
    assert told.value.code == "not_explainable"


def test_a_manifest_that_promises_too_much_is_refused(tmp_path: Path) -> None:
    network = NetworkSpec("MobileNetV3_small_x0_5")
    spec = InputSpec(32, "rgb", (127.5,) * 3, (1 / 64,) * 3)
    with bundle.writing(tmp_path / "b") as folder:
        assert not export(build(network, 2, 3, 32), spec, folder).explains
        bundle.seal(
            folder,
            bundle.Manifest(
                "b", "1", ("a", "b"), spec, FaceSpec(False), network.as_dict(), {}, {}, {}, "", {},
                explains=True,
            ),
        )  # fmt: skip
    with pytest.raises(BundleError, match="one output"):
        Predictor(bundle.load(tmp_path / "b"))
