"""What so many requests a second need: arithmetic from measured figures and stated assumptions."""

import math
from collections.abc import Mapping
from typing import Any

from bench.scale import assumptions as given
from bench.scale.measuring import total

RATES = (1_000, 100_000)
DAY_S = 86_400


def plan(
    measured: Mapping[str, Any], pod_rate: float, latency_ms: float, busy: float, rate: float
) -> dict[str, float]:
    """Everything that a rate takes.

    Args:
        measured: by `bench.scale.measuring.measure`.
        pod_rate: requests a second that a pod of two cores answers at most, asked from elsewhere.
        latency_ms: of a request at the planned load, in the mean.
        busy: share of a pod's cores that works at the planned load.
        rate: requests a second, all pods together.

    Returns:
        pods, cores, nodes of three sizes, memory, network, connections, logs, metrics, a rollout.
    """
    vitals = measured["vitals"]
    pods = math.ceil(rate / (pod_rate * given.BUSY.value))
    answer = sum(row["answer_bytes"] for row in measured["lone"]) / len(measured["lone"])
    bits = 8 * given.WIRE.value * rate / 1e9
    series = pods * vitals["metrics_series"]
    samples = series / given.SCRAPE.value
    start_s = start_of(measured)
    nodes = {f"nodes_{cores}": math.ceil(pods / pods_a_node(cores)) for cores in (4, 16, 64)}
    return {
        "rate": rate,
        "pods": pods,
        "cores_working": round(pods * measured["cores"] * busy, 1),
        "cores_asked": pods * given.POD_CORES.value,
        **nodes,
        "memory_gb": round(pods * total(vitals["memory_mb"]) / 1024, 1),
        "in_gbit": round(measured["picture_bytes"] * bits, 2),
        "out_gbit": round(answer * bits, 3),
        "balancers": math.ceil(measured["picture_bytes"] * bits / (given.LINK.value / 2)),
        "under_way": round(rate * latency_ms / 1e3),
        "log_mb_s": round(rate * vitals["log_bytes"] / 1e6, 2),
        "log_gb_day": round(rate * vitals["log_bytes"] * DAY_S / 1e9, 1),
        "series": series,
        "samples_s": round(samples),
        "scrape_mbit": round(pods * vitals["metrics_bytes"] * 8 / given.SCRAPE.value / 1e6, 2),
        "prometheus_gb": round(series * given.SERIES.value / 1e6, 2),
        "prometheus_gb_day": round(samples * given.SAMPLE.value * DAY_S / 1e9, 2),
        "rollout_min": round(pods / given.SURGE.value * start_s / 60, 1),
        "pull_gb": round(math.ceil(pods / pods_a_node(16)) * given.IMAGE.value, 1),
    }


def pods_a_node(cores: int) -> int:
    """Pods that a node of so many cores takes by what they ask for."""
    return min(int(given.NODE.value), int(cores / given.POD_CORES.value))


def start_of(measured: Mapping[str, Any]) -> float:
    """Seconds from the wish for a pod to its first request, on a node that has its image."""
    ready_s = float(measured["vitals"]["ready_s"])
    return given.POD_START.value + ready_s + given.READY_PROBE.value / 2
