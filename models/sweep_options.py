"""The command line of `train.py sweep`."""

import argparse
from pathlib import Path

from models import balance, datasets, recipe_options

PROTOCOLS = ("holdout", "none")
_ABOUT = """Compare settings: every option of the groups network and training takes several values.

    $ python train.py sweep --data ~/sets/mugs --network "2x64 2x32 1x16" "3x64 3x32 2x16 1x8" \\
          --lr 0.001 0.0003 --optimizer adamw adam momentum --colour colour grey \\
          --augment none flip default --epochs 20 --repeats 3
    $ python train.py sweep --data ~/sets/mugs --lr 0.003 0.001 0.0003 --batch-size 16 32 --random 4

Each combination is trained --repeats times with seeds of its own, several at once, and told by its
mean and spread on an inner validation part of the training images. By that figure alone the
table is sorted and the setting chosen. What --protocol holds out is looked at once, at the end, and
only by the chosen setting. The same command goes on where it was broken off, and so does a longer
one: trainings that are done are not done again.

Exit status: 0 done; 1 every training failed; 2 wrong options or data; 130 interrupted.
"""


def arguments() -> argparse.ArgumentParser:
    """The command line, in groups, each option with its default."""
    parser = argparse.ArgumentParser(
        prog="train.py sweep",
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    paths = parser.add_argument_group("data and paths")
    paths.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="folder with the images (required)"
    )
    paths.add_argument(
        "--layout", choices=datasets.LAYOUTS, default="auto", help="see train.py (default: auto)"
    )
    paths.add_argument("--name", help="of the sweep (default: as train.py names the model)")
    paths.add_argument(
        "--runs",
        type=Path,
        default=Path("runs"),
        metavar="DIR",
        help="the sweep is kept in its folder NAME-sweep: trainings, tables, plots (default: runs)",
    )
    recipe_options.add(parser, many=True)
    sweep = parser.add_argument_group("sweep")
    sweep.add_argument(
        "--random",
        type=int,
        metavar="N",
        help="only N of the combinations, drawn by --seed; a larger N holds the smaller one's "
        "(default: all of them)",
    )
    sweep.add_argument(
        "--repeats",
        type=int,
        default=3,
        metavar="N",
        help="trainings of each combination, with seeds counted from --seed (default: %(default)s)",
    )
    sweep.add_argument("--seed", type=int, default=1, help="the first (default: %(default)s)")
    sweep.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="trainings at a time, each a process of one thread (default: the cores)",
    )
    sweep.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        default="holdout",
        help="holdout keeps the set's own test part, or a fifth (whole subjects where they are "
        "known), for the chosen setting; none keeps nothing (default: %(default)s)",
    )
    sweep.add_argument(
        "--balance", choices=balance.CHOICES, default="auto", help="see train.py (default: auto)"
    )
    sweep.add_argument(
        "--restart",
        action="store_true",
        help="throw away what is done and begin anew (default: go on)",
    )
    sweep.add_argument(
        "--json",
        action="store_true",
        help="print the result as one JSON object (default: a table)",
    )
    return parser
