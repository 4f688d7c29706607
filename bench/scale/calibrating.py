"""From what was measured to what the simulation is told.

Only one picture after the other, a quarter of the capacity and loads far above it go in. The other
points of the curve are there to judge it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from bench import load
from bench.scale.machine import Costs, Shape
from bench.scale.measuring import Plan
from bench.scale.simulation import Told, closed, in_turns

_ROUNDS = 12
_STEP = 0.8
"""Of a correction: what changes one figure changes the others, too."""
WAKE_UPS = 7
"""Of a request: client, gateway and worker wake up twice, a predictor once."""
LOW = 0.25
"""Share of the capacity at which costs and the median are taken from the curve."""
_SLEEPERS = ("predictor", "gateway", "worker")
"""Roles that cost more after they have slept."""


def costs_of(measured: Mapping[str, Any]) -> Costs:
    """The costs of a request, in processor ms.

    - work: the stages as the service tells them, one request at a time.
    - shared: the network's time for several crops at once beside as often for one.
    - refusal: what more refusals for the same answers cost, from one overload to the next.
    - predictor (beside the stages), gateway, worker, client: what an answer takes of them at the
      overloads, refusals apart; and waking: what it takes of the first three more at a quarter of
      the capacity, where they sleep before most things.
    - together: so that as many are answered at the overloads as were; at first the share of the
      cores' time that was used.
    - wake: what of the median at a quarter of the capacity the rest does not explain, in sevenths.

    Args:
        measured: by `bench.scale.measuring.measure`.
    """
    low, over = low_point(measured), measured["overload"]
    work = tuple(tuple(row["work_ms"]) for row in measured["lone"])
    order = tuple(measured["order"])
    used_s = sum(sum(row["cpu_ms"].values()) / 1e3 for row in over)
    costs = Costs(
        work=work,
        order=order,
        gateway_ms=_each([low], "gateway"),
        worker_ms=_each([low], "worker"),
        client_ms=_answer_ms(over, "generator"),
        refusal_ms=_refusal_ms(over, "gateway"),
        client_refusal_ms=_refusal_ms(over, "generator"),
        together=used_s / (measured["cores"] * sum(row["seconds"] for row in over)),
        shared_ms=shared_ms(measured),
    )
    for _ in range(_ROUNDS):
        costs = _nearer(costs, measured)
    return costs


def _nearer(costs: Costs, measured: Mapping[str, Any]) -> Costs:
    """Corrected by what is simulated with them and was measured otherwise."""
    low, over = low_point(measured), measured["overload"]
    shape, each = shape_of(measured), by_round(costs, measured)
    idle = in_turns(each, shape, arrivals(measured, low["share"]))
    full = [in_turns(each, shape, arrivals(measured, row["share"])) for row in over]
    better = {}
    for role in _SLEEPERS:
        was, waking = getattr(costs, f"{role}_ms"), getattr(costs, f"{role}_waking_ms")
        now = was + _STEP * (_each(over, role) - _simulated(full, role))
        now = now if role == "predictor" else max(0.0, now)
        lacks = _each([low], role) - _simulated([idle], role) - (now - was)
        better[f"{role}_ms"] = now
        better[f"{role}_waking_ms"] = max(0.0, waking + lacks / _share(idle.cold[role], [idle]))
    off = low["p50_ms"] - idle.percentile(50)
    answered = sum(row["rate"] for row in over) / sum(told.rate for told in full)
    better["together"] = costs.together * (1 + _STEP * (answered - 1))
    better["wake_ms"] = max(0.0, costs.wake_ms + off / WAKE_UPS)
    return replace(costs, **better)


def by_round(costs: Costs, measured: Mapping[str, Any]) -> list[Costs]:
    """The costs of each round: a machine that others share is faster in one than in another.

    How fast it was, the round's closed loop says, beside the mean of all.
    """
    rates = [row["rate"] for row in measured["capacity"]]
    return [replace(costs, together=costs.together * rate / fmean(rates)) for rate in rates]


def arrivals(measured: Mapping[str, Any], share: float) -> list[list[float]]:
    """When the requests of a share of the capacity were due, round by round, in seconds."""
    plan = Plan(**measured["plan"])
    rate = round(share * measured["capacity"][0]["rate"], 2)
    seconds = plan.turn_s(share)
    return [load.arrivals(rate, seconds, number) for number in range(plan.rounds)]


def shared_ms(measured: Mapping[str, Any]) -> float:
    """What a crop less costs the network that has another in the same call; mean of all sizes."""
    ms = {int(size): float(took) for size, took in measured["network_ms"].items()}
    saved = [(size * ms[1] - took) / (size - 1) for size, took in ms.items() if size > 1]
    return max(0.0, fmean(saved)) if saved else 0.0


def low_point(measured: Mapping[str, Any]) -> Mapping[str, Any]:
    """The point of the curve that is nearest to a quarter of the capacity."""
    curve: Sequence[Mapping[str, Any]] = measured["curve"]
    return min(curve, key=lambda row: abs(row["share"] - LOW))


def shape_of(measured: Mapping[str, Any]) -> Shape:
    """The service with its defaults on the machine that was measured."""
    cores = measured["cores"]
    return Shape(cores=cores, predictors=min(4, cores))


def capacity_of(
    costs: Costs, shape: Shape, seconds: float = 30.0, clients: int = load.CLIENTS
) -> float:
    """Answers a second of the closed loop, simulated."""
    return closed(costs, shape, clients, seconds)[0].rate


def measured_capacity(measured: Mapping[str, Any]) -> float:
    """Answers a second of the closed loop: the mean of the rounds."""
    return fmean(row["rate"] for row in measured["capacity"])


def _each(rows: Sequence[Mapping[str, Any]], role: str) -> float:
    """Processor ms of a role an answer; of overloads, its refusals among them."""
    spent = sum(float(row["cpu_ms"][role]) for row in rows)
    return spent / max(1, sum(int(row["answers"]) for row in rows))


def _simulated(told: Sequence[Told], role: str) -> float:
    """The same of what was simulated."""
    return _share(sum(one.used_ms[role] for one in told), told)


def _share(amount: float, told: Sequence[Told]) -> float:
    """An answer's."""
    return amount / max(1, sum(len(one.latencies_ms) for one in told))


def _refusal_ms(over: Sequence[Mapping[str, Any]], role: str) -> float:
    """What a refusal costs a role: what two overloads differ in for an answer."""
    (some, more), (low, high) = map(_refused, over), (_each([row], role) for row in over)
    return max(0.0, (high - low) / (more - some)) if more > some else 0.0


def _answer_ms(over: Sequence[Mapping[str, Any]], role: str) -> float:
    """What an answer costs a role, its refusals apart."""
    refused = fmean(map(_refused, over))
    return max(0.0, fmean(_each([row], role) for row in over) - refused * _refusal_ms(over, role))


def _refused(row: Mapping[str, Any]) -> float:
    """Refusals an answer."""
    return float(row["refused"] + row["failed"]) / max(1, row["answers"])
