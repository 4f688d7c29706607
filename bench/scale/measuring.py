"""The service on this machine: what a request costs it, and its curve under an open load.

What a request costs is measured apart from the curve: one request at a time, as many as it can
answer, and far more. Only that goes into the simulation; the curve is there to judge it.
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
from bench.scale.pooled import Pooled
from service.settings import Settings

STAGES = ("decode", "detect", "classify")
SHARES = (0.1, 0.25, 0.4, 0.55, 0.7, 0.8, 0.9, 1.0, 1.15, 1.3)
"""Offered rates of the curve, as shares of the capacity."""
_QUANTILES = 100


@dataclass(frozen=True)
class Plan:
    """How long each part of the measurement takes, all rounds together.

    A machine that others share is not as fast at one time as at another. So everything is measured
    in short turns, round by round: what goes into the simulation and the curve that judges it are
    of the same minutes.

    Attributes:
        rounds: turns of everything.
        lone: requests one after the other, of each picture.
        closed_s: seconds of a closed loop that shows the capacity.
        overloads: rates beyond the curve, as shares of the capacity: two, from which an answer's
            cost and a refusal's can be told apart.
        overload_s: seconds of each of them.
        shares: offered rates of the curve, as shares of the capacity.
        point_s: seconds of a point of the curve; twice as long below half of the capacity.
    """

    rounds: int = 4
    lone: int = 400
    closed_s: float = 32.0
    overloads: tuple[float, float] = (1.5, 2.5)
    overload_s: float = 12.0
    shares: tuple[float, ...] = SHARES
    point_s: float = 16.0

    def turn_s(self, share: float) -> float:
        """How long a rate is asked for in each round."""
        if share in self.overloads:
            return self.overload_s / self.rounds
        return self.point_s * (2 if share < 0.5 else 1) / self.rounds

    @property
    def seconds(self) -> float:
        """Of all of it, about."""
        points = self.rounds * sum(map(self.turn_s, self.shares))
        return self.closed_s + len(self.overloads) * self.overload_s + points


QUICK = Plan(1, 20, 1.0, overload_s=1.0, shares=(0.25, 0.7, 1.3), point_s=1.0)
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
        load.closed(served.port, served.path, images, load.CLIENTS, min(3.0, plan.closed_s))
        bench = _Bench(served, images, plan, done)
        for number in range(plan.rounds):
            bench.take_turn(number)
        return {
            "machine": harness.machine(),
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
            "cores": harness.cores(),
            "plan": asdict(plan),
            "first": first,
            "picture_bytes": round(mean(map(len, images))),
            "order": _order(images),
            "network_ms": network_ms,
            **bench.told(),
            "vitals": _vitals(served) | {"log_bytes": _log_bytes(images)},
        }


class _Bench:
    """Loads on a service that runs."""

    def __init__(
        self, served: Served, images: Sequence[bytes], plan: Plan, done: Callable[[float], object]
    ) -> None:
        self._served, self._images, self._plan, self._done = served, images, plan, done
        self._pids = harness.tree(served.pid)
        self._alone: dict[bytes, list[dict[str, float]]] = {image: [] for image in images}
        self._capacity: list[Pooled] = []
        self._curve = {share: Pooled() for share in (*plan.overloads, *plan.shares)}
        self._offered: dict[float, float] = {}

    def take_turn(self, number: int) -> None:
        """Measure everything once, for a part of its time.

        Args:
            number: of the round; its requests leave at times of their own.

        Raises:
            BenchError: nothing is answered.
        """
        plan, port, path = self._plan, self._served.port, self._served.path
        for image, rows in self._alone.items():
            rows += _ask(port, image, max(1, plan.lone // plan.rounds))
        self._capacity.append(Pooled())
        self._load(
            self._capacity[-1],
            lambda: load.closed(
                port, path, self._images, load.CLIENTS, plan.closed_s / plan.rounds
            ),
        )
        if not self._capacity[-1].whole.rate:
            raise harness.BenchError("The service answered nothing; its log says why.")
        if not self._offered:
            rate = round(self._capacity[0].whole.rate, 2)
            self._offered = {share: round(share * rate, 2) for share in self._curve}
        for share, pooled in self._curve.items():
            self._open(pooled, share, number)

    def told(self) -> dict[str, Any]:
        """Everything, as it goes into the JSON file."""
        return {
            "lone": [_stages_of(image, rows) for image, rows in self._alone.items()],
            "capacity": [one.row(harness.cores()) for one in self._capacity],
            "overload": self._rows(self._plan.overloads),
            "curve": self._rows(self._plan.shares),
        }

    def _rows(self, shares: Sequence[float]) -> list[dict[str, Any]]:
        return [
            {"share": share, "offered": self._offered[share]}
            | self._curve[share].row(harness.cores())
            for share in shares
        ]

    def _open(self, pooled: Pooled, share: float, number: int) -> None:
        """So many requests a second, at random times."""
        port, path, rate = self._served.port, self._served.path, self._offered[share]
        seconds = self._plan.turn_s(share)
        self._load(
            pooled, lambda: load.opened(port, path, self._images, rate, seconds, seed=number)
        )

    def _load(self, pooled: Pooled, run: Callable[[], load.Load]) -> None:
        stages, used, others = _stages(self._served), _used(self._pids), self._others_s()
        told = run()
        others = self._others_s() - others
        after, ended = _used(self._pids), _stages(self._served)
        cpu_s = {role: after[role] - used[role] for role in after}
        pooled.add(told, cpu_s, {name: ended[name] - stages[name] for name in ended}, others)
        self._done(told.seconds)

    def _others_s(self) -> float:
        """Processor seconds so far of all that is neither the service nor this process."""
        own = sum(os.times()[:2])
        return harness.busy_s() - harness.cpu_s(self._pids) - own


def _stages_of(image: bytes, rows: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """One picture asked about again and again, alone: the stages as the service tells them."""
    return {
        "bytes": len(image),
        "answer_bytes": round(mean(row["answer_bytes"] for row in rows)),
        "stages_ms": {stage: round(mean(row[stage] for row in rows), 3) for stage in STAGES},
        "work_ms": _quantiles([sum(row[stage] for stage in STAGES) for row in rows]),
    }


def _order(images: Sequence[bytes]) -> list[int]:
    """Which kind of picture comes when, by its place in what `_Bench.told` lists as `lone`."""
    kinds = list(dict.fromkeys(images))
    return [kinds.index(image) for image in images]


def _network_ms(rounds: int) -> dict[str, float]:
    """Of the expression model for so many crops at once, with a core to itself: the median."""
    from models import batches, bundle  # Paddle takes a second, --help none
    from models.predictor import Predictor

    most = Settings().max_batch_size
    predictor = Predictor(bundle.load(PROJECT / "params" / "emotion"), largest_batch=most)
    size = predictor.bundle.manifest.input.size
    crops = [np.full((size, size, 3), 127, np.uint8)] * most
    sizes = batches.sizes(most)
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
