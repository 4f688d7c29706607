"""What happens around every request: id, bounds, errors as problem documents, log, counts."""

from __future__ import annotations

import difflib
import math
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec
import structlog
from flask import Flask, Request, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from service.body import BoundedBody, Limits, bound
from service.errors import ApiError, problem_document
from service.metrics import Metrics
from service.probes import PROBES
from service.v2_errors import CONTENT_TYPE, error_object, speaks_v2

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_log = structlog.get_logger()


@dataclass
class Course:
    """What is known of the request being answered, for its log line and counts."""

    id: str
    body: BoundedBody
    started: float = field(default_factory=time.perf_counter)
    code: str = ""
    model: str = ""
    images: int = 0
    key: str = ""
    queue_ms: float = 0.0
    worker_ms: float = 0.0
    refusal: ApiError | None = None


def course() -> Course:
    """The present request's."""
    known: Course = g.course
    return known


def present() -> Request:
    """The present request itself: each look through Flask's proxy costs a way of its own."""
    found: Request = cast(Any, request)._get_current_object()
    return found


def install(app: Flask, metrics: Metrics, limits: Limits) -> None:
    """Hang everything around the application's requests."""

    log = structlog.get_logger().bind()

    def begin() -> None:
        came = present()
        given = came.environ.get("HTTP_X_REQUEST_ID", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        g.course = Course(request_id, bound(came, limits))

    def end(response: Response) -> Response:
        now, came = course(), present()
        response.headers["X-Request-Id"] = now.id
        response.headers.setdefault("Cache-Control", "no-store")
        seconds = time.perf_counter() - now.started
        route = came.url_rule.rule if came.url_rule else "none"
        metrics.answered(route, came.method, response.status_code, seconds)
        _line(log, came, now, response, seconds)
        return response

    def failed(error: Exception) -> Response:
        problem = _as_problem(error, app)
        course().code = problem.code
        metrics.problem(problem.code)
        return _problem_response(problem)

    app.before_request(begin)
    app.after_request(end)
    app.register_error_handler(Exception, failed)


def _line(log: Any, came: Request, now: Course, response: Response, seconds: float) -> None:
    status = response.status_code
    say = log.debug if came.path in PROBES and status != 500 else log.info
    optional = {
        "code": now.code,
        "model": now.model,
        "images": now.images,
        "key": now.key,
        "queue_ms": now.queue_ms,
        "worker_ms": now.worker_ms,
    }
    say(
        "request",
        method=came.method[:16],
        path=came.path[:200],
        status=status,
        ms=round(seconds * 1000, 1),
        bytes_in=now.body.taken,
        bytes_out=response.calculate_content_length(),
        client=came.remote_addr,
        request_id=now.id,
        **{name: value for name, value in optional.items() if value},
    )


def _problem_response(problem: ApiError) -> Response:
    if speaks_v2(present().path):
        response = Response(error_object(problem), problem.status, content_type=CONTENT_TYPE)
    else:
        body = msgspec.json.encode(problem_document(problem, course().id))
        response = Response(body, problem.status, content_type="application/problem+json")
    response.headers.update(problem.headers)
    if problem.retry_after is not None:
        response.headers["Retry-After"] = str(max(1, math.ceil(problem.retry_after)))
    return response


def _as_problem(error: Exception, app: Flask) -> ApiError:
    if isinstance(error, ApiError):
        if error.status == 500:
            _log.error("internal error", detail=error.detail, request_id=course().id)
        return error
    if isinstance(error, NotFound):
        return ApiError("not_found", _not_found(app))
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        return ApiError(
            "method_not_allowed",
            f"{request.method[:16]} is not for {request.path[:80]}; it takes {allowed}.",
            headers={"Allow": allowed},
        )
    if isinstance(error, HTTPException) and (error.code or 500) < 500:
        return ApiError("bad_request", f"The request cannot be read: {error.description}")
    _log.error("internal error", exc_info=error, path=request.path[:200], request_id=course().id)
    return ApiError(
        "internal",
        f"The service made a mistake. Its log has the reason under request id {course().id}.",
    )


def _not_found(app: Flask) -> str:
    known = [rule.rule for rule in app.url_map.iter_rules() if "<" not in rule.rule]
    close = difflib.get_close_matches(request.path[:80], known, n=1, cutoff=0.7)
    hint = f"Did you mean {close[0]}?" if close else "GET /docs lists what there is."
    return f"There is nothing at {request.path[:80]}. {hint}"
