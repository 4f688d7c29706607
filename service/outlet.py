"""The way out of a connection: what the system does not take at once is kept for the loop."""

from __future__ import annotations

import socket
from collections import deque
from typing import Any


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
        """Send what the system takes, and keep the rest.

        Raises:
            OSError: the client has gone.
        """
        sent = 0
        if not self.kept:
            try:
                sent = self._sock.send(data)
            except BlockingIOError:
                pass
        if sent < len(data):
            self.kept.append(memoryview(data)[sent:])

    def send_kept(self) -> None:
        """Send what the system takes now.

        Raises:
            OSError: the client has gone.
        """
        while self.kept:
            try:
                sent = self._sock.send(self.kept[0])
            except BlockingIOError:
                return
            if sent < len(self.kept[0]):
                self.kept[0] = self.kept[0][sent:]
                return
            self.kept.popleft()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)
