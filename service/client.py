"""The gateway's end of the socket: one request out, its reply back, or an error soon.

Every thread has a socket of its own (ZeroMQ sockets are not shared), made when first needed and
again after a fork. A socket that waited in vain is thrown away, so that a late reply cannot be
taken for the next one's.
"""

from __future__ import annotations

import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import zmq

from service import protocol
from service.errors import ApiError
from service.keys import Keys
from service.protocol import (
    ClassifyReply,
    ClassifyRequest,
    ErrorReply,
    Request,
    StatusReply,
    StatusRequest,
)

_SLICE_S = 0.1
"""How often a waiting thread looks whether the worker is still connected."""
_RECONNECT_MS = 100
_CONNECT_MS = 2000
"""A host that is gone says nothing: the system would try it for two minutes, and its name's new
address not before. It is long enough for one of its tries to be lost."""
_LARGEST_REPLY = 16 << 20
"""Bytes; a worker's longest answer is far shorter."""
_MARGIN_S = 0.5
"""The worker keeps the deadline itself; the gateway waits this much longer for it to say so."""


@dataclass(frozen=True)
class Patience:
    """How long to wait for a worker that is not there, in seconds."""

    connect_s: float = 1.0
    status_s: float = 0.5


class _Line:
    """A thread's socket; it closes when its thread ends."""

    def __init__(self, sock: zmq.Socket[bytes]) -> None:
        self.socket = sock
        self.pid = os.getpid()
        self.answers = zmq.Poller()
        self.answers.register(sock, zmq.POLLIN)
        self._connect_s = -1.0

    def allow(self, connect_s: float) -> None:
        """A send waits this long for a worker that is not there, in seconds."""
        if connect_s != self._connect_s:
            self.socket.set(zmq.SNDTIMEO, int(connect_s * 1000))
            self._connect_s = connect_s

    def __del__(self) -> None:
        self.socket.close(linger=0)


class Client(ABC):
    """Asks a worker, wherever it is.

    Args:
        patience: how long to wait for one that is not there.
        on_foreign: called for each message that is not the answer asked for.
    """

    def __init__(
        self, patience: Patience | None = None, on_foreign: Callable[[], object] = lambda: None
    ) -> None:
        self._patience = patience or Patience()
        self._on_foreign = on_foreign

    def classify(
        self, request: ClassifyRequest, images: Sequence[bytes], deadline_s: float
    ) -> ClassifyReply:
        """Send images and wait for their results.

        Raises:
            ApiError: worker_unavailable, deadline_exceeded, or what the worker says.
        """
        reply = self._ask(request, images, self._patience.connect_s, deadline_s + _MARGIN_S)
        if not isinstance(reply, ClassifyReply) or len(reply.results) != len(images):
            raise self._foreign()
        return reply

    def status(self, request_id: str) -> StatusReply:
        """How the worker is; answers or fails well within a second.

        Raises:
            ApiError: worker_unavailable.
        """
        wait = self._patience.status_s
        try:
            reply = self._ask(StatusRequest(id=request_id), (), wait, wait)
        except ApiError as error:
            if error.code == "deadline_exceeded":
                raise ApiError(
                    "worker_unavailable",
                    f"The worker is connected but did not answer within {wait:g} s. Try again.",
                ) from None
            raise
        if not isinstance(reply, StatusReply):
            raise self._foreign()
        return reply

    @abstractmethod
    def _exchange(
        self, request: Request, images: Sequence[bytes], connect_s: float, answer_s: float
    ) -> bytes:
        """Send a request and its images; returns the first frame of what comes back.

        Raises:
            ApiError: worker_unavailable, deadline_exceeded.
        """

    @abstractmethod
    def _drop(self) -> None:
        """What came is not the answer: nothing more is to be taken from there."""

    def _ask(
        self, request: Request, images: Sequence[bytes], connect_s: float, answer_s: float
    ) -> ClassifyReply | StatusReply:
        try:
            reply = protocol.decode_reply(self._exchange(request, images, connect_s, answer_s))
        except protocol.UnreadableError as error:
            self._drop()
            raise self._foreign() from error
        if reply.id != request.id:
            self._drop()
            raise self._foreign()
        if isinstance(reply, ErrorReply):
            raise ApiError(reply.code, reply.detail, reply.retry_after_s)
        return reply

    def _foreign(self) -> ApiError:
        self._on_foreign()
        return ApiError(
            "worker_unavailable",
            "The worker sent something that is not the answer. Try again; if this lasts, see that "
            "gateway and worker are of the same version.",
        )


class WorkerClient(Client):
    """Asks the worker behind a ZeroMQ socket.

    Args:
        endpoint: ZeroMQ address the worker is bound to.
        patience: how long to wait for one that is not there.
        keys: the gateway's, for an endpoint over TCP.
        on_foreign: called for each message that is not the answer asked for.
    """

    def __init__(
        self,
        endpoint: str,
        patience: Patience | None = None,
        keys: Keys | None = None,
        on_foreign: Callable[[], object] = lambda: None,
    ) -> None:
        super().__init__(patience, on_foreign)
        self._endpoint = endpoint
        self._keys = keys
        self._lock = threading.Lock()
        self._pid = 0
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._local = threading.local()

    def close(self) -> None:
        """Close all threads' sockets; for when nobody asks any more."""
        with self._lock:
            if self._context is not None and self._pid == os.getpid():
                self._context.destroy(linger=0)
            self._context = None
        self._local = threading.local()

    def exchange(self, frames: Sequence[bytes], connect_s: float, answer_s: float) -> bytes:
        """Send a message's frames as they are; returns the first frame of the reply.

        Args:
            frames: the request and its images.
            connect_s: how long to wait for a worker that is not there.
            answer_s: how long to wait for its answer.

        Raises:
            ApiError: worker_unavailable, deadline_exceeded.
        """
        line = self._line()
        line.allow(connect_s)
        try:
            line.socket.send_multipart(frames)
        except zmq.Again:
            raise self._absent() from None
        try:
            return self._receive(line, answer_s)
        except ApiError:
            self._drop()
            raise

    def _exchange(
        self, request: Request, images: Sequence[bytes], connect_s: float, answer_s: float
    ) -> bytes:
        return self.exchange([protocol.encode(request), *images], connect_s, answer_s)

    def _receive(self, line: _Line, answer_s: float) -> bytes:
        ends = time.monotonic() + answer_s
        while (left := ends - time.monotonic()) > 0:
            if line.answers.poll(int(min(left, _SLICE_S) * 1000) + 1):
                return line.socket.recv_multipart()[0]
            # With IMMEDIATE a socket is writable only while it is connected.
            if not line.socket.poll(0, zmq.POLLOUT):
                raise ApiError(
                    "worker_unavailable",
                    "The worker went away while it held this request. Try again.",
                )
        raise ApiError(
            "deadline_exceeded",
            f"The worker did not answer within {answer_s:g} s. Try again, or send fewer images.",
        )

    def _line(self) -> _Line:
        """This thread's socket, connected or still connecting."""
        line: _Line | None = getattr(self._local, "line", None)
        if line is None or line.pid != os.getpid():
            sock = self._context_of_process().socket(zmq.DEALER)
            sock.set(zmq.LINGER, 0)
            # Nothing is queued for a worker that is not there: a send waits, then fails.
            sock.set(zmq.IMMEDIATE, 1)
            sock.set(zmq.RECONNECT_IVL, _RECONNECT_MS)
            sock.set(zmq.CONNECT_TIMEOUT, _CONNECT_MS)
            sock.set(zmq.MAXMSGSIZE, _LARGEST_REPLY)
            if self._keys is not None:
                self._keys.as_client(sock)
            sock.connect(self._endpoint)
            line = self._local.line = _Line(sock)
        return line

    def _context_of_process(self) -> zmq.Context[zmq.Socket[bytes]]:
        with self._lock:
            if self._context is None or self._pid != os.getpid():
                # A context does not survive a fork: its input thread is gone in the child.
                self._context, self._pid = zmq.Context(), os.getpid()
            return self._context

    def _drop(self) -> None:
        line: _Line | None = getattr(self._local, "line", None)
        if line is not None:
            line.socket.close(linger=0)  # at once: an exception on its way up still refers to it
        self._local.line = None

    def _absent(self) -> ApiError:
        return ApiError(
            "worker_unavailable",
            "No worker is connected: it is not running, or still starting. Try again shortly; "
            "if this lasts, start `python infer.py` with the same HYOJO_WORKER as the gateway.",
        )
