"""A load on simulated machines: open and closed loops, as bench/load.py makes them."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import simpy

from bench.scale.machine import Costs, Machine, Outcome, Shape


class Answers(Protocol):
    """What answers requests: a machine, or a balancer before many."""

    def ask(self, kinds: Sequence[int], told: Callable[[Outcome], object]) -> None:
        """A request is due, with an image of each kind given."""


@dataclass
class Told:
    """What came of the requests that counted.

    Attributes:
        seconds: in which they were due.
        offered: how many.
        latencies_ms: of those that were answered.
        refused: how many were.
        late: whose deadline passed.
        busy: share of the cores' time that was used.
        queue_ms: mean wait for a predictor.
        refused_last_ms: when the last one was refused, by the simulation's clock.
        used_ms: processor time by role, of a core that is busy alone.
        cold: how often each role was cold, as `bench.scale.cores.Process` counts it.
    """

    seconds: float
    offered: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    refused: int = 0
    late: int = 0
    busy: float = 0.0
    queue_ms: float = 0.0
    refused_last_ms: float = 0.0
    used_ms: Counter[str] = field(default_factory=Counter)
    cold: Counter[str] = field(default_factory=Counter)

    def count(self, outcome: Outcome, began_ms: float, now_ms: float) -> None:
        """A request has ended."""
        if outcome == "answered":
            self.latencies_ms.append(now_ms - began_ms)
        elif outcome == "refused":
            self.refused += 1
            self.refused_last_ms = now_ms
        else:
            self.late += 1

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies_ms) / self.seconds

    @property
    def mean_ms(self) -> float:
        """Of the answers; nan without any."""
        return float(np.mean(self.latencies_ms)) if self.latencies_ms else float("nan")

    def percentile(self, share: float) -> float:
        """Latency in ms that `share` (0 to 100) of the answers do not exceed; nan without any."""
        return float(np.percentile(self.latencies_ms, share)) if self.latencies_ms else float("nan")

    def row(self) -> dict[str, float]:
        """For tables."""
        return {
            "rate": self.rate,
            "p50_ms": self.percentile(50),
            "p90_ms": self.percentile(90),
            "p99_ms": self.percentile(99),
            "refused": self.refused / max(1, self.offered),
            "late": self.late / max(1, self.offered),
            "busy": self.busy,
            "queue_ms": self.queue_ms,
        }


def feed(
    env: simpy.Environment,
    at: Answers,
    costs: Costs,
    times: Sequence[float],
    told: Told,
    images: int = 1,
    begins_ms: float = 0.0,
) -> None:
    """Let requests come, without running the simulation.

    Args:
        env: the simulation.
        at: what answers.
        costs: whose pictures come in their order.
        times: when requests are due, in seconds.
        told: counts those that are due from `begins_ms` on.
        images: of each request.
        begins_ms: see `told`.
    """

    def arrivals() -> simpy.events.ProcessGenerator:
        for number, due in enumerate(times):
            yield env.timeout(max(0.0, due * 1e3 - env.now))
            first = number * images
            kinds = [costs.order[(first + n) % len(costs.order)] for n in range(images)]
            counts = env.now >= begins_ms
            told.offered += counts
            at.ask(kinds, _counting(env, told) if counts else _nobody)

    env.process(arrivals())


def opened(
    costs: Costs, shape: Shape, times: Sequence[float], seed: int = 0, images: int = 1
) -> Told:
    """Requests at their times, whether or not earlier ones are answered; all of them count.

    The rate is that of bench/load.py: answers over the time until the last one.

    Args:
        costs: of a request.
        shape: of the machine.
        times: when requests are due, in seconds: see `bench.load.arrivals`.
        seed: of the service times; the same seed, the same result.
        images: of each request.
    """
    env = simpy.Environment()
    machine = Machine(env, costs, shape, seed)
    told = Told(1.0)
    feed(env, machine, costs, times, told, images)
    env.run()
    told.seconds = env.now / 1e3
    told.busy = machine.cores.busy_ms / (shape.cores * env.now)
    told.queue_ms = machine.waits_ms / max(1, machine.waits)
    told.used_ms.update(machine.used_ms)  # type: ignore[arg-type]
    told.cold.update(machine.cold)  # type: ignore[arg-type]
    return told


def in_turns(costs: Costs, shape: Shape, turns: Sequence[Sequence[float]], seed: int = 0) -> Told:
    """Several open loads, one after the other on an idle machine each, told as one.

    Args:
        costs: of a request, in each.
        shape: of the machine.
        turns: when the requests of each are due, in seconds from its start.
        seed: of the service times; each load has its own.
    """
    parts = [
        opened(cost, shape, times, seed * len(turns) + n)
        for n, (cost, times) in enumerate(zip(costs, turns, strict=True))
    ]
    whole = Told(sum(part.seconds for part in parts))
    for part in parts:
        whole.offered += part.offered
        whole.latencies_ms += part.latencies_ms
        whole.refused += part.refused
        whole.late += part.late
        whole.busy += part.busy * part.seconds / whole.seconds
        whole.queue_ms += part.queue_ms * part.offered
        whole.used_ms.update(part.used_ms)
        whole.cold.update(part.cold)
    whole.queue_ms /= max(1, whole.offered)
    return whole


def closed(
    costs: Costs, shape: Shape, clients: int, seconds: float, seed: int = 0, warm_up_s: float = 1.0
) -> tuple[Told, dict[str, float]]:
    """So many clients, each asking again as soon as it is answered; counted by their ends.

    Args:
        costs: of a request.
        shape: of the machine.
        clients: how many.
        seconds: in which answers count.
        seed: of the service times.
        warm_up_s: before.

    Returns:
        what came of it, and for which share of the time the busiest gateway process and the worker
        had something to do.
    """
    env = simpy.Environment()
    machine = Machine(env, costs, shape, seed)
    told = Told(seconds)
    begins, ends = warm_up_s * 1e3, (warm_up_s + seconds) * 1e3

    def client(number: int) -> None:
        began = env.now

        def answered(outcome: Outcome) -> None:
            if begins <= env.now < ends:
                told.offered += 1
                told.count(outcome, began, env.now)
            if env.now < ends:
                client(number + clients)

        machine.ask([costs.order[number % len(costs.order)]], answered)

    for number in range(clients):
        client(number)
    env.run(begins)
    busy, threads = machine.cores.busy_ms, machine.busiest
    waits_ms, waits = machine.waits_ms, machine.waits
    env.run(ends)
    told.busy = (machine.cores.busy_ms - busy) / (shape.cores * seconds * 1e3)
    told.queue_ms = (machine.waits_ms - waits_ms) / max(1, machine.waits - waits)
    after = machine.busiest
    return told, {name: (after[name] - threads[name]) / (seconds * 1e3) for name in after}


def _counting(env: simpy.Environment, told: Told) -> Callable[[Outcome], object]:
    began = env.now
    return lambda outcome: told.count(outcome, began, env.now)


def _nobody(outcome: Outcome) -> None:
    """Heard before anything counts."""
