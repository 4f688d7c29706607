"""The service on a Ray cluster: many machines, or this one, with one command.

    $ python -m service.ray_app                                   # on this machine, until Ctrl-C
    $ ray start --head                                            # on the first of many machines,
    $ ray start --address 10.0.0.1:6379                           # on each of the others, and then
    $ python -m service.ray_app --address 10.0.0.1:6379 --replicas 2:16

The last command returns when the service answers. Run again it updates what runs, without losing a
request: the number of replicas, HYOJO_* settings, newly trained bundles, the code. `--status` tells
how it is, `--remove` takes it away. It needs `make .venv/.installed-ray`.

A worker replica is what `python infer.py` starts: it takes one core for each of its predictors and
holds every model of HYOJO_MODELS; families' models are loaded where they are asked for. Gateway
replicas answer HTTP at HYOJO_HOST and HYOJO_PORT of the cluster's machines. `--replicas 2:16` keeps
2 to 16 workers, by the requests that wait for them; `--replicas 4` keeps four.

Ray trusts whoever reaches its ports: keep them in a network of their own, and switch its tokens on
(RAY_AUTH_MODE=token). docs/RAY.md tells more.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import logging
import signal
import socket
import sys
import threading
from typing import Any

from service import logs, ray_node
from service.cores import usable_cores
from service.errors import ApiError, SettingsError
from service.kinship import PROJECT
from service.ray_options import Plan, parser
from service.settings import Settings, load_settings

_SHIPPED_WITHOUT = (
    *(".git", ".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"),
    *("runs", "build", "tests", "test-output", "bench", "docs", "client", "params/face"),
    "**/__pycache__",
)
"""What no replica needs of the project."""
_REACH_S = 5.0
_OBJECTS_BYTES = 256 * 1024 * 1024
"""Of pictures on their way between processes of this machine."""


class RayAppError(Exception):
    """It cannot be done; the message says why and what to do."""


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = parser(__doc__).parse_args(argv)
    ray_node.quieten()
    try:
        settings = load_settings()
        logs.configure(settings.log_level, settings.log_format, "ray")
        _see_that_ray_is_here()
        return _here(options, settings) if not options.address else _there(options, settings)
    except (RayAppError, SettingsError, ApiError) as error:
        logs.say(f"python -m service.ray_app: {error}", wrong=True)
        return 2


def _here(options: argparse.Namespace, settings: Settings) -> int:
    """A cluster of this machine alone, until a signal comes; SIGHUP reads the models again."""
    if options.status or options.remove:
        raise RayAppError("--status and --remove are about a cluster: name it with --address.")
    ray_node.keep_to_itself()
    import ray
    from ray import serve

    ended, renew = threading.Event(), threading.Event()
    ray.init(
        address="local",
        # One to spare, so that an update need not wait.
        num_cpus=max(usable_cores(), options.replicas.most * options.predictors) + 1,
        object_store_memory=_OBJECTS_BYTES,
        configure_logging=False,
        runtime_env=_travelling(options.ship),
        # No picture is to be written to a disk.
        _system_config={"automatic_object_spilling_enabled": False},
        **ray_node.ALONE,
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    signal.signal(signal.SIGHUP, lambda *_: renew.set())
    try:
        _deploy(options, settings)
        logs.say("Ctrl-C ends it")
        while not ended.wait(0.2):
            if renew.is_set():
                renew.clear()
                _deploy(options, settings)
    finally:
        serve.shutdown()
        ray.shutdown()
    logs.say("Hyojo has ended")
    return 0


def _there(options: argparse.Namespace, settings: Settings) -> int:
    """On a cluster that runs already."""
    _see_that_it_can_be_reached(options.address)  # before Ray is imported: it may set a variable
    import ray
    from ray import serve

    from service.ray_plan import APPLICATION

    try:
        ray.init(
            address=options.address,
            configure_logging=False,
            log_to_driver=False,
            runtime_env=_travelling(options.ship),
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise _no_cluster(options.address, str(error).partition("\n")[0]) from None
    try:
        if options.remove:
            serve.delete(APPLICATION)
            logs.say("Removed; the cluster itself goes on.")
        elif options.status:
            _tell(options.json)
        else:
            _deploy(options, settings)
            _tell(options.json)
    finally:
        ray.shutdown()
    return 0


def _see_that_it_can_be_reached(address: str) -> None:
    """Ray itself would try for two minutes, and say so in its own words."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    try:
        known = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
        socket.create_connection((host, int(port)), _REACH_S).close()
    except (OSError, ValueError, OverflowError) as error:
        raise _no_cluster(address, str(error)) from None
    if ipaddress.ip_address(str(known[0][4][0])).is_loopback:
        ray_node.on_loopback()  # else Ray takes it for a cluster at this machine's outer address


def _no_cluster(address: str, why: str) -> RayAppError:
    return RayAppError(
        f"No Ray cluster answers at {address}: {why}. Start one with `ray start --head`, see that "
        "this machine reaches it, and that both have the same RAY_AUTH_MODE and token."
    )


def _deploy(options: argparse.Namespace, settings: Settings) -> None:
    """Put it there, or bring it up to date; returns when it answers."""
    from ray import serve

    from service.ray_plan import APPLICATION, application

    logging.getLogger("ray.serve").setLevel(logging.WARNING)  # its steps are not the user's
    plan = Plan(
        workers=options.replicas,
        gateways=options.gateways,
        predictors=options.predictors,
        first=options.proxies == "first",
        ship=options.ship,
    )
    room = _has_room(plan)
    serve.start(
        proxy_location="EveryNode" if options.proxies == "every" else "HeadOnly",
        http_options={"host": settings.host, "port": settings.port},
    )
    logs.say("Starting replicas (some seconds for each machine) …")
    try:
        serve.run(application(plan, settings, room), name=APPLICATION, route_prefix="/")
    except RuntimeError as error:
        raise RayAppError(f"It could not be deployed: {error}") from None
    logs.say(f"Hyojo is ready: http://{settings.host}:{settings.port}")


def _has_room(plan: Plan) -> bool:
    """Whether a new worker can be started beside those that there are.

    Raises:
        RayAppError: there is no room for all of them at all.
    """
    import ray

    cores = int(ray.cluster_resources().get("CPU", 0))
    wanted = plan.workers.least * plan.predictors
    if wanted > cores:
        raise RayAppError(
            f"{plan.workers.least} workers of {plan.predictors} predictors need {wanted} cores and "
            f"the cluster has {cores}. Ask for fewer, or let more machines join (`ray start`)."
        )
    return bool(ray.available_resources().get("CPU", 0) >= plan.predictors)


def _tell(as_json: bool) -> None:
    """How it is: the replicas and the models."""
    from ray import serve

    from service.ray_client import ReplicaClient
    from service.ray_plan import APPLICATION, WORKERS

    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    running = serve.status().applications.get(APPLICATION)
    if running is None:
        raise RayAppError("It is not deployed on this cluster: leave --status away to deploy it.")
    status = ReplicaClient(serve.get_deployment_handle(WORKERS, APPLICATION)).status("tell")
    counts: dict[str, Any] = {
        name: {str(state): count for state, count in one.replica_states.items()}
        for name, one in running.deployments.items()
    }
    models = [
        {"name": m.name, "version": m.version, "state": m.state, "problem": m.error or m.refused}
        for m in status.models
    ]
    if as_json:
        print(json.dumps({"state": running.status.value, "replicas": counts, "models": models}))
        return
    print(f"{'state':10} {running.status.value}")
    for name, states in counts.items():
        print(f"{name:10} " + ", ".join(f"{count} {state}" for state, count in states.items()))
    for model in models:
        told = " ".join(str(model[key] or "") for key in ("name", "version", "state", "problem"))
        print(f"model      {told}")


def _travelling(ship: bool) -> dict[str, Any]:
    """What Ray carries to the machines."""
    if not ship:
        return {}
    return {"working_dir": str(PROJECT), "excludes": list(_SHIPPED_WITHOUT)}


def _see_that_ray_is_here() -> None:
    if not ray_node.installed():
        raise RayAppError("Ray is not installed here. Run: make .venv/.installed-ray")


if __name__ == "__main__":
    sys.exit(main())
