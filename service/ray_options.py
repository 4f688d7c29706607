"""What may be asked of `python -m service.ray_app`. Ray itself is not needed to read it."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from functools import partial

from service.arguments import positive


@dataclass(frozen=True)
class Scale:
    """How many replicas there may be."""

    least: int
    most: int


@dataclass(frozen=True)
class Plan:
    """What is asked for.

    Attributes:
        workers: replicas that look at pictures.
        gateways: replicas that speak HTTP.
        predictors: predictor processes of a worker, each for a core.
        first: gateways stand on the cluster's first machine alone, where its one proxy is.
        ship: the project travels to the machines; else they have it at the same path.
    """

    workers: Scale
    gateways: Scale
    predictors: int = 1
    first: bool = False
    ship: bool = False


def parser(doc: str | None) -> argparse.ArgumentParser:
    """The command line.

    Args:
        doc: what it is for.
    """
    made = argparse.ArgumentParser(
        prog="python -m service.ray_app",
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    where = made.add_argument_group("where")
    where.add_argument(
        "--address",
        metavar="HOST:PORT",
        default="",
        help="of a running cluster's first machine, or `auto` on one of its machines; without it "
        "a cluster of this machine alone is started, and ended with Ctrl-C",
    )
    where.add_argument(
        "--proxies",
        choices=("every", "first"),
        default="every",
        help="machines that listen at HYOJO_HOST and HYOJO_PORT: every one that has a replica, or "
        "the first alone (default: every)",
    )
    where.add_argument(
        "--ship",
        action="store_true",
        help="send the code and params/ along; else every machine has them at the same path",
    )
    many = made.add_argument_group("how many: a number, or two for as few and as many as needed")
    many.add_argument(
        "--replicas",
        type=_scale,
        default=Scale(1, 1),
        metavar="N|N:M",
        help="workers, which look at pictures (default: 1)",
    )
    many.add_argument(
        "--gateways",
        type=_scale,
        default=Scale(1, 1),
        metavar="N|N:M",
        help="gateways, which speak HTTP (default: 1)",
    )
    many.add_argument(
        "--predictors",
        type=partial(positive, most=999),
        default=1,
        metavar="N",
        help="predictor processes of each worker, each for a core (default: 1)",
    )
    ask = made.add_argument_group("instead of deploying")
    instead = ask.add_mutually_exclusive_group()
    instead.add_argument("--status", action="store_true", help="tell how it is")
    instead.add_argument("--remove", action="store_true", help="take it away")
    made.add_argument("--json", action="store_true", help="tell how it is as one JSON object")
    return made


def _scale(text: str) -> Scale:
    found = re.fullmatch(r"(\d{1,5})(?::(\d{1,5}))?", text)
    least, most = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= least <= most:
        raise argparse.ArgumentTypeError(f"takes a number, or two such as 2:16, not {text!r}")
    return Scale(least, most)
