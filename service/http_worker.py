"""gunicorn's threaded worker, made so that slow and idle clients cost no thread.

What differs from gunicorn's own: a connection waits in the poller until it has sent the whole head
of a request, and one that asks again at once stays with its thread; what finds no thread soon is
refused (`service.overload`); the body has to arrive in time; a closing connection lingers in its
own thread and not in the loop that serves all others; errors below HTTP are problem documents too.
"""

from __future__ import annotations

import contextlib
import errno
import math
import secrets
import select
import selectors
import socket
import time
from functools import partial
from typing import Any

import msgspec
from gunicorn.http import errors as http_errors  # type: ignore[import-untyped]
from gunicorn.workers.gthread import TConn, ThreadWorker  # type: ignore[import-untyped]

from service.body import arrival
from service.errors import ApiError, problem_document
from service.overload import Doorkeeper

HEAD_S = 10.0
"""Seconds for a request's line and headers."""
STOP_S = 1.0
"""Seconds that idle connections stay open when the worker stops, for a request on its way."""
WRITE_S = 30.0
"""Seconds for a client to take its answer."""
LINGER_S = 0.5
"""Seconds to wait for the client to close first, so that it sees the whole answer."""
AT_ONCE_MS = 2
"""How long a thread waits for a connection's next request before the loop watches it again."""
_READ_BYTES = 64 * 1024
_LINGER_BYTES = 1024 * 1024
_HEAD_BYTES = 32 * 1024
"""What is longer goes to a thread all the same, which refuses it or reads on."""
_TOO_LONG = (http_errors.LimitRequestLine, http_errors.LimitRequestHeaders)


class DeadlineSocket:
    """A socket whose reads all have to end by one moment, however little comes with each.

    Args:
        sock: the connection.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._ends = 0.0

    def allow(self, seconds: float) -> None:
        """What is read from now on has this long in all."""
        self._ends = time.monotonic() + seconds

    def recv(self, size: int) -> bytes:
        """As of a socket.

        Raises:
            TimeoutError: the time is over. Its errno says "reset", which gunicorn takes calmly.
        """
        left = self._ends - time.monotonic()
        try:
            if left <= 0:
                raise TimeoutError
            self._sock.settimeout(left)
            return self._sock.recv(size)
        except TimeoutError:
            raise TimeoutError(errno.ECONNRESET, "the request did not arrive in time") from None
        finally:
            self._sock.settimeout(WRITE_S)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class _Connection(TConn):  # type: ignore[misc]
    """A connection with what has come of its next request's head, and since when it waits."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.head = b""
        self.since = 0.0


class GatewayWorker(ThreadWorker):  # type: ignore[misc]
    """One gateway process; `body_s` and `waiting` are set from the settings."""

    body_s = 30.0
    waiting = 64

    def run(self) -> None:
        """The loop, with its poller made in this process."""
        self.door = Doorkeeper(self.waiting, self.poller)
        super().run()

    def accept(self, listener: Any) -> None:
        """Take a connection; it gets a thread when it has sent a request's head."""
        try:
            sock, address = listener.accept()
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK):
                return
            raise
        self.nr_conns += 1
        self._await_head(_Connection(self.cfg, sock, address, listener.getsockname()))

    def on_client_socket_readable(self, conn: Any, client: Any) -> None:
        """A kept-alive connection sends its next request."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._await_head(conn)

    def _await_head(self, conn: Any) -> None:
        conn.timeout = time.monotonic() + HEAD_S
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._read_head, conn))

    def _read_head(self, conn: Any, client: Any) -> None:
        """Take what has come, without waiting; a whole head goes to a thread."""
        try:
            came = client.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            came = b""
        conn.head += came
        if came and b"\r\n\r\n" not in conn.head and len(conn.head) < _HEAD_BYTES:
            return
        self.poller.unregister(client)
        self.pending_conns.remove(conn)
        if came:
            self.enqueue_req(conn)
        else:
            self._forget(conn)

    def enqueue_req(self, conn: Any) -> None:
        """A request's head is here: a thread answers it, or it is refused at once."""
        pool = self.door.room(self.tpool, conn.head)
        if pool is None:
            self._refuse(conn)
            return
        conn.since = time.monotonic()
        done = pool.submit(self.handle, conn)
        done.add_done_callback(partial(self.method_queue.defer, self.finish_request, conn))

    def _refuse(self, conn: Any) -> None:
        refusal = self.door.refusal()
        self.wsgi.extensions["hyojo-metrics"].refused(conn.head, refusal)
        if not self.door.see_off(conn, _raw_answer(refusal)):
            self._forget(conn)

    def murder_pending(self) -> None:
        """Close what has had its time, refused connections among it."""
        super().murder_pending()
        for conn in self.door.close_left():
            self._forget(conn)

    def _forget(self, conn: Any) -> None:
        self.nr_conns -= 1
        conn.close()

    def _cap_keepalive(self, deadline: float) -> None:
        """When the worker stops, connections without a request do not hold it up."""
        deadline = min(deadline, time.monotonic() + STOP_S)
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)

    def handle(self, conn: Any) -> Any:
        """Answer a request of a connection, and what follows at once, in a thread."""
        arrival.waited_s = time.monotonic() - conn.since
        keep = self._answer(conn)
        while keep and self._follows_at_once(conn):
            arrival.waited_s = 0.0
            keep = self._answer(conn)
        if not keep:
            _linger(conn.sock)
        return keep

    def _follows_at_once(self, conn: Any) -> bool:
        """Whether the next request's whole head is here within a moment.

        A client that asks again and again then costs no way through the loop that serves all (a
        third of a request's time here). The thread waits only where no other connection wants one.
        """
        if not self.alive or self.door.wanted(self.tpool) or conn.parser.unreader.buf.getvalue():
            return False
        moment = select.poll()
        moment.register(conn.sock, select.POLLIN)
        if not moment.poll(AT_ONCE_MS):
            return False
        try:
            conn.head = conn.sock.recv(_READ_BYTES)
        except OSError:
            return False
        return b"\r\n\r\n" in conn.head  # else the loop waits for the rest

    def _answer(self, conn: Any) -> Any:
        """Answer one request whose head has come."""
        conn.init()
        unreader = conn.parser.unreader
        if not isinstance(unreader.sock, DeadlineSocket):
            unreader.sock = DeadlineSocket(conn.sock)
        unreader.sock.allow(HEAD_S)
        head, conn.head = conn.head, b""
        unreader.unread(head)
        return super().handle(conn)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """The head is here; now the body gets its time."""
        conn.sock.settimeout(WRITE_S)
        arrival.allow = conn.parser.unreader.sock.allow
        arrival.allow(self.body_s)
        return super().handle_request(req, conn)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answer what is no HTTP with a problem document."""
        if not isinstance(exc, http_errors.ParseException):
            self.log.exception("internal error below HTTP", exc_info=exc)
            error = ApiError("internal", "The service made a mistake. It is in the log.")
        elif isinstance(exc, _TOO_LONG):
            error = ApiError("head_too_large", f"The request's head is too large: {exc}.")
        else:
            error = ApiError("bad_request", "This is not HTTP as it should be; see RFC 9112.")
        self.log.debug("a request below HTTP was refused: %s", error.code)
        try:
            client.sendall(_raw_answer(error))
        except OSError:
            self.log.debug("the client of a bad request has gone")


def _linger(sock: socket.socket) -> None:
    """End our side and wait a moment for the other's; gunicorn's own wait is then over at once."""
    try:
        sock.shutdown(socket.SHUT_WR)
        sock.settimeout(LINGER_S)
        ends = time.monotonic() + LINGER_S
        dropped = 0
        while dropped < _LINGER_BYTES and time.monotonic() < ends:
            if not (data := sock.recv(_READ_BYTES)):
                break
            dropped += len(data)
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


def _raw_answer(error: ApiError) -> bytes:
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
