"""From a trained network to a bundle on disk: export, weights, report, and how it was made."""

import dataclasses
import hashlib
import os
import string
import time
from pathlib import Path
from typing import Any

from models import bundle, card, devices, leftovers, ranks, report, weights
from models.bundle import Manifest
from models.console import Console
from models.datasets import Dataset
from models.errors import UsageError
from models.evaluation import FOLDS
from models.experiment import Outcome
from models.export import export
from models.face_spec import FaceSpec
from models.pictures import Pictures, Problem
from models.recipe import Recipe, Trained
from models.runs import Run
from models.training import Trainer

_NAMES = {"jaffe": "emotion", "fer2013": "emotion", "genki4k": "smile"}
_CHOICES = (
    "Epochs, shrinkage, the stretch of the copies' spread and temperature were chosen inside each "
    "fold's training part, on other subjects where subjects are known."
)
_FAMILIAR = (
    "Ridge and temperature were chosen inside each fold's training part, on random parts of it."
)
_SETTLED = (
    "The length of training was settled beforehand, and nothing was chosen on the held-out images."
)
_PLAIN = frozenset(string.ascii_letters + string.digits + "-_.")
_SHOWN = 10  # problems told one by one


def default_name(dataset: Dataset) -> str:
    """emotion, smile, or the folder's name made fit for a folder and a URL."""
    given = _NAMES.get(dataset.layout, dataset.name).lower()
    return "".join(c if c in _PLAIN else "-" for c in given).strip("-.") or "model"


def check_place(name: str, out: Path) -> None:
    """Refuse a name that is no plain word, and a place where something else would be replaced.

    Raises:
        UsageError: either of them.
    """
    if not name or not set(name) <= _PLAIN or name[0] in ".-":
        raise UsageError(
            f"--name {name!r} cannot name a model: use letters, digits, '-', '_' and '.' only."
        )
    if out.is_mount():
        raise UsageError(
            f"{out} is a mount point, and no bundle can take its place: it is written beside its "
            f"place and renamed. Name a folder inside it: --out {out / name}"
        )
    if out.is_file() or (out.is_dir() and any(out.iterdir())
                         and not (out / bundle.MANIFEST).is_file()):  # fmt: skip
        raise UsageError(
            f"{out} is no model bundle, and --out would replace it. Name a folder that is not "
            "there yet, or a bundle to replace."
        )
    above = next(place for place in out.resolve().parents if place.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise UsageError(f"{out} cannot be written: {above} is not a folder you may write into.")


def described(dataset: Dataset, faces: bool, protocol: str) -> str:
    """One line about the data."""
    people = f" of {len(dataset.subjects)} subjects" if dataset.subjects else ""
    return (
        f"{dataset.root}: {dataset.layout}, {len(dataset.samples)} images{people} in "
        f"{len(dataset.labels)} classes; {'faces are cut' if faces else 'whole images'}; "
        f"protocol {protocol}"
    )


def tell_problems(held: Pictures, console: Console) -> None:
    """Which images were left out, and why."""
    for what, problems in (
        ("cannot be read", held.unreadable),
        ("show no face that was found (--faces no would use them whole)", held.faceless),
    ):
        if problems:
            console.say(f"{len(problems)} images {what} and are left out:")
            for line in _some(problems):
                console.say(f"  {line}")
    if held.whole:
        console.say(f"{held.whole} images show no face that was found and are used whole.")


def settings(
    dataset: Dataset,
    recipe: Recipe,
    cut: FaceSpec,
    protocol: str,
    company: Dataset | None = None,
    folds: int = FOLDS,
) -> dict[str, Any]:
    """Everything that decides a run's figures, as plain values."""
    init = recipe.init
    extra: dict[str, Any] = {"fixed": True} if recipe.fixed else {}
    if protocol == "kfold" and folds != FOLDS:
        extra |= {"folds": folds}
    if recipe.distil:
        extra |= {"distil": recipe.distil}
    extra |= _machine()
    if recipe.balanced:
        extra |= {"balanced": True}
    if company is not None:
        extra |= {"company": _mark(company), "share": recipe.share}
    return extra | {
        "data": _mark(dataset),
        "protocol": protocol,
        "faces": dataclasses.asdict(cut),
        "network": recipe.network.as_dict(),
        "input": dataclasses.asdict(recipe.input),
        "init": f"{init.manifest.name} {init.manifest.version}" if init else None,
        "trainable": recipe.trainable,
        "head": recipe.head,
        "copies": recipe.copies,
        "augment": recipe.augment.told(),
        "keep": recipe.prior.share if recipe.prior else 0,
        **dataclasses.asdict(recipe.schedule),
    }


def _machine() -> dict[str, Any]:
    """What is not as usual of that on which it is trained."""
    told: dict[str, Any] = {"processes": ranks.count()} if ranks.count() > 1 else {}
    return told | ({"device": "gpu"} if devices.on_gpu() else {})


def _mark(dataset: Dataset) -> str:
    """A digest of what the set holds: names, and size and time of each file for its content.

    Reading everything once more would tell contents apart for certain, and takes as long again.
    """
    listing = "\n".join(
        f"{s.path.relative_to(dataset.root)}\t{s.label}\t{s.part}\t{_stamp(s.path)}"
        for s in dataset.samples
    )
    return hashlib.sha256(listing.encode(errors="surrogateescape")).hexdigest()


def _stamp(file: Path) -> str:
    try:
        told = file.stat()
    except OSError:  # gone meanwhile: whoever reads it says so
        return ""
    return f"{told.st_size}\t{told.st_mtime_ns}"


def write(
    out: Path,
    name: str,
    trainer: Trainer,
    final: Trained,
    outcome: Outcome | None,
    command: str,
    base: bool = False,
    aside: dict[str, Any] | None = None,
) -> Manifest:
    """Write the bundle `out`; an older one there is replaced once the new one is whole.

    With `base` it is one to start other trainings from: nothing is exported, nobody serves it.
    `aside` is what the network does on the test part of the set that kept company.

    Raises:
        ExportError: the export does not agree with the network.
    """
    held, recipe = trainer.pictures, trainer.recipe
    protocol, metrics = _measured(outcome, recipe)
    if metrics and held.faceless:
        metrics = {**metrics, **_counting(held, metrics)}
    if aside is not None and trainer.company is not None:
        metrics = {**metrics, "company": {"set": trainer.company.dataset.name, **aside}}
    with bundle.writing(out) as folder:
        made = _record(held, trainer.company, recipe, final, command)
        exported = None if base else export(final.network, recipe.input, folder)
        if exported:
            made["export_difference"] = exported.difference
        weights.save(weights.state_of(final.network), folder / bundle.WEIGHTS)
        if final.statistics is not None:
            weights.save(final.statistics.packed(), folder / bundle.STATISTICS)
        mark = bundle.sha256(folder / bundle.WEIGHTS)[:8]
        manifest = Manifest(
            name=name,
            task=bundle.FEATURES if base else "classification",
            version=f"{time.strftime('%Y%m%d', time.gmtime())}-{mark}",
            labels=held.dataset.labels,
            input=recipe.input,
            faces=held.spec,
            network={
                **recipe.network.as_dict(),
                "parameters": final.network.parameter_count(),
            },
            training=made,
            protocol=protocol,
            metrics=metrics,
            licence=_terms(held.dataset, trainer.company, recipe),
            files={},
            explains=exported is not None and exported.explains,
        )
        figures = {"protocol": protocol, "metrics": metrics, "training": manifest.training}
        report.write(folder / "report", manifest.labels, outcome, final.history, figures)
        leftovers.write(held, folder / "report" / leftovers.FILE)
        (folder / "report" / "card.md").write_text(card.text(manifest))
        return bundle.seal(folder, manifest)


def keep_best(trainer: Trainer, run: Run, command: str) -> str:
    """After Ctrl-C: write the network that was in training as a bundle of its own, if there is one.

    Returns:
        A sentence for the person, empty when no network was in training yet.
    """
    unfinished = trainer.best_so_far()
    if unfinished is None:
        return ""
    out = run.folder / "best"
    write(out, run.folder.name, trainer, unfinished, None, f"{command} (interrupted)")
    return f"The best network so far is kept as a bundle in {out}. "


def result(
    out: Path, manifest: Manifest, held: Pictures, run: Path, seconds: float
) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "name": manifest.name,
        "version": manifest.version,
        "bundle": str(out),
        "report": str(out / "report"),
        "run": str(run),
        "base": manifest.task == bundle.FEATURES,
        "labels": list(manifest.labels),
        "images": len(held),
        "subjects": list(held.dataset.subjects),
        "unreadable": [str(p.sample.path) for p in held.unreadable],
        "faceless": [str(p.sample.path) for p in held.faceless],
        "twins": held.dataset.twins,
        "copies": [[str(s.path) for s in group] for group in leftovers.groups(held.dataset)],
        "protocol": manifest.protocol,
        "metrics": manifest.metrics,
        "seconds": round(seconds, 1),
    }


def _some(problems: tuple[Problem, ...]) -> list[str]:
    lines = [f"{problem.sample.path}: {problem.reason}" for problem in problems[:_SHOWN]]
    more = len(problems) - _SHOWN
    return [*lines, f"… and {more} more"] if more > 0 else lines


def _measured(outcome: Outcome | None, recipe: Recipe) -> tuple[dict[str, Any], dict[str, Any]]:
    if outcome is None:
        return {"name": "none"}, {}
    person = {"loso": False, "kfold": True}.get(outcome.protocol)
    choices = _FAMILIAR if recipe.familiar else _CHOICES
    protocol = {
        "name": outcome.protocol,
        "folds": len(outcome.chosen),
        "same_person_on_both_sides": person,
        "choices": _SETTLED if recipe.fixed else choices,
        "chosen": outcome.chosen,
    }
    figures = {**outcome.metrics, "per_subject": outcome.subjects}
    return protocol, figures | ({"seeds": outcome.seeds} if outcome.seeds else {})


def _counting(held: Pictures, metrics: dict[str, Any]) -> dict[str, Any]:
    """The accuracy with each image that shows no face counted as a wrong answer."""
    tested, missed = metrics["images"], len(held.faceless)
    counted = metrics["accuracy"] * tested / (tested + missed)
    return {"faceless": missed, "accuracy_faceless_wrong": round(counted, 4)}


def _record(
    held: Pictures, company: Pictures | None, recipe: Recipe, final: Trained, command: str
) -> dict[str, Any]:
    init = recipe.init
    together: dict[str, Any] = {"distil": recipe.distil} if recipe.distil else {}
    together |= _machine()
    if company is not None:
        together |= {
            "with": company.dataset.name,
            "with_images": len(company),
            "share_of_own": recipe.share,
        }
    return together | {
        "data": held.dataset.name,
        "layout": held.dataset.layout,
        "images": len(held),
        "subjects": list(held.dataset.subjects),
        "unreadable": len(held.unreadable),
        "faceless": len(held.faceless),
        "used_whole": held.whole,
        "twins": held.dataset.twins,
        "init": f"{init.manifest.name} {init.manifest.version}" if init else None,
        "init_data": init.manifest.training.get("data") if init else None,
        "trainable_stages": "all" if recipe.trainable is None else recipe.trainable,
        "head": recipe.head,
        "copies": None if recipe.trainable is None else recipe.copies,
        "augment": recipe.augment.told(),
        "balanced": recipe.balanced,
        "kept_of_init_head": recipe.prior.share if recipe.prior else 0,
        **dataclasses.asdict(recipe.schedule),
        "chosen": dict(final.chosen),
        "command": command,
    }


def _terms(dataset: Dataset, company: Pictures | None, recipe: Recipe) -> str:
    start = f" Started from weights under: {recipe.init.manifest.licence}" if recipe.init else ""
    return dataset.terms + (f" {company.dataset.terms}" if company else "") + start
