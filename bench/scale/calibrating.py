"""From what was measured to what the simulation is told.

Only a quarter of the capacity, the closed loop of sixteen clients and the gateway's bill at twice
the capacity go in. The other points of the curve are there to judge it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from bench import load
from bench.scale.machine import Costs, Shape
from bench.scale.measuring import CLIENTS
from bench.scale.simulation import closed, opened

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
    - together: so that sixteen clients in a closed loop are answered as often as they were. Caches
      that both cores share make it less than 1, and so does what others used.
    - refusal: what twice the capacity took beyond what its answers cost, a refusal.
    - shared: the network's time for several crops at once beside as often for one.
    - wake: what of the median at a quarter of the capacity the rest does not explain, in sevenths.

    Args:
        measured: by `bench.scale.measuring.measure`.
    """
    low, full, over = low_point(measured), _capacity(measured), measured["overload"]
    work = tuple(tuple(row["work_ms"]) for row in measured["lone"])
    order = tuple(measured["order"])
    mean_work = fmean(fmean(work[kind]) for kind in order)
    together = measured_capacity(measured) * _all(low) / (measured["cores"] * 1e3)  # at first
    costs = Costs(
        work=work,
        order=order,
        predictor_ms=max(0.0, _each(low, "predictor") - mean_work),
        gateway_ms=_each(low, "gateway"),
        refusal_ms=_beyond(over, full, "gateway") * together,
        worker_ms=_each(low, "worker"),
        client_ms=_each(low, "generator"),
        client_refusal_ms=_beyond(over, full, "generator") * together,
        together=together,
        shared_ms=shared_ms(measured),
    )
    return _fitted(costs, shape_of(measured), low, measured_capacity(measured))


def _fitted(costs: Costs, shape: Shape, low: Mapping[str, Any], capacity: float) -> Costs:
    """With the time to wake up and the speed that give the low median and the capacity."""
    times = load.arrivals(low["offered"], _LOW_S)
    for _ in range(_ROUNDS):
        off = low["p50_ms"] - opened(costs, shape, times).percentile(50)
        costs = replace(costs, wake_ms=max(0.0, costs.wake_ms + off / WAKE_UPS))
        speed = costs.together * capacity / capacity_of(costs, shape, 10.0)
        costs = replace(costs, together=speed)
    return costs


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


def capacity_of(costs: Costs, shape: Shape, seconds: float = 30.0, clients: int = CLIENTS) -> float:
    """Answers a second of the closed loop, simulated."""
    return closed(costs, shape, clients, seconds)[0].rate


def measured_capacity(measured: Mapping[str, Any]) -> float:
    """Answers a second of the closed loop: the mean of the rounds."""
    return fmean(row["rate"] for row in measured["capacity"])


def _capacity(measured: Mapping[str, Any]) -> dict[str, Any]:
    """The closed loops of all rounds together."""
    rows: Sequence[Mapping[str, Any]] = measured["capacity"]
    roles = rows[0]["cpu_ms"]
    return {
        "answers": sum(row["answers"] for row in rows),
        "cpu_ms": {role: sum(row["cpu_ms"][role] for row in rows) for role in roles},
    }


def _all(row: Mapping[str, Any]) -> float:
    return sum(_each(row, role) for role in ("predictor", "gateway", "worker", "generator"))


def _each(row: Mapping[str, Any], role: str) -> float:
    return float(row["cpu_ms"][role]) / max(1, row["answers"])


def _beyond(over: Mapping[str, Any], full: Mapping[str, Any], role: str) -> float:
    """What a role spent on a refusal."""
    rest = over["cpu_ms"][role] - over["answers"] * _each(full, role)
    return max(0.0, rest / max(1, over["refused"] + over["failed"]))
