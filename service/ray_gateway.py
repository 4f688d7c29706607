"""One replica of the gateway on a Ray cluster: the same Flask application behind Ray's proxies."""

from __future__ import annotations

from typing import Any

from ray.serve.handle import DeploymentHandle

from service.asgi import Doors
from service.gateway import create_app
from service.ray_client import ReplicaClient
from service.settings import load_settings


class Gateway:
    """The ingress deployment's class.

    Args:
        workers: Ray's handle of the workers.
    """

    def __init__(self, workers: DeploymentHandle) -> None:
        settings = load_settings()
        client = ReplicaClient(workers)
        self._doors = Doors(create_app(settings, client), settings)

    def __serve_build_asgi_app__(self) -> Any:
        return self._doors
