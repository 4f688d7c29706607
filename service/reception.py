"""The loop of a gateway process: it receives whole requests, in bounded memory, for its threads.

A connection waits until its request is here, body and all: no thread ever waits for a client to
send. What finds no thread soon is refused (`service.overload`). A closing connection lingers here.
When connections or memory run out, the oldest unfinished one gives way.
"""

from __future__ import annotations

import contextlib
import errno
import selectors
import signal
import socket
import time
from collections import deque
from functools import partial
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker  # type: ignore[import-untyped]

from service.arriving import Arriving
from service.errors import ApiError
from service.kinship import end_with_parent
from service.outlet import Outlet
from service.overload import Doorkeeper
from service.raw_answer import raw_answer
from service.rooms import Room

HEAD_S = 10.0
"""Seconds for a request's line and headers."""
STOP_S = 1.0
"""Seconds that idle connections stay open when the worker stops, for a request on its way."""
SEND_S = 10.0
"""Seconds for a client to take an answer that is larger than the system's buffer."""
LINGER_S = 2.0
"""Seconds to wait for the client to close first, so that it sees the whole answer."""
READ_BYTES = 64 * 1024
_READS = 16
"""Reads of one connection before the loop looks at the others."""
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_NOT_NOW = "EAGAIN ECONNABORTED ENETDOWN EPROTO EHOSTDOWN ENONET EHOSTUNREACH ENETUNREACH"
_LATER = frozenset(getattr(errno, name) for name in _NOT_NOW.split())
"""No connection now; what was wrong with one on its way is told here too (accept(2))."""
_SHUT = errno.EINVAL
"""The gateway has stopped listening, and this process will be told to end in a moment."""
_NO_PLACE_S = 0.01
_FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Connection(TConn):  # type: ignore[misc]
    """A connection with what has come of its next request."""

    def __init__(self, body_most: int, *args: Any) -> None:
        super().__init__(*args)
        self.coming = Arriving(body_most)
        self.outlet = Outlet(self.sock)
        self.keep = False
        self.counted = 0
        """Bytes of it that the loop has counted as held."""
        self.dropped = 0
        self.since = 0.0
        """When it began to wait for a thread."""


class Reception(ThreadWorker):  # type: ignore[misc]
    """gunicorn's threaded worker with a loop of ours; its limits are set from the settings.

    Attributes:
        waiting: requests that may wait for a thread.
        body_s: seconds for a request's body.
        body_bytes: longest body that is waited for.
        buffer_bytes: most bytes of all requests that wait for the rest of them or for a thread.
    """

    waiting = 64
    body_s = 30.0
    body_bytes = 32 * 1024 * 1024
    buffer_bytes = 128 * 1024 * 1024

    def init_process(self) -> None:
        """Make what belongs to this process, after the fork; then gunicorn runs the loop."""
        end_with_parent(signal.SIGTERM)  # gunicorn itself would look only once a second
        self._heads: Room[Connection] = Room(HEAD_S)
        self._bodies: Room[Connection] = Room(self.body_s)
        self._sending: Room[Connection] = Room(SEND_S)
        self._lingering: Room[Connection] = Room(LINGER_S)
        self.door = Doorkeeper(self.waiting)
        self._held = 0
        self._taken: deque[int] = deque()
        """Bytes that threads have taken over, for the loop to subtract."""
        super().init_process()

    def accept(self, listener: Any) -> None:
        """Take a connection; it gets a thread when it has sent a whole request."""
        try:
            sock, address = listener.accept()
        except OSError as error:
            if error.errno in _LATER or error.errno == _SHUT:
                return
            if error.errno not in _FULL:
                raise
            if not self._make_place():
                time.sleep(_NO_PLACE_S)  # the loop would come back at once, and again
            return
        self.nr_conns += 1
        if self.nr_conns >= self.worker_connections:
            self._make_place()
        conn = Connection(self.body_bytes, self.cfg, sock, address, listener.getsockname())
        self._await(conn)

    def on_client_socket_readable(self, conn: Any, client: Any) -> None:
        """A kept-alive connection sends its next request."""
        if conn not in self.keepalived_conns:  # it gave way, in this same round
            return
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._await(conn)

    def _await(self, conn: Any) -> None:
        self._heads.add(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._more, conn))
        if conn.coming.has_head:  # it came at once, with the end of the request before
            self._await_body(conn)

    def _more(self, conn: Any, client: Any) -> None:
        """Take what has come, without waiting; a whole request goes to a thread."""
        if conn not in self._heads and conn not in self._bodies:  # it gave way, in this same round
            return
        coming = conn.coming
        _receive(client, coming)
        if coming.gone:
            self._let_go(conn)
        elif coming.ready:
            self._count(conn)
            self._hand_over(conn)
        elif coming.has_head and conn in self._heads:
            self._await_body(conn)
        else:
            self._count(conn)
            self._keep_within_buffer()

    def _await_body(self, conn: Any) -> None:
        """A head is here without its body: wait for it, or refuse it before it comes."""
        if self.door.room(self.tpool, conn.coming.head) is None:
            self._leave(conn)
            self._refuse(conn)
            return
        self._heads.remove(conn)
        self._bodies.add(conn)
        if conn.coming.expects_continue:
            with contextlib.suppress(OSError):
                conn.sock.send(_CONTINUE)
        self._count(conn)
        self._keep_within_buffer()

    def _count(self, conn: Any) -> None:
        """Count what the connection holds now."""
        self._subtract()
        self._held += conn.coming.held - conn.counted
        conn.counted = conn.coming.held

    def _keep_within_buffer(self) -> None:
        """Where too much waits, the oldest unfinished body is refused: it came slowest."""
        while self._held > self.buffer_bytes:
            if not self._refuse_oldest_body():
                if not (oldest := self._sending.oldest()):
                    return
                self._let_go(oldest)
            self._subtract()

    def _subtract(self) -> None:
        """Subtract what threads have taken."""
        while self._taken:
            self._held -= self._taken.popleft()

    def _refuse_oldest_body(self) -> bool:
        if not (oldest := self._bodies.oldest()):
            return False
        oldest.coming.drop_body()
        self._count(oldest)
        self._hand_over(
            oldest,
            ApiError(
                "overloaded",
                "More bodies are on their way than there is room for, and this one came slowest. "
                "Try again, or use a faster connection.",
            ),
        )
        return True

    def _hand_over(self, conn: Any, why: ApiError | None = None) -> None:
        """Give a request to a thread; `why` is told where it is unfinished."""
        self._leave(conn)
        if why:
            conn.coming.why = why
        self.enqueue_req(conn)

    def enqueue_req(self, conn: Any) -> None:
        """A request is here: a thread answers it, or it is refused at once."""
        pool = self.door.room(self.tpool, conn.coming.head)
        if pool is None:
            self._refuse(conn)
            return
        conn.since = time.monotonic()
        done = pool.submit(self.handle, conn)
        done.add_done_callback(partial(self.method_queue.defer, self.finish_request, conn))

    def _refuse(self, conn: Any) -> None:
        refusal = self.door.refusal()
        self.wsgi.extensions["hyojo-metrics"].refused(conn.coming.head, refusal)
        conn.coming.drop_body()
        self._taken.append(conn.counted)
        conn.counted = 0
        conn.sock.setblocking(False)
        with contextlib.suppress(OSError):
            # A few hundred bytes: the kernel takes them whole.
            conn.sock.send(raw_answer(refusal, conn.coming.head))
        self._linger(conn)

    def _let_go(self, conn: Any) -> None:
        """Close a connection that waits in the loop."""
        self._leave(conn)
        self._taken.append(conn.counted)
        self.nr_conns -= 1
        conn.close()

    def _leave(self, conn: Any) -> None:
        for room in (self._heads, self._bodies, self._sending, self._lingering):
            room.remove(conn)
        self.poller.unregister(conn.sock)

    def _make_place(self) -> bool:
        """Close the connection that has been idle for longest; False when there is none."""
        for room in (self._heads, self._lingering, self._sending):
            if conn := room.oldest():
                self._let_go(conn)
                return True
        if not self.keepalived_conns:
            return self._refuse_oldest_body()
        conn = self.keepalived_conns.popleft()
        self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()
        return True

    def murder_pending(self) -> None:
        """End what has waited too long: without an answer where no request was begun."""
        now = time.monotonic()
        for room in (self._heads, self._sending, self._lingering):
            for conn in room.expired(now):
                self._let_go(conn)
        for conn in self._bodies.expired(now):
            self._hand_over(
                conn,
                ApiError(
                    "body_timeout",
                    f"The body did not arrive within {self.body_s:g} s. "
                    "Send smaller images, or use a faster connection.",
                ),
            )

    def _cap_keepalive(self, deadline: float) -> None:
        """When the worker stops, connections without a request do not hold it up."""
        now = time.monotonic()
        deadline = min(deadline, now + STOP_S)
        super()._cap_keepalive(deadline)
        self._heads.close_by(deadline)
        self._lingering.close_by(deadline)
        # A body that has begun to come is a request: it is answered, late or not.
        self._sending.close_by(now + self.cfg.graceful_timeout)
        self._bodies.close_by(now + max(STOP_S, self.cfg.graceful_timeout - 2 * STOP_S))

    def finish_request(self, conn: Any, fs: Any) -> None:
        """A thread has answered: the connection waits for its next request, or closes."""
        conn.keep = not fs.cancelled() and fs.exception() is None and fs.result()
        if conn.outlet.kept:
            conn.sock.setblocking(False)
            self._sending.add(conn)
            self.poller.register(conn.sock, selectors.EVENT_WRITE, partial(self._send, conn))
            conn.counted = sum(len(part) for part in conn.outlet.kept)
            self._held += conn.counted
            self._keep_within_buffer()
        elif conn.keep and not conn.coming.held:
            super().finish_request(conn, fs)
        else:
            self._go_on(conn)

    def _send(self, conn: Any, client: Any) -> None:
        """A client that reads slowly takes more of its answer."""
        if conn not in self._sending:
            return
        try:
            conn.outlet.send_kept()
        except OSError:
            self._let_go(conn)
            return
        if not conn.outlet.kept:
            self._leave(conn)
            self._taken.append(conn.counted)
            conn.counted = 0
            self._go_on(conn)

    def _go_on(self, conn: Any) -> None:
        """An answer has been sent, whole."""
        if not conn.keep:
            self._linger(conn)
        elif conn.coming.ready:
            self.enqueue_req(conn)
        else:
            conn.sock.setblocking(False)
            self._count(conn)
            self._await(conn)

    def _linger(self, conn: Any) -> None:
        """End our side and wait a while for the other's: closing earlier may cost it the answer."""
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._drop, conn))
            self._lingering.add(conn)
        except (OSError, ValueError, KeyError):  # it has gone already
            self.nr_conns -= 1
            conn.close()

    def _drop(self, conn: Any, client: Any) -> None:
        """Read and forget what a refused request still brings."""
        if conn not in self._lingering:
            return
        came = b""
        with contextlib.suppress(OSError):
            came = client.recv(READ_BYTES)
        conn.dropped += len(came)
        if not came or conn.dropped > 2 * self.body_bytes:
            self._let_go(conn)


def _receive(client: socket.socket, coming: Arriving) -> None:
    """Take what a connection has sent, without waiting."""
    try:
        for _ in range(_READS):
            came = client.recv(READ_BYTES)
            coming.take(came)
            if coming.ready or len(came) < READ_BYTES:
                return
    except BlockingIOError:
        return
    except OSError:  # nobody is there to be answered
        coming.lose()
