"""The command line of `train.py`: what each option is called, means and is by default."""

import argparse
from pathlib import Path

from models import datasets, devices, recipe_options
from models.evaluation import FOLDS, PROTOCOLS, QUICK_FOLDS
from models.wishes import Wishes


def arguments(description: str) -> argparse.ArgumentParser:
    """The command line, in groups, each option with its default.

    Args:
        description: what stands above the options in --help.
    """
    parser = argparse.ArgumentParser(
        prog="train.py",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
    recipe_options.add(parser)
    machine = parser.add_argument_group("machine")
    machine.add_argument(
        "--processes",
        type=int,
        metavar="N",
        help="train each network in N processes of this machine, which share every batch; worth it "
        "where one training takes long. `python -m paddle.distributed.launch --nproc_per_node N "
        "train.py ...` does the same (default: 1, and folds side by side, one a core)",
    )
    machine.add_argument(
        "--device",
        choices=devices.DEVICES,
        default="cpu",
        help="what networks are trained on; gpu wants Paddle's build for graphics cards, and a "
        "card a process (default: %(default)s)",
    )
    run = parser.add_argument_group("protocol and output")
    run.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        default="auto",
        help="what is measured before the model is trained on everything: holdout "
        "keeps 20%% (or the set's own test part), kfold splits at random, loso "
        "leaves one subject out (default: auto, loso for jaffe, holdout where there "
        "is a test part, kfold where only a head is trained on whole images, else none)",
    )
    run.add_argument(
        "--folds",
        type=int,
        metavar="N",
        help=f"how many parts kfold makes (default: {FOLDS}, or {QUICK_FOLDS} where it is run "
        "unasked)",
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
