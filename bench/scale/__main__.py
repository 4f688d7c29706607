"""What this machine gives under load, measured and simulated side by side; then what many would.

    $ python -m bench.scale                        # measure for 5 minutes, then simulate
    $ python -m bench.scale --pictures mixed       # the same with pictures of four sizes
    $ python -m bench.scale --quick                # half a minute of it: does it run?
    $ python -m bench.scale again                  # simulate once more what was measured
    $ python -m bench.scale fleet                  # 1,000 and 100,000 requests a second
    $ python -m bench.scale tables --out docs      # the document's tables from its figures

`machine` starts `python -m service` on a free port. Round by round, in turns of some seconds, it
asks it one picture after the other, in a closed loop (its capacity), at one and a half and two and
a half times that, and at ten rates from 10 to 130 % of it, at random times. What a request costs is
taken from the first four and the rate at 25 %; the simulation then says what the others should have
shown. Nothing else
should run on the machine meanwhile: the tables say how much did.

Everything is kept in the folder --out: scale.json (all figures), scale.png (the curves), and
SCALE.md, whose tables are renewed where it has their marks: docs/SCALE.md and docs/scale.json are
such a pair.
"""

import argparse
import json
import math
import signal
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import FrameType
from typing import Any

from tqdm import tqdm

from bench.harness import PROJECT, BenchError
from bench.scale import comparing, measuring, plot, prospect, tables

WHAT = ("machine", "again", "fleet", "tables")


def main(argv: list[str] | None = None) -> int:
    """The command line; 0 done, 1 it could not be measured, 2 wrong use, 130 Ctrl-C."""
    options = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _stop)
    try:
        figures = _kept(options.out)
        _DO[options.what](figures, options)
        _write(figures, options.out)
    except BenchError as error:
        print(f"bench.scale: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench.scale: stopped; nothing was written.", file=sys.stderr)
        return 130
    print(json.dumps(figures, indent=1) if options.json else _told(figures, options))
    return 0


def _stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)  # so that what was started is ended


def _measure(figures: dict[str, Any], options: argparse.Namespace) -> None:
    plan = measuring.QUICK if options.quick else measuring.FULL
    with _bar(plan.seconds, "measure", "s") as bar:
        found = measuring.measure(measuring.mix(options.pictures), plan, bar, options.first)
    figures.setdefault("measured", {})[options.pictures] = found
    _compare(figures, [options.pictures], options)


def _again(figures: dict[str, Any], options: argparse.Namespace) -> None:
    _compare(figures, list(_measured(figures, options.out)), options)


def _compare(figures: dict[str, Any], names: list[str], options: argparse.Namespace) -> None:
    for name in names:
        measured = figures["measured"][name]
        seeds = 2 if options.quick else comparing.SEEDS
        with _bar(len(measured["curve"]), f"simulate {name}", "point") as bar:
            found = comparing.compare(measured, lambda: bar(1), seeds)
        figures.setdefault("compared", {})[name] = found


def _fleet(figures: dict[str, Any], options: argparse.Namespace) -> None:
    measured = _measured(figures, options.out)
    name = "vga" if "vga" in measured else next(iter(measured))
    amount = prospect.QUICK if options.quick else prospect.FULL
    with _bar(prospect.steps(amount), "simulate a fleet", "step") as bar:
        figures["fleet"] = prospect.prospect(measured[name], amount, lambda: bar(1))


def _tables(figures: dict[str, Any], options: argparse.Namespace) -> None:
    _measured(figures, options.out)


_DO: dict[str, Callable[[dict[str, Any], argparse.Namespace], None]] = {
    "machine": _measure,
    "again": _again,
    "fleet": _fleet,
    "tables": _tables,
}


def _measured(figures: dict[str, Any], out: Path) -> dict[str, Any]:
    found: dict[str, Any] = figures.get("measured", {})
    if not found:
        raise BenchError(
            f"{out}/scale.json holds no measurement. Measure first: "
            f"python -m bench.scale --out {out}"
        )
    known = {field.name for field in fields(measuring.Plan)}
    if any(set(one["plan"]) != known for one in found.values()):
        raise BenchError(
            f"{out}/scale.json was measured by another version. Measure again: "
            f"python -m bench.scale --out {out}"
        )
    return found


class _bar:  # noqa: N801
    """A progress bar that is told amounts."""

    def __init__(self, total: float, what: str, unit: str) -> None:
        self._bar = tqdm(total=math.ceil(total), desc=what, unit=unit, file=sys.stderr)

    def __enter__(self) -> Callable[[float], object]:
        return self._bar.update

    def __exit__(self, *error: object) -> None:
        self._bar.close()


def _kept(out: Path) -> dict[str, Any]:
    """What earlier runs found."""
    file = out / "scale.json"
    try:
        kept: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    except ValueError:
        raise BenchError(f"{file} is no JSON. Remove it and measure again.") from None
    return kept


def _write(figures: dict[str, Any], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "scale.json").write_text(json.dumps(figures, indent=1) + "\n")
    found = tables.tables(figures)
    document = out / "SCALE.md"
    text = document.read_text() if document.is_file() else ""
    own = text.startswith("# ")  # else it holds tables alone, of an earlier run
    document.write_text(tables.fill(text, found) if own else tables.page(found))
    plot.plot(figures["compared"], out / "scale.png")


def _told(figures: dict[str, Any], options: argparse.Namespace) -> str:
    """The tables that a run made, and where everything is."""
    wanted = ("growing", "balancing", "spikes", "plans") if options.what == "fleet" else None
    parts = []
    for name, table in tables.tables(figures).items():
        mix = name.partition("-")[2]
        shown = name in wanted if wanted else mix and _asked(mix, options)
        if shown:
            parts.append(f"{name}\n\n{table}")
    places = f"{options.out}/scale.json, scale.png and SCALE.md"
    return "\n\n".join([*parts, places])


def _asked(mix: str, options: argparse.Namespace) -> bool:
    return bool(options.what != "machine" or mix == options.pictures)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.scale",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "what",
        nargs="?",
        choices=WHAT,
        default="machine",
        help="machine: measure this one and simulate it (default); again: simulate anew; fleet: "
        "simulate many; tables: only write",
    )
    parser.add_argument(
        "--pictures",
        choices=("vga", "mixed"),
        default="vga",
        help="vga: 640 x 480 (default); mixed: 96 px to 12 megapixels",
    )
    parser.add_argument("--quick", action="store_true", help="a little of all, to see it run")
    parser.add_argument(
        "--first",
        action="store_true",
        help="run before all else on this machine, which gets what is left (takes root)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=PROJECT / "build" / "scale",
        metavar="DIR",
        help="where the figures are kept (default: build/scale)",
    )
    parser.add_argument("--json", action="store_true", help="all figures as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
