"""The service on this machine: what a request costs it, and its curve under an open load.

What a request costs is measured apart from the curve: one request at a time, as many as it can
answer, and twice as many. Only that goes into the simulation; the curve is there to judge it.
"""

import http.client
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from bench import harness, load, pictures
from bench.harness import PROJECT, Served
from service.settings import Settings

CLIENTS = 16
STAGES = ("decode", "detect", "classify")
SHARES = (0.1, 0.25, 0.4, 0.55, 0.7, 0.8, 0.9, 1.0, 1.15, 1.3)
"""Offered rates of the curve, as shares of the capacity."""
_QUANTILES = 100
DISTURBED = 0.04
"""Share of the machine that others may use before a load counts as disturbed."""


@dataclass(frozen=True)
class Plan:
    """How long each part of the measurement takes.

    Attributes:
        lone: requests one after the other, of each picture; a third of them each time.
        closed_s: seconds of a closed loop that shows the capacity; it is run three times.
        overload_s: seconds of twice the capacity.
        shares: offered rates of the curve, as shares of the capacity.
        point_s: seconds of a point of the curve; twice as long below half of the capacity.
        again_s: seconds for repeating, once, what others on the machine disturbed most.
    """

    lone: int = 400
    closed_s: float = 12.0
    overload_s: float = 6.0
    shares: tuple[float, ...] = SHARES
    point_s: float = 15.0
    again_s: float = 60.0

    def seconds_of(self, share: float) -> float:
        """How long a point is measured."""
        return self.point_s * (2 if share < 0.5 else 1)

    @property
    def seconds(self) -> float:
        """Of all of it, about."""
        points = sum(map(self.seconds_of, self.shares))
        return 3.25 * self.closed_s + self.overload_s + points


QUICK = Plan(20, 1.0, 1.0, shares=(0.25, 0.7, 1.3), point_s=1.0, again_s=0.0)
FULL = Plan()


def mix(name: str) -> list[bytes]:
    """The pictures that are asked about in turn.

    Args:
        name: `vga`, one JPEG of 640 x 480; or `mixed`, twenty JPEGs of four sizes in one fixed
            order: 6 of 96 x 96, 6 of 256 x 256, 7 of 640 x 480 and one of 4000 x 3000.
    """
    if name == "vga":
        return [pictures.vga()]
    tiny, small = pictures.small(96), pictures.small(256)
    vga, photo = pictures.vga(), pictures.photograph()
    kinds = [tiny] * 6 + [small] * 6 + [vga] * 7 + [photo]
    order = np.random.default_rng(0).permutation(len(kinds))
    return [kinds[n] for n in order]


def measure(
    images: Sequence[bytes], plan: Plan, done: Callable[[float], object], first: bool = False
) -> dict[str, Any]:
    """Everything, as it goes into the JSON file.

    Args:
        images: asked about in turn.
        plan: how long.
        done: told the seconds of each part that has ended.
        first: before all others on the machine, who get what is left.

    Raises:
        BenchError: the service does not start, or answers nothing.
    """
    if first:
        harness.before_others(os.getpid())
    network_ms = _network_ms(plan.lone)
    with harness.service() as served:
        if first:
            harness.before_others(served.pid)
        load.closed(served.port, served.path, images, CLIENTS, min(3.0, plan.closed_s))
        bench = _Bench(served, images, plan, done)
        one = bench.closed(1, plan.closed_s / 4)
        capacity = [bench.capacity()]
        rate = capacity[0]["rate"]
        if not rate:
            raise harness.BenchError("The service answered nothing; its log says why.")
        over = bench.opened(2 * rate, plan.overload_s)
        curve = []
        for number, share in enumerate(plan.shares, 1):
            offered = round(share * rate, 2)
            point = bench.opened(offered, plan.seconds_of(share))
            curve.append({"share": share, "offered": offered} | point)
            if number in (len(plan.shares) // 2, len(plan.shares)):  # amid the curve and after it
                capacity.append(bench.capacity())
        return {
            "machine": harness.machine(),
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
            "cores": harness.cores(),
            "plan": asdict(plan),
            "first": first,
            "picture_bytes": round(mean(map(len, images))),
            "order": _order(images),
            "network_ms": network_ms,
            "lone": bench.lone(),
            "one_client": one,
            "capacity": capacity,
            "overload": over,
            "curve": curve,
            "vitals": _vitals(served) | {"log_bytes": _log_bytes(images)},
        }


class _Bench:
    """Loads on a service that runs. One that others disturb is tried again while there is time."""

    def __init__(
        self, served: Served, images: Sequence[bytes], plan: Plan, done: Callable[[float], object]
    ) -> None:
        self._served, self._images, self._plan, self._done = served, images, plan, done
        self._pids = harness.tree(served.pid)
        self._again_s = plan.again_s
        self._alone: dict[bytes, list[dict[str, float]]] = {image: [] for image in images}
        self._alone_s = self._disturbed_s = 0.0

    def closed(self, clients: int, seconds: float) -> dict[str, Any]:
        """So many clients, each asking again as soon as it is answered."""
        port, path = self._served.port, self._served.path
        return self._calmest(
            lambda: load.closed(port, path, self._images, clients, seconds), seconds
        )

    def opened(self, rate: float, seconds: float) -> dict[str, Any]:
        """So many requests a second."""
        port, path = self._served.port, self._served.path
        return self._calmest(lambda: load.opened(port, path, self._images, rate, seconds), seconds)

    def capacity(self) -> dict[str, Any]:
        """As many clients as it can answer; before them some for `lone`.

        A machine that others share is not as fast at one time as at another: what goes into the
        simulation is taken from the whole time of the curve that judges it.
        """
        for image, rows in self._alone.items():
            began, others = time.perf_counter(), self._others_s()
            rows += _ask(self._served.port, image, max(1, self._plan.lone // 3))
            self._disturbed_s += self._others_s() - others
            self._alone_s += time.perf_counter() - began
        return self.closed(CLIENTS, self._plan.closed_s)

    def lone(self) -> list[dict[str, Any]]:
        """Each kind of picture one after the other: the stages as the service tells them."""
        others = round(self._disturbed_s / (harness.cores() * self._alone_s), 4)
        return [self._stages_of(image, rows) | {"others": others}
                for image, rows in self._alone.items()]  # fmt: skip

    def _stages_of(self, image: bytes, rows: Sequence[Mapping[str, float]]) -> dict[str, Any]:
        return {
            "bytes": len(image),
            "answer_bytes": round(mean(row["answer_bytes"] for row in rows)),
            "stages_ms": {stage: round(mean(row[stage] for row in rows), 3) for stage in STAGES},
            "queue_ms": round(float(np.median([row["queue"] for row in rows])), 3),
            "total_ms": round(float(np.median([row["total"] for row in rows])), 3),
            "work_ms": _quantiles([sum(row[stage] for stage in STAGES) for row in rows]),
        }

    def _calmest(self, run: Callable[[], load.Load], seconds: float) -> dict[str, Any]:
        row = self._loaded(run)
        self._done(seconds)
        if row["others"] > DISTURBED and self._again_s >= seconds:
            self._again_s -= seconds
            row = min(row, self._loaded(run), key=lambda one: float(one["others"]))
        return row

    def _loaded(self, run: Callable[[], load.Load]) -> dict[str, Any]:
        """A load and what it cost, by role, in processor ms of all its requests together."""
        stages, used, others = _stages(self._served), _used(self._pids), self._others_s()
        told = run()
        others = self._others_s() - others
        after = _used(self._pids)
        spent = {role: round((after[role] - used[role]) * 1e3, 1) for role in after}
        spans = {name: value - stages[name] for name, value in _stages(self._served).items()}
        count = max(1.0, spans.pop("count"))
        return {
            "seconds": round(told.seconds, 3),
            "answers": len(told.latencies_ms),
            "refused": told.refused,
            "failed": told.errors - told.refused,
            "rate": round(told.rate, 2),
            "p50_ms": round(told.percentile(50), 2),
            "p90_ms": round(told.percentile(90), 2),
            "p99_ms": round(told.percentile(99), 2),
            "stages_ms": {name: round(span / count * 1e3, 2) for name, span in spans.items()},
            "cpu_ms": spent | {"generator": round(told.generator_cpu_s * 1e3, 1)},
            "others": round(others / (harness.cores() * told.seconds), 4),
        }

    def _others_s(self) -> float:
        """Processor seconds so far of all that is neither the service nor this process."""
        own = sum(os.times()[:2])
        return harness.busy_s() - harness.cpu_s(self._pids) - own


def _order(images: Sequence[bytes]) -> list[int]:
    """Which kind of picture comes when, by its place in what `_Bench.lone` tells."""
    kinds = list(dict.fromkeys(images))
    return [kinds.index(image) for image in images]


def _network_ms(rounds: int) -> dict[str, float]:
    """Of the expression model for so many crops at once, with a core to itself: the median."""
    from models import bundle  # Paddle takes a second, --help none
    from models.predictor import Predictor

    most = Settings().max_batch_size
    predictor = Predictor(bundle.load(PROJECT / "params" / "emotion"), largest_batch=most)
    size = predictor.bundle.manifest.input.size
    crops = [np.full((size, size, 3), 127, np.uint8)] * most
    sizes = [size for size in Predictor.BATCH_SIZES if size <= most]
    took: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(rounds):
        for size in sizes:
            began = time.perf_counter()
            predictor.probabilities(crops[:size])
            took[size].append((time.perf_counter() - began) * 1e3)
    return {str(size): round(float(np.median(ms)), 3) for size, ms in took.items()}


def _ask(port: int, image: bytes, count: int) -> list[dict[str, float]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    rows = []
    for _ in range(count):
        connection.request("POST", "/classify", image, {"Content-Type": "image/jpeg"})
        answer = connection.getresponse()
        body = answer.read()
        head = sum(len(name) + len(value) + 4 for name, value in answer.getheaders())
        if answer.status != 200:
            raise harness.BenchError(f"The service answered {answer.status}: {body.decode()}")
        rows.append({**json.loads(body)["timings_ms"], "answer_bytes": float(len(body) + head)})
    connection.close()
    return rows


def _quantiles(values: Sequence[float]) -> list[float]:
    """The distribution in a hundred steps, from the least to the most."""
    told = np.quantile(values, np.linspace(0, 1, _QUANTILES + 1))
    return [round(float(value), 3) for value in told]


def _stages(served: Served) -> dict[str, float]:
    """Seconds that requests have spent in each stage so far, and how many: from /metrics."""
    values = {}
    for line in _metrics(served).decode().splitlines():
        name, _, value = line.rpartition(" ")
        values[name] = value
    series = 'hyojo_stage_seconds_{}{{stage="{}"}}'
    found = {stage: float(values[series.format("sum", stage)]) for stage in ("queue", *STAGES)}
    return found | {"count": float(values[series.format("count", "queue")])}


def _metrics(served: Served) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read()
    connection.close()
    return text


def _used(pids: Sequence[int]) -> dict[str, float]:
    spent: dict[str, float] = {}
    for pid in pids:
        role = harness.role(pid)
        spent[role] = spent.get(role, 0.0) + harness.cpu_s([pid])
    return spent


def _vitals(served: Served) -> dict[str, Any]:
    """Start, memory and what a scrape of /metrics is."""
    memory: dict[str, list[float]] = {}
    for pid in harness.tree(served.pid):
        with suppress(OSError):  # a predictor that was lost and replaced just now
            memory.setdefault(harness.role(pid), []).append(harness.memory_mb(pid)["pss"])
    text = _metrics(served)
    series = sum(1 for line in text.splitlines() if line and not line.startswith(b"#"))
    return {
        "ready_s": round(served.ready_s, 2),
        "memory_mb": {role: round(sum(values), 1) for role, values in memory.items()},
        "processes": {role: len(values) for role, values in memory.items()},
        "metrics_bytes": len(text),
        "metrics_series": series,
    }


def _log_bytes(images: Sequence[bytes]) -> int:
    """Of a request, in JSON lines as in the container."""
    with tempfile.TemporaryDirectory(prefix="hyojo-") as folder:
        log = Path(folder) / "log"
        settings = {"HYOJO_LOG_LEVEL": "info", "HYOJO_LOG_FORMAT": "json"}
        with harness.service(settings, log) as served:
            before = log.stat().st_size
            for image in images:
                _ask(served.port, image, 5)
            return round((log.stat().st_size - before) / (5 * len(images)))


def total(memory: Mapping[str, float]) -> float:
    """Megabytes of all processes together."""
    return round(sum(memory.values()), 1)
