"""What is put on a Ray cluster: gateways and workers, how many, and how they grow.

Ray adds workers by the requests that wait for them or are being answered, and replaces them one by
one when settings change: a new one answers before an old one, which ends what it has, goes.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
from ray import serve
from ray.serve import Application
from ray.serve.schema import LoggingConfig

from service.kinship import PROJECT
from service.ray_gateway import Gateway
from service.ray_options import Plan, Scale
from service.ray_worker import Worker
from service.settings import PREFIX, Settings

APPLICATION, WORKERS = "hyojo", "worker"
_HERE_ALONE = frozenset(f"{PREFIX}{name}" for name in ("HOST", "PORT", "WORKER", "WORKER_KEYS"))
"""Settings that are none of the replicas'."""
_FIRST_MACHINE = "node:__internal_head__"
"""Ray's own name of a resource that this one has."""
_PER_PREDICTOR = 2
"""Requests that a replica should have for each of its predictors: one in work, one behind it."""
_HEADROOM = 4
"""Times as many it may be given at once."""
_DRAIN_S = 20.0


def application(plan: Plan, settings: Settings, room: bool) -> Application:
    """The application for `serve.run`; the same again, with what changed, updates it.

    Args:
        plan: how many of what.
        settings: of this process, whose HYOJO_* variables the replicas get.
        room: the cluster can hold a new worker beside the old ones; else one has to go first.
    """
    target = _PER_PREDICTOR * plan.predictors
    at_once = _HEADROOM * target
    shared = {
        "graceful_shutdown_wait_loop_s": 0.5,
        "graceful_shutdown_timeout_s": settings.deadline_s + _DRAIN_S,
        "health_check_period_s": 2.0,
        "health_check_timeout_s": 10.0,
        "logging_config": LoggingConfig(enable_access_log=False, log_level="WARNING"),
    }
    workers = serve.deployment(
        Worker,
        name=WORKERS,
        user_config={"versions": versions(settings.params)},
        max_ongoing_requests=at_once,
        max_queued_requests=settings.queue_size * plan.workers.most,
        ray_actor_options={"num_cpus": plan.predictors, "runtime_env": _environment(plan)},
        max_surge_percent=100 if room else 0,
        **_growth(plan.workers, target),
        **shared,
    )
    threads = settings.gateway_threads
    gateways = serve.deployment(
        serve.ingress()(Gateway),
        name="gateway",
        # More than it lets in, so that it can refuse the rest in its own words.
        max_ongoing_requests=2 * (threads + settings.gateway_queue),
        # Cores are counted for pictures alone; it takes what it needs beside them.
        ray_actor_options={
            "num_cpus": 0,
            "resources": {_FIRST_MACHINE: 0.001} if plan.first else {},
            "runtime_env": _environment(plan),
        },
        max_surge_percent=100,  # a new one is ready before an old one goes
        **_growth(plan.gateways, threads / 2),
        **shared,
    )
    return gateways.bind(workers.bind(at_once))


def versions(params: Path) -> dict[str, str]:
    """The bundles' versions by name, as they lie in the folder now."""
    found = {}
    for manifest in sorted([*params.glob("*/model.json"), *params.glob("*/*/model.json")]):
        name = ":".join(manifest.parent.relative_to(params).parts)
        try:
            told = msgspec.json.decode(manifest.read_bytes(), type=_Manifest)
        except (OSError, msgspec.DecodeError):
            continue  # the worker says what is wrong with it
        if told.task == "classification":
            found[name] = told.version
    return found


class _Manifest(msgspec.Struct):
    """What is needed here of a bundle's manifest."""

    version: str
    task: str = ""


def _growth(scale: Scale, target: float) -> dict[str, Any]:
    """Ray's options for a number of replicas.

    Args:
        scale: how many there may be.
        target: requests that one replica should have, waiting ones with it.
    """
    if scale.least == scale.most:
        return {"num_replicas": scale.least}
    growth = {
        "min_replicas": scale.least,
        "max_replicas": scale.most,
        "target_ongoing_requests": target,
        "metrics_interval_s": 1.0,
        "look_back_period_s": 4.0,
        "upscale_delay_s": 2.0,
        "downscale_delay_s": 120.0,
    }
    return {"num_replicas": None, "autoscaling_config": growth}


def _environment(plan: Plan) -> dict[str, Any]:
    """Ray's runtime environment: the settings of this process, without those of its own sockets."""
    told = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(PREFIX) and name not in _HERE_ALONE
    }
    told[f"{PREFIX}PREDICTORS"] = str(plan.predictors)
    if not plan.ship:
        told["PYTHONPATH"] = str(PROJECT)
    return {"env_vars": told}
