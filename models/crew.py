"""Folds in processes of their own, where each takes long enough to be worth one."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.console import Console
from models.errors import HyojoError
from models.pictures import Pictures
from models.runs import Run
from models.training import Recipe, Trainer

_trainer: Trainer | None = None  # of this process, where it is one of a crew


@dataclass(frozen=True)
class Job:
    """One fold.

    Attributes:
        key: names it in messages and in the run folder.
        train: indices to learn from.
        test: indices to answer for.
    """

    key: str
    train: np.ndarray
    test: np.ndarray


def answered(trainer: Trainer, job: Job) -> tuple[dict[str, Any], Any]:
    """Train one fold; what the run folder keeps of it, and the trained network."""
    trained = trainer.train(job.train, job.key)
    scores = trainer.probabilities(trained.network, job.test)
    return {"probabilities": scores.tolist(), "chosen": dict(trained.chosen)}, trained


def size(trainer: Trainer, jobs: int) -> int:
    """How many processes pay: one a core for training by gradient, else this one alone.

    Heads on frozen features take a moment, and share the features.
    """
    cores = len(os.sched_getaffinity(0))
    return 1 if trainer.recipe.frozen else max(1, min(cores, jobs))


def in_processes(
    trainer: Trainer, jobs: list[Job], processes: int
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Fold by fold as they are done: (key, what the run folder keeps).

    Maps of closed stages are made beforehand, once for all. A process that is broken off leaves
    its checkpoints, as this one would.
    """
    trainer.prepare()
    with _pool(trainer, processes) as pool:
        todo = [pool.submit(_work, job) for job in jobs]
        for done in as_completed(todo):
            try:
                answer = done.result()
            except BrokenProcessPool:
                raise HyojoError(
                    "A process that trained a fold was ended from outside, perhaps for want of "
                    "memory. The folds that are done are kept: the same command with --resume "
                    "goes on.",
                ) from None
            yield answer


@contextmanager
def _pool(trainer: Trainer, processes: int) -> Iterator[ProcessPoolExecutor]:
    context = multiprocessing.get_context("spawn")  # a fork would take Paddle's threads half along
    given = (trainer.pictures, trainer.recipe, trainer.run.folder, trainer.company)
    pool = ProcessPoolExecutor(processes, context, _begin, given)
    try:
        yield pool
    except BaseException:
        for process in list(getattr(pool, "_processes", {}).values()):
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(pictures: Pictures, recipe: Recipe, folder: Path, company: Pictures | None) -> None:
    global _trainer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the first process decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    run = Run.existing(folder)
    _trainer = Trainer(pictures, recipe, run, Console(live=False), company)


def _end_with_parent() -> None:
    """A parent that was killed gives no orders any more, and nobody would take the answers."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(job: Job) -> tuple[str, Mapping[str, Any]]:
    assert _trainer is not None  # `_begin` ran
    return job.key, answered(_trainer, job)[0]
