"""Errors below the application: in the form that belongs to the address asked for."""

import json

import pytest

from service.errors import ApiError
from service.raw_answer import raw_answer

REFUSAL = ApiError("overloaded", "Too many. Try again in a moment.")


@pytest.mark.parametrize(
    ("head", "v2"),
    [
        (b"POST /v2/models/emotion/infer HTTP/1.1\r\nHost: x\r\n\r\n", True),
        (b"GET /v2 HTTP/1.1\r\n\r\n", True),
        (b"GET /v2?x HTTP/1.1\r\n\r\n", True),
        (b"POST /v2/models/" + b"x" * 9000 + b"/infer HTTP/1.1\r\n\r\n", True),
        (b"GET /v2extra HTTP/1.1\r\n\r\n", False),
        (b"POST /classify HTTP/1.1\r\nReferer: /v2/\r\n\r\n", False),
        (b"", False),
        (b"\xff\xfe \xff", False),
    ],
)
def test_who_asks_by_the_open_inference_protocol_is_refused_by_it(head: bytes, v2: bool) -> None:
    lines, _, body = raw_answer(REFUSAL, head).partition(b"\r\n\r\n")
    told = json.loads(body)
    assert lines.startswith(b"HTTP/1.1 503 ") and b"\r\nRetry-After: 1\r" in lines + b"\r"
    assert f"\r\nContent-Length: {len(body)}\r".encode() in lines
    kind = b"application/json" if v2 else b"application/problem+json"
    assert b"\r\nContent-Type: " + kind + b"\r" in lines
    assert told == {"error": REFUSAL.detail} if v2 else told["code"] == "overloaded"
