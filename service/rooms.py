"""Where connections wait: each room has one patience, so who came first is the first to leave."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar


class Waiting(Protocol):
    """What can wait in a room."""

    timeout: float


T = TypeVar("T", bound=Waiting)


class Room(Generic[T]):
    """Connections in the order of their arrival.

    Args:
        patience_s: seconds that each may stay.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._inside: dict[T, None] = {}

    def __contains__(self, conn: T) -> bool:
        return conn in self._inside

    def add(self, conn: T) -> None:
        """Let one in; its time begins."""
        conn.timeout = time.monotonic() + self._patience_s
        self._inside[conn] = None

    def remove(self, conn: T) -> None:
        """Let one out, if it is inside."""
        self._inside.pop(conn, None)

    def oldest(self) -> T | None:
        """Who has waited for longest."""
        return next(iter(self._inside), None)

    def expired(self, now: float) -> Iterator[T]:
        """Those whose time is over; each must be removed before the next is asked for."""
        while (conn := self.oldest()) and conn.timeout <= now:
            yield conn

    def close_by(self, moment: float) -> None:
        """Nobody stays beyond a moment, in seconds of `time.monotonic()`."""
        for conn in self._inside:
            conn.timeout = min(conn.timeout, moment)
