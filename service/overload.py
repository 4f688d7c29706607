"""What the gateway does when more is asked of it than it has threads for.

A bounded number of requests waits for a thread. What comes on top is refused in the loop that
watches the connections, before its body is read: that costs a thirtieth of an answer, so that the
service goes on at full speed. Who asks how the service is gets a thread of its own meanwhile.
"""

from __future__ import annotations

import selectors
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import structlog

from service.errors import ApiError

LEAVE_S = 2.0
"""Seconds that a refused connection stays open, for its client to see the answer."""
_SPARE_THREADS = 2
_ASK_HOW_IT_IS = (b"GET /livez ", b"GET /readyz ", b"GET /metrics ")
_READ_BYTES = 64 * 1024
_LOG_EVERY_S = 1.0
_log = structlog.get_logger()


class Doorkeeper:
    """Decides where a request is answered, and sees those off that are not. One loop owns it.

    Args:
        waiting: requests that may wait for a thread.
        poller: of the loop.
    """

    def __init__(self, waiting: int, poller: selectors.BaseSelector) -> None:
        self._limit = waiting
        self._poller = poller
        self._spare = ThreadPoolExecutor(_SPARE_THREADS, "how-it-is")
        self._leaving: dict[Any, None] = {}  # in the order of their time
        self._gone: list[Any] = []
        self._refused = 0
        self._said = 0.0

    def room(self, pool: ThreadPoolExecutor, head: bytes) -> ThreadPoolExecutor | None:
        """The threads that are to answer a request; None when there is no room for it.

        Args:
            pool: the threads for everything.
            head: of the request.
        """
        waiting = pool._work_queue.qsize()
        if not waiting:
            return pool
        if head.startswith(_ASK_HOW_IT_IS) and not self._spare._work_queue.qsize():
            return self._spare
        return pool if waiting < self._limit else None

    def wanted(self, pool: ThreadPoolExecutor) -> bool:
        """Whether a request waits for a thread of `pool`, or of the spare ones."""
        return bool(pool._work_queue.qsize() or self._spare._work_queue.qsize())

    def refusal(self) -> ApiError:
        """What a request is told that finds no room."""
        self._refused += 1
        now = time.monotonic()
        if now - self._said >= _LOG_EVERY_S:
            _log.warning("requests refused: overloaded", refused=self._refused)
            self._refused, self._said = 0, now
        return ApiError(
            "overloaded",
            f"{self._limit} requests are waiting already and no more may. Try again in a moment.",
        )

    def see_off(self, conn: Any, answer: bytes) -> bool:
        """Answer a connection without ever waiting for it; False when it is gone at once.

        What it still sends is read and dropped for a moment: closing before that would reset the
        connection, and its client would see that instead of the answer.
        """
        sock = conn.sock
        sock.setblocking(False)
        try:
            sock.send(answer)  # a few hundred bytes: the kernel takes them whole
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            return False
        conn.timeout = time.monotonic() + LEAVE_S
        self._leaving[conn] = None
        self._poller.register(sock, selectors.EVENT_READ, partial(self._drop, conn))
        return True

    def close_left(self) -> list[Any]:
        """The connections that have left or had their time, no longer watched."""
        gone, self._gone = self._gone, []
        now = time.monotonic()
        while self._leaving and (conn := next(iter(self._leaving))).timeout <= now:
            self._forget(conn)
            gone.append(conn)
        return gone

    def _drop(self, conn: Any, sock: Any) -> None:
        try:
            if sock.recv(_READ_BYTES):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._forget(conn)
        self._gone.append(conn)

    def _forget(self, conn: Any) -> None:
        del self._leaving[conn]
        self._poller.unregister(conn.sock)
