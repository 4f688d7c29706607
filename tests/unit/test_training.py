"""One training keeps to its split, repeats itself, goes on where it was broken off, and ships."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import bundle, datasets, evaluation, experiment, pictures, shipping, training, weights
from models.console import Console
from models.datasets import Dataset
from models.face_spec import FaceSpec
from models.framework import Interrupted
from models.inputs import ImageInputs
from models.pictures import Pictures
from models.predictor import Predictor
from models.recipe import Recipe
from models.recipes import recipe
from models.runs import Run
from models.training import Trainer
from models.wishes import Wishes
from tests import shapes

PROJECT = Path(__file__).resolve().parents[2]
FACE = PROJECT / "params" / "face"
SMALL: dict[str, Path] = {}
QUIET = Console(io.StringIO(), live=False)
OPEN = Wishes(network="face_cnn", init="none", image_size=32, epochs=3, batch_size=16, copies=2)
FROZEN = Wishes(init="small", image_size=48, copies=2)


@pytest.fixture(scope="module", autouse=True)
def small_face(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The first five stages of the shipped face network: 256 features are quickly told apart."""
    full = bundle.load(FACE)
    state = weights.load(full.file(bundle.WEIGHTS))
    trunk = {n: v for n, v in state.items() if n.startswith("trunk.")}
    kept = {n: v for n, v in trunk.items() if int(n.split(".")[2]) <= 5}
    network = {**full.manifest.network, "options": {"pairs": 5}, "pool": [1, 1]}
    SMALL["path"] = tmp_path_factory.mktemp("bundles") / "small"
    with bundle.writing(SMALL["path"]) as folder:
        weights.save(kept, folder / bundle.WEIGHTS)
        bare = replace(full.manifest, network=network, name="small", labels=())
        bundle.seal(folder, bare)


def made(wishes: Wishes, labels: tuple[str, ...], count: int) -> Recipe:
    if wishes.init == "small":
        wishes = replace(wishes, init=str(SMALL["path"]))
    return recipe(wishes, False, labels, count)[0]


def trainer_for(dataset: Dataset, wishes: Wishes, folder: Path, resume: bool = False) -> Trainer:
    chosen = made(wishes, dataset.labels, len(dataset.samples))
    held = pictures.read(dataset, FaceSpec(wanted=False), chosen.input.size)
    return Trainer(held, chosen, Run(folder, {}, resume), QUIET)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return shapes.with_subjects(tmp_path_factory.mktemp("people") / "set", 3)


@pytest.fixture
def fold(people: Dataset) -> evaluation.Fold:
    return evaluation.folds("loso", people, 1)[0]


def test_a_frozen_trunk_learns_shapes_and_its_probabilities_say_so(
    people: Dataset, tmp_path: Path
) -> None:
    trainer = trainer_for(people, FROZEN, tmp_path / "run")
    outcome = experiment.evaluate(trainer, "loso", QUIET)
    assert outcome.metrics["accuracy"] > 0.85
    assert outcome.metrics["images"] == len(people.samples)
    assert set(outcome.subjects) == set(shapes.SUBJECTS)


def test_a_ridge_knows_people_and_chooses_by_those_it_knows(
    people: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subjects = np.array([sample.subject for sample in people.samples])
    shared = []
    split = training.inner_folds

    def spy(*given: Any) -> list[tuple[np.ndarray, np.ndarray]]:
        pairs = split(*given)
        shared.extend(set(subjects[a]) & set(subjects[b]) for a, b in pairs)
        return pairs

    monkeypatch.setattr(training, "inner_folds", spy)
    trainer = trainer_for(people, replace(FROZEN, head="ridge"), tmp_path / "run")
    outcome = experiment.evaluate(trainer, "kfold", QUIET, count=3)
    assert outcome.metrics["accuracy"] > 0.9
    assert shared and all(shared), "people stand on both sides of its own choices"


@pytest.mark.parametrize("head", ["lda", "ridge"])
def test_labels_shuffled_inside_the_training_part_fall_to_chance(
    people: Dataset, tmp_path: Path, head: str
) -> None:
    trainer = trainer_for(people, replace(FROZEN, head=head), tmp_path / "run")
    right = trainer.y.copy()
    hits = []
    for number, fold in enumerate(evaluation.folds("loso", people, 1)):
        trainer.y = right.copy()
        trainer.y[fold.train] = np.random.default_rng(number).permutation(right[fold.train])
        trained = trainer.train(fold.train, f"shuffled/{fold.name}")
        guess = trainer.probabilities(trained.network, fold.test).argmax(axis=1)
        hits += (guess == right[fold.test]).tolist()
    assert 0.1 < np.mean(hits) < 0.58  # chance is 1/3, over 54 images


def test_nothing_of_a_held_out_image_or_its_copies_reaches_a_frozen_training(
    people: Dataset, fold: evaluation.Fold, tmp_path: Path
) -> None:
    for head in ("lda", "ridge", "softmax"):
        wishes = replace(FROZEN, head=head, epochs=2)
        clean = trainer_for(people, wishes, tmp_path / head)
        poisoned = trainer_for(people, wishes, tmp_path / f"{head} poisoned")
        values = poisoned.features(poisoned.fresh("x")).values
        values[:, fold.test] = np.nan  # the image itself and every copy
        one, two = (t.train(fold.train, "k").network.head for t in (clean, poisoned))
        assert np.array_equal(one.weight.numpy(), two.weight.numpy())
        assert np.isfinite(two.weight.numpy()).all()


def test_an_open_training_asks_for_training_images_only_and_jitters_no_validation_image(
    people: Dataset, fold: evaluation.Fold, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jittered: set[int] = set()
    plain: set[int] = set()
    drawn, taken = ImageInputs.drawn, ImageInputs.plain

    def spy_drawn(
        self: ImageInputs, indices: np.ndarray, key: str, places: np.ndarray
    ) -> np.ndarray:
        if "/choose/" in key:
            jittered.update(indices.tolist())
        assert not set(indices.tolist()) & set(fold.test.tolist())
        return drawn(self, indices, key, places)

    def spy_plain(self: ImageInputs, indices: np.ndarray) -> np.ndarray:
        plain.update(indices.tolist())
        return taken(self, indices)

    monkeypatch.setattr(ImageInputs, "drawn", spy_drawn)
    monkeypatch.setattr(ImageInputs, "plain", spy_plain)
    trainer_for(people, OPEN, tmp_path / "run").train(fold.train, "k")
    assert not plain & set(fold.test.tolist())
    subjects = [people.samples[i].subject for i in jittered]
    validation = [people.samples[i].subject for i in set(fold.train.tolist()) - jittered]
    assert validation and not set(subjects) & set(validation)


def figures(trainer: Trainer, fold: evaluation.Fold) -> tuple[list[dict[str, float]], np.ndarray]:
    trained = trainer.train(fold.train, "k")
    history = [{k: v for k, v in row.items() if k != "seconds"} for row in trained.history]
    scores = trainer.probabilities(trained.network, fold.test)
    return history, np.concatenate([scores.ravel(), trained.network.head.weight.numpy().ravel()])


@pytest.mark.parametrize("wishes", [OPEN, FROZEN, replace(FROZEN, head="softmax", epochs=4)])
def test_the_same_seed_gives_the_same_figures_and_another_others(
    wishes: Wishes, people: Dataset, fold: evaluation.Fold, tmp_path: Path
) -> None:
    one = figures(trainer_for(people, wishes, tmp_path / "1"), fold)
    two = figures(trainer_for(people, wishes, tmp_path / "2"), fold)
    assert one[0] == two[0]
    assert np.array_equal(one[1], two[1])
    other = figures(trainer_for(people, replace(wishes, seed=2), tmp_path / "3"), fold)
    assert not np.array_equal(one[1], other[1])


class Breaking(Console):
    """Raises, as Ctrl-C does, when a line holds a word."""

    def __init__(self, word: str) -> None:
        super().__init__(io.StringIO(), live=False)
        self._word = word

    def say(self, line: str) -> None:
        if self._word in line:
            raise Interrupted(line)


@pytest.fixture(params=["k/choose  epoch 2/", "k/fit  epoch 2/"])
def broken(request: pytest.FixtureRequest) -> Iterator[str]:
    yield request.param


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_resumed_training_gives_the_figures_of_an_unbroken_one(
    optimizer: str, broken: str, people: Dataset, fold: evaluation.Fold, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    wishes = replace(OPEN, optimizer=optimizer, patience=0)
    unbroken = figures(trainer_for(people, wishes, tmp_path / "1"), fold)
    trainer = trainer_for(people, wishes, tmp_path / "2")
    trainer._console = Breaking(broken)
    with pytest.raises(Interrupted):
        trainer.train(fold.train, "k")
    assert trainer.best_so_far() is not None
    assert list((tmp_path / "2" / "steps").glob("*.checkpoint"))
    resumed = figures(trainer_for(people, wishes, tmp_path / "2", resume=True), fold)
    assert resumed[0] == unbroken[0]
    assert np.array_equal(resumed[1], unbroken[1])


def test_finished_folds_are_not_trained_again(people: Dataset, tmp_path: Path) -> None:
    trainer = trainer_for(people, FROZEN, tmp_path / "run")
    whole = experiment.evaluate(trainer, "loso", QUIET)
    calls: list[str] = []
    again = trainer_for(people, FROZEN, tmp_path / "run", resume=True)
    (tmp_path / "run" / "steps" / "loso-BB.json").unlink()
    train = again.train
    again.train = lambda part, key: calls.append(key) or train(part, key)  # type: ignore
    resumed = experiment.evaluate(again, "loso", QUIET)
    assert calls == ["loso/BB"]
    assert resumed.metrics == whole.metrics


def shipped(folder: Path, trainer: Trainer) -> tuple[bundle.Bundle, Pictures]:
    final = experiment.ship(trainer)
    outcome = experiment.evaluate(trainer, "holdout", QUIET)
    shipping.write(folder / "shapes", "shapes", trainer, final, outcome, "python train.py")
    return bundle.load(folder / "shapes"), trainer.pictures


@pytest.mark.parametrize("wishes", [OPEN, FROZEN])
def test_the_bundle_serves_what_was_trained_and_starts_another_training(
    wishes: Wishes, people: Dataset, tmp_path: Path
) -> None:
    trainer = trainer_for(people, wishes, tmp_path / "first")
    saved, held = shipped(tmp_path, trainer)
    ours = trainer.probabilities(experiment.ship(trainer).network, np.arange(6))
    theirs = Predictor(saved).probabilities(held.crops(range(6)))
    assert np.allclose(ours, theirs, atol=1e-4)
    names = {p.name for p in (saved.path / "report").iterdir()}
    assert names == {
        "card.md", "report.json", "confusion.png", "calibration.png", "curves.png",
        "per_class.csv", "subjects.csv",
    }  # fmt: skip
    fewer = tuple(s for s in people.samples if s.label != "disc")
    two = replace(people, samples=fewer, labels=("square", "stripes"))
    second = trainer_for(two, replace(wishes, init=str(saved.path), network=None,
                                      freeze="all", head=None), tmp_path / "second")  # fmt: skip
    trained = second.train(np.arange(len(fewer)), "final")
    assert second.probabilities(trained.network, np.arange(5)).shape == (5, 2)


def test_a_base_bundle_lends_its_statistics_to_sets_of_the_same_labels_alone(
    people: Dataset, tmp_path: Path
) -> None:
    first = trainer_for(people, FROZEN, tmp_path / "first")
    final = experiment.ship(first)
    out = tmp_path / "base"
    shipping.write(out, "base", first, final, None, "python train.py --base", base=True)
    base = bundle.load(out)
    assert base.manifest.task == bundle.FEATURES and bundle.GRAPH not in base.manifest.files
    assert bundle.STATISTICS in base.manifest.files

    again = replace(FROZEN, init=str(out), freeze="all")
    same = trainer_for(people, again, tmp_path / "same")
    assert same.recipe.prior is not None and same.recipe.prior.share == 0.7
    alone = trainer_for(people, replace(again, keep=0.0), tmp_path / "alone")
    assert alone.recipe.prior is None
    few = np.arange(0, len(people.samples), 3)
    heads = [t.train(few, "k").network.head.weight.numpy() for t in (same, alone)]
    assert not np.allclose(*heads)

    other = replace(people, labels=("disc", "square", "bars"))
    assert made(again, other.labels, 30).prior is None
    assert made(replace(again, image_size=64), people.labels, 30).prior is None


def test_only_the_last_stages_move_when_the_rest_is_frozen(
    people: Dataset, fold: evaluation.Fold, tmp_path: Path
) -> None:
    trainer = trainer_for(people, replace(FROZEN, freeze="2", epochs=1), tmp_path / "run")
    before = trainer.fresh("x").state_dict()
    after = trainer.train(fold.train, "k").network.state_dict()
    low, high = "trunk.stages.3.1.conv.weight", "trunk.stages.5.1.conv.weight"
    assert np.array_equal(before[low].numpy(), after[low].numpy())
    assert not np.array_equal(before[high].numpy(), after[high].numpy())


def test_an_official_test_part_is_never_learned_from(tmp_path: Path) -> None:
    for part in ("train", "test"):
        shapes.folders(tmp_path / "set" / part, 4)
    found = datasets.read(tmp_path / "set")
    trainer = trainer_for(found, FROZEN, tmp_path / "run")
    features = trainer.features(trainer.fresh("x"))
    tests = [i for i, s in enumerate(found.samples) if s.part == "test"]
    features.values[:, tests] = np.nan
    assert np.isfinite(experiment.ship(trainer).network.head.weight.numpy()).all()


def test_of_several_seeds_the_first_ones_network_is_shipped_with_its_figures(
    tmp_path: Path,
) -> None:
    for part in ("train", "test"):
        shapes.folders(tmp_path / "set" / part, 6)
    found = datasets.read(tmp_path / "set")
    trainer = trainer_for(found, replace(OPEN, epochs=1, fixed=True), tmp_path / "run")
    outcome = experiment.evaluate_seeds(trainer, "holdout", 2, QUIET)
    tests = np.array([i for i, s in enumerate(found.samples) if s.part == "test"])
    answers = trainer.probabilities(experiment.ship(trainer).network, tests)
    assert np.allclose(answers, outcome.probabilities, atol=1e-6)
    assert len(outcome.seeds["seeds"]) == 2
