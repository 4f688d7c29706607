"""A Ray Serve deployment: `python -m bench.peers.ray_peer PORT FOLDER`, a cluster of its own.

Settings: two replicas of one core each (`num_cpus=1`; Ray then gives them one thread), one request
at a time in a replica (`max_ongoing_requests=1`: the network takes all of its core), access log
off, dashboard off. The HTTP proxy and the controller are processes beside the replicas; Ray
reserves no core for them. FOLDER takes the session's files.
"""

import signal
import sys
from typing import Any

import ray
from ray import serve
from starlette.requests import Request

from bench.peers import CORES


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


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    ray.init(num_cpus=CORES, include_dashboard=False, _temp_dir=sys.argv[2])
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    try:
        serve.run(Emotion.bind(), route_prefix="/classify", blocking=True)
    finally:
        serve.shutdown()
        ray.shutdown()
