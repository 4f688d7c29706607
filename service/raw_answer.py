"""An answer below the application: a problem document with what HTTP needs around it."""

from __future__ import annotations

import math
import secrets

import msgspec

from service.errors import ApiError, problem_document
from service.v2_errors import CONTENT_TYPE, asks_v2, error_object


def raw_answer(error: ApiError, head: bytes = b"") -> bytes:
    """A whole HTTP answer, after which the connection closes.

    Args:
        error: what it tells.
        head: of the request, as far as it is known: the Open Inference Protocol has its own form.
    """
    request_id = secrets.token_hex(8)
    kind = "application/problem+json"
    if asks_v2(head):
        kind, body = CONTENT_TYPE, error_object(error)
    else:
        body = msgspec.json.encode(problem_document(error, request_id))
    lines = (
        f"HTTP/1.1 {error.status} Error\r\n"
        "Connection: close\r\n"
        f"Content-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"X-Request-Id: {request_id}\r\n"
    )
    if error.retry_after is not None:
        lines += f"Retry-After: {max(1, math.ceil(error.retry_after))}\r\n"
    return lines.encode() + b"\r\n" + body
