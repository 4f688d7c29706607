"""From what was measured to what the simulation is told.

Only one picture after the other, a quarter of the capacity and twice the capacity go in. The other
points of the curve are there to judge it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from bench import load
from bench.scale.machine import Costs, Shape
from bench.scale.measuring import OVERLOAD, Plan
from bench.scale.simulation import closed, in_turns, opened

_LOW_S = 60.0
_ROUNDS = 4
WAKE_UPS = 7
"""Of a request: client, gateway and worker wake up twice, a predictor once."""
LOW = 0.25
"""Share of the capacity at which costs and the median are taken from the curve."""


def costs_of(measured: Mapping[str, Any]) -> Costs:
    """The costs of a request, in ms of a core that is busy alone.

    - work: the stages as the service tells them, one request at a time.
    - predictor, gateway, worker, client: processor time an answer at a quarter of the capacity; of
      the predictor what the stages are not.
    - together: so that at twice the capacity as many are answered as were. Caches that both cores
      share make it less than 1, and so does what others used; what is always awake makes it more.
    - refusal: what twice the capacity took beyond what its answers cost, a refusal.
    - shared: the network's time for several crops at once beside as often for one.
    - wake: what of the median at a quarter of the capacity the rest does not explain, in sevenths.

    Args:
        measured: by `bench.scale.measuring.measure`.
    """
    low = low_point(measured)
    work = tuple(tuple(row["work_ms"]) for row in measured["lone"])
    order = tuple(measured["order"])
    mean_work = fmean(fmean(work[kind]) for kind in order)
    all_ms = sum(_each(low, role) for role in ("predictor", "gateway", "worker", "generator"))
    costs = Costs(
        work=work,
        order=order,
        predictor_ms=max(0.0, _each(low, "predictor") - mean_work),
        gateway_ms=_each(low, "gateway"),
        worker_ms=_each(low, "worker"),
        client_ms=_each(low, "generator"),
        together=measured["overload"]["rate"] * all_ms / (measured["cores"] * 1e3),  # at first
        shared_ms=shared_ms(measured),
    )
    return _fitted(costs, measured)


def _fitted(costs: Costs, measured: Mapping[str, Any]) -> Costs:
    """With the time to wake up that gives the low median, and the speed and the costs of a refusal
    that give the answers and the bill of twice the capacity."""
    shape, low, over = shape_of(measured), low_point(measured), measured["overload"]
    times = load.arrivals(low["offered"], _LOW_S)
    turns = arrivals(measured, OVERLOAD)
    for _ in range(_ROUNDS):
        off = low["p50_ms"] - opened(costs, shape, times).percentile(50)
        speed = (
            costs.together * over["rate"] / in_turns(by_round(costs, measured), shape, turns).rate
        )
        costs = replace(
            costs,
            wake_ms=max(0.0, costs.wake_ms + off / WAKE_UPS),
            together=speed,
            refusal_ms=_beyond(over, "gateway", costs.gateway_ms, speed),
            client_refusal_ms=_beyond(over, "generator", costs.client_ms, speed),
        )
    return costs


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


def _each(row: Mapping[str, Any], role: str) -> float:
    return float(row["cpu_ms"][role]) / max(1, row["answers"])


def _beyond(over: Mapping[str, Any], role: str, answer_ms: float, together: float) -> float:
    """What a refusal cost a role, in ms of a core that is busy alone."""
    rest = over["cpu_ms"][role] * together - over["answers"] * answer_ms
    return max(0.0, rest / max(1, over["refused"] + over["failed"]))
