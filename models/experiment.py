"""A whole run: the protocol's folds one after the other, then the model that is shipped."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from models import crew, evaluation
from models.console import Console
from models.crew import Job
from models.heads import accuracy
from models.pictures import Pictures
from models.recipe import Trained
from models.training import Trainer
from models.weights import set_state, state_of

_FIGURES = ("accuracy", "macro_f1", "ece")
_SHIPPED = "shipped"  # the network of a fold that was trained on all that the shipped one may see


@dataclass(frozen=True)
class Outcome:
    """What a protocol measured.

    Attributes:
        protocol: its name.
        metrics: pooled over all folds' held-out images.
        subjects: accuracy of each held-out subject.
        chosen: what each fold chose inside its training part.
        truth: class numbers of the held-out images.
        probabilities: (N, labels) for them.
        seeds: where the protocol was run with several seeds, what `spread` says of them; the other
            figures are the first seed's.
    """

    protocol: str
    metrics: dict[str, Any]
    subjects: dict[str, Any]
    chosen: dict[str, Any] = field(default_factory=dict)
    truth: np.ndarray = field(default_factory=lambda: np.array([], int))
    probabilities: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    seeds: dict[str, Any] = field(default_factory=dict)


def evaluate_seeds(
    trainer: Trainer, protocol: str, seeds: int, console: Console, folds: int = evaluation.FOLDS
) -> Outcome:
    """Run a protocol with several seeds; the outcome of the first, and what all say together.

    Args:
        trainer: with the first seed; the others are counted from it.
        protocol: its name.
        seeds: how many.
        console: what is said.
        folds: how many, with kfold.
    """
    first = trainer.recipe.schedule.seed
    outcomes = []
    for seed in range(first, first + seeds):
        mark = f"/seed-{seed}" if seed > first else ""
        outcome = evaluate(trainer.with_seed(seed), protocol, console, mark, folds)
        if seeds > 1:
            figures = outcome.metrics
            console.say(
                f"{protocol}  seed {seed}: accuracy {figures['accuracy']:.3f}, macro-F1 "
                f"{figures['macro_f1']:.3f}"
            )
        outcomes.append((seed, outcome))
    several = spread(outcomes) if seeds > 1 else {}
    return replace(outcomes[0][1], seeds=several)


def evaluate(
    trainer: Trainer,
    protocol: str,
    console: Console,
    mark: str = "",
    count: int = evaluation.FOLDS,
) -> Outcome:
    """Run every fold of a protocol; folds that the run folder holds already are taken from it.

    Args:
        trainer: trains each fold.
        protocol: its name.
        console: what is said.
        mark: ends the folds' names in the run folder, where several seeds share it.
        count: of folds, with kfold.

    Raises:
        UsageError: the set does not allow the protocol.
    """
    dataset = trainer.pictures.dataset
    folds = evaluation.folds(protocol, dataset, trainer.recipe.schedule.seed, count)
    jobs = [Job(f"{protocol}/{fold.name}{mark}", fold.train, fold.test) for fold in folds]
    given = {}
    keep = None if mark else _keep  # the figures beside the shipped network are the first seed's
    for job, result in crew.results(trainer, jobs, keep):
        given[job.key] = result
        right = accuracy(np.array(result["probabilities"]), trainer.y[job.test])
        console.say(
            f"{job.key}  one of {len(jobs)} folds  held out: {len(job.test)} images, "
            f"accuracy {right:.3f}"
        )
    results = [given[job.key] for job in jobs]
    chosen = {fold.name: result["chosen"] for fold, result in zip(folds, results, strict=True)}
    scores = np.concatenate([np.array(result["probabilities"]) for result in results])
    return _pooled(trainer, protocol, np.concatenate([fold.test for fold in folds]), scores, chosen)


def _keep(trainer: Trainer, job: Job, trained: Trained) -> None:
    """The network of a fold that was trained on all that the shipped one may see is that one."""
    everything = evaluation.trainable(trainer.pictures.dataset)
    if not trainer.recipe.frozen and np.array_equal(np.sort(job.train), everything):
        kept = {"history": trained.history, "chosen": dict(trained.chosen)}
        trainer.run.save(_SHIPPED, state_of(trained.network), kept)


def spread(outcomes: Sequence[tuple[int, Outcome]]) -> dict[str, Any]:
    """What several seeds' runs of one protocol say together.

    Returns:
        The row of each seed, and mean and standard deviation (of the sample) of each figure.
    """
    rows = [
        {"seed": seed, **{name: outcome.metrics[name] for name in _FIGURES}}
        for seed, outcome in outcomes
    ]
    said: dict[str, Any] = {"seeds": rows}
    for name in _FIGURES:
        values = np.array([row[name] for row in rows])
        said[name] = {
            "mean": round(float(values.mean()), 4),
            "deviation": round(float(values.std(ddof=1)), 4) if len(values) > 1 else None,
        }
    return said


def ship(trainer: Trainer) -> Trained:
    """Train the model that is shipped: on everything but a test part that the set names.

    Where a fold was trained on just that, its network is the one.
    """
    kept = trainer.run.restore(_SHIPPED)
    if kept is None:  # a head on frozen features takes a moment, and is always fitted again
        return crew.learnt(trainer, evaluation.trainable(trainer.pictures.dataset), "final")
    state, rest = kept
    network = trainer.fresh("final")
    set_state(network, state)
    return Trained(network, rest["history"], rest["chosen"])


def beside(trainer: Trainer, final: Trained, test: Pictures) -> dict[str, Any]:
    """What the shipped network does on the test part of the set that kept company."""
    scores = trainer.answers(final.network, test)
    truth = np.array([trainer.labels.index(sample.label) for sample in test.dataset.samples])
    return evaluation.metrics(trainer.labels, truth, scores)


def _pooled(
    trainer: Trainer, protocol: str, tested: np.ndarray, scores: np.ndarray, chosen: dict[str, Any]
) -> Outcome:
    truth = trainer.y[tested]
    dataset = trainer.pictures.dataset
    metrics = evaluation.metrics(dataset.labels, truth, scores)
    subjects = evaluation.per_subject(dataset, tested, scores.argmax(axis=1) == truth)
    return Outcome(protocol, metrics, subjects, chosen, truth, scores)
