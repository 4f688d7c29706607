"""Train a small image classifier from a folder of images and write it as a bundle.

    $ python train.py --data ~/sets/jaffe
    $ python train.py --data ~/sets/mugs --name mugs --network ResNet18 --protocol holdout
    $ python train.py --data ~/sets/mugs --name mugs --init imagenet:mobilenet_v2
    $ python train.py --data ~/sets/mugs --network ResNet18 --processes 2
    $ python train.py sweep --data ~/sets/mugs --lr 0.001 0.0003 --augment none default

The bundle (by default params/<name>/) holds the network for serving, the weights to start another
training from, and a report with the figures and a model card. What the figures mean is
decided by --protocol; nothing is ever chosen on the images a protocol holds out.
`train.py sweep` compares settings and has a --help of its own.

Exit status: 0 done; 1 training failed; 2 wrong options or data; 130 interrupted (the best so far
is kept, and where is said; --resume goes on).
"""

import argparse
import dataclasses
import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any, TextIO

from models import (
    balance,
    datasets,
    devices,
    joining,
    leftovers,
    pictures,
    ranks,
    shipping,
    sweep,
    sweep_options,
    sweep_report,
    twins,
)  # fmt: skip
from models.console import Console, duration, printable
from models.datasets import Dataset
from models.errors import BundleError, DataError, HyojoError, UsageError
from models.evaluation import FOLDS, QUICK_FOLDS, resolve
from models.experiment import beside, evaluate_seeds, ship
from models.face_spec import FaceSpec
from models.framework import Interrupted, follow, interrupt_on_signals  # Paddle settles here
from models.joining import Crowd
from models.options import arguments
from models.recipes import faces_wanted, for_known_people, recipe
from models.runs import Run
from models.training import Trainer
from models.wishes import Wishes

PROJECT = Path(__file__).resolve().parent
PARAMS = PROJECT / "params"
_SHORT = (
    "There is not enough memory. Give a smaller --batch-size or --image-size or fewer --copies, or "
    "end what else runs; the same command with --resume (a sweep: the same command) goes on."
)


def main(argv: list[str] | None = None) -> int:
    """The command line; the exit status is told in the module's docstring."""
    argv = sys.argv[1:] if argv is None else argv
    sweeping = argv[:1] == ["sweep"]
    parser = sweep_options.arguments() if sweeping else arguments(__doc__ or "")
    options = parser.parse_args(argv[1:] if sweeping else argv)
    together = joining.crowd()
    answer = _own_stdout()
    if together.number:
        return _beside(options, argv, sweeping, together)
    interrupt_on_signals()
    try:
        told = (_sweep if sweeping else _train)(options, argv, together)
    except Interrupted as reason:
        print(str(reason), file=sys.stderr)
        return 130
    except (UsageError, DataError, BundleError) as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 2
    except (HyojoError, OSError) as error:
        print(f"train.py: {error} {together.fates()}".rstrip(), file=sys.stderr)
        return 1
    except MemoryError as error:
        print(f"train.py: {_SHORT} {_told_first(error)}".rstrip(), file=sys.stderr)
        return 1
    finally:
        together.leave()
    print(told, file=answer, flush=True)
    return 0


def _beside(options: argparse.Namespace, argv: list[str], sweeping: bool, together: Crowd) -> int:
    """Of processes that train together, one that neither writes nor speaks."""
    follow()
    try:
        if not sweeping:
            train(options, Console.silent(), argv, together)
    except (UsageError, DataError, BundleError):
        return 0  # the first finds the same, says it, and decides the status
    except (HyojoError, OSError) as error:
        print(f"train.py, process {together.number + 1}: {error}", file=sys.stderr)
        return 1
    except MemoryError as error:
        print(f"train.py, process {together.number + 1}: {_told_first(error)}", file=sys.stderr)
        return 1
    return 0


def _told_first(error: MemoryError) -> str:
    """The line that says it: Paddle puts a page of its own calls before and after."""
    lines = [line.strip() for line in str(error).splitlines() if "memory" in line.lower()]
    return lines[0] if lines else str(error).strip().partition("\n")[0]


def _train(options: argparse.Namespace, argv: list[str], together: Crowd) -> str:
    result = train(options, Console(), argv, together)
    return json.dumps(result) if options.json else _told(result)


def _sweep(options: argparse.Namespace, argv: list[str], together: Crowd) -> str:
    joining.refuse_sweep(together)
    console = Console()
    compared = sweep.run(options, console, PARAMS)
    try:
        sweep_report.write(compared)
    except Interrupted:
        raise Interrupted(
            "Interrupted while the report was written. All trainings are done and kept in "
            f"{compared.folder}; the same command writes it."
        ) from None
    return json.dumps(sweep.as_dict(compared)) if options.json else sweep_report.table(compared)


def _own_stdout() -> TextIO:
    """Standard output for the result alone; what Paddle itself prints goes to standard error."""
    kept = os.fdopen(os.dup(1), "w", errors="backslashreplace")  # paths may be any bytes
    os.dup2(2, 1)
    return kept


def train(
    options: argparse.Namespace, console: Console, argv: list[str], together: Crowd
) -> dict[str, Any]:
    """Read the data, run the protocol, train and write the bundle.

    Returns:
        what --json prints; nothing in a process that trains beside the first.
    """
    _check(options)
    together.asked(options.processes, options.device)
    devices.use(options.device, together.count if together.here else 1)
    same = [sys.executable, str(PROJECT / "train.py"), *argv]
    together.meet(same, options.device, checked=False)
    dataset = datasets.read(options.data, options.layout)
    name = options.name or shipping.default_name(dataset)
    out = options.out or PARAMS / name
    shipping.check_place(name, out)
    wishes = _wishes(options)
    faces = faces_wanted(dataset, wishes)
    wishes = for_known_people(wishes, options.protocol, dataset) if faces else wishes
    balanced = balance.wanted(dataset, options.balance)
    chosen, cut = recipe(wishes, faces, dataset.labels, len(dataset.samples), balanced)
    quick = chosen.frozen and not faces
    protocol = resolve(options.protocol, dataset, quick)
    folds = options.folds or (QUICK_FOLDS if quick and options.protocol == "auto" else FOLDS)
    console.say(shipping.described(dataset, faces, protocol))
    if balanced:
        console.say(balance.told(dataset))
    company = test = None
    if options.company:
        company, test = datasets.company(options.company, dataset)
    fixed = shipping.settings(dataset, chosen, cut, protocol, company, folds)
    run = Run(options.runs / name, fixed, options.resume)
    together.meet(same, options.device, checked=True)
    held = _read(dataset, cut, chosen.input.size, console)
    held = dataclasses.replace(held, dataset=twins.marked(held))
    for line in leftovers.copies_told(held):
        console.say(line)
    others = _read(company, cut, chosen.input.size, console) if company else None
    trainer = Trainer(held, chosen, run, console, others)
    command = _command(argv)
    outcome = None
    try:
        if protocol != "none":
            outcome = evaluate_seeds(trainer, protocol, options.seeds, console, folds)
        final = ship(trainer)
    except Interrupted:
        kept = shipping.keep_best(trainer, run, command)
        raise Interrupted(
            f"Interrupted. {kept}Finished folds and checkpoints are in {run.folder}; the same "
            "command with --resume goes on."
        ) from None
    try:
        aside = None
        if test is not None:
            aside = beside(trainer, final, _read(test, cut, chosen.input.size, console))
        if not ranks.first():
            return {}
        manifest = shipping.write(out, name, trainer, final, outcome, command, options.base, aside)
        trainer.tidy()
        run.finish("final", {"bundle": str(out), "version": manifest.version})
    except Interrupted:
        raise Interrupted(
            "Interrupted after training, before all was written. What is trained is kept in "
            f"{run.folder}; the same command with --resume writes the bundle."
        ) from None
    return shipping.result(out, manifest, held, run.folder, console.seconds)


def _check(options: argparse.Namespace) -> None:
    if options.seeds < 1:
        raise UsageError(f"--seeds must be 1 or more, not {options.seeds}.")
    if options.folds is not None and not 2 <= options.folds <= 1000:
        raise UsageError(f"--folds must lie between 2 and 1000, not {options.folds}.")


def _read(dataset: Dataset, cut: FaceSpec, size: int, console: Console) -> pictures.Pictures:
    with console.steps(len(dataset.samples), "images") as steps:
        held = pictures.read(dataset, cut, size, steps.tick,
                             whole_if_faceless=dataset.layout == "fer2013")  # fmt: skip
    shipping.tell_problems(held, console)
    return held


def _wishes(options: argparse.Namespace) -> Wishes:
    given = {f.name: getattr(options, f.name) for f in dataclasses.fields(Wishes)
             if hasattr(options, f.name)}  # fmt: skip
    return Wishes(**given, face_bundle=PARAMS / "face", params=PARAMS)


def _command(argv: list[str]) -> str:
    """The command as the bundle records it: folders by their last name, no private paths."""
    places = {"--data", "--with", "--out", "--runs", "--init"}
    # `--data=x` is two words; the equals sign in `--augment flip,rotation=15` stays.
    words = iter(
        part for word in argv for part in word.split("=", 1 if word.startswith("--") else 0)
    )
    kept = []
    for word in words:
        if word in ("--runs", "--out"):
            next(words, None)
        elif word in places:
            kept += [word, Path(next(words, "")).name]
        elif word not in ("--json", "--resume"):
            kept.append(word)
    if ranks.count() > 1 and "--processes" not in kept:
        kept += ["--processes", str(ranks.count())]  # however they were started
    return "python train.py " + printable(shlex.join(kept))


def _told(result: dict[str, Any]) -> str:
    figures = result["metrics"]
    measured = "not measured (--protocol none)"
    if figures:
        measured = (
            f"{result['protocol']['name']}: accuracy {figures['accuracy']:.1%}, macro-F1 "
            f"{figures['macro_f1']:.1%} over {figures['images']} images"
        )
        if several := figures.get("seeds"):
            measured += (
                f"\nmean of {len(several['seeds'])} seeds: accuracy "
                f"{several['accuracy']['mean']:.1%} (deviation "
                f"{several['accuracy']['deviation']:.1%}), "
                f"macro-F1 {several['macro_f1']['mean']:.1%}"
            )
    return (
        f"{measured}\n{result['name']} {result['version']} is in {result['bundle']} "
        f"({duration(result['seconds'])}); its report is in {result['report']}{_served(result)}"
    )


def _served(result: dict[str, Any]) -> str:
    """How a running service takes the new bundle, where it lies among those that are served."""
    place = Path(result["bundle"])
    if result["base"] or place.resolve().parent != PARAMS:
        return ""
    return (
        "\nA running service takes it, without losing a request, when it is sent SIGHUP: kill -HUP "
        f"its process, or docker kill -s HUP its container. ?model={place.name} then asks it."
    )


if __name__ == "__main__":
    sys.exit(main())
