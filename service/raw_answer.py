"""An answer below the application: a problem document with what HTTP needs around it."""

from __future__ import annotations

import math
import secrets

import msgspec

from service.errors import ApiError, problem_document
from service.v2_errors import CONTENT_TYPE, asks_v2, error_object


def parts(error: ApiError, v2: bool = False) -> tuple[dict[str, str], bytes]:
    """An answer's own headers and its body.

    Args:
        error: what it tells.
        v2: in the form of the Open Inference Protocol.
    """
    request_id = secrets.token_hex(8)
    kind = CONTENT_TYPE if v2 else "application/problem+json"
    body = error_object(error) if v2 else msgspec.json.encode(problem_document(error, request_id))
    headers = {
        "Content-Type": kind,
        "Content-Length": str(len(body)),
        "X-Request-Id": request_id,
    }
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    return headers, body


def raw_answer(error: ApiError, head: bytes = b"") -> bytes:
    """A whole HTTP answer, after which the connection closes.

    Args:
        error: what it tells.
        head: of the request, as far as it is known: the Open Inference Protocol has its own form.
    """
    headers, body = parts(error, asks_v2(head))
    lines = [f"HTTP/1.1 {error.status} Error", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
