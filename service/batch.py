"""Classify many files at once with the worker's own processes, in order and in bounded memory."""

import math
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from models import images
from models.errors import BundleError, UsageError
from service.averaging import mean
from service.pool import Lost, Pool
from service.protocol import FacesMode, ImageProblem, ImageResult, Job, JobDone

JOBS_AHEAD = 4  # a process: enough to keep it busy while an earlier, slower job is awaited
START_PATIENCE_S = 90.0


@dataclass(frozen=True)
class Question:
    """What is asked of every image: see `service.protocol.ClassifyRequest`.

    Attributes:
        averaged: the models whose answers are averaged; without any, `model` answers.
    """

    model: str
    faces: FacesMode = "auto"
    top: int | None = None
    explain: bool = False
    averaged: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Part:
    """Images, by their indices, that one model is to look at; `member` is its number."""

    indices: list[int]
    member: int


def classify_files(
    pool: Pool, paths: Sequence[Path], question: Question, batch_size: int = 8
) -> Iterator[tuple[Path, ImageResult]]:
    """Classify files; a few batches are in memory at any time.

    A batch whose process was lost is tried once more, one image at a time: the image that kills
    processes then fails alone.

    Args:
        pool: freshly made; the caller closes it.
        paths: of the files.
        question: what is asked of each.
        batch_size: images handed to a process at once.

    Yields:
        each path with its result, in the order given.

    Raises:
        BundleError: the processes cannot start.
    """
    return _Run(pool, paths, question, batch_size).results()


def files_below(given: Iterable[Path]) -> list[Path]:
    """Every image file below the paths, in the order given.

    Raises:
        UsageError: a path is not there, or a folder holds no image.
    """
    files: list[Path] = []
    for path in given:
        if not path.exists():
            raise UsageError(f"There is no file or folder {path}. Check the spelling.")
        found = images.find(path)
        if not found:
            raise UsageError(
                f"The folder {path} holds no image files ({', '.join(sorted(images.SUFFIXES))})."
            )
        files += found
    return files


class _Run:
    def __init__(
        self, pool: Pool, paths: Sequence[Path], question: Question, batch_size: int
    ) -> None:
        self._pool = pool
        self._paths = paths
        self._question = question
        self._batch_size = batch_size
        self._next = 0  # the first path not yet planned
        self._models = question.averaged or (question.model,)
        self._plan: deque[_Part] = deque()  # to be handed out
        self._out: dict[str, _Part] = {}  # by their jobs
        self._told: dict[int, dict[int, ImageResult]] = {}  # of an image, by member
        self._done: dict[int, ImageResult] = {}
        self._jobs = 0

    def results(self) -> Iterator[tuple[Path, ImageResult]]:
        wanted = 0
        began = time.monotonic()
        while wanted < len(self._paths):
            self._pool.wait(100 if self._out or not self._pool.ready else 0)
            for event in [*self._pool.receive(), *self._pool.tick()]:
                self._take(event)
            self._fill(wanted)
            if not self._out:
                see_that_it_starts(self._pool, math.inf if self._next else began)
            while wanted in self._done:
                yield self._paths[wanted], self._done.pop(wanted)
                wanted += 1

    def _fill(self, wanted: int) -> None:
        """Hand out batches while a process is idle and not too far ahead of what is awaited."""
        reach = wanted + JOBS_AHEAD * self._pool.size * self._batch_size
        while self._pool.idle and (self._plan or self._next < min(reach, len(self._paths))):
            if not self._plan:
                end = min(self._next + self._batch_size, len(self._paths))
                indices = list(range(self._next, end))
                self._plan.extend(_Part(indices, member) for member in range(len(self._models)))
                self._next = end
            self._hand_out(self._plan.popleft())

    def _hand_out(self, part: _Part) -> None:
        images, read = [], []
        for index in part.indices:
            try:
                images.append(self._paths[index].read_bytes())
                read.append(index)
            except OSError as error:
                detail = f"The file cannot be read: {error.strerror or error}."
                problem = ImageProblem("unreadable_file", detail)
                self._tell(index, part.member, ImageResult(error=problem))
        if not read:
            return
        self._jobs += 1
        asked = self._question
        job = Job(
            id=str(self._jobs),
            model=self._models[part.member],
            faces=asked.faces,
            top=None if asked.averaged else asked.top,
            explain=asked.explain,
        )
        part = _Part(read, part.member)
        if self._pool.submit(job, images):
            self._out[job.id] = part
        else:
            self._plan.appendleft(part)

    def _take(self, event: JobDone | Lost) -> None:
        part = self._out.pop(event.id)
        if isinstance(event, JobDone):
            for index, result in zip(part.indices, event.results, strict=True):
                self._tell(index, part.member, result)
        elif len(part.indices) > 1:
            self._plan.extend(_Part([index], part.member) for index in part.indices)
        else:
            problem = ImageProblem("worker_lost", event.detail)
            self._tell(part.indices[0], part.member, ImageResult(error=problem))

    def _tell(self, index: int, member: int, result: ImageResult) -> None:
        """Keep what one model says of an image; with the last one's the image is done."""
        told = self._told.setdefault(index, {})
        told[member] = result
        if len(told) == len(self._models):
            del self._told[index]
            asked = self._question
            ordered = [told[n] for n in range(len(told))]
            self._done[index] = mean(ordered, asked.top) if asked.averaged else result


def see_that_it_starts(pool: Pool, began: float) -> None:
    """Look at a pool that has no job.

    Args:
        pool: with no job out.
        began: when, by `time.monotonic`; infinite to be patient.

    Raises:
        BundleError: its processes cannot start, or take too long.
    """
    if pool.ready:
        return
    if pool.problem:
        raise BundleError(pool.problem, "bundle_unfit")
    if time.monotonic() - began > START_PATIENCE_S:
        raise BundleError(f"No predictor was warm within {START_PATIENCE_S:g} s.", "not_warm")
