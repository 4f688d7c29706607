"""The gateway's Flask application for servers that speak ASGI: Ray Serve's proxies.

What `service.reception` does below gunicorn is done here for them: a thread gets a request when all
of it is here, within bounds of size, time, memory and number.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any

from a2wsgi import WSGIMiddleware
from flask import Flask

from service.body import arrival
from service.errors import ApiError
from service.probes import PROBES
from service.raw_answer import parts
from service.settings import Settings
from service.v2_errors import speaks_v2

_SPARE_THREADS = 2
"""For those that ask how the service is."""
_CAME = "hyojo.came"
_REQUEST_ID = b"x-request-id"
Scope = dict[str, Any]
Receive = Callable[[], Any]
Send = Callable[[dict[str, Any]], Any]


class Doors:
    """An ASGI application around the gateway's.

    Args:
        app: made by `service.gateway.create_app`.
        settings: threads, and the bounds of what may wait.
    """

    def __init__(self, app: Flask, settings: Settings) -> None:
        def answered(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            arrival.waited_s = time.monotonic() - environ["asgi.scope"][_CAME]
            environ["wsgi.input_terminated"] = True
            return app(environ, start_response)

        self._all: Any = WSGIMiddleware(answered, workers=settings.gateway_threads)  # type: ignore[arg-type]
        self._spare: Any = WSGIMiddleware(answered, workers=_SPARE_THREADS)  # type: ignore[arg-type]
        self._metrics = app.extensions["hyojo-metrics"]
        self._at_once = settings.gateway_threads + settings.gateway_queue
        self._body_bytes = settings.max_body_bytes
        self._buffer_bytes = settings.body_buffer_bytes
        self._patience_s = settings.body_timeout_s
        self._inside = 0
        self._held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._all(scope, receive, send)
            return
        # As below gunicorn: `X_Key` is not `X-Key`.
        scope["headers"] = [pair for pair in scope["headers"] if b"_" not in pair[0]]
        probe = scope["path"] in PROBES
        if self._inside >= self._at_once and not probe:
            await self._refuse(scope, send, "As many requests are waiting as can be answered soon.")
            return
        self._inside += not probe
        body = _Body(receive)
        try:
            await self._take(body, scope)
            scope[_CAME] = time.monotonic()
            await (self._spare if probe else self._all)(scope, body.told, _once(scope, send))
        except _NoRoomError:
            await self._refuse(scope, send, "The bodies on their way fill the memory for them.")
        finally:
            self._held_bytes -= body.size
            self._inside -= not probe

    async def _take(self, body: _Body, scope: Scope) -> None:
        """Receive a body; what is wrong with it is told to whoever reads it."""
        declared = dict(scope["headers"]).get(b"content-length", b"")
        if declared.isdigit() and int(declared) > self._body_bytes:
            return  # refused by its length, before it is read
        try:
            async with asyncio.timeout(self._patience_s):
                while await body.more():
                    self._held_bytes += body.came
                    if body.size > self._body_bytes:
                        return  # whoever reads it counts
                    if self._held_bytes > self._buffer_bytes:
                        raise _NoRoomError
        except TimeoutError:
            body.fault = ApiError(
                "body_timeout",
                f"The body did not arrive within {self._patience_s:g} s. Send the request again.",
            )

    async def _refuse(self, scope: Scope, send: Send, why: str) -> None:
        error = ApiError("overloaded", f"{why} Try again in a moment.")
        self._metrics.refused(scope["method"].encode(), error)
        told, body = parts(error, speaks_v2(scope["path"]))
        headers = [(name.lower().encode(), value.encode()) for name, value in told.items()]
        await send({"type": "http.response.start", "status": error.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _once(scope: Scope, send: Send) -> Send:
    """Leave the request's id away where the proxy, which gave it, says it itself."""
    given = (_REQUEST_ID, dict(scope["headers"]).get(_REQUEST_ID))

    async def sent(message: dict[str, Any]) -> None:
        if given in message.get("headers", ()):
            message["headers"].remove(given)
        await send(message)

    return sent


class _NoRoomError(Exception):
    """There is no memory for another body."""


class _Body:
    """One request's body, first received and then told.

    Args:
        receive: the server's.

    Attributes:
        size: bytes that have come.
        came: of these, with the last message.
        fault: why the rest did not come.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._parts: list[bytes] = []
        self._ended = False
        self.size = self.came = 0
        self.fault: ApiError | None = None

    async def more(self) -> bool:
        """Receive the next message; False when there was none left."""
        if self._ended:
            return False
        message = await self._receive()
        part = message.get("body", b"")
        self._ended = not message.get("more_body", False)  # a client that left has no more either
        self._parts.append(part)
        self.came = len(part)
        self.size += self.came
        return True

    async def told(self) -> dict[str, Any]:
        """All of it, as one message.

        Raises:
            ApiError: it is not all there.
        """
        if self.fault:
            raise self.fault
        whole, self._parts = b"".join(self._parts), []
        return {"type": "http.request", "body": whole, "more_body": False}
