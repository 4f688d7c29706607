"""What one service gives on larger machines, simulated: where adding cores stops to help."""

from collections.abc import Callable
from typing import Any

from bench.scale.machine import Costs, Shape
from bench.scale.simulation import closed

CORES = (2, 4, 8, 16, 32, 64)
_MOST_WAITING = 48
"""Clients beyond one a predictor: work for all, and less than the queues refuse."""


def shapes(cores: int) -> dict[str, Shape]:
    """Ways to set the service up on so many cores.

    Returns:
        `defaults`: as it starts by itself. `predictors`: one a core, all else by default.
        `all`: as many gateway processes and threads as that takes, too.
    """
    return {
        "defaults": Shape(cores, predictors=min(4, cores)),
        "predictors": Shape(cores, predictors=cores),
        "all": Shape(cores, predictors=cores, gateways=max(1, cores // 4), threads=32),
    }


def grow(costs: Costs, seconds: float, done: Callable[[], object]) -> list[dict[str, Any]]:
    """The capacity of each shape on each size of machine, asked from elsewhere.

    Args:
        costs: of a request, on the machine that was measured.
        seconds: simulated, of each.
        done: called after each.
    """
    rows = []
    for cores in CORES:
        for name, shape in shapes(cores).items():
            clients = min(
                shape.predictors + min(_MOST_WAITING, 2 * shape.predictors + 8),
                shape.gateways * (shape.threads + shape.gateway_queue // 2),
            )
            told, threads = closed(costs.asked_from_elsewhere(), shape, clients, seconds)
            rows.append({
                "cores": cores,
                "shape": name,
                "predictors": shape.predictors,
                "gateways": shape.gateways,
                "rate": round(told.rate, 1),
                "a_core": round(told.rate / cores, 1),
                "busy": round(told.busy, 3),
                "gateway": round(threads["gateway"], 3),
                "worker": round(threads["worker"], 3),
            })  # fmt: skip
            done()
    return rows
