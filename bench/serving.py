"""What the service adds to the bare answer: overhead, throughput, latency under load, growth."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from bench import harness, load, pictures
from bench.harness import PROJECT, Served


def overhead(rounds: int, seconds: float) -> dict[str, Any]:
    """One request at a time, bare and through the service in turn.

    Args:
        rounds: of each.
        seconds: of each in a round.
    """
    found = {}
    with harness.service() as served:
        for name, image in (("640x480", pictures.vga()), ("96x96", pictures.small())):
            with _bare(image) as (bare,):
                load.closed(served.port, served.path, [image], 1, 1.0)
                rows = [_pair(bare, served, image, seconds) for _ in range(rounds)]
            medians = {key: median(row[key] for row in rows) for key in rows[0]}
            ratios = [row["service_cpu_ms"] / row["bare_cpu_ms"] for row in rows]
            added = [row["service_ms"] - row["bare_ms"] for row in rows]
            found[name] = {
                **medians,
                "cpu_ratio": median(ratios),
                "added_ms": median(added),
                "spread": _spread([row["bare_cpu_ms"] for row in rows]),
            }
    return found


def throughput(rounds: int, seconds: float) -> dict[str, Any]:
    """Sixteen clients against as many bare loops as there are cores, in turn; then an open loop."""
    image = pictures.vga()
    count = harness.cores()
    rows = []
    with harness.service() as served, _bare(image, count) as bares:
        load.closed(served.port, served.path, [image], load.CLIENTS, 2.0)
        for _ in range(rounds):
            alone = _together(bares, seconds)
            busy = harness.busy_s()
            told = load.closed(served.port, served.path, [image], load.CLIENTS, seconds)
            others = harness.busy_s() - busy
            # What the generator used, the bare loops could have had.
            room = 1 - told.generator_cpu_s / (count * told.seconds)
            rows.append({
                "bare_rate": alone["rate"],
                "rate": told.rate,
                "share": told.rate / (alone["rate"] * room),
                "p50_ms": told.percentile(50),
                "p99_ms": told.percentile(99),
                "errors": float(told.errors),
                "generator_cpu_ms": told.generator_cpu_s / max(1, len(told.latencies_ms)) * 1e3,
                "machine_busy": others / (count * told.seconds),
                "bare_ms": alone["median_ms"],
            })  # fmt: skip
        found = {key: median(row[key] for row in rows) for key in rows[0]}
        found["errors"] = sum(row["errors"] for row in rows)
        rate = 0.7 * found["rate"]
        opened = load.opened(served.port, served.path, [image], rate, 2 * seconds)
        with _bare(image) as (bare,):
            lone_ms = bare(2.0)["median_ms"]
    return found | {
        "open_rate": rate,
        "open_p50_ms": opened.percentile(50),
        "open_p99_ms": opened.percentile(99),
        "open_errors": opened.errors,
        "lone_ms": lone_ms,
    }


def decoding(rounds: int, seconds: float) -> dict[str, Any]:
    """A camera's 12 megapixels against 640 x 480: time in a bare loop, and memory."""
    with _bare(pictures.vga()) as (small,), _bare(pictures.photograph()) as (large,):
        rows = [(small(seconds), large(seconds)) for _ in range(rounds)]
    return {
        "small_ms": median(row[0]["median_ms"] for row in rows),
        "ms": median(row[1]["median_ms"] for row in rows),
        "cpu_ms": median(row[1]["cpu_ms"] for row in rows),
        "decode_ms": median(row[1]["decode_ms"] for row in rows),
        "more_mb": rows[-1][1]["peak_mb"] - rows[-1][0]["peak_mb"],
    }


def footprint() -> dict[str, Any]:
    """Start and memory of the service with its defaults, after a thousand answers."""
    with harness.service() as served:
        load.closed(served.port, served.path, [pictures.vga(), pictures.small()], 8, 8.0)
        memory: dict[str, dict[str, float]] = {}
        for pid in harness.tree(served.pid):
            row = harness.memory_mb(pid)
            known = memory.setdefault(harness.role(pid), row)
            memory[harness.role(pid)] = {name: max(known[name], row[name]) for name in row}
        return {"answers_s": served.answers_s, "ready_s": served.ready_s, "memory_mb": memory}


def growth(requests: int) -> dict[str, Any]:
    """Rate with one and two predictors; memory over many requests of 500 sizes.

    Args:
        requests: for the memory.
    """
    rates = {}
    for count in (1, 2):
        with harness.service({"HYOJO_PREDICTORS": str(count)}) as served:
            image = [pictures.vga()]
            load.closed(served.port, served.path, image, 8, 2.0)
            rates[count] = load.closed(served.port, served.path, image, 8, 6.0).rate
    sizes = [pictures.small(40 + n // 20 * 6, 40 + n % 20 * 7) for n in range(500)]
    with harness.service() as served:
        load.closed(served.port, served.path, sizes, 8, 20.0)  # every size once at least
        memory = [_memory(served)]
        done = 0
        while done < requests:
            told = load.closed(served.port, served.path, sizes, 8, 10.0)
            done += len(told.latencies_ms)
            memory.append(_memory(served))
    return {
        "rate_1": rates[1],
        "rate_2": rates[2],
        "requests": done,
        "first_mb": memory[0],
        "last_mb": memory[-1],
        "highest_mb": max(memory),
    }


def _memory(served: Served) -> float:
    return harness.pss_mb(harness.tree(served.pid))


def _pair(bare: Any, served: Served, image: bytes, seconds: float) -> dict[str, float]:
    alone = bare(seconds)
    pids = harness.tree(served.pid)
    before = {pid: harness.cpu_s([pid]) for pid in pids}
    told = load.closed(served.port, served.path, [image], 1, seconds)
    count = max(1, len(told.latencies_ms))
    spent: dict[str, float] = {}
    for pid in pids:
        name = harness.role(pid)
        used = (harness.cpu_s([pid]) - before[pid]) * 1e3 / count
        spent[f"{name}_cpu_ms"] = spent.get(f"{name}_cpu_ms", 0.0) + used
    return {
        "bare_ms": alone["median_ms"],
        "bare_cpu_ms": alone["cpu_ms"],
        "service_ms": told.percentile(50),
        "service_cpu_ms": sum(spent.values()),
        **spent,
    }


def _together(bares: Sequence[Any], seconds: float) -> dict[str, float]:
    for bare in bares:
        bare.begin(seconds)
    told = [bare.end() for bare in bares]
    return {
        "rate": sum(row["images"] / row["seconds"] for row in told),
        "median_ms": median(row["median_ms"] for row in told),
    }


class _Bare:
    """A bare loop in a process of its own, warm and waiting."""

    def __init__(self, image: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.bare", str(image), "--on-word"],
            cwd=PROJECT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        if self._line() != "ready":
            raise harness.BenchError("The bare loop did not start: python -m bench.bare IMAGE")

    def __call__(self, seconds: float) -> dict[str, float]:
        self.begin(seconds)
        return self.end()

    def begin(self, seconds: float) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()

    def end(self) -> dict[str, float]:
        told: dict[str, float] = json.loads(self._line())
        return told

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


@contextmanager
def _bare(image: bytes, count: int = 1) -> Iterator[list[_Bare]]:
    with tempfile.TemporaryDirectory(prefix="hyojo-") as folder, ExitStack() as open_ones:
        path = Path(folder) / "image.jpg"
        path.write_bytes(image)
        bares = []
        for _ in range(count):
            bares.append(_Bare(path))
            open_ones.callback(bares[-1].close)
        yield bares


def _spread(values: Sequence[float]) -> float:
    """Between the fastest and the slowest round, as a share of the median: the machine's noise."""
    return (max(values) - min(values)) / median(values)
