"""The way out of a connection: what the system does not take at once is kept for the loop."""

from __future__ import annotations

import socket
from collections import deque
from itertools import islice
from typing import Any

_PARTS = 64
"""Given to the system at once; it takes 1,024 at most."""


class Outlet:
    """A socket whose sends never wait.

    Args:
        sock: the connection, non-blocking while this is used.

    Attributes:
        kept: what has not been sent, in order.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.kept: deque[memoryview] = deque()

    def sendall(self, data: bytes) -> None:
        """Keep it: an answer's head and body leave together, as one write and one packet."""
        self.kept.append(memoryview(data))

    def send_kept(self) -> None:
        """Send what the system takes now.

        Raises:
            OSError: the client has gone.
        """
        while self.kept:
            try:
                sent = self._sock.sendmsg(islice(self.kept, _PARTS))
            except BlockingIOError:
                return
            while self.kept and sent >= len(self.kept[0]):
                sent -= len(self.kept.popleft())
            if sent:
                self.kept[0] = self.kept[0][sent:]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)
