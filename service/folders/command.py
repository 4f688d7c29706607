"""`infer.py --ray FOLDER --out RESULTS`: list, answer, write; go on where it was stopped."""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from models.console import Console, Steps
from models.errors import UsageError
from service import ray_node
from service.batch import Question
from service.catalog import Catalog
from service.cores import usable_cores
from service.folders import parts, run, walk
from service.folders.bundles import digest
from service.folders.run import Run
from service.hiring import size_for
from service.settings import Settings

if TYPE_CHECKING:
    from service.folders.cluster import Cluster

_LINE_EVERY_S = 60.0
"""Where no bar is drawn."""


@dataclass
class _Tally:
    """What is done.

    Attributes:
        before: images whose answers were there already.
        now: images answered since.
        failed: of both.
        numbers: of the parts that were there.
    """

    numbers: set[int]
    before: int = 0
    now: int = 0
    failed: int = 0

    @property
    def images(self) -> int:
        return self.before + self.now


def classify(
    options: argparse.Namespace, settings: Settings, models: Catalog, averaged: tuple[str, ...]
) -> int:
    """Classify all images below folders into Parquet files; returns the exit status.

    Raises:
        HyojoError: it cannot begin, or not go on.
    """
    console = Console()
    out = Path(os.path.abspath(options.out))
    paths = walk.apart(options.paths)
    question = Question(settings.model, options.faces, options.top, averaged=averaged)
    tally = _Tally(set())
    whole: Run | None = None
    with run.holding(out):
        try:
            whole = _begun(out, paths, options, settings, models, question, console)
            for done in parts.written(out, whole):
                tally.numbers.add(done.number)
                tally.before += done.images
                tally.failed += done.failed
            began = time.monotonic()
            if tally.before < whole.images:
                lookers = _Lookers(options, settings, models, question)
                _answer(out, whole, tally, lookers, console)
                _see_that_all_is_there(out, whole)
        except KeyboardInterrupt:
            console.say(f"infer.py: stopped; {_left(out, whole)}")
            return 130
    _say_the_end(options, out, whole, tally, time.monotonic() - began)
    return 1 if tally.failed else 0


@dataclass(frozen=True)
class _Lookers:
    """What the processes are made with."""

    options: argparse.Namespace
    settings: Settings
    models: Catalog
    question: Question

    @property
    def address(self) -> str:
        """Of the cluster, empty for this machine alone; Ray's own variable counts too."""
        return str(self.options.ray_address or os.environ.get("RAY_ADDRESS") or "")

    def count(self, there: "Cluster") -> int:
        """How many: one a core, fewer of large models."""
        if self.options.processes:
            return int(self.options.processes)
        node = self.settings.model_copy(update={"predictors": max(1, there.cores // there.nodes)})
        return size_for(self.models, node) * there.nodes


def _begun(
    out: Path,
    paths: list[Path],
    options: argparse.Namespace,
    settings: Settings,
    models: Catalog,
    question: Question,
    console: Console,
) -> Run:
    """The run that is there, if it is this one; else a new one, with its list."""
    there = run.begun(out)
    wanted = question.averaged or (question.model,)
    infos = [models.models[name] for name in wanted]
    asked = Run(
        paths=run.shown(paths),
        model=question.model,
        version=",".join(info.version for info in infos),
        bundle=digest(models, wanted),
        labels=infos[0].labels,
        faces=question.faces,
        top=question.top,
        max_pixels=settings.max_pixels,
        part_size=options.part_size or (there.part_size if there else run.PART_SIZE),
    )
    if there:
        run.see_that_it_is_the_same(out, there, asked)
        return there
    with console.steps(None, "listing") as steps:
        return run.begin(out, asked, _counted(walk.images_below(paths), steps.tick))


def _answer(out: Path, whole: Run, tally: _Tally, lookers: _Lookers, console: Console) -> None:
    """Have every part answered that is not there yet."""
    ray_node.quieten()
    if not lookers.address:
        ray_node.keep_to_itself()
    from service.folders import cluster  # Ray: two seconds

    missing = (part for part in run.parts_of(out, whole) if part.number not in tally.numbers)
    report = _Report(console, whole, tally)
    with (
        cluster.joined(
            lookers.address or cluster.LOCAL, lookers.options.processes or usable_cores()
        ) as there,
        console.steps(whole.images, "images", tally.before) as steps,
    ):
        count = min(lookers.count(there), whole.parts - len(tally.numbers))
        for done in cluster.hand_out(
            missing,
            count,
            there,
            out=out,
            run=whole,
            question=lookers.question,
            settings=lookers.settings.model_copy(update={"api_keys": ""}),
            batch_size=lookers.options.batch_size,
        ):
            tally.now += done.images
            tally.failed += done.failed
            report.tell(steps, done.images)


def _see_that_all_is_there(out: Path, whole: Run) -> None:
    """Count what stands on disk, whatever was told of it."""
    there = sum(done.images for done in parts.written(out, whole))
    if there != whole.images:
        raise UsageError(
            f"{out} holds {there} of {whole.images} images. Give the same command again."
        )


class _Report:
    """The bar, or a line a minute where there is none."""

    def __init__(self, console: Console, whole: Run, tally: _Tally) -> None:
        self._console = console
        self._whole = whole
        self._tally = tally
        self._next_s = console.seconds + _LINE_EVERY_S
        self._began_s = console.seconds

    def tell(self, steps: Steps, images: int) -> None:
        """So many more are done."""
        steps.tick(images)
        now_s = self._console.seconds
        if self._console.live or now_s < self._next_s:
            return
        self._next_s = now_s + _LINE_EVERY_S
        pace = self._tally.now / (now_s - self._began_s)
        self._console.say(
            f"{self._tally.images} of {self._whole.images} images, {self._tally.failed} failed, "
            f"{pace:.1f} images/s"
        )


def _counted(paths: Iterator[bytes], tick: Callable[[], None]) -> Iterator[bytes]:
    for path in paths:
        tick()
        yield path


def _left(out: Path, whole: Run | None) -> str:
    if whole is None:
        return "nothing was answered yet. The same command begins anew."
    images = sum(done.images for done in parts.written(out, whole))
    return (
        f"{images} of {whole.images} images are answered in {out}. The same command goes on from "
        "there."
    )


def _say_the_end(
    options: argparse.Namespace, out: Path, whole: Run, tally: _Tally, seconds: float
) -> None:
    pace = tally.now / max(seconds, 1e-9)
    if options.json:
        told = {
            "out": str(out),
            "images": whole.images,
            "failed": tally.failed,
            "parts": whole.parts,
            "before": tally.before,
            "seconds": round(seconds, 3),
        }
        print(json.dumps(told, ensure_ascii=False))
    noun = "image" if whole.images == 1 else "images"
    line = f"{whole.images} {noun}, {tally.failed} failed"
    if tally.before:
        line += f", {tally.before} of them done before"
    if tally.now:
        line += f", {seconds:.1f} s, {pace:.1f} images/s"
    files = "1 file" if whole.parts == 1 else f"{whole.parts} files"
    Console().say(f"{line}; {files} in {out}")
