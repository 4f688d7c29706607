"""The worker's end of the socket: bound by one worker, open to its user alone or to known keys."""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import zmq
from zmq.utils.monitor import recv_monitor_message

from service.keys import Keys

_DOMAIN = "hyojo"
_LARGEST_FRAME = 1 << 30
_FAILED = (
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)
"""A connection that is no ZeroMQ, or has no key, or not the right one."""


class EndpointError(Exception):
    """The socket cannot be had; the message says why and what to do."""


@dataclass
class Endpoint:
    """A bound ROUTER socket; `close` gives it back."""

    address: str
    socket: "zmq.Socket[bytes]"
    _monitor: "zmq.Socket[bytes]"
    _lock: IO[Any] | None = None
    _doorkeeper: Any = None

    def strangers(self) -> int:
        """How many connections were refused before a message since the last call."""
        refused = 0
        while self._monitor.poll(0):
            recv_monitor_message(self._monitor)
            refused += 1
        return refused

    def close(self) -> None:
        """Send what is still to be sent (two seconds at most), unbind, free the lock."""
        self.socket.disable_monitor()
        self._monitor.close()
        self.socket.close(linger=2000)
        if self._doorkeeper is not None:
            self._doorkeeper.stop()
        if self._lock is not None:
            Path(self.address.removeprefix("ipc://")).unlink(missing_ok=True)
            self._lock.close()


def bind(
    context: "zmq.Context[zmq.Socket[bytes]]", address: str, keys: Keys | None = None
) -> Endpoint:
    """Bind the worker's socket.

    Args:
        context: of ZeroMQ.
        address: `ipc://PATH` or `tcp://HOST:PORT`.
        keys: the worker's; without them only a Unix socket is bound.

    Raises:
        EndpointError: another worker has it, the folder cannot be used, or the keys are not the
            worker's.
    """
    if keys is None and not address.startswith("ipc://"):
        raise EndpointError(f"The worker does not listen on {address} without keys.")
    if keys is not None and keys.role != "worker":
        raise EndpointError(
            "HYOJO_WORKER_KEYS names a gateway's keys, and this is the worker. Give it the file "
            "worker.keys that was made with them."
        )
    lock = _lock(Path(address.removeprefix("ipc://"))) if address.startswith("ipc://") else None
    socket = context.socket(zmq.ROUTER)
    socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
    socket.setsockopt(zmq.MAXMSGSIZE, _LARGEST_FRAME)
    doorkeeper = None
    if keys is not None:
        keys.as_server(socket, _DOMAIN)
        doorkeeper = _doorkeeper(context, keys.known)
    monitor = socket.get_monitor_socket(_FAILED)
    mask = os.umask(0o177)  # the socket file: its user's alone, mode 0600
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        Endpoint(address, socket, monitor, None, doorkeeper).close()
        if error.errno == zmq.EADDRINUSE:
            raise _taken(address) from None
        raise EndpointError(
            f"The worker cannot listen on {address}: {error.strerror}. Set HYOJO_WORKER to an "
            "address of this machine that is free."
        ) from None
    finally:
        os.umask(mask)
    return Endpoint(address, socket, monitor, lock, doorkeeper)


def _doorkeeper(context: "zmq.Context[zmq.Socket[bytes]]", known: frozenset[bytes]) -> Any:
    """A thread that ZeroMQ asks about each key before a connection may send anything."""
    from zmq.auth.thread import ThreadAuthenticator  # brings asyncio: only where it is needed

    doorkeeper = ThreadAuthenticator(context)
    doorkeeper.start()
    doorkeeper.configure_curve_callback(_DOMAIN, credentials_provider=_Known(known))
    return doorkeeper


class _Known:
    """Says which keys are taken, to ZeroMQ's authenticator."""

    def __init__(self, keys: frozenset[bytes]) -> None:
        self._keys = keys

    def callback(self, domain: str, key: bytes) -> bool:
        """Whether a client with this public key may connect."""
        return key in self._keys


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
