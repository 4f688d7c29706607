"""A whole run: the protocol's folds one after the other, then the model that is shipped."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models import evaluation
from models.console import Console
from models.datasets import Dataset
from models.evaluation import Fold
from models.heads import accuracy
from models.runs import Run
from models.training import Trained, Trainer
from models.weights import set_state, state_of

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
    """

    protocol: str
    metrics: dict[str, Any]
    subjects: dict[str, Any]
    chosen: dict[str, Any] = field(default_factory=dict)
    truth: np.ndarray = field(default_factory=lambda: np.array([], int))
    probabilities: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))


def evaluate(trainer: Trainer, protocol: str, run: Run, console: Console) -> Outcome:
    """Run every fold of a protocol; folds that the run folder holds already are taken from it.

    Raises:
        UsageError: the set does not allow the protocol.
    """
    dataset = trainer.pictures.dataset
    folds = evaluation.folds(protocol, dataset, trainer.recipe.schedule.seed)
    tested, rows, chosen = [], [], {}
    for number, fold in enumerate(folds, 1):
        key = f"{protocol}/{fold.name}"
        done = run.done(key)
        if done is None:
            trained = trainer.train(fold.train, key)
            scores = trainer.probabilities(trained.network, fold.test)
            if _is_shipped(fold, dataset):
                kept = {"history": trained.history, "chosen": dict(trained.chosen)}
                run.save(_SHIPPED, state_of(trained.network), kept)
            done = {"probabilities": scores.tolist(), "chosen": dict(trained.chosen)}
            run.finish(key, done)
        scores = np.array(done["probabilities"])
        chosen[fold.name] = done["chosen"]
        tested.append(fold.test)
        rows.append(scores)
        right = accuracy(scores, trainer.y[fold.test])
        console.say(
            f"{key}  fold {number} of {len(folds)}  held out: {len(fold.test)} images, "
            f"accuracy {right:.3f}"
        )
    return _pooled(trainer, protocol, np.concatenate(tested), np.concatenate(rows), chosen)


def ship(trainer: Trainer, run: Run) -> Trained:
    """Train the model that is shipped: on everything but a test part that the set names.

    Where a fold was trained on just that, its network is the one.
    """
    kept = run.restore(_SHIPPED)
    if kept is None or trainer.recipe.frozen:  # a head on frozen features takes a moment
        return trainer.train(evaluation.trainable(trainer.pictures.dataset), "final")
    state, rest = kept
    network = trainer.fresh("final")
    set_state(network, state)
    return Trained(network, rest["history"], rest["chosen"])


def _is_shipped(fold: Fold, dataset: Dataset) -> bool:
    return np.array_equal(np.sort(fold.train), evaluation.trainable(dataset))


def _pooled(
    trainer: Trainer, protocol: str, tested: np.ndarray, scores: np.ndarray, chosen: dict[str, Any]
) -> Outcome:
    truth = trainer.y[tested]
    dataset = trainer.pictures.dataset
    metrics = evaluation.metrics(dataset.labels, truth, scores)
    subjects = evaluation.per_subject(dataset, tested, scores.argmax(axis=1) == truth)
    return Outcome(protocol, metrics, subjects, chosen, truth, scores)
