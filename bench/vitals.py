"""The service's vital figures on this machine: start, memory, and the way of one image.

    $ python bench/vitals.py                 # a table; about half a minute
    $ python bench/vitals.py --json > vitals.json

Starts `python -m service` with its defaults on a free port, waits until /readyz says yes, then
sends one picture again and again over one connection, one at a time. Run it on an idle machine:
the load that others make counts in every figure.
"""

import argparse
import http.client
import io
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image

PROJECT = Path(__file__).resolve().parent.parent
STAGES = ("queue", "decode", "detect", "classify", "total")
PATIENCE_S = 60.0


def main(argv: list[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    options = _arguments(argv)
    with tempfile.TemporaryDirectory(prefix="hyojo-") as folder:
        port = _free_port()
        own = {"HYOJO_PORT": str(port), "HYOJO_WORKER": f"ipc://{folder}/worker.sock"}
        own |= {"HYOJO_LOG_LEVEL": "error"}
        began = time.perf_counter()
        command = [sys.executable, "-m", "service"]
        process = subprocess.Popen(
            command, cwd=PROJECT, env={**os.environ, **own}, stderr=subprocess.DEVNULL
        )
        try:
            figures = _measure(process, port, began, options)
        finally:
            process.terminate()
            process.wait()
    print(json.dumps(figures, indent=2) if options.json else _table(figures))
    return 0


def _measure(
    process: "subprocess.Popen[bytes]", port: int, began: float, options: argparse.Namespace
) -> dict[str, Any]:
    live_s = _wait(process, port, "/livez", began)
    ready_s = _wait(process, port, "/readyz", began)
    pictures = {f"{side}x{side}": _picture(options.image, side) for side in options.sides}
    ways = {}
    for name, data in pictures.items():
        _ask(port, data, options.warm_up)
        ways[name] = {"bytes": len(data), **_ask(port, data, options.requests)}
    return {
        "machine": _machine(),
        "requests": options.requests,
        "start_s": {"gateway answers": round(live_s, 2), "ready": round(ready_s, 2)},
        "memory_mb": _memory(process.pid),
        "ms": ways,
    }


def _ask(port: int, data: bytes, count: int) -> dict[str, float]:
    """Medians in milliseconds of the worker's stages and of the whole round trip."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    rows: list[dict[str, float]] = []
    for _ in range(count):
        began = time.perf_counter()
        connection.request("POST", "/classify", data, {"Content-Type": "image/jpeg"})
        answer = json.loads(connection.getresponse().read())
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


def _memory(parent: int) -> dict[str, dict[str, float]]:
    """Resident, proportional and private megabytes of every process of the service."""
    names = {parent: "supervisor"}
    rows: dict[str, dict[str, float]] = {}
    for pid in [parent, *_descendants(parent)]:
        command = Path(f"/proc/{pid}/cmdline").read_text()
        for part, name in (
            ("infer.py", "worker"),
            ("gunicorn", "gateway"),
            ("predictor_process", "predictor"),
        ):
            if part in command:
                names[pid] = name
        rows[f"{names.get(pid, 'other')} {pid}"] = _smaps(pid)
    return rows


def _smaps(pid: int) -> dict[str, float]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    private = kilobytes["Private_Clean"] + kilobytes["Private_Dirty"]
    shown = {"rss": kilobytes["Rss"], "pss": kilobytes["Pss"], "private": private}
    return {name: round(value / 1024, 1) for name, value in shown.items()}


def _descendants(pid: int) -> list[int]:
    found = [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return found + [deeper for child in found for deeper in _descendants(child)]


def _wait(process: "subprocess.Popen[bytes]", port: int, path: str, began: float) -> float:
    while time.perf_counter() - began < PATIENCE_S:
        if process.poll() is not None:
            sys.exit(f"bench/vitals.py: the service ended with status {process.returncode}.")
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return time.perf_counter() - began
        except OSError:
            pass
        time.sleep(0.02)
    sys.exit(f"bench/vitals.py: {path} did not answer 200 within {PATIENCE_S:g} s.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _machine() -> str:
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return f"{len(os.sched_getaffinity(0))} cores, {model}, Python {platform.python_version()}"


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
    parser.add_argument("--requests", type=int, default=300, help="a size (default: 300)")
    parser.add_argument("--warm-up", type=int, default=30, help="before those (default: 30)")
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
