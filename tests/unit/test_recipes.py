"""Open choices are settled sensibly, and options that do not go together are told apart."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from models import augment, bundle, recipes
from models.datasets import EXPRESSIONS, Dataset, Sample
from models.errors import BundleError, UsageError
from models.face_spec import FaceSpec
from models.wishes import Wishes

PROJECT = Path(__file__).resolve().parents[2]
FACE = PROJECT / "params" / "face"
LABELS = ("a", "b")
USUAL = Wishes(face_bundle=FACE)


def settled(faces: bool = True, images: int = 200, **wishes: object):
    return recipes.recipe(Wishes(**{"face_bundle": FACE, **wishes}), faces, LABELS, images)


def test_faces_start_from_the_face_bundle_frozen_with_a_closed_formula() -> None:
    chosen, cut = settled()
    assert chosen.init is not None and chosen.init.manifest.name == "face"
    assert (chosen.network.name, chosen.trainable, chosen.head) == ("mobilenet_face", 0, "lda")
    assert (chosen.input.size, chosen.input.color) == (96, "bgr")
    assert cut.wanted and cut.span == 1.9


def test_a_bundle_of_the_same_labels_learns_on_for_a_settled_time() -> None:
    chosen, _ = recipes.recipe(USUAL, True, EXPRESSIONS, 213)
    assert (chosen.trainable, chosen.head, chosen.fixed) == (7, "softmax", True)
    assert (chosen.schedule.epochs, chosen.schedule.average, chosen.copies) == (15, 0.98, 16)
    assert chosen.network.dropout > 0
    asked = replace(USUAL, epochs=3, average=0.0, copies=2)
    chosen, _ = recipes.recipe(asked, True, EXPRESSIONS, 213)
    assert (chosen.schedule.epochs, chosen.schedule.average, chosen.copies) == (3, 0.0, 2)
    for other in (replace(USUAL, freeze="all"), replace(USUAL, head="lda")):
        assert recipes.recipe(other, True, EXPRESSIONS, 213)[0].trainable == 0
    assert recipes.recipe(USUAL, True, EXPRESSIONS, 20_000)[0].trainable == 0  # a set of its own
    together = replace(USUAL, company=Path("other"))
    assert recipes.recipe(together, True, EXPRESSIONS, 20_000)[0].trainable == 7


def people(subjects: int, images: int = 60) -> Dataset:
    """A set of that many people, none where 0."""
    names = [f"s{n % subjects}" if subjects else None for n in range(images)]
    samples = tuple(Sample(Path(f"{n}.png"), "ab"[n % 2], name) for n, name in enumerate(names))
    return Dataset("people", "folders", Path(), samples, LABELS, "")


def test_kfold_over_known_people_compares_their_faces_place_by_place() -> None:
    asked = recipes.for_known_people(USUAL, "kfold", people(5))
    chosen, _ = recipes.recipe(asked, True, EXPRESSIONS, 60)
    assert (chosen.head, chosen.trainable, chosen.familiar) == ("ridge", 0, True)
    assert (chosen.network.options["pairs"], chosen.network.pool) == (10, (6, 6))
    varied = replace(USUAL, copies=2, seed=3, span=2.2, augment="flip")
    assert recipes.for_known_people(varied, "kfold", people(5)).head == "ridge"
    for wishes, protocol, of in (
        (USUAL, "auto", people(5)),
        (USUAL, "loso", people(5)),
        (USUAL, "kfold", people(0)),  # nobody knows who is on both sides
        (USUAL, "kfold", people(5, 889)),  # with their copies more than are solved for at once
        (replace(USUAL, mixup=0.2), "kfold", people(5)),
        (replace(USUAL, freeze="7"), "kfold", people(5)),  # it was said what to do
        (replace(USUAL, head="lda"), "kfold", people(5)),
        (replace(USUAL, epochs=60), "kfold", people(5)),
        (replace(USUAL, init="none"), "kfold", people(5)),
    ):
        assert recipes.for_known_people(wishes, protocol, of) == wishes


def test_a_ridge_is_for_few_images() -> None:
    assert settled(images=800, head="ridge")[0].head == "ridge"
    with pytest.raises(UsageError, match=r"Give --copies 4, or --head lda"):
        settled(images=1500, head="ridge")
    with pytest.raises(UsageError, match="--head ridge needs a frozen trunk"):
        settled(head="ridge", freeze="3")


def test_many_faces_of_other_labels_move_the_last_stages() -> None:
    chosen, _ = settled(images=3200)
    assert (chosen.trainable, chosen.head, chosen.fixed) == (7, "softmax", False)
    assert (chosen.schedule.epochs, chosen.schedule.average, chosen.copies) == (12, 0.99, 6)
    assert settled(images=3200, freeze="all")[0].head == "lda"
    assert settled(images=1999)[0].trainable == 0
    assert settled(images=10_000)[0].trainable == 0  # hours, if nobody asked for them


def test_without_the_face_bundle_faces_start_from_nothing(tmp_path: Path) -> None:
    chosen, _ = settled(face_bundle=tmp_path / "none")
    assert (chosen.init, chosen.network.name, chosen.trainable) == (None, "gabor", 0)
    assert (chosen.head, chosen.network.pool) == ("lda", (6, 6))


@pytest.mark.parametrize(
    ("wishes", "network", "trainable"),
    [
        ({}, "gabor", 0),
        ({"freeze": "all"}, "gabor", 0),
        ({"head": "lda"}, "gabor", 0),
        ({"network": "gabor", "freeze": "none"}, "gabor", None),
        ({"images": 20_000}, "face_cnn", None),  # many faces teach a whole network
        ({"freeze": "none"}, "face_cnn", None),
        ({"head": "softmax"}, "face_cnn", None),
        ({"network": "face_cnn"}, "face_cnn", None),
    ],
)
def test_from_nothing_few_faces_teach_a_head_on_a_designed_trunk(
    wishes: dict[str, object], network: str, trainable: int | None
) -> None:
    chosen, _ = settled(init="none", **wishes)
    assert (chosen.init, chosen.network.name, chosen.trainable) == (None, network, trainable)


def test_whole_images_start_from_nothing() -> None:
    chosen, cut = settled(faces=False)
    assert (chosen.init, chosen.network.name, chosen.head) == (None, "PPLCNet_x1_0", "softmax")
    assert not cut.wanted


def test_naming_another_network_means_starting_from_nothing() -> None:
    assert settled(network="ResNet18")[0].init is None
    assert settled(network="mobilenet_face")[0].init is not None


def test_what_is_asked_for_is_taken() -> None:
    chosen, _ = settled(freeze="2", image_size=96, lr=0.01, epochs=5, seed=9)
    assert (chosen.trainable, chosen.head, chosen.input.size) == (2, "softmax", 96)
    assert (chosen.schedule.lr, chosen.schedule.epochs, chosen.schedule.seed) == (0.01, 5, 9)


def test_open_weights_from_a_bundle_are_moved_gently() -> None:
    assert settled(freeze="none")[0].schedule.lr < settled(network="face_cnn")[0].schedule.lr


def test_few_images_are_shown_in_more_copies() -> None:
    assert settled(images=213)[0].copies == 8
    assert settled(images=30_000)[0].copies == 1
    assert settled(images=30_000, copies=3)[0].copies == 3


def test_training_again_on_everything_is_for_small_sets() -> None:
    assert settled(network="face_cnn", images=200)[0].refit
    assert not settled(network="face_cnn", images=20_000)[0].refit
    assert settled(images=20_000)[0].refit  # a head alone costs moments


@pytest.mark.parametrize(
    ("wishes", "says"),
    [
        ({"network": "face_cnn", "freeze": "all"}, "fresh ones know nothing"),
        ({"init": str(FACE), "network": "ResNet18"}, "Leave --network away"),
        ({"init": str(FACE), "network": "resnet18"}, "Did you mean ResNet18"),
        ({"freeze": "some"}, "not understood"),
        ({"freeze": "0"}, "not understood"),
        ({"network": "face_cnn", "head": "lda"}, "needs a frozen trunk"),
        ({"epochs": 0}, "--epochs must lie between 1 and"),
        ({"image_size": 2000}, "--image-size must lie between 32 and 1024"),
        ({"lr": -1.0}, "--lr must lie"),
        ({"copies": -1}, "--copies must lie"),
    ],
)
def test_options_that_do_not_go_together(wishes: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        settled(**wishes)


def test_a_bundle_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no model bundle"):
        settled(init=str(tmp_path / "nowhere"))


def published(folder: Path) -> Path:
    """The face bundle's manifest as `models.zoo` would write one: whole images of 224 pixels."""
    init = bundle.load(FACE)
    with bundle.writing(folder) as made:
        shutil.copy(init.file(bundle.WEIGHTS), made / bundle.WEIGHTS)
        manifest = replace(
            init.manifest, input=replace(init.manifest.input, size=224),
            faces=FaceSpec(wanted=False), protocol={"name": "published"},
        )  # fmt: skip
        bundle.seal(made, manifest)
    return folder


def test_a_published_network_looks_at_128_pixels_and_gets_a_softmax_head(tmp_path: Path) -> None:
    init = str(published(tmp_path / "net"))
    chosen, cut = settled(faces=False, init=init)
    assert (chosen.input.size, chosen.head, chosen.trainable, cut.wanted) == (
        128, "softmax", 0, False,
    )  # fmt: skip
    assert settled(faces=False, init=init, head="lda", image_size=160)[0].input.size == 160
    opened = settled(faces=False, init=init, freeze="2")[0].schedule
    assert (opened.epochs, opened.lr) == (12, 3e-4)
    assert settled(faces=False, init=init)[0].schedule.epochs == 30
    assert settled(init=str(FACE))[0].head == "lda"


def test_pictures_that_are_not_varied_are_not_copied() -> None:
    assert settled(augment="none")[0].copies == 0
    assert settled(augment="flip")[0].copies == 8
    assert settled()[0].augment == augment.FACES
    assert settled(freeze="2")[0].augment == augment.FACES_WILD
    assert settled(faces=False)[0].augment == augment.WHOLE
