"""The simulated curve beside the measured one: the same arrivals, to the millisecond."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from statistics import fmean
from typing import Any

from bench.scale import calibrating, simulation

SEEDS = 10
FIGURES = ("p50_ms", "p99_ms", "rate", "refused", "queue_ms")


def compare(
    measured: Mapping[str, Any], done: Callable[[], object], seeds: int = SEEDS
) -> dict[str, Any]:
    """Simulate every point of a measured curve.

    Args:
        measured: by `bench.scale.measuring.measure`.
        done: called after each point.
        seeds: simulations of a point; their mean is told, and their least and most.

    Returns:
        the costs that were used, the capacity, and a row a point.
    """
    costs, shape = calibrating.costs_of(measured), calibrating.shape_of(measured)
    each = calibrating.by_round(costs, measured)
    rows = []
    for point in measured["curve"]:
        turns = calibrating.arrivals(measured, point["share"])
        runs = [simulation.in_turns(each, shape, turns, seed).row() for seed in range(seeds)]
        rows.append({
            "share": point["share"],
            "offered": point["offered"],
            "measured": _measured(point),
            "simulated": {key: _rounded(fmean(run[key] for run in runs)) for key in FIGURES},
            "least": {key: _rounded(min(run[key] for run in runs)) for key in FIGURES},
            "most": {key: _rounded(max(run[key] for run in runs)) for key in FIGURES},
        })  # fmt: skip
        done()
    shown = {key: value for key, value in asdict(costs).items() if key not in ("work", "order")}
    works = [fmean(costs.work[kind]) for kind in costs.order]
    return {
        "costs": {key: round(value, 4) for key, value in shown.items()}
        | {"work_ms": round(fmean(works), 3)},
        "capacity": {
            "measured": round(calibrating.measured_capacity(measured), 2),
            "simulated": round(calibrating.capacity_of(costs, shape), 2),
        },
        "rows": rows,
        "errors": errors(rows),
    }


def errors(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """How far the simulation is off, by figure: in the mean and at the worst point, as shares.

    Refusals are told as a difference of shares. What was measured at the capacity and above stands
    for a full queue and is told apart. The point that the costs were taken from does not count.
    """
    found: dict[str, Any] = {}
    rows = [row for row in rows if row["share"] != calibrating.LOW]
    for name, chosen in (
        ("below", [row for row in rows if row["share"] < 1.0]),
        ("above", [row for row in rows if row["share"] >= 1.0]),
    ):
        for key in ("p50_ms", "p99_ms", "rate"):
            off = [(error(row, key), row["share"]) for row in chosen]
            if off:
                worst = max(off, key=lambda pair: abs(pair[0]))
                found[f"{key} {name}"] = {
                    "mean": round(fmean(abs(value) for value, _ in off), 4),
                    "worst": round(worst[0], 4),
                    "at": worst[1],
                }
    gaps = [
        (row["simulated"]["refused"] - row["measured"]["refused"], row["share"]) for row in rows
    ]
    worst = max(gaps, key=lambda pair: abs(pair[0]))
    found["refused"] = {
        "mean": round(fmean(abs(value) for value, _ in gaps), 4),
        "worst": round(worst[0], 4),
        "at": worst[1],
    }
    return found


def error(row: Mapping[str, Any], key: str) -> float:
    """Of a figure at a point, as a share of what was measured; positive where too much."""
    there = float(row["measured"][key])
    return float(row["simulated"][key]) / there - 1 if there else 0.0


def _measured(point: Mapping[str, Any]) -> dict[str, float]:
    asked = point["answers"] + point["refused"] + point["failed"]
    return {
        "p50_ms": point["p50_ms"],
        "p99_ms": point["p99_ms"],
        "rate": point["rate"],
        "refused": round((point["refused"] + point["failed"]) / max(1, asked), 4),
        "queue_ms": point["stages_ms"]["queue"],
        "others": point["others"],
    }


def _rounded(value: float) -> float:
    return round(value, 4 if abs(value) < 1 else 2)
