"""The Open Inference Protocol (v2): what KServe, Triton's clients and gateways speak.

https://github.com/kserve/open-inference-protocol. The images go the same way as those of POST
/classify, within the same limits.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from flask import Flask, Response

from service import __version__
from service.asking import Asking, server_timing
from service.body import Limits
from service.client import Client
from service.errors import ApiError
from service.hooks import course, present
from service.schemas import ClassifyQuery
from service.v2_answers import response, see_that_all_are_answered, wanted_of
from service.v2_errors import CONTENT_TYPE, ROOT
from service.v2_models import Directory
from service.v2_requests import inference_of
from service.v2_schemas import EXTENSIONS, ModelReady, ServerLive, ServerMetadata, ServerReady

LIVE, READY = f"{ROOT}/health/live", f"{ROOT}/health/ready"


def add(app: Flask, client: Client, limits: Limits, ask: Asking) -> None:
    """Add the protocol's addresses.

    Args:
        app: takes the routes.
        client: asks the worker how it is.
        limits: what one request may bring.
        ask: asks the worker what images show.
    """
    directory = Directory(client)

    def server() -> Response:
        return _json(ServerMetadata("hyojo", __version__, list(EXTENSIONS)))

    def live() -> Response:
        return _json(ServerLive(True))

    def ready() -> Response:
        status = client.status(course().id)
        if not status.ready:
            raise ApiError("not_ready", status.reason or "The worker is still warming up.")
        return _json(ServerReady(live=True, ready=True))

    def metadata(name: str, version: str | None = None) -> Response:
        return _json(directory.now(course().id, name, version).metadata(name))

    def model_ready(name: str, version: str | None = None) -> Response:
        if not directory.now(course().id, name, version).ready:
            raise ApiError("not_ready", f"The model {name!r} is still warming up.")
        return _json(ModelReady(name, True))

    def infer(name: str, version: str | None = None) -> Response:
        now = course()
        asked = inference_of(present(), now.body, limits)
        served = directory.known(now.id, name, version)
        wanted_of(asked, served)  # before the work is done
        query = ClassifyQuery(model=name, faces=asked.faces, explain=asked.explain)
        reply = ask(now, query, asked.images)
        see_that_all_are_answered(reply.results)
        answer = response(
            name, asked, reply, directory.answered(now.id, name, reply.version, served)
        )
        answer.headers["Server-Timing"] = server_timing(reply.timings_ms)
        return answer

    _get(app, ROOT, server)
    _get(app, f"{ROOT}/", server)
    _get(app, LIVE, live)
    _get(app, READY, ready)
    for model in (f"{ROOT}/models/<name>", f"{ROOT}/models/<name>/versions/<version>"):
        _get(app, model, metadata)
        _get(app, f"{model}/ready", model_ready)
        app.add_url_rule(f"{model}/infer", f"{model}/infer", infer, methods=["POST"])


def _get(app: Flask, address: str, view: Callable[..., Response]) -> None:
    app.add_url_rule(address, address, view, methods=["GET"])


def _json(answer: msgspec.Struct) -> Response:
    return Response(msgspec.json.encode(answer), content_type=CONTENT_TYPE)
