"""Measure everything and write bench/RESULTS.md, bench/results.png and build/bench.json.

    $ make bench                              # all of it, under a quarter of an hour
    $ python -m bench --only overhead decoding
    $ python -m bench --only growth --requests 50000
    $ python -m bench --quick --out /tmp/bench    # a second or so of each: does it run?

The environments of other people's services and engines are made first, where they are missing:
python -m bench.peers.environment.
"""

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import comparison, engines, harness, moving, report, serving
from bench.harness import PROJECT, BenchError
from bench.peers import PeerError


def main(argv: list[str] | None = None) -> int:
    """The command line; 0 all measured, 1 some could not be, 2 wrong use."""
    options = _parser().parse_args(argv)
    rounds, seconds = (1, 1.0) if options.quick else (3, 4.0)
    model = PROJECT / "params" / "emotion"
    sections: dict[str, Callable[[], dict[str, Any]]] = {
        "overhead": lambda: serving.overhead(rounds, seconds),
        "throughput": lambda: serving.throughput(rounds, 2 * seconds),
        "peers": lambda: comparison.compare(1 if options.quick else 2, seconds, options.peers),
        "engines": lambda: _engines(model, rounds, seconds / 8),
        "decoding": lambda: serving.decoding(rounds, seconds),
        "footprint": serving.footprint,
        "growth": lambda: serving.growth(200 if options.quick else options.requests),
        "live": lambda: moving.measure(
            3.0 if options.quick else 15.0, 60 if options.quick else 600
        ),
    }
    began, busy = time.monotonic(), harness.busy_s()
    found: dict[str, Any] = _kept(options.out) if options.only else {}
    failed = []
    for name in options.only or sections:
        print(f"{name} …", file=sys.stderr, flush=True)
        try:
            found[name] = sections[name]()
        except (BenchError, PeerError) as error:
            print(f"bench: {name} could not be measured: {error}", file=sys.stderr)
            failed.append(name)
    found |= {
        "machine": harness.machine(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "minutes": (time.monotonic() - began) / 60,
        "noise": {"spread": _spread(found), "others": _others(busy)},
    }
    _write(found, options.out)
    print(json.dumps(found, indent=1) if options.json else report.text(found))
    return 1 if failed else 0


def _engines(model: Path, rounds: int, seconds: float) -> dict[str, Any]:
    told = engines.measure(model, rounds, seconds)
    share = {name: told.share(name) for name in engines.NAMES}
    return dataclasses.asdict(told) | {"share": share, "line": told.line()}


def _spread(found: dict[str, Any]) -> float:
    rows = found.get("overhead", {}).values()
    return max((row["spread"] for row in rows), default=0.0)


def _others(busy: float) -> float:
    """Share of the machine that processes outside this run used, as far as it shows.

    Between two moments in which this run sleeps, whatever is busy belongs to others.
    """
    began, before = time.monotonic(), harness.busy_s()
    time.sleep(3.0)
    return (harness.busy_s() - before) / (harness.cores() * (time.monotonic() - began))


def _kept(out: Path) -> dict[str, Any]:
    """What an earlier run measured, so that a section can be measured anew alone."""
    file = out / "bench.json"
    kept: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    return kept


def _write(found: dict[str, Any], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "bench.json").write_text(json.dumps(found, indent=1))
    results = PROJECT / "bench" if out == PROJECT / "build" else out
    picture = "peers" in found and "engines" in found
    text = report.text(found)
    if picture:
        report.plot(found, results / "results.png")
        text = text.replace("\n\n", "\n\n![Requests a second; ms by batch](results.png)\n\n", 1)
    (results / "RESULTS.md").write_text(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = (
        "overhead", "throughput", "peers", "engines", "decoding", "footprint", "growth", "live",
    )  # fmt: skip
    parser.add_argument(
        "--only", nargs="+", choices=names, help="these; the others stay as last measured"
    )
    parser.add_argument(
        "--peers", nargs="+", default=[], metavar="NAME", help="these peers (default: all)"
    )
    parser.add_argument(
        "--requests", type=int, default=5000, help="for memory over time (default: 5000)"
    )
    parser.add_argument("--quick", action="store_true", help="a second of each, to see it run")
    parser.add_argument(
        "--out",
        type=Path,
        default=PROJECT / "build",
        metavar="DIR",
        help="where the figures go (default: bench/ and build/)",
    )
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
