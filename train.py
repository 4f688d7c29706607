"""Train a small image classifier from a folder of images and write it as a bundle.

    $ python train.py --data ~/sets/jaffe
    $ python train.py --data ~/sets/mugs --name mugs --network ResNet18 --protocol holdout

The bundle (by default params/<name>/) holds the network for serving, the weights to start another
training from, and a report with the figures and a model card. What the figures mean is decided by
--protocol; nothing is ever chosen on the images a protocol holds out.

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

from models import datasets, pictures, shipping
from models.console import Console, duration
from models.datasets import Dataset
from models.descent import OPTIMIZERS
from models.errors import BundleError, DataError, HyojoError, UsageError
from models.evaluation import PROTOCOLS, resolve
from models.experiment import beside, evaluate_seeds, ship
from models.faces import FaceSpec
from models.framework import Interrupted, interrupt_on_signals  # Paddle's import settles here
from models.recipes import Wishes, faces_wanted, recipe
from models.runs import Run
from models.training import Trainer

PROJECT = Path(__file__).resolve().parent


def arguments() -> argparse.ArgumentParser:
    """The command line, in groups, each option with its default."""
    parser = argparse.ArgumentParser(
        prog="train.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    usual = Wishes()
    paths = parser.add_argument_group("data and paths")
    paths.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder with the images; the set may lie deeper inside (required)",
    )
    paths.add_argument(
        "--layout",
        choices=datasets.LAYOUTS,
        default="auto",
        help="how the images are laid out: folders is one folder a class, with "
        "train/, val/ and test/ above them or not (default: auto, detected)",
    )
    paths.add_argument(
        "--with",
        type=Path,
        dest="company",
        metavar="DIR",
        help="another set of the same labels that stages in training see beside this one; its "
        "test part is left out (default: none)",
    )
    paths.add_argument(
        "--share",
        type=float,
        default=usual.share,
        help="how much of each batch is --data's own with --with (default: %(default)s)",
    )
    paths.add_argument(
        "--name",
        help="of the model (default: emotion for jaffe and fer2013, "
        "smile for genki4k, else the folder's name)",
    )
    paths.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="where the bundle goes (default: params/NAME of this project)",
    )
    paths.add_argument(
        "--runs",
        type=Path,
        default=Path("runs"),
        metavar="DIR",
        help="where the run is kept for --resume (default: runs)",
    )
    net = parser.add_argument_group("network")
    net.add_argument(
        "--network",
        metavar="NAME",
        help="gabor, face_cnn, mobilenet_face, or a PaddleClas network by name such as "
        "PPLCNet_x1_0, MobileNetV3_small_x1_0, ResNet18, ResNet50, VGG16, VGG19, "
        "InceptionV3 or DenseNet121 (default: the --init bundle's; else gabor "
        "for few faces, face_cnn for many, and PPLCNet_x1_0 for whole images)",
    )
    net.add_argument(
        "--init",
        default="auto",
        metavar="BUNDLE",
        help="bundle to take weights from; its head is replaced where labels differ; "
        "none starts from nothing (default: auto, params/face where faces are cut)",
    )
    net.add_argument(
        "--freeze",
        metavar="none|all|N",
        help="none trains everything, all only the head, N the head and the last N "
        "stages (default: with --init all, or 7 where the bundle knows the same labels and the "
        "images are few, or with --with; without it none)",
    )
    net.add_argument(
        "--head",
        choices=("lda", "softmax"),
        help="lda: closed formula on frozen features, needs no epochs; softmax: by "
        "gradient (default: lda with --freeze all, else softmax)",
    )
    net.add_argument(
        "--faces",
        choices=("auto", "yes", "no"),
        default="auto",
        help="find, align and cut faces, or use whole images (default: auto, faces "
        "for face sets and for folders whose images nearly all show a large face)",
    )
    net.add_argument(
        "--image-size",
        type=int,
        metavar="PIXELS",
        help="side of the network's input (default: the bundle's or the network's)",
    )
    net.add_argument(
        "--span",
        type=float,
        metavar="DISTANCES",
        help="side of the square cut around a face, in distances from the eyes to the mouth "
        "(default: the bundle's, else 2.2)",
    )
    net.add_argument(
        "--keep",
        type=float,
        default=usual.keep,
        metavar="SHARE",
        help="how much of the --init bundle's head stays, 0 to 0.99, where its labels are the "
        "same and the new head is lda: the two sets' statistics are blended (default: %(default)s)",
    )
    steps = parser.add_argument_group("training")
    steps.add_argument(
        "--epochs",
        type=int,
        help="at most this many (default: 30, or 15 where stages learn on from a bundle of the "
        "same labels)",
    )
    steps.add_argument(
        "--fixed",
        action="store_true",
        help="train for exactly --epochs (default: choose the epoch on an inner validation part; "
        "where stages learn on from a bundle of the same labels the length is fixed)",
    )
    steps.add_argument(
        "--batch-size",
        type=int,
        default=usual.batch_size,
        help="images a step (default: %(default)s)",
    )
    steps.add_argument(
        "--lr",
        type=float,
        help="highest learning rate (default: 0.0003 for open stages with --init, else 0.001)",
    )
    steps.add_argument(
        "--optimizer", choices=OPTIMIZERS, default=usual.optimizer, help="(default: %(default)s)"
    )
    steps.add_argument(
        "--weight-decay", type=float, default=usual.weight_decay, help="(default: %(default)s)"
    )
    steps.add_argument(
        "--label-smoothing",
        type=float,
        default=usual.label_smoothing,
        help="(default: %(default)s)",
    )
    steps.add_argument(
        "--mixup",
        type=float,
        default=usual.mixup,
        metavar="ALPHA",
        help="mix each image with another by a share from Beta(ALPHA, ALPHA); 0 mixes none "
        "(default: %(default)s)",
    )
    steps.add_argument(
        "--average",
        type=float,
        metavar="DECAY",
        help="keep a running average of the weights with this decay, 0.998 say, instead of the "
        "weights themselves; 0 averages nothing (default: 0, or 0.98 where stages learn on from "
        "a bundle of the same labels)",
    )
    steps.add_argument(
        "--copies",
        type=int,
        help="jittered copies of each crop that frozen stages see, beside the crop itself "
        "(default: 8, 16 where stages learn on, or 1 from 2000 images on)",
    )
    steps.add_argument(
        "--patience",
        type=int,
        default=usual.patience,
        help="epochs without a better validation loss before the end; 0 never ends "
        "early (default: %(default)s)",
    )
    steps.add_argument(
        "--seed",
        type=int,
        default=usual.seed,
        help="the same seed gives the same figures on the same machine (default: %(default)s)",
    )
    steps.add_argument(
        "--seeds",
        type=int,
        default=1,
        metavar="N",
        help="run the protocol with this many seeds, counted from --seed, and report mean and "
        "spread; the model is trained with the first (default: %(default)s)",
    )
    run = parser.add_argument_group("protocol and output")
    run.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        default="auto",
        help="what is measured before the model is trained on everything: holdout "
        "keeps 20%% (or the set's own test part), kfold is random 10-fold, loso "
        "leaves one subject out (default: auto, loso for jaffe, holdout where there "
        "is a test part, else none)",
    )
    run.add_argument(
        "--base",
        action="store_true",
        help="write a bundle to start other trainings from: it is not exported and not served "
        "(default: a bundle to serve)",
    )
    run.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run that was broken off (default: start over)",
    )
    run.add_argument(
        "--json",
        action="store_true",
        help="print the result as one JSON object (default: a few lines)",
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """The command line; the exit status is told in the module's docstring."""
    options = arguments().parse_args(argv)
    answer = _own_stdout()
    console = Console()
    interrupt_on_signals()
    try:
        result = train(options, console, sys.argv[1:] if argv is None else argv)
    except Interrupted as reason:
        print(str(reason), file=sys.stderr)
        return 130
    except (UsageError, DataError, BundleError) as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 2
    except (HyojoError, OSError) as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 1
    print(json.dumps(result) if options.json else _told(result), file=answer, flush=True)
    return 0


def _own_stdout() -> TextIO:
    """Standard output for the result alone; what Paddle itself prints goes to standard error."""
    kept = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return kept


def train(options: argparse.Namespace, console: Console, argv: list[str]) -> dict[str, Any]:
    """Read the data, run the protocol, train and write the bundle; returns what --json prints."""
    dataset = datasets.read(options.data, options.layout)
    name = options.name or shipping.default_name(dataset)
    out = options.out or PROJECT / "params" / name
    shipping.check_place(name, out)
    protocol = resolve(options.protocol, dataset)
    faces = faces_wanted(dataset, options.faces)
    console.say(shipping.described(dataset, faces, protocol))
    chosen, cut = recipe(_wishes(options), faces, dataset.labels, len(dataset.samples))
    company = test = None
    if options.company:
        company, test = datasets.company(options.company, dataset)
    fixed = shipping.settings(dataset, chosen, cut, protocol, company)
    run = Run(options.runs / name, fixed, options.resume)
    held = _read(dataset, cut, chosen.input.size, console)
    others = _read(company, cut, chosen.input.size, console) if company else None
    trainer = Trainer(held, chosen, run, console, others)
    command = _command(argv)
    outcome = None
    if options.seeds < 1:
        raise UsageError(f"--seeds must be 1 or more, not {options.seeds}.")
    try:
        if protocol != "none":
            outcome = evaluate_seeds(trainer, protocol, options.seeds, console)
        final = ship(trainer)
    except Interrupted:
        kept = shipping.keep_best(trainer, run, command)
        raise Interrupted(
            f"Interrupted. {kept}Finished folds and checkpoints are in {run.folder}; the same "
            "command with --resume goes on."
        ) from None
    aside = None
    if test is not None:
        aside = beside(trainer, final, _read(test, cut, chosen.input.size, console))
    manifest = shipping.write(out, name, trainer, final, outcome, command, options.base, aside)
    trainer.tidy()
    run.finish("final", {"bundle": str(out), "version": manifest.version})
    return shipping.result(out, manifest, held, run.folder, console.seconds)


def _read(dataset: Dataset, cut: FaceSpec, size: int, console: Console) -> pictures.Pictures:
    with console.steps(len(dataset.samples), "images") as steps:
        held = pictures.read(dataset, cut, size, steps.tick,
                             whole_if_faceless=dataset.layout == "fer2013")  # fmt: skip
    shipping.tell_problems(held, console)
    return held


def _wishes(options: argparse.Namespace) -> Wishes:
    given = {f.name: getattr(options, f.name) for f in dataclasses.fields(Wishes)
             if hasattr(options, f.name)}  # fmt: skip
    return Wishes(**given, face_bundle=PROJECT / "params" / "face")


def _command(argv: list[str]) -> str:
    """The command as the bundle records it: folders by their last name, no private paths."""
    places = {"--data", "--with", "--out", "--runs", "--init"}
    kept, words = [], iter(part for word in argv for part in word.split("=", 1))
    for word in words:
        if word in ("--runs", "--out"):
            next(words, None)
        elif word in places:
            kept += [word, Path(next(words, "")).name]
        elif word not in ("--json", "--resume"):
            kept.append(word)
    return "python train.py " + shlex.join(kept)


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
        f"({duration(result['seconds'])}); its report is in {result['report']}"
    )


if __name__ == "__main__":
    sys.exit(main())
