"""What Ray's replicas add on this machine: one worker, two, three, beside the service itself.

    $ python -m bench.replicas                      # about four minutes
    $ python -m bench.replicas --images 8           # eight pictures a request
    $ python -m bench.replicas --workers 1 2 4 --rounds 3 --json

Each takes its turn: `python -m service` with its defaults, then `python -m service.ray_app` with so
many worker replicas of one predictor each, one gateway replica, on a cluster of its own. Sixteen
clients in a closed loop ask about JPEGs of 640 x 480 with one face, the load generator on the same
cores; told is the median of the rounds. It needs `make .venv/.installed-ray`.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from statistics import median
from typing import Any

from tqdm import tqdm

from bench import harness, load, pictures
from bench.harness import BenchError, Served
from service import ray_node
from service.arguments import positive

_WARM_UP_S = 3.0


def main(argv: list[str] | None = None) -> int:
    """Measure and print; 0 done, 1 it could not be measured, 2 wrong use."""
    options = _parser().parse_args(argv)
    turns: list[int | None] = [None, *options.workers]
    rows: dict[int | None, list[dict[str, float]]] = {turn: [] for turn in turns}
    try:
        if not ray_node.installed():
            raise BenchError("Ray is not installed here. Run: make .venv/.installed-ray")
        with tqdm(total=options.rounds * len(turns), unit="service", file=sys.stderr) as bar:
            for _ in range(options.rounds):
                for turn in turns:
                    with _served(turn, load.CLIENTS * options.images) as served:
                        rows[turn].append(_measure(served, options.seconds, options.images))
                    bar.update()
    except BenchError as error:
        print(f"bench.replicas: {error}", file=sys.stderr)
        return 1
    figures = {
        "machine": harness.machine(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "cores": harness.cores(),
        "rounds": options.rounds,
        "images": options.images,
        "services": [_told(turn, rows[turn]) for turn in turns],
    }
    print(json.dumps(figures, indent=1) if options.json else table(figures))
    return 0


def table(figures: dict[str, Any]) -> str:
    """What was measured, in Markdown."""
    columns = {
        "requests/s": "{rate:.1f}",
        "images/s": "{images_s:.1f}",
        "median ms": "{p50_ms:.0f}",
        "p99 ms": "{p99_ms:.0f}",
        "errors": "{errors:.0f}",
        "processor ms a request": "{cpu_ms:.1f}",
        "ready": "{ready_s:.1f} s",
    }
    lines = [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for row in figures["services"]:
        name = "make serve" if row["workers"] is None else f"Ray, workers: {row['workers']}"
        cells = [form.format(**row) for form in columns.values()]
        lines.append(f"| {' | '.join([name, *cells])} |")
    return "\n".join(lines)


@contextmanager
def _served(workers: int | None, queue: int) -> Iterator[Served]:
    """The service, or so many workers on Ray; ready, with room for so many waiting images."""
    own = {"HYOJO_QUEUE_SIZE": str(queue), "HYOJO_LOG_LEVEL": "error"}
    if workers is None:
        with harness.service(own) as served:
            yield served
        return
    port = harness.free_port()
    command = [sys.executable, "-m", "service.ray_app", "--replicas", str(workers)]
    own |= {"HYOJO_PORT": str(port)}
    began = time.perf_counter()
    with harness.started(command, own) as process:
        ready_s = harness.wait_for(process, port, "/readyz", began)
        yield Served(process.pid, port, "/classify", ready_s, ready_s)


def _measure(served: Served, seconds: float, images: int) -> dict[str, float]:
    body = [load.form([pictures.vga()] * images) if images > 1 else pictures.vga()]
    load.closed(served.port, served.path, body, load.CLIENTS, min(_WARM_UP_S, seconds))
    pids = harness.tree(served.pid)
    used = harness.cpu_s(pids)
    got = load.closed(served.port, served.path, body, load.CLIENTS, seconds)
    answers = len(got.latencies_ms)
    if not answers:
        raise BenchError("It answered nothing. Try it by hand: python -m service.ray_app")
    return {
        "rate": got.rate,
        "images_s": got.rate * images,
        "p50_ms": got.percentile(50),
        "p99_ms": got.percentile(99),
        "errors": float(got.errors),
        "cpu_ms": (harness.cpu_s(pids) - used) * 1e3 / answers,
        "ready_s": served.ready_s,
    }


def _told(workers: int | None, rows: Sequence[dict[str, float]]) -> dict[str, Any]:
    """The median of the rounds; of errors their sum."""
    told: dict[str, Any] = {key: round(median(row[key] for row in rows), 2) for key in rows[0]}
    told["errors"] = sum(row["errors"] for row in rows)
    return {"workers": workers, **told, "rates": [round(row["rate"], 1) for row in rows]}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.replicas",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    number = partial(positive, most=999)
    parser.add_argument(
        "--workers",
        type=number,
        nargs="+",
        default=[1, 2, 3],
        metavar="N",
        help="numbers of worker replicas to try (default: 1 2 3)",
    )
    parser.add_argument(
        "--images", type=number, default=1, metavar="N", help="in each request (default: 1)"
    )
    parser.add_argument(
        "--rounds", type=number, default=2, metavar="N", help="turns of each (default: 2)"
    )
    parser.add_argument(
        "--seconds", type=float, default=10.0, metavar="S", help="of load, each turn (default: 10)"
    )
    parser.add_argument("--json", action="store_true", help="all figures as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
