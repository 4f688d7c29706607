"""Folds in processes of their own, where each takes long enough to be worth one."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models import devices, ranks
from models.console import Console
from models.errors import HyojoError
from models.pictures import Pictures
from models.recipe import Recipe, Trained
from models.runs import Run
from models.training import Trainer

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


Keeper = Callable[[Trainer, Job, Trained], None]


def answered(trainer: Trainer, job: Job) -> tuple[dict[str, Any], Trained]:
    """Train one fold; what the run folder keeps of it, and the trained network."""
    trained = learnt(trainer, job.train, job.key)
    scores = trainer.probabilities(trained.network, job.test)
    return {"probabilities": scores.tolist(), "chosen": dict(trained.chosen)}, trained


def learnt(trainer: Trainer, train: np.ndarray, key: str) -> Trained:
    """Train on the samples `train`; where the recipe wants teachers, they are trained first.

    A teacher is asked only about images it has not learnt from (cross-fitting), so that it
    repeats no wrong label by heart. Where the epoch is chosen, teachers have seen the images it is
    chosen on; held-out images nobody has.
    """
    if not trainer.recipe.distil:
        return trainer.train(train, key)
    jobs = [
        Job(f"{key}/teacher-{number}", learns, asked)
        for number, (learns, asked) in enumerate(trainer.teaching(train, key))
    ]
    opinions = np.zeros((len(trainer.pictures), len(trainer.labels)))
    for job, result in results(trainer.teacher(), jobs):
        opinions[job.test] = result["probabilities"]
    return trainer.train(train, key, opinions)


def results(
    trainer: Trainer, jobs: list[Job], keep: Keeper | None = None
) -> Iterator[tuple[Job, Mapping[str, Any]]]:
    """Every job with what the run folder keeps of it; those it holds already are taken from it.

    Args:
        trainer: trains each.
        jobs: which.
        keep: is shown each network that is trained in this process.
    """
    missing = []
    for job in jobs:
        kept = trainer.run.done(job.key)
        if kept is None:
            missing.append(job)
        else:
            yield job, kept
    for job, result in _made(trainer, missing, keep):
        trainer.run.finish(job.key, result)
        yield job, result


def _made(
    trainer: Trainer, jobs: list[Job], keep: Keeper | None
) -> Iterator[tuple[Job, Mapping[str, Any]]]:
    processes = size(trainer, len(jobs))
    if processes > 1:
        by_key = {job.key: job for job in jobs}
        for key, result in in_processes(trainer, jobs, processes):
            yield by_key[key], result
    else:
        for job in jobs:
            result, trained = answered(trainer, job)
            if keep:
                keep(trainer, job, trained)
            yield job, result


def size(trainer: Trainer, jobs: int) -> int:
    """How many processes pay: one a core for training by gradient, else this one alone.

    Heads on frozen features take a moment, and share the features. Processes that train together
    take one fold after the other, and one card holds one training.
    """
    if _trainer is not None or ranks.count() > 1 or devices.on_gpu():
        return 1  # a process of a crew starts no other
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
    given = (trainer.pictures, trainer.recipe, trainer.run.folder, trainer.company)
    with pool(processes, _begin, given) as workers:
        todo = [workers.submit(_work, job) for job in jobs]
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
def pool(
    processes: int, begin: Callable[..., None], given: tuple[Any, ...]
) -> Iterator[ProcessPoolExecutor]:
    """Processes that train; they end with this one, however it ends.

    Args:
        processes: how many.
        begin: called first in each with `given`; it calls `settle`.
        given: what they all hold.
    """
    context = multiprocessing.get_context("spawn")  # a fork would take Paddle's threads half along
    workers = ProcessPoolExecutor(processes, context, begin, given)
    try:
        yield workers
        workers.shutdown(cancel_futures=True)
    except BaseException:  # Ctrl-C, also while their end is awaited: they might never hear of it
        for process in multiprocessing.active_children():
            process.terminate()
        workers.shutdown(cancel_futures=True)
        raise


def settle() -> None:
    """First of all in a process of a pool: who ends it, and when."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the first process decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _begin(pictures: Pictures, recipe: Recipe, folder: Path, company: Pictures | None) -> None:
    global _trainer
    settle()
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
