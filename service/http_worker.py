"""gunicorn's threaded worker, made so that no client costs a thread but with a whole request.

`service.reception` is its loop, which receives requests whole; here threads answer them. A client
that asks again at once stays with its thread. Errors below HTTP are problem documents too.
"""

from __future__ import annotations

import select
import time
from typing import Any

from gunicorn.http import errors as http_errors  # type: ignore[import-untyped]

from service.body import arrival
from service.errors import ApiError
from service.raw_answer import raw_answer
from service.reception import READ_BYTES, Reception

AT_ONCE_MS = 2
"""How long a thread waits for a connection's next request before the loop watches it again."""
_TOO_LONG = (http_errors.LimitRequestLine, http_errors.LimitRequestHeaders)


class GatewayWorker(Reception):
    """One gateway process."""

    def handle(self, conn: Any) -> Any:
        """Answer a request of a connection, and what follows at once, in a thread."""
        self._taken.append(conn.counted)
        conn.counted = 0
        arrival.waited_s = time.monotonic() - conn.since
        spare = self.door.is_spare()  # for who asks how the service is, and for nothing else
        if not spare:
            self.door.taken(arrival.waited_s)
        keep = self._answer(conn)
        while keep and not spare and self._follows_at_once(conn):
            arrival.waited_s = 0.0
            keep = self._answer(conn)
        return keep and not conn.coming.gone

    def _follows_at_once(self, conn: Any) -> bool:
        """Whether the next request is here, all of it, within a moment.

        A client that asks again and again then costs no way through the loop that serves all (a
        third of a request's time here). The thread waits only where no other connection wants one.
        """
        coming = conn.coming
        ends = 0.0
        while self.alive and not conn.outlet.kept and not self.door.wanted(self.tpool):
            if coming.ready:
                return not coming.gone
            moment = select.poll()
            moment.register(conn.sock, select.POLLIN)
            if not moment.poll(AT_ONCE_MS):
                return False
            try:
                coming.take(conn.sock.recv(READ_BYTES))
            except OSError:
                coming.lose()
            now = time.monotonic()
            ends = ends or now + AT_ONCE_MS / 1000
            if now > ends and not coming.ready:
                return False
        return False

    def _answer(self, conn: Any) -> Any:
        """Answer one request that has come."""
        conn.init()
        unreader = conn.parser.unreader
        unreader.sock = conn.coming
        keep = super().handle(conn)
        if keep:
            conn.coming.next(unreader.take_buffered())
        return keep

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer a request whose bytes are here."""
        req._expected_100_continue = False  # said already, where there was still something to come
        if not conn.coming.whole:
            req.force_close()  # what else comes is no request
        sock, conn.sock = conn.sock, conn.outlet
        sock.setblocking(False)
        try:
            return super().handle_request(req, conn)
        finally:
            conn.sock = sock
            conn.outlet.send_kept()

    def _keepalive_after(self, conn: Any, keepalive: Any) -> bool:
        """Whether the connection can be used again; what was not read of a body is in memory."""
        if not keepalive:
            return False
        body = conn.parser.mesg.body
        try:
            while body.read(READ_BYTES):
                pass
        except (ApiError, http_errors.ParseException, http_errors.NoMoreData):
            return False
        return not body.failed

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answer what is no HTTP with a problem document."""
        if isinstance(exc, ApiError):
            error = exc
        elif not isinstance(exc, http_errors.ParseException):
            self.log.exception("internal error below HTTP", exc_info=exc)
            error = ApiError("internal", "The service made a mistake. It is in the log.")
        elif isinstance(exc, _TOO_LONG):
            error = ApiError("head_too_large", f"The request's head is too large: {exc}.")
        else:
            error = ApiError("bad_request", "This is not HTTP as it should be; see RFC 9112.")
        self.wsgi.extensions["hyojo-metrics"].refused(b"", error)
        self.log.debug("a request below HTTP was refused: %s", error.code)
        try:
            client.setblocking(False)
            client.send(raw_answer(error))  # a few hundred bytes: the kernel takes them whole
        except OSError:
            self.log.debug("the client of a bad request has gone")
