"""The addresses of the gateway and what answers at each."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path

import msgspec
from flask import Flask, Response, render_template, request
from markupsafe import Markup
from spectree import Response as Answers
from spectree import SpecTree

from service.asking import Asking, server_timing
from service.body import Limits
from service.client import Client
from service.errors import PROBLEMS, ApiError
from service.hooks import course, present
from service.metrics import CONTENT_TYPE, Metrics
from service.openapi import EXAMPLE, codes_by_status, document, new_spec
from service.pages import TYPES, Pages, revalidated
from service.protocol import ClassifyReply
from service.schemas import (
    Alive,
    ClassifyAnswer,
    ClassifyQuery,
    ModelsAnswer,
    Ready,
    UrlInput,
    classify_query,
)
from service.uploads import Fetch, images_of

_STYLE = Path(__file__).parent / "templates" / "docs.css"


def add_service(
    app: Flask,
    client: Client,
    metrics: Metrics,
    limits: Limits,
    ask: Asking,
    fetch: Fetch | None = None,
    url_input: UrlInput = "off",
) -> SpecTree:
    """Add everything that answers from the worker, and return its description.

    Args:
        app: takes the routes.
        client: asks the worker.
        metrics: what /metrics tells.
        limits: what one request may bring.
        ask: asks the worker what images show.
        fetch: fetches images by address; None where that is switched off.
        url_input: of which addresses; the page learns it from /models.
    """
    spec = new_spec()

    @app.post("/classify")
    @spec.validate(query=ClassifyQuery, resp=Answers(HTTP_200=ClassifyAnswer), skip_validation=True)
    def classify() -> Response:
        """Classify 1 to 8 images

        Send a form with the field `image`, or one image as the raw body, or base64 in JSON.
        """
        asked = present()
        query = classify_query(asked.args)
        now = course()
        images = images_of(asked, now.body, limits, fetch)
        reply = ask(now, query, images)
        response = _json(_answer(reply, now.id))
        response.headers["Server-Timing"] = server_timing(reply.timings_ms)
        return response

    @app.get("/models")
    @spec.validate(resp=Answers(HTTP_200=ModelsAnswer), skip_validation=True)
    def models() -> Response:
        """The models, and which one answers by default"""
        status = client.status(course().id)
        return _json(ModelsAnswer(status.default_model, status.models, url_input))

    @app.get("/livez")
    @spec.validate(resp=Answers(HTTP_200=Alive), skip_validation=True)
    def livez() -> Response:
        """Whether the gateway answers; the worker is not asked"""
        return _json(Alive(True))

    @app.get("/readyz")
    @spec.validate(resp=Answers(HTTP_200=Ready), skip_validation=True)
    def readyz() -> Response:
        """Whether a warm predictor has answered an inference"""
        status = client.status(course().id)
        if not status.ready:
            raise ApiError("not_ready", status.reason or "The worker is still warming up.")
        ready = Ready(True, status.predictors_ready, status.predictors, status.queue_length)
        return _json(ready)

    @app.get("/metrics")
    @spec.validate(resp=Answers("HTTP_200"), skip_validation=True)
    def figures() -> Response:
        """Counts and times, the worker's among them, in Prometheus' text format"""
        return Response(metrics.exposition(), content_type=CONTENT_TYPE)

    return spec


def add_pages(
    app: Flask, pages: Pages, spec: SpecTree, max_images: int, keyed: bool = False
) -> None:
    """Add the page's files, /openapi.json and /docs: nothing of them comes from elsewhere."""
    for address in pages.addresses:
        app.add_url_rule(address, f"page {address}", _page(pages, address), methods=["GET"])

    app.jinja_env.filters["code"] = _with_code
    tree = document(spec, app, max_images, keyed)
    # The wrappers have said what there is to describe; a request need not pass through them.
    app.view_functions.update({n: inspect.unwrap(view) for n, view in app.view_functions.items()})
    described = msgspec.json.encode(tree)

    @app.get("/openapi.json")
    def openapi_json() -> Response:
        return revalidated(described, TYPES[".json"], request)

    @app.get("/docs")
    def docs() -> Response:
        page = render_template(
            "docs.html",
            spec=tree,
            max_images=max_images,
            codes=codes_by_status,
            example=json.dumps(EXAMPLE, indent=2),
            problems=PROBLEMS,
            base=request.host_url,
        )
        return revalidated(page.encode(), TYPES[".html"], request)

    @app.get("/docs.css")
    def docs_css() -> Response:
        return revalidated(_STYLE.read_bytes(), TYPES[".css"], request)


def _with_code(text: str) -> Markup:
    """Text as HTML, what stands between backticks as code."""
    parts = enumerate(text.split("`"))
    return Markup("").join(Markup("<code>{}</code>" if n % 2 else "{}").format(p) for n, p in parts)


def _page(pages: Pages, address: str) -> Callable[[], Response]:
    return lambda: pages.answer(address, request)


def _json(answer: msgspec.Struct) -> Response:
    return Response(msgspec.json.encode(answer), content_type="application/json")


def _answer(reply: ClassifyReply, request_id: str) -> ClassifyAnswer:
    """The worker's reply as it goes out; a single image that is bad is an error of the request."""
    first = reply.results[0]
    single = len(reply.results) == 1
    if single and first.error:
        raise ApiError(first.error.code, first.error.detail)
    return ClassifyAnswer(
        model=reply.model,
        version=reply.version,
        label=first.label if single else msgspec.UNSET,
        probability=first.probability if single else msgspec.UNSET,
        results=reply.results,
        timings_ms=reply.timings_ms,
        request_id=request_id,
    )
