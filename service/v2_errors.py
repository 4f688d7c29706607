"""Errors as the Open Inference Protocol has them: `{"error": "a sentence"}`.

Codes and statuses are those of service/errors.py; the code stands in the log and the counts.
"""

from __future__ import annotations

import msgspec

from service.errors import ApiError

ROOT = "/v2"
CONTENT_TYPE = "application/json"


class V2Error(msgspec.Struct, frozen=True):
    """What went wrong.

    Attributes:
        error: what happened, why, and what to do about it.
    """

    error: str


def speaks_v2(path: str) -> bool:
    """Whether an address is one of the protocol's."""
    return path == ROOT or path.startswith(ROOT + "/")


def asks_v2(head: bytes) -> bool:
    """Whether a request is for one of the protocol's addresses.

    Args:
        head: it begins with method and address.
    """
    _, _, rest = head[:128].partition(b" ")
    return speaks_v2(rest.partition(b" ")[0].partition(b"?")[0].decode("latin-1"))


def error_object(error: ApiError) -> bytes:
    """The body for an error."""
    return msgspec.json.encode(V2Error(error.detail))
