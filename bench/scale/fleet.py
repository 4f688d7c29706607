"""Many simulated machines behind balancers: what choosing between them does to latency."""

import itertools
import random
from collections.abc import Callable, Sequence
from typing import Literal, get_args

import simpy

from bench import load
from bench.scale.machine import Costs, Machine, Outcome, Shape
from bench.scale.simulation import Told, feed

Policy = Literal["random", "round robin", "two choices", "least"]
POLICIES: tuple[Policy, ...] = get_args(Policy)
"""random: any. round robin: in turn. two choices: of two picked at random the one with fewer
requests under way. least: of all the one with the fewest."""


class Fleet:
    """Machines, and balancers that know only what goes through themselves.

    Args:
        env: the simulation.
        machines: that are asked; more may be added, and count from then on.
        policy: how one is chosen.
        balancers: how many share the requests; each is given the next request by chance.
        seed: of the choices.
    """

    def __init__(
        self,
        env: simpy.Environment,
        machines: Sequence[Machine],
        policy: Policy,
        balancers: int = 1,
        seed: int = 0,
    ) -> None:
        self._env = env
        self.machines = list(machines)
        self._policy = policy
        self._random = random.Random(f"balancer {seed}")
        self._under_way = [[0] * len(machines) for _ in range(balancers)]
        self._turns = [itertools.count(n * 7) for n in range(balancers)]

    def add(self, machine: Machine) -> None:
        """One more to ask."""
        self.machines.append(machine)
        for counts in self._under_way:
            counts.append(0)

    def ask(self, kinds: Sequence[int], told: Callable[[Outcome], object]) -> None:
        """A request is due, with an image of each kind given."""
        balancer = self._random.randrange(len(self._under_way))
        counts = self._under_way[balancer]
        place = self._choose(counts, balancer)
        counts[place] += 1

        def ended(outcome: Outcome) -> None:
            counts[place] -= 1
            told(outcome)

        self.machines[place].ask(kinds, ended)

    def _choose(self, counts: list[int], balancer: int) -> int:
        if self._policy == "random":
            return self._random.randrange(len(counts))
        if self._policy == "round robin":
            return next(self._turns[balancer]) % len(counts)
        if self._policy == "two choices":
            one, other = (self._random.randrange(len(counts)) for _ in range(2))
            return one if counts[one] <= counts[other] else other
        fewest = min(counts)
        return self._random.choice([n for n, count in enumerate(counts) if count == fewest])


def balanced(
    costs: Costs,
    shape: Shape,
    machines: int,
    rate: float,
    seconds: float,
    policy: Policy,
    balancers: int = 1,
    seed: int = 0,
    warm_up_s: float = 0.4,
) -> Told:
    """An open load on a fleet.

    Args:
        costs: of a request.
        shape: of each machine.
        machines: how many.
        rate: requests a second, all machines together.
        seconds: in which requests count.
        policy: how a machine is chosen.
        balancers: see `Fleet`.
        seed: the same seed, the same result.
        warm_up_s: before, of the same load, not counted.
    """
    env = simpy.Environment()
    each = [Machine(env, costs, shape, seed * machines + n) for n in range(machines)]
    fleet = Fleet(env, each, policy, balancers, seed)
    told = Told(seconds)
    times = load.arrivals(rate, warm_up_s + seconds, seed)
    feed(env, fleet, costs, times, told, begins_ms=warm_up_s * 1e3)
    env.run()
    told.busy = sum(one.cores.busy_ms for one in each) / (machines * shape.cores * env.now)
    told.queue_ms = sum(one.waits_ms for one in each) / max(1, sum(one.waits for one in each))
    return told
