"""Costs are found again from what a machine with known costs showed."""

import math
from dataclasses import asdict, replace
from statistics import fmean
from typing import Any

import pytest

from bench.scale import calibrating, cores
from bench.scale.machine import Costs, Shape
from bench.scale.measuring import Plan
from bench.scale.simulation import Told, closed, in_turns

PLAN = Plan(rounds=1, overload_s=10.0, point_s=12.0)
TRUE = Costs(
    work=((5.0, 6.0, 7.0),), predictor_ms=0.4, predictor_waking_ms=1.5, shared_ms=0.6,
    gateway_ms=0.9, gateway_waking_ms=0.3, worker_ms=0.1, worker_waking_ms=0.2,
    client_ms=0.2, refusal_ms=0.2, client_refusal_ms=0.3, wake_ms=0.3,
)  # fmt: skip
SHAPE = Shape()
_FOUND = (
    "predictor_ms", "predictor_waking_ms", "gateway_ms", "gateway_waking_ms", "client_ms",
    "refusal_ms", "client_refusal_ms", "shared_ms", "wake_ms",
)  # fmt: skip


def _row(told: Told, share: float, offered: float) -> dict[str, Any]:
    return {
        "share": share, "offered": offered, "seconds": told.seconds,
        "answers": len(told.latencies_ms), "refused": told.refused, "failed": 0,
        "rate": told.rate, "p50_ms": told.percentile(50), "cpu_ms": dict(told.used_ms),
    }  # fmt: skip


def _measured(costs: Costs) -> dict[str, Any]:
    """What `measure` would tell of a machine with these costs."""
    capacity = round(closed(costs, SHAPE, 16, 10.0)[0].rate, 2)
    measured: dict[str, Any] = {
        "cores": SHAPE.cores, "plan": asdict(PLAN), "order": [0],
        "capacity": [{"rate": capacity}],
        "network_ms": {str(n): n * 2.0 - (n - 1) * costs.shared_ms for n in (1, 2, 4)},
        "lone": [{"work_ms": list(costs.work[0])}],
    }  # fmt: skip
    for name, shares in (("curve", (0.25,)), ("overload", PLAN.overloads)):
        measured[name] = [
            _row(in_turns([costs], SHAPE, calibrating.arrivals(measured, share)), share,
                 share * capacity)
            for share in shares
        ]  # fmt: skip
    return measured


@pytest.mark.parametrize("costs", [TRUE, replace(TRUE, predictor_ms=-0.5, shared_ms=0.0)],
                         ids=["as they are", "quicker when busy"])  # fmt: skip
def test_a_machines_costs_are_found_again(costs: Costs) -> None:
    measured = _measured(costs)
    found = calibrating.costs_of(measured)

    for name in _FOUND:
        assert getattr(found, name) == pytest.approx(getattr(costs, name), abs=0.12), name
    for share in (0.55, 0.8, 1.15):
        turns = calibrating.arrivals(measured, share)
        true, told = (in_turns([one], SHAPE, turns, seed=5) for one in (costs, found))
        assert told.rate == pytest.approx(true.rate, rel=0.02)
        assert told.percentile(50) == pytest.approx(true.percentile(50), rel=0.15)


def test_the_busier_a_machine_the_less_it_sleeps_and_the_less_an_answer_costs() -> None:
    measured = _measured(TRUE)
    each = []
    for share in (0.02, 0.4, 0.8):
        told = in_turns([TRUE], SHAPE, calibrating.arrivals(measured, share))
        each.append({role: ms / len(told.latencies_ms) for role, ms in told.used_ms.items()})

    for role in ("predictor", "gateway", "worker"):
        idle, half, busy = (row[role] for row in each)
        assert idle > half > busy
    mean = fmean(TRUE.work[0])
    assert each[0]["predictor"] == pytest.approx(mean + 0.4 + 1.5, abs=0.15)
    warm = math.exp(-mean / cores.COLD_MS)  # the answer comes soon after what was asked
    assert each[0]["gateway"] == pytest.approx(0.9 + (2 - warm) * 0.3, abs=0.05)
