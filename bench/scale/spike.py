"""A sudden rise, simulated with docker/kubernetes/autoscaler.yaml: who is refused until help comes.

The autoscaler sees the mean wait for a predictor over a minute, looks every so often, and may
double the pods, or add two, every half a minute. A pod that was asked for answers once it has
started.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import simpy

from bench import load
from bench.scale.fleet import Fleet
from bench.scale.machine import Costs, Machine, Shape
from bench.scale.simulation import Told, feed

WINDOW_S = 60.0
POLICY_S = 30.0
LEAST_ADDED = 2
TOLERANCE = 0.1
"""Kubernetes' own: a metric that is off by less changes nothing."""


@dataclass(frozen=True)
class Rise:
    """What happens.

    Attributes:
        rate: requests a second before.
        factor: by which they rise at once.
        machines: that are there before.
        most: `maxReplicas`.
        start_s: from the autoscaler's wish to the pod's first answer.
        before_s: seconds before the rise.
        after_s: seconds after it that are simulated.
        look_s: how often the autoscaler looks, and Prometheus scrapes.
        target_s: mean wait for a predictor that it keeps to.
    """

    rate: float
    factor: float
    machines: int
    most: int
    start_s: float
    before_s: float = 20.0
    after_s: float = 180.0
    look_s: float = 15.0
    target_s: float = 0.012


@dataclass
class _Autoscaler:
    """Adds machines to a fleet as Kubernetes would."""

    env: simpy.Environment
    fleet: Fleet
    rise: Rise
    costs: Costs
    shape: Shape
    wanted: int = 0
    seen: list[tuple[float, dict[int, tuple[float, int]]]] = field(default_factory=list)
    added: list[tuple[float, int]] = field(default_factory=list)

    def run(self) -> simpy.events.ProcessGenerator:
        """Look, wish, and look again."""
        self.wanted = len(self.fleet.machines)
        while True:
            self._scrape()
            value = self._wait_s() / self.rise.target_s
            if abs(value - 1) > TOLERANCE and value > 1:
                self._wish(math.ceil(len(self.fleet.machines) * value))
            yield self.env.timeout(self.rise.look_s * 1e3)

    def _scrape(self) -> None:
        now = {n: (one.waits_ms, one.waits) for n, one in enumerate(self.fleet.machines)}
        self.seen.append((self.env.now, now))

    def _wait_s(self) -> float:
        """Of a pod in the mean, as the rule for prometheus-adapter has it."""
        old = next(row for at, row in self.seen if at >= self.env.now - WINDOW_S * 1e3)
        means = []
        for number, (waits_ms, waits) in self.seen[-1][1].items():
            then_ms, then = old.get(number, (0.0, 0))
            means.append((waits_ms - then_ms) / 1e3 / max(1, waits - then))
        return sum(means) / len(means)

    def _wish(self, desired: int) -> None:
        now = self.env.now
        lately = sum(count for at, count in self.added if at > now - POLICY_S * 1e3)
        base = self.wanted - lately
        allowed = max(2 * base, base + LEAST_ADDED)
        more = min(desired, allowed, self.rise.most) - self.wanted
        if more > 0:
            self.wanted += more
            self.added.append((now, more))
            self.env.process(self._start(more))

    def _start(self, count: int) -> simpy.events.ProcessGenerator:
        yield self.env.timeout(self.rise.start_s * 1e3)
        for _ in range(count):
            seed = 1000 + len(self.fleet.machines)
            self.fleet.add(Machine(self.env, self.costs, self.shape, seed))


def rise(costs: Costs, shape: Shape, asked: Rise, seed: int = 0) -> dict[str, Any]:
    """Simulate it.

    Returns:
        what was refused after the rise, in all and at the end, the slowest percent, and when the
        refusals ended and with how many machines.
    """
    env = simpy.Environment()
    machines = [Machine(env, costs, shape, seed * 10_000 + n) for n in range(asked.machines)]
    fleet = Fleet(env, machines, "two choices", seed=seed)
    scaler = _Autoscaler(env, fleet, asked, costs, shape)
    env.process(scaler.run())
    first = load.arrivals(asked.rate, asked.before_s, seed)
    ends = asked.before_s + asked.after_s
    more = load.arrivals(asked.rate * asked.factor, asked.after_s, seed + 1)
    told = Told(asked.after_s, refused_last_ms=asked.before_s * 1e3)
    times = [at for at in first if at < asked.before_s] + [asked.before_s + at for at in more]
    feed(env, fleet, costs, [at for at in times if at < ends], told, begins_ms=asked.before_s * 1e3)
    env.run(ends * 1e3)
    return {
        "factor": asked.factor,
        "machines": asked.machines,
        "start_s": round(asked.start_s, 1),
        "target_s": asked.target_s,
        "refused": round(told.refused / max(1, told.offered), 4),
        "p99_ms": round(told.percentile(99), 1),
        "calm_after_s": round(told.refused_last_ms / 1e3 - asked.before_s, 1),
        "machines_then": len(fleet.machines),
        "asked_after_s": round(scaler.added[0][0] / 1e3 - asked.before_s, 1)
        if scaler.added
        else None,
    }
