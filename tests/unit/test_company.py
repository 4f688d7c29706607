"""A set that keeps another company in training, folds in processes, and several seeds."""

import io
import multiprocessing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models import crew, datasets, evaluation, experiment, heads, pictures, shipping
from models.console import Console
from models.datasets import Dataset
from models.errors import DataError, HyojoError, UsageError
from models.face_spec import FaceSpec
from models.inputs import ImageInputs, logits
from models.recipes import recipe
from models.runs import Run
from models.training import Trainer
from models.wishes import Wishes
from tests import shapes

QUIET = Console(io.StringIO(), live=False)
WISHES = Wishes(
    network="face_cnn", init="none", image_size=32, epochs=2, batch_size=16, fixed=True,
    freeze="none",
)  # fmt: skip


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return shapes.with_subjects(tmp_path_factory.mktemp("people") / "set", 2)


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("others") / "set"
    for part, count in (("train", 14), ("test", 3)):
        shapes.folders(folder / part, count)
    return datasets.read(folder)


def trainer_for(
    dataset: Dataset, folder: Path, company: Dataset | None = None, **wishes: object
) -> Trainer:
    wanted = replace(WISHES, **wishes)
    chosen = recipe(wanted, False, dataset.labels, len(dataset.samples))[0]
    held, guests = (
        pictures.read(one, FaceSpec(wanted=False), chosen.input.size) if one else None
        for one in (dataset, company)
    )
    assert held is not None
    return Trainer(held, chosen, Run(folder, {}, False), QUIET, guests)


def test_company_leaves_its_test_part_at_home_and_must_know_the_same_labels(
    people: Dataset, others: Dataset, tmp_path: Path
) -> None:
    guests, test = datasets.company(others.root, people)
    assert test is not None and len(test.samples) == 3 * 3
    assert len(guests.samples) == 14 * 3 and {s.part for s in guests.samples} == {"train"}
    fewer = replace(people, labels=("disc", "square"))
    with pytest.raises(DataError, match="need the same labels"):
        datasets.company(others.root, fewer)


def test_company_fills_the_batches_up_and_its_kept_back_part_is_never_learnt(
    people: Dataset, others: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guests = datasets.company(others.root, people)[0]
    trainer = trainer_for(people, tmp_path / "run", guests, share=0.25)
    fold = evaluation.folds("loso", people, 1)[0]
    seen: dict[int, list[int]] = {0: [], 1: []}
    drawn = ImageInputs.drawn

    def spy(self: ImageInputs, indices: np.ndarray, key: str, places: np.ndarray) -> np.ndarray:
        seen[trainer._images.index(self)] += indices[places].tolist()
        return drawn(self, indices, key, places)

    monkeypatch.setattr(ImageInputs, "drawn", spy)
    trained = trainer.train(fold.train, "k")
    learnt, kept = evaluation.kept_back(guests)
    assert set(seen[0]) == set(fold.train.tolist())  # an epoch shows each image of its own once
    assert len(seen[0]) == 2 * len(fold.train)
    assert 2.4 < len(seen[1]) / len(seen[0]) < 3.6  # a quarter of a batch is the set's own
    assert set(seen[1]) <= set(learnt.tolist()) and not set(seen[1]) & set(kept.tolist())
    assert trained.chosen["epochs"] == 2


def test_the_temperature_is_set_on_what_company_kept_back(
    people: Dataset, others: Dataset, tmp_path: Path
) -> None:
    guests = datasets.company(others.root, people)[0]
    trainer = trainer_for(people, tmp_path / "run", guests, epochs=4)
    trained = trainer.train(np.arange(len(people.samples)), "k")
    kept = evaluation.kept_back(guests)[1]
    inputs = ImageInputs(trainer._sets[1], trainer.recipe.input)
    labels = np.array([guests.labels.index(guests.samples[i].label) for i in kept])
    temperature = trained.chosen["temperature"]
    raw = logits(trained.network, inputs, kept) * temperature
    assert temperature == pytest.approx(heads.temperature_for(raw, labels), abs=1e-3)
    assert temperature != 1


def test_the_shipped_network_is_judged_on_the_companys_test_part(
    people: Dataset, others: Dataset, tmp_path: Path
) -> None:
    guests, test = datasets.company(others.root, people)
    assert test is not None
    trainer = trainer_for(people, tmp_path / "run", guests)
    final = experiment.ship(trainer)
    held = pictures.read(test, FaceSpec(wanted=False), trainer.recipe.input.size)
    figures = experiment.beside(trainer, final, held)
    inputs = ImageInputs(held, trainer.recipe.input)
    right = logits(final.network, inputs, np.arange(len(held))).argmax(axis=1)
    truth = [test.labels.index(sample.label) for sample in test.samples]
    assert figures["images"] == 9
    assert figures["accuracy"] == pytest.approx(np.mean(right == truth), abs=1e-4)
    out = tmp_path / "bundle"
    made = shipping.write(out, "x", trainer, final, None, "python train.py", aside=figures)
    assert made.metrics["company"]["accuracy"] == figures["accuracy"]
    card = (out / "report" / "card.md").read_text()
    assert "never saw" in card and f"{figures['accuracy']:.1%}" in card


def test_company_needs_stages_that_learn(people: Dataset) -> None:
    with pytest.raises(UsageError, match="--freeze N"):
        recipe(Wishes(company=Path("others"), freeze="all"), True, people.labels, 200)


def test_folds_in_processes_answer_as_folds_in_this_one(
    people: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = []
    for count in (1, 2):
        trainer = trainer_for(people, tmp_path / str(count), epochs=1)
        monkeypatch.setattr(crew, "size", lambda trainer, jobs, count=count: count)
        outcomes.append(experiment.evaluate(trainer, "loso", QUIET))
    assert outcomes[0].metrics == outcomes[1].metrics
    assert np.array_equal(outcomes[0].probabilities, outcomes[1].probabilities)


def test_a_fold_that_fails_in_its_process_fails_the_run(
    people: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = trainer_for(people, tmp_path / "run", epochs=1, optimizer="sgd")
    wild = replace(trainer.recipe.schedule, lr=1e30)
    trainer.recipe = replace(trainer.recipe, schedule=wild)
    monkeypatch.setattr(crew, "size", lambda trainer, jobs: 2)
    with pytest.raises(UsageError, match="Try a smaller --lr"):
        experiment.evaluate(trainer, "loso", QUIET)


def test_a_process_that_is_killed_is_told_and_what_is_done_stays(
    people: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = trainer_for(people, tmp_path / "run", epochs=1)
    monkeypatch.setattr(crew, "size", lambda trainer, jobs: 2)

    def kill_them(*pool: object) -> None:
        for child in multiprocessing.active_children():
            child.kill()

    talkative = Console(io.StringIO(), live=False)
    monkeypatch.setattr(talkative, "say", kill_them)  # after the first fold that is done
    with pytest.raises(HyojoError, match="--resume"):
        experiment.evaluate(trainer, "loso", talkative)
    assert list((tmp_path / "run" / "steps").glob("loso-*.json"))


def test_several_seeds_give_mean_and_spread_and_the_first_seeds_tables(
    people: Dataset, tmp_path: Path
) -> None:
    alone = trainer_for(people, tmp_path / "1", epochs=1)
    first = experiment.evaluate_seeds(alone, "kfold", 1, QUIET)
    several = experiment.evaluate_seeds(
        trainer_for(people, tmp_path / "2", epochs=1), "kfold", 2, QUIET
    )
    assert first.seeds == {}
    assert several.metrics == first.metrics
    rows = several.seeds["seeds"]
    assert [row["seed"] for row in rows] == [1, 2]
    assert rows[0]["accuracy"] == first.metrics["accuracy"]
    values = [row["accuracy"] for row in rows]
    assert several.seeds["accuracy"]["mean"] == pytest.approx(np.mean(values), abs=1e-4)
    assert several.seeds["accuracy"]["deviation"] == pytest.approx(np.std(values, ddof=1), abs=1e-4)
