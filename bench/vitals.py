"""The service's vital figures on this machine: start, memory, and the way of one image.

    $ python -m bench.vitals                 # a table; about half a minute
    $ python -m bench.vitals --json > vitals.json
    $ python -m bench.vitals --model mugs    # one of one's own

Starts `python -m service` with its defaults on a free port, waits until /readyz says yes, then
sends one picture again and again over one connection, one at a time. Run it on an idle machine:
the load that others make counts in every figure.
"""

import argparse
import http.client
import io
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image

from bench import harness
from bench.harness import PROJECT

STAGES = ("queue", "decode", "detect", "classify", "total")


def main(argv: list[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    options = _arguments(argv)
    try:
        with harness.service() as served:
            figures = _measure(served, options)
    except harness.BenchError as error:
        print(f"bench.vitals: {error}", file=sys.stderr)
        return 1
    print(json.dumps(figures, indent=2) if options.json else _table(figures))
    return 0


def _measure(served: harness.Served, options: argparse.Namespace) -> dict[str, Any]:
    pictures = {f"{side}x{side}": _picture(options.image, side) for side in options.sides}
    ways = {}
    for name, data in pictures.items():
        _ask(served.port, data, options.warm_up, options.model)
        ways[name] = {
            "bytes": len(data),
            **_ask(served.port, data, options.requests, options.model),
        }
    return {
        "machine": harness.machine(),
        "requests": options.requests,
        "model": options.model or "the default",
        "start_s": {
            "gateway answers": round(served.answers_s, 2),
            "ready": round(served.ready_s, 2),
        },
        "memory_mb": {
            f"{harness.role(pid)} {pid}": harness.memory_mb(pid) for pid in harness.tree(served.pid)
        },
        "ms": ways,
    }


def _ask(port: int, data: bytes, count: int, model: str) -> dict[str, float]:
    """Medians in milliseconds of the worker's stages and of the whole round trip."""
    path = f"/classify?model={quote(model)}" if model else "/classify"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    rows: list[dict[str, float]] = []
    for _ in range(count):
        began = time.perf_counter()
        connection.request("POST", path, data, {"Content-Type": "image/jpeg"})
        response = connection.getresponse()
        answer = json.loads(response.read())
        if response.status != 200:
            raise harness.BenchError(f"The service answered {response.status}: {answer['detail']}")
        spent = (time.perf_counter() - began) * 1e3
        rows.append({**answer["timings_ms"], "round trip": spent})
    connection.close()
    medians = {k: round(statistics.median(row[k] for row in rows), 2) for k in rows[0]}
    p99 = sorted(row["round trip"] for row in rows)[int(len(rows) * 0.99)]
    return {**medians, "round trip p99": round(p99, 2)}


def _picture(file: Path, side: int) -> bytes:
    out = io.BytesIO()
    Image.open(file).convert("RGB").resize((side, side)).save(out, "JPEG", quality=88)
    return out.getvalue()


def _table(figures: dict[str, Any]) -> str:
    start = figures["start_s"]
    lines = [
        figures["machine"],
        "",
        f"gateway answers after {start['gateway answers']} s, ready after {start['ready']} s",
        "",
        "| process | RSS MB | PSS MB | private MB |",
        "|---|---|---|---|",
    ]
    for name, row in figures["memory_mb"].items():
        process = name.split()[0]
        lines.append(f"| {process} | {row['rss']} | {row['pss']} | {row['private']} |")
    shown = (*STAGES, "round trip", "round trip p99")
    lines += ["", f"| picture | {' | '.join(shown)} |", "|---|" + "---|" * len(shown)]
    for name, row in figures["ms"].items():
        lines.append(f"| {name} JPEG | {' | '.join(str(row[key]) for key in shown)} |")
    lines.append(f"\nms, medians of {figures['requests']} requests one after the other")
    return "\n".join(lines)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--image",
        type=Path,
        default=PROJECT / "web" / "example.jpg",
        help="picture to send (default: web/example.jpg)",
    )
    parser.add_argument(
        "--sides",
        type=int,
        nargs="+",
        default=[256, 512],
        metavar="PX",
        help="sizes it is sent in (default: 256 512)",
    )
    parser.add_argument("--model", default="", metavar="NAME", help="not the default one")
    parser.add_argument("--requests", type=int, default=300, help="a size (default: 300)")
    parser.add_argument("--warm-up", type=int, default=30, help="before those (default: 30)")
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
