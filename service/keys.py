"""Keys for a worker on another machine: over TCP, gateway and worker prove themselves by CURVE.

    $ python -m service.keys make /etc/hyojo
    /etc/hyojo/worker.keys   for the worker:   HYOJO_WORKER_KEYS=/etc/hyojo/worker.keys
    /etc/hyojo/gateway.keys  for each gateway: HYOJO_WORKER_KEYS=/etc/hyojo/gateway.keys

Everything on the wire is then encrypted, the gateway talks to this worker alone, and the worker
takes no connection without a key that it knows. New files are new keys: give both sides theirs.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import zmq

from service.errors import SettingsError

Key = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}$")]
"""32 bytes in Z85."""


class Keys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one side holds.

    Attributes:
        role: whose file it is.
        public: its own key.
        secret: its own.
        worker: the worker's public key.
        gateways: public keys that the worker takes; empty in a gateway's file.
    """

    role: Literal["worker", "gateway"]
    public: Key
    secret: Key
    worker: Key
    gateways: tuple[Key, ...] = ()

    def __repr__(self) -> str:
        return f"Keys(role={self.role!r}, public={self.public!r})"

    @property
    def known(self) -> frozenset[bytes]:
        """Public keys that the worker takes; its own too, for its health check."""
        return frozenset(key.encode() for key in (*self.gateways, self.public))

    def as_client(self, socket: zmq.Socket[bytes]) -> None:
        """Make a socket, before it connects, speak as this side to the worker alone."""
        socket.curve_serverkey = self.worker.encode()
        socket.curve_publickey = self.public.encode()
        socket.curve_secretkey = self.secret.encode()

    def as_server(self, socket: zmq.Socket[bytes], domain: str) -> None:
        """Make the worker's socket, before it binds, take nobody without a key.

        Args:
            socket: not bound yet.
            domain: under which its context's authenticator knows whom to take.
        """
        socket.curve_server = True
        socket.curve_secretkey = self.secret.encode()
        socket.zap_domain = domain.encode()


def for_endpoint(address: str, file: str) -> Keys | None:
    """The keys of this side; None where the endpoint is a Unix socket and needs none.

    Args:
        address: ZeroMQ endpoint.
        file: as HYOJO_WORKER_KEYS names it.

    Raises:
        SettingsError: a `tcp://` endpoint without keys that can be used; says why.
    """
    if not address.startswith("tcp://"):
        return None
    if not file:
        raise SettingsError(
            f"HYOJO_WORKER is {address} but HYOJO_WORKER_KEYS is not set: over TCP anyone could "
            "speak to the worker. Make keys with: python -m service.keys make FOLDER"
        )
    return load(Path(file))


def load(path: Path) -> Keys:
    """Read one side's file.

    Raises:
        SettingsError: it is not there, others may write it, or it is no such file.
    """
    try:
        if path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise SettingsError(
                f"The keys in {path} can be changed by others. Run: chmod 600 {path}"
            )
        keys = msgspec.json.decode(path.read_bytes(), type=Keys)
    except OSError as error:
        raise SettingsError(
            f"The keys cannot be read from {path}: {error.strerror}. Set HYOJO_WORKER_KEYS to a "
            "file that `python -m service.keys make FOLDER` wrote."
        ) from None
    except ValueError:  # of msgspec and of UTF-8, too; with no word of what stands in the file
        raise SettingsError(
            f"{path} is no file of keys. Make new ones with: python -m service.keys make FOLDER"
        ) from None
    return keys


def make(folder: Path) -> tuple[Path, Path]:
    """Write new keys for a worker and its gateways; returns the two files.

    Raises:
        SettingsError: they are there already, or the folder cannot be written.
    """
    (worker, worker_secret), (gateway, gateway_secret) = _pair(), _pair()
    files = {
        folder / "worker.keys": Keys("worker", worker, worker_secret, worker, (gateway,)),
        folder / "gateway.keys": Keys("gateway", gateway, gateway_secret, worker),
    }
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path, keys in files.items():
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
                out.write(msgspec.json.format(msgspec.json.encode(keys)) + b"\n")
    except FileExistsError as error:
        raise SettingsError(
            f"{error.filename} is there already and is kept. Remove it first, or name another "
            "folder."
        ) from None
    except OSError as error:
        raise SettingsError(f"The keys cannot be written to {folder}: {error.strerror}.") from None
    first, second = files
    return first, second


def _pair() -> tuple[str, str]:
    public, secret = zmq.curve_keypair()
    return public.decode(), secret.decode()


def main(arguments: list[str]) -> int:
    """Make keys, say where they are; returns the exit status."""
    if arguments in (["-h"], ["--help"]):
        print((__doc__ or "").strip())
        return 0
    if len(arguments) != 2 or arguments[0] != "make":
        print("Usage: python -m service.keys make FOLDER", file=sys.stderr)
        return 2
    try:
        worker, gateway = make(Path(arguments[1]))
    except SettingsError as error:
        print(f"python -m service.keys: {error}", file=sys.stderr)
        return 2
    print(f"{worker}   for the worker:   HYOJO_WORKER_KEYS={worker}")
    print(f"{gateway}  for each gateway: HYOJO_WORKER_KEYS={gateway}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
