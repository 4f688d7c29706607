"""What the gateway does when more is asked of it than it has threads for.

A bounded number of requests waits for a thread, and only while the wait is short. What comes on top
is refused in the loop that watches the connections, before its body is read: that costs a thirtieth
of an answer, so that the service goes on at full speed. Who asks how the service is gets a thread
of its own meanwhile.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import structlog

from service.errors import ApiError
from service.probes import PROBES

LONGEST_WAIT_S = 0.5
"""Once requests wait for longer, no more may join them until fewer wait: a queue that takes ten
seconds to empty helps nobody, however short it looks."""
_SPARE_THREADS = 2
_SPARE_NAME = "how-it-is"
_ASK_HOW_IT_IS = tuple(f"GET {path} ".encode() for path in sorted(PROBES))
_LOG_EVERY_S = 1.0
_log = structlog.get_logger()


class Doorkeeper:
    """Decides where a request is answered, and what those are told that are not. A loop owns it.

    Args:
        waiting: requests that may wait for a thread.
    """

    def __init__(self, waiting: int) -> None:
        self._limit = waiting
        self._spare = ThreadPoolExecutor(_SPARE_THREADS, _SPARE_NAME)
        self._waited_s = 0.0
        self._refused = 0
        self._said = 0.0

    def taken(self, waited_s: float) -> None:
        """A thread has taken a request that waited so long. Any thread may call it."""
        self._waited_s = waited_s

    def room(self, pool: ThreadPoolExecutor, head: bytes) -> ThreadPoolExecutor | None:
        """The threads that are to answer a request; None when there is no room for it.

        Args:
            pool: the threads for everything.
            head: of the request.
        """
        if head.startswith(_ASK_HOW_IT_IS) and not self._spare._work_queue.qsize():
            return self._spare  # also where nothing waits: all threads may be held up
        waiting = pool._work_queue.qsize()
        if not waiting:
            self._waited_s = 0.0  # else the last of an overload would be held against the next two
        return pool if waiting < self._limit and self._waited_s < LONGEST_WAIT_S else None

    def wanted(self, pool: ThreadPoolExecutor) -> bool:
        """Whether a request waits for a thread of `pool`, or of the spare ones."""
        return bool(pool._work_queue.qsize() or self._spare._work_queue.qsize())

    def is_spare(self) -> bool:
        """Whether this thread is one of those for who asks how the service is."""
        return threading.current_thread().name.startswith(_SPARE_NAME)

    def refusal(self) -> ApiError:
        """What a request is told that finds no room."""
        self._refused += 1
        now = time.monotonic()
        if now - self._said >= _LOG_EVERY_S:
            _log.warning("requests refused: overloaded", refused=self._refused)
            self._refused, self._said = 0, now
        return ApiError(
            "overloaded",
            "As many requests are waiting as can be answered soon. Try again in a moment.",
        )
