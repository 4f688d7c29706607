"""Settings compared on one set: trained with several seeds, sorted by inner validation alone."""

import argparse
import os
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from models import balance, datasets, evaluation, locks, pictures, shipping, sweep_grid, twins
from models.console import Console, printable
from models.errors import HyojoError, UsageError
from models.face_spec import FaceSpec
from models.framework import Interrupted
from models.pictures import Pictures
from models.recipe import Recipe
from models.recipes import faces_wanted, recipe
from models.sweep_grid import Setting
from models.sweep_trials import Trial, Work


@dataclass(frozen=True)
class Row:
    """What a setting's trainings came to.

    Attributes:
        setting: which.
        results: one a seed.
        error: why one of them could not be done, or empty.
    """

    setting: Setting
    results: tuple[Mapping[str, Any], ...]
    error: str = ""

    def mean(self, name: str) -> float:
        """Of a figure over the seeds; not a number where a training failed."""
        return float(np.mean([result[name] for result in self.results])) if self else float("nan")

    def deviation(self, name: str) -> float | None:
        """Of the sample; None with a single seed."""
        values = [result[name] for result in self.results]
        return float(np.std(values, ddof=1)) if self and len(values) > 1 else None

    def __bool__(self) -> bool:
        """Whether all its trainings could be done."""
        return not self.error

    @property
    def place(self) -> tuple[bool, float, float]:
        """Sorts the best first: by inner validation, its accuracy before its loss."""
        if not self:
            return (True, 0.0, 0.0)
        return (False, -round(self.mean("val_accuracy"), 6), self.mean("val_loss"))


@dataclass(frozen=True)
class Compared:
    """A finished sweep.

    Attributes:
        rows: best first.
        held_out: of the chosen setting (the first row), a row of figures a seed; empty where
            nothing was held out.
        told: what it was done on, for the report.
        folder: where all of it is kept.
        command: of `train.py`, that trains the chosen setting.
    """

    rows: tuple[Row, ...]
    held_out: tuple[Mapping[str, Any], ...]
    told: dict[str, Any]
    folder: Path
    command: str


def run(options: argparse.Namespace, console: Console, params: Path) -> Compared:
    """Train, compare, choose, and answer for what was held out.

    Raises:
        UsageError: options that do not go together, or another sweep is at work in the folder.
        HyojoError: every training failed, or a process was ended from outside.
        Interrupted: with what is done and how to go on.
    """
    _check(options)
    dataset = datasets.read(options.data, options.layout)
    settings = sweep_grid.settings(options, params)
    balanced = balance.wanted(dataset, options.balance)
    if balanced:
        console.say(balance.told(dataset))
    recipes = [_recipe(setting, dataset, balanced) for setting in settings]
    name = options.name or shipping.default_name(dataset)
    folder = options.runs / f"{name}-sweep"
    with _alone(folder):
        if options.restart:
            shutil.rmtree(folder / "trials", ignore_errors=True)
        held = _read(dataset, recipes, console)
        marked = next(iter(held.values())).dataset
        train, test = _split(options.protocol, marked, options.seed)
        console.say(
            f"{dataset.root}: {len(settings)} settings, {options.repeats} seeds each; chosen on "
            f"inner validation parts of {len(train)} images"
            + (f", {len(test)} held out for the chosen one" if len(test) else "")
        )
        work = Work(folder, held, console, options.jobs or len(os.sched_getaffinity(0)))
        seeds = range(options.seed, options.seed + options.repeats)
        trials = [
            work.trial(number, seed, chosen, cut, train, test[:0])
            for number, (chosen, cut) in enumerate(recipes)
            for seed in seeds
        ]
        try:
            rows = _rows(settings, trials, work.results(trials, [s.told for s in settings]))
            chosen, cut = recipes[settings.index(rows[0].setting)]
            finals = [work.trial(0, seed, chosen, cut, train, test) for seed in seeds]
            held_out = work.results(finals, ["held out, chosen setting"]) if len(test) else []
        except Interrupted:
            done = sum(trial.kept() is not None for trial in trials)
            raise Interrupted(
                f"Interrupted. {done} of {len(trials)} trainings are done and kept in {folder}; "
                "the same command goes on."
            ) from None
    told = {
        "data": dataset.name, "images": len(marked.samples), "labels": list(marked.labels),
        "learnt_from": len(train), "held_out": len(test), "protocol": options.protocol,
        "seeds": list(seeds), "balanced": balanced,
    }  # fmt: skip
    command = _command(options, rows[0].setting)
    return Compared(tuple(rows), tuple(_sound(held_out)), told, folder, command)


def _command(options: argparse.Namespace, chosen: Setting) -> str:
    """Of train.py, to be pasted into a shell: on the same images, read and counted the same way."""
    words = ["--data", str(options.data)]
    for name in ("layout", "balance"):
        if getattr(options, name) != "auto":
            words += [f"--{name}", getattr(options, name)]
    return printable(f"python train.py {shlex.join(words)} {chosen.options()}".strip())


def _check(options: argparse.Namespace) -> None:
    for name, value in (("--repeats", options.repeats), ("--jobs", options.jobs)):
        if value is not None and not 1 <= value <= 1000:
            raise UsageError(f"{name} must lie between 1 and 1000, not {value}.")


def _recipe(setting: Setting, dataset: datasets.Dataset, balanced: bool) -> tuple[Recipe, FaceSpec]:
    """A setting's recipe; its epoch is always chosen, so that there is a figure to compare."""
    faces = faces_wanted(dataset, setting.wishes)
    try:
        made, cut = recipe(setting.wishes, faces, dataset.labels, len(dataset.samples), balanced)
    except UsageError as error:
        raise UsageError(f"{error} (Of the setting: {setting.told}.)") from None
    return replace(made, fixed=False), cut


def _read(
    dataset: datasets.Dataset, recipes: list[tuple[Recipe, FaceSpec]], console: Console
) -> dict[FaceSpec, Pictures]:
    """The set in memory, once for each way to cut it; the same samples in all of them."""
    held: dict[FaceSpec, Pictures] = {}
    for cut in dict.fromkeys(cut for _, cut in recipes):
        size = max(made.input.size for made, other in recipes if other == cut)
        with console.steps(len(dataset.samples), "images") as steps:
            held[cut] = pictures.read(dataset, cut, size, steps.tick, whole_if_faceless=True)
        shipping.tell_problems(held[cut], console)
    marked = twins.marked(next(iter(held.values())))
    return {cut: replace(one, dataset=marked) for cut, one in held.items()}


def _split(protocol: str, dataset: datasets.Dataset, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """What may be learnt from, and what is held out: the same for all settings and seeds."""
    if protocol == "none":
        return evaluation.trainable(dataset), np.array([], int)
    (fold,) = evaluation.folds(protocol, dataset, seed)
    return fold.train, fold.test


def _rows(settings: list[Setting], trials: list[Trial], results: list[dict[str, Any]]) -> list[Row]:
    of: dict[int, list[dict[str, Any]]] = {}
    for trial, result in zip(trials, results, strict=True):
        of.setdefault(trial.number, []).append(result)
    rows = []
    for number, setting in enumerate(settings):
        mine = of[number]
        error = next((result["error"] for result in mine if "error" in result), "")
        rows.append(Row(setting, tuple(mine), error))
    rows.sort(key=lambda row: row.place)
    if not rows[0]:
        raise HyojoError(f"Every setting failed. The first: {rows[0].error}")
    return rows


def _sound(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for result in results:
        if "error" in result:
            raise HyojoError(f"The chosen setting could not be trained again: {result['error']}")
    return results


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One sweep at a time in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    told = f"Another sweep is at work in {folder}. Wait for it, or give this one a --name."
    lock = locks.hold(folder / "lock", told)
    try:
        yield
    finally:
        del lock


def as_dict(compared: Compared) -> dict[str, Any]:
    """What --json prints and sweep.json keeps."""
    rows = []
    for row in compared.rows:
        said: dict[str, Any] = {"setting": row.setting.varied, "options": row.setting.options()}
        if row:
            for name in ("val_accuracy", "val_loss", "epochs", "seconds"):
                said[name] = {"mean": row.mean(name), "deviation": row.deviation(name)}
            said["parameters"] = row.results[0]["parameters"]
        said["trainings"] = [dict(result) for result in row.results]
        rows.append(said | ({"error": row.error} if row.error else {}))
    chosen = {"setting": compared.rows[0].setting.varied, "command": compared.command}
    held_out = [dict(result) for result in compared.held_out]
    return {
        **compared.told, "sorted_by": "val_accuracy", "rows": rows, "chosen": chosen,
        "held_out_of_the_chosen": held_out, "folder": str(compared.folder),
    }  # fmt: skip
