"""Networks that say what they think of images they have not seen, and one that learns it."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models import crew, evaluation, experiment, pictures
from models.console import Console
from models.datasets import Dataset
from models.descent import Task
from models.errors import UsageError
from models.face_spec import FaceSpec
from models.inputs import ImageInputs
from models.recipe import Trained
from models.recipes import recipe
from models.runs import Run
from models.training import Trainer
from models.wishes import Wishes
from tests import shapes

QUIET = Console(io.StringIO(), live=False)
WISHES = Wishes(
    network="face_cnn", init="none", image_size=32, epochs=2, batch_size=16, fixed=True,
    freeze="none", distil=2,
)  # fmt: skip


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return shapes.with_subjects(tmp_path_factory.mktemp("people") / "set", 2)


def trainer_for(dataset: Dataset, folder: Path, resume: bool = False, **wishes: object) -> Trainer:
    chosen = recipe(replace(WISHES, **wishes), False, dataset.labels, len(dataset.samples))[0]
    held = pictures.read(dataset, FaceSpec(wanted=False), chosen.input.size)
    return Trainer(held, chosen, Run(folder, {}, resume), QUIET)


def test_a_teacher_is_asked_about_subjects_it_never_saw_and_nobody_sees_the_held_out(
    people: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "size", lambda trainer, jobs: 1)
    seen: dict[str, set[int]] = {}
    given: dict[str, np.ndarray | None] = {}
    train, drawn = Trainer.train, ImageInputs.drawn
    now: list[str] = []

    def spy_train(
        self: Trainer, part: np.ndarray, key: str, opinions: np.ndarray | None = None
    ) -> Trained:
        now.append(key)
        seen[key], given[key] = set(), opinions
        return train(self, part, key, opinions)

    def spy_drawn(
        self: ImageInputs, indices: np.ndarray, key: str, places: np.ndarray
    ) -> np.ndarray:
        seen[now[-1]] |= set(indices.tolist())
        return drawn(self, indices, key, places)

    monkeypatch.setattr(Trainer, "train", spy_train)
    monkeypatch.setattr(ImageInputs, "drawn", spy_drawn)
    trainer = trainer_for(people, tmp_path / "run")
    fold = evaluation.folds("loso", people, 1)[0]
    crew.learnt(trainer, fold.train, "loso/AA")

    held = set(fold.test.tolist())
    teachers = ["loso/AA/teacher-0", "loso/AA/teacher-1"]
    assert list(seen) == [*teachers, "loso/AA"]
    assert not any(seen[key] & held for key in seen)
    assert seen[teachers[0]] | seen[teachers[1]] == seen["loso/AA"] == set(fold.train.tolist())
    assert not seen[teachers[0]] & seen[teachers[1]]
    people_of = [{people.samples[i].subject for i in seen[key]} for key in teachers]
    assert not people_of[0] & people_of[1]

    opinions = given["loso/AA"]
    assert opinions is not None and given[teachers[0]] is None
    assert np.allclose(opinions[fold.train].sum(axis=1), 1)
    assert not opinions[fold.test].any()
    kept = [trainer.run.done(key) for key in teachers]
    assert all(kept)
    said = np.array(kept[0]["probabilities"]) if kept[0] else np.empty(0)
    assert np.array_equal(opinions[sorted(seen[teachers[1]])], said)


def test_half_of_what_is_learnt_is_the_opinion_where_there_is_one() -> None:
    opinions = np.array([[0.2, 0.3, 0.5], [0, 0, 0]])
    nobody = np.array([], int)
    y = np.array([0, 1, 2])
    task = Task("k", None, y, nobody, nobody, 1, 3, opinions=opinions)  # type: ignore[arg-type]
    wanted = task.targets(0.3)
    assert np.allclose(wanted[0], [0.5 * 0.8 + 0.1, 0.05 + 0.15, 0.05 + 0.25])
    assert np.allclose(wanted[1:], [[0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
    assert wanted.dtype == np.float32


def test_teachers_change_what_is_learnt_and_are_not_trained_twice(
    people: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = trainer_for(people, tmp_path / "alone", distil=0)
    taught = trainer_for(people, tmp_path / "taught")
    outcomes = [experiment.evaluate(t, "holdout", QUIET) for t in (alone, taught)]
    assert not np.allclose(outcomes[0].probabilities, outcomes[1].probabilities)

    (tmp_path / "taught" / "steps" / "holdout-test.json").unlink()
    trained: list[str] = []
    train = Trainer.train
    monkeypatch.setattr(
        Trainer, "train", lambda self, part, key, said: trained.append(key) or train(
            self, part, key, said))  # fmt: skip
    resumed = trainer_for(people, tmp_path / "taught", resume=True)
    again = experiment.evaluate(resumed, "holdout", QUIET)
    assert trained == ["holdout/test"]
    assert np.array_equal(again.probabilities, outcomes[1].probabilities)


@pytest.mark.parametrize("wishes", [{"distil": 1}, {"network": "gabor", "freeze": None}])
def test_distilling_needs_gradient_and_two_teachers(wishes: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="--distil 2"):
        recipe(replace(WISHES, **wishes), True, ("a", "b"), 100)
