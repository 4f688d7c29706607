"""The worker's end of the socket: bound by one worker, in a folder that is its user's alone."""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import zmq


class EndpointError(Exception):
    """The socket cannot be had; the message says why and what to do."""


@dataclass
class Endpoint:
    """A bound ROUTER socket; `close` gives it back."""

    address: str
    socket: "zmq.Socket[bytes]"
    _lock: IO[Any] | None = None

    def close(self) -> None:
        """Send what is still to be sent (two seconds at most), unbind, free the lock."""
        self.socket.close(linger=2000)
        if self._lock is not None:
            Path(self.address.removeprefix("ipc://")).unlink(missing_ok=True)
            self._lock.close()


def bind(context: "zmq.Context[zmq.Socket[bytes]]", address: str) -> Endpoint:
    """Bind the worker's socket.

    Args:
        context: of ZeroMQ.
        address: `ipc://PATH` or `tcp://HOST:PORT`.

    Raises:
        EndpointError: another worker has it, or the folder cannot be used.
    """
    lock = _lock(Path(address.removeprefix("ipc://"))) if address.startswith("ipc://") else None
    socket = context.socket(zmq.ROUTER)
    socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
    socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
    socket.setsockopt(zmq.MAXMSGSIZE, 1 << 30)
    mask = os.umask(0o077)  # the socket file: its user's alone
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        socket.close()
        if error.errno == zmq.EADDRINUSE:
            raise _taken(address) from None
        raise EndpointError(
            f"The worker cannot listen on {address}: {error.strerror}. Set HYOJO_WORKER to an "
            "address of this machine that is free."
        ) from None
    finally:
        os.umask(mask)
    return Endpoint(address, socket, lock)


def _lock(path: Path) -> IO[Any]:
    """Hold the file beside the socket: ZeroMQ would silently take a live worker's socket away."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = path.parent.stat().st_uid
        if owner not in (os.getuid(), 0):
            raise EndpointError(
                f"The folder {path.parent} belongs to another user (uid {owner}). Set HYOJO_WORKER "
                "to a path in a folder of your own."
            )
        lock = Path(f"{path}.lock").open("w")  # held as long as the socket
    except OSError as error:
        raise EndpointError(
            f"The worker's socket cannot be made at {path}: {error.strerror}. Set HYOJO_WORKER to "
            "a path in a folder that you may write."
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise _taken(f"ipc://{path}") from None
    return lock


def _taken(address: str) -> EndpointError:
    return EndpointError(
        f"Another worker is already listening on {address}. Use it, stop it, or set HYOJO_WORKER "
        "to another address."
    )
