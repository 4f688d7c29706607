"""The trainings of a sweep: several at once, each kept under a digest of all that decides it.

What is done is read, and what had begun goes on from its checkpoint.
"""

import hashlib
import json
import time
import traceback
from collections.abc import Iterator, Mapping
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from models import crew, evaluation, shipping
from models.console import Console, duration
from models.errors import DiskError, HyojoError
from models.face_spec import FaceSpec
from models.pictures import Pictures
from models.recipe import Recipe
from models.runs import Run
from models.training import Trainer

_KEY = "sweep"  # of each training's draws: all settings of a seed share their inner validation part
_HELD: dict[FaceSpec, Pictures] = {}  # in a process of the pool: the set, by how it is cut


@dataclass(frozen=True)
class Trial:
    """One training.

    Attributes:
        number: of its setting.
        seed: of its draws.
        recipe: how.
        cut: which crop it sees.
        train: indices to learn and choose from.
        test: indices to answer for at the end; empty but for the chosen setting.
        settings: all that decides it.
        folder: where it is kept.
    """

    number: int
    seed: int
    recipe: Recipe
    cut: FaceSpec
    train: np.ndarray
    test: np.ndarray
    settings: dict[str, Any]
    folder: Path

    def kept(self) -> dict[str, Any] | None:
        """Its result, where it is done."""
        return Run.existing(self.folder).done("trial")


class Work:
    """The processes, and what they are given."""

    def __init__(
        self, folder: Path, held: dict[FaceSpec, Pictures], console: Console, jobs: int
    ) -> None:
        self._folder = folder
        self._held = held
        self._console = console
        self._jobs = jobs

    def trial(
        self,
        number: int,
        seed: int,
        chosen: Recipe,
        cut: FaceSpec,
        train: np.ndarray,
        test: np.ndarray,
    ) -> Trial:
        """One training, under the digest of all that decides it."""
        schedule = replace(chosen.schedule, seed=seed)
        final = len(test) > 0
        made = replace(chosen, schedule=schedule, refit=chosen.refit and final)
        settings = shipping.settings(self._held[cut].dataset, made, cut, "sweep") | {
            "train": hashlib.sha256(train.tobytes()).hexdigest(), "final": final,
        }  # fmt: skip
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
        folder = self._folder / "trials" / digest
        return Trial(number, seed, made, cut, train, test, settings, folder)

    def results(self, trials: list[Trial], names: list[str]) -> list[dict[str, Any]]:
        """Of each training, in order; those that are done are not done again."""
        missing = {t.folder: t for t in trials if t.kept() is None}  # two may be the very same
        if done := len(trials) - len(missing):
            self._console.say(f"{done} of {len(trials)} trainings are done already")
        began = time.monotonic()
        with self._console.steps(len(missing), "trainings") as steps:
            for count, (trial, result) in enumerate(self._made(list(missing.values())), 1):
                steps.tick()
                left = (time.monotonic() - began) / count * (len(missing) - count)
                self._console.say(
                    f"[{len(trials) - len(missing) + count}/{len(trials)}] {names[trial.number]}, "
                    f"seed {trial.seed}: {_line(result)}"
                    + (f"; about {duration(left)} left" if count < len(missing) else "")
                )
        return [trial.kept() or {"error": "Its result could not be read."} for trial in trials]

    def _made(self, trials: list[Trial]) -> Iterator[tuple[Trial, dict[str, Any]]]:
        if not trials:
            return
        processes = min(self._jobs, len(trials))
        with crew.pool(processes, _begin, (self._held,)) as workers:
            todo = {workers.submit(_work, trial): trial for trial in trials}
            for done in as_completed(todo):
                try:
                    result = done.result()
                except BrokenProcessPool:
                    raise HyojoError(
                        "A process that trained was ended from outside, perhaps for want of "
                        "memory. What is done is kept: the same command goes on; give a smaller "
                        "--jobs if memory is short."
                    ) from None
                yield todo[done], result


def _begin(held: dict[FaceSpec, Pictures]) -> None:
    crew.settle()
    _HELD.update(held)


def _work(trial: Trial) -> dict[str, Any]:
    """Train, in a process of the pool; the result is on disk before anybody hears of it."""
    trial.folder.mkdir(parents=True, exist_ok=True)
    with (trial.folder / "log.txt").open("a") as log:
        begun = (trial.folder / "settings.json").is_file()
        kept = Run(trial.folder, trial.settings, begun, guarded=True)  # by the sweep's own lock
        held = replace(_HELD[trial.cut], size=trial.recipe.input.size)
        trainer = Trainer(held, trial.recipe, kept, Console(log, live=False))
        began = time.monotonic()
        try:
            result = _trained(trainer, trial)
        except (DiskError, OSError):
            raise  # no fault of the setting
        except HyojoError as error:  # of this setting: a rate too high, a network too deep
            result = {"error": str(error)}
        except Exception as error:  # too large for the memory, or nothing that Paddle can compute
            traceback.print_exc(file=log)
            result = {"error": _reason(error, trial.folder)}
        result["seconds"] = round(time.monotonic() - began, 1)
        trainer.tidy()
        kept.finish("trial", result)
        kept.finish(_KEY, {})  # its checkpoints
    return result


def _trained(trainer: Trainer, trial: Trial) -> dict[str, Any]:
    trained = trainer.train(trial.train, _KEY)
    history, chosen = trained.history, trained.chosen
    best = (
        history[int(chosen["epochs"]) - 1]
        if "epochs" in chosen
        else next(row for row in history if row["chosen"])
    )
    result = {
        "val_accuracy": round(best["val_accuracy"], 6), "val_loss": round(best["val_loss"], 6),
        "epochs": int(chosen.get("epochs", 0)), "parameters": trained.network.parameter_count(),
    }  # fmt: skip
    if len(trial.test):
        scores = trainer.probabilities(trained.network, trial.test)
        figures = evaluation.metrics(trainer.labels, trainer.y[trial.test], scores)
        result |= {name: figures[name] for name in ("images", "accuracy", "macro_f1", "ece")}
    return result


def _reason(error: Exception, folder: Path) -> str:
    """In a sentence; Paddle's message is the line behind its own stack and a heading."""
    said = str(error).rpartition("Error Message Summary:")[2].strip("-\n ").splitlines()
    what = ": ".join(filter(None, [type(error).__name__, *said[:1]])).rstrip(".")
    return f"{what}. More is in {folder / 'log.txt'}; --restart tries all settings again."


def _line(result: Mapping[str, Any]) -> str:
    if "error" in result:
        return f"failed: {result['error']}"
    told = f"inner validation {result['val_accuracy']:.3f}, loss {result['val_loss']:.3f}"
    if "accuracy" in result:
        told += f"; held out: accuracy {result['accuracy']:.3f}"
    return f"{told} ({duration(result['seconds'])})"
