"""An answer below the application: a problem document with what HTTP needs around it."""

from __future__ import annotations

import math
import secrets

import msgspec

from service.errors import ApiError, problem_document


def raw_answer(error: ApiError) -> bytes:
    """A whole HTTP answer, after which the connection closes."""
    request_id = secrets.token_hex(8)
    body = msgspec.json.encode(problem_document(error, request_id))
    head = (
        f"HTTP/1.1 {error.status} Error\r\n"
        "Connection: close\r\n"
        "Content-Type: application/problem+json\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"X-Request-Id: {request_id}\r\n"
    )
    if error.retry_after is not None:
        head += f"Retry-After: {max(1, math.ceil(error.retry_after))}\r\n"
    return head.encode() + b"\r\n" + body
