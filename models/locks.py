"""One process at a time at a place; the kernel lets go of a lock however its process ends."""

import errno
import fcntl
import os
import weakref
from pathlib import Path

from models.errors import UsageError


class Lock:
    """Held as long as somebody holds this object; several in one process share it."""

    def __init__(self, file: Path, told: str) -> None:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
        weakref.finalize(self, os.close, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno == errno.EWOULDBLOCK:
                raise UsageError(told) from None
            # Else a file system that knows no locks: rather a training without one than none.


_held: "weakref.WeakValueDictionary[Path, Lock]" = weakref.WeakValueDictionary()


def hold(file: Path, told: str) -> Lock:
    """Take the lock `file`, which stays where it is, and is made if missing.

    Args:
        file: in a folder that is there.
        told: what to say where another process holds it.

    Raises:
        UsageError: `told`.
    """
    place = file.resolve()
    lock = _held.get(place)
    if lock is None:
        lock = _held[place] = Lock(place, told)
    return lock
