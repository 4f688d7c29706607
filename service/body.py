"""The body of a request, read within bounds of size."""

from __future__ import annotations

import io
import threading
from dataclasses import dataclass
from typing import IO

from flask import Request

from service.errors import ApiError

_MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """What one request may bring.

    Attributes:
        body_bytes: the whole body.
        image_bytes: one image.
        images: how many images.
    """

    body_bytes: int
    image_bytes: int
    images: int


class _Arrival(threading.local):
    """How the request of this thread came; the server sets it.

    Attributes:
        waited_s: how long the request waited for this thread.
    """

    waited_s: float = 0.0


arrival = _Arrival()


class BoundedBody(io.RawIOBase):
    """`wsgi.input` with a limit on its bytes, whatever length the client declared.

    Args:
        source: the server's stream; it ends where the body ends.
        limits: of bytes.
        declared: Content-Length, None for a chunked body.
    """

    def __init__(self, source: IO[bytes], limits: Limits, declared: int | None) -> None:
        super().__init__()
        self._source = source
        self._limits = limits
        self._declared = declared
        self.taken = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes; b"" at the end.

        Raises:
            ApiError: body_too_large, body_timeout, or bad_request when it breaks off.
        """
        data = self._receive(size if size >= 0 else self._limits.body_bytes + 1)
        self.taken += len(data)
        if self.taken > self._limits.body_bytes:
            raise body_too_large(self._limits.body_bytes)
        if not data and size != 0 and self._declared is not None and self.taken < self._declared:
            raise ApiError(
                "bad_request",
                f"The body ends after {self.taken} bytes but Content-Length says {self._declared}."
                " Send the request again.",
            )
        return data

    def check_declared(self) -> None:
        """Refuse by Content-Length before anything is read."""
        if self._declared is not None and self._declared > self._limits.body_bytes:
            raise body_too_large(self._limits.body_bytes)

    def _receive(self, size: int) -> bytes:
        try:
            return self._source.read(size)
        except ApiError:  # why the rest of it did not come
            raise
        except Exception as error:  # the server's own errors: bad chunks, a client that left
            raise ApiError(
                "bad_request", "The body breaks off or is framed wrongly. Send the request again."
            ) from error


def body_too_large(limit: int) -> ApiError:
    """The error for a body of more bytes than `limit`."""
    return ApiError(
        "body_too_large",
        f"The body is larger than {limit / _MEGABYTE:g} MiB. Send fewer or smaller images.",
    )


def bound(request: Request, limits: Limits) -> BoundedBody:
    """Put the limits around the request's body; call before anything reads it."""
    environ = request.environ
    declared = request.content_length
    source = environ["wsgi.input"]
    if not environ.get("wsgi.input_terminated"):
        # Not under gunicorn: a stream that ends by itself must be made from the length.
        source = io.BytesIO(source.read(min(declared or 0, limits.body_bytes + 1)))
        environ["wsgi.input_terminated"] = True
    body = BoundedBody(source, limits, declared)
    environ["wsgi.input"] = body
    return body
