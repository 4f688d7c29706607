"""A Ray Serve deployment: `python -m bench.peers.ray_peer PORT FOLDER`, on a cluster of its own.

Settings: two replicas of one core each (`num_cpus=1`; Ray then gives them one thread), one request
at a time in a replica (`max_ongoing_requests=1`: the network takes all of its core), access log
off, dashboard and log monitor off. The HTTP proxy and the controller are processes beside the
replicas; Ray reserves no core for them. FOLDER takes the session's files. Token authentication is
Ray's default; the environment names the token's file, for Ray would put it into the home folder.

The cluster is started as for production (`ray start --head`), with fixed ports for the node's
agents: with ports of their own choice the node gives up after 15 s, which two busy cores can need
(https://github.com/ray-project/ray/issues/65983). After 30 s it gives up in any case.
"""

import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import ray
from ray import serve
from starlette.requests import Request

from bench.peers import CORES
from bench.peers.running import free_port

_PORTS = (
    "dashboard-agent-grpc",
    "dashboard-agent-listen",
    "metrics-export",
    "runtime-env-agent",
    "ray-client-server",
)


@serve.deployment(
    num_replicas=CORES,
    ray_actor_options={"num_cpus": 1},
    max_ongoing_requests=1,
    logging_config={"enable_access_log": False},
)
class Emotion:
    """One a replica."""

    def __init__(self) -> None:
        from bench.peers.classifier import Classifier

        self.classifier = Classifier()

    async def __call__(self, request: Request) -> dict[str, Any]:
        """Classify the picture that is the body."""
        return self.classifier(await request.body())


def start_cluster(folder: str) -> str:
    """One node on this machine; returns its address.

    Args:
        folder: of the session's files.

    Raises:
        subprocess.CalledProcessError: it did not start.
    """
    port, ports = free_port(), [f"--{name}-port={free_port()}" for name in _PORTS]
    head = [str(Path(sys.executable).with_name("ray")), "start", "--head", f"--port={port}"]
    small = [f"--num-cpus={CORES}", "--include-dashboard=false"]
    quiet = ["--include-log-monitor=false", "--disable-usage-stats", f"--temp-dir={folder}"]
    subprocess.run([*head, *small, *quiet, *ports], check=True)
    return f"127.0.0.1:{port}"


if __name__ == "__main__":
    Path(os.environ["RAY_AUTH_TOKEN_PATH"]).write_text(secrets.token_hex(32))
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    ray.init(address=start_cluster(sys.argv[2]))
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    try:
        serve.run(Emotion.bind(), route_prefix="/classify", blocking=True)
    finally:
        serve.shutdown()
        ray.shutdown()
