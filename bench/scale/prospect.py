"""A fleet of simulated machines: what the plan in docs/SCALE.md is made of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.scale import assumptions, calibrating, growing, sizing, spike
from bench.scale.fleet import POLICIES, Policy, balanced
from bench.scale.machine import Costs, Shape
from bench.scale.spike import Rise

LOADS = (0.7, 0.85)
MANY_BALANCERS = 16
RISES = (2.0, 3.0)
_BEFORE = 2
"""Pods before a rise, as busy as a fleet is planned to be."""


@dataclass(frozen=True)
class Amount:
    """How much is simulated.

    Attributes:
        grow_s: seconds of each size of machine.
        fleets: requests a second, and seconds of them, each.
        loads: shares of the capacity.
        rises: factors.
        after_s: seconds after a rise.
    """

    grow_s: float = 4.0
    fleets: tuple[tuple[float, float], ...] = ((1_000.0, 10.0), (100_000.0, 0.4))
    loads: tuple[float, ...] = LOADS
    rises: tuple[float, ...] = RISES
    after_s: float = 120.0


FULL = Amount()
QUICK = Amount(0.5, ((100.0, 2.0),), (0.7,), (2.0,), 20.0)


def steps(amount: Amount) -> int:
    """Of `prospect`, for a progress bar."""
    sizes = len(growing.CORES) * len(growing.shapes(2))
    balances = sum(len(_cases(rate, amount)) for rate, _ in amount.fleets)
    return sizes + balances + 3 * len(amount.rises) + 1


def prospect(
    measured: Mapping[str, Any], amount: Amount, done: Callable[[], object]
) -> dict[str, Any]:
    """Simulate larger machines, fleets behind balancers, and sudden rises; plan two rates.

    Args:
        measured: by `bench.scale.measuring.measure`.
        amount: how much.
        done: called after each step.
    """
    costs = calibrating.costs_of(measured).asked_from_elsewhere()
    shape = calibrating.shape_of(measured)
    rate = calibrating.capacity_of(costs, shape)
    done()
    grown = growing.grow(costs, amount.grow_s, done)
    balances = [
        row
        for total, seconds in amount.fleets
        for row in _balances(costs, shape, rate, total, seconds, amount, done)
    ]
    likely = next(row for row in balances if row["policy"] == "two choices")
    return {
        "pod_rate": round(rate, 2),
        "growing": grown,
        "balancing": balances,
        "spikes": _spikes(costs, shape, rate, sizing.start_of(measured), amount, done),
        "plans": [
            sizing.plan(measured, rate, likely["mean_ms"], likely["busy"], total)
            for total in sizing.RATES
        ],
    }


def _cases(rate: float, amount: Amount) -> list[tuple[float, Policy, int]]:
    """Loads, policies and numbers of balancers that are simulated for a rate."""
    cases: list[tuple[float, Policy, int]] = []
    few = rate < 10_000
    for load in amount.loads if few else amount.loads[:1]:
        chosen: Sequence[Policy] = POLICIES if few else ("random", "two choices")
        cases += [(load, policy, 1) for policy in chosen]
        cases += [(load, policy, MANY_BALANCERS) for policy in chosen[2:] or chosen[1:]]
    return cases


def _balances(
    costs: Costs,
    shape: Shape,
    capacity: float,
    rate: float,
    seconds: float,
    amount: Amount,
    done: Callable[[], object],
) -> list[dict[str, Any]]:
    rows = []
    for load, policy, balancers in _cases(rate, amount):
        machines = max(2, round(rate / (capacity * load)))
        exactly = machines * capacity * load
        told = balanced(costs, shape, machines, exactly, seconds, policy, balancers)
        found = {key: round(value, 4) for key, value in told.row().items()}
        rows.append({
            "rate": round(exactly, 1), "machines": machines, "load": load, "policy": policy,
            "balancers": balancers, "mean_ms": round(told.mean_ms, 2),
            **{key: found[key] for key in ("p50_ms", "p99_ms", "refused", "busy")},
        })  # fmt: skip
        done()
    return rows


def _spikes(
    costs: Costs,
    shape: Shape,
    capacity: float,
    start_s: float,
    amount: Amount,
    done: Callable[[], object],
) -> list[dict[str, Any]]:
    ordinary = round(_BEFORE * capacity * assumptions.BUSY.value)
    most = 10 * _BEFORE  # so that `maxReplicas` does not hide the rest
    rows = []
    node_s = start_s + assumptions.NODE_START.value
    for factor in amount.rises:
        for wait_s, target_s in ((start_s, 0.03), (start_s, 0.012), (node_s, 0.012)):
            asked = Rise(
                ordinary, factor, _BEFORE, most, wait_s, after_s=amount.after_s, target_s=target_s
            )
            rows.append(spike.rise(costs, shape, asked))
            done()
    return rows
