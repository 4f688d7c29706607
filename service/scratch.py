"""Private folders for sockets and shared counts: made where it can be done, swept when left behind.

Whoever made one removes it. Who was killed cannot, so each folder holds a lock as long as its owner
lives, and the next start sweeps those that nobody holds.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

MEMORY = Path("/dev/shm")
_PREFIX = "hyojo-"
_LOCK = ".lock"


class ScratchError(Exception):
    """No folder can be made; the message says where it was tried and what to do."""


@dataclass
class Scratch:
    """A folder with mode 0700 that is its owner's alone."""

    path: Path
    _lock: IO[Any]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def temporary_folder() -> Path:
    """Where temporary files go: the first usual place that may be written, full or not.

    Unlike Python's own rule it does not depend on how full a disk is just now, so that two
    processes come to the same answer.
    """
    usual = [Path(os.environ.get("TMPDIR") or "/tmp"), Path("/tmp"), Path("/var/tmp"), MEMORY]
    return next((place for place in usual if _writable(place)), usual[0])


def places() -> list[Path]:
    """Where small things go, the best first: sockets, locks and links."""
    return [temporary_folder(), MEMORY]


def make(purpose: str, among: Sequence[Path], bytes_free: int = 0) -> Scratch:
    """Make a folder in the first place where it can be done; sweep what killed processes left.

    Args:
        purpose: a word for its name.
        among: places, to be tried in order.
        bytes_free: those with less are tried last.

    Raises:
        ScratchError: nowhere.
    """
    roomy = [place for place in among if _writable(place) and _free(place) >= bytes_free]
    why = "no place is left"
    for place in dict.fromkeys([*roomy, *among]):
        _sweep(place, purpose)
        try:
            return _locked(
                Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{purpose}-{os.getpid()}-", dir=place))
            )
        except OSError as error:
            why = f"{place}: {error.strerror}"
    raise ScratchError(
        f"No folder for temporary files can be made in {' or '.join(map(str, among))} ({why}). "
        "Free some space there, or set TMPDIR to a folder that you may write."
    )


def _locked(folder: Path) -> Scratch:
    begun = folder / f"{_LOCK}-begun"
    lock = begun.open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    begun.rename(folder / _LOCK)  # who sweeps never sees it without its owner
    return Scratch(folder, lock)


def _sweep(place: Path, purpose: str) -> None:
    for left in place.glob(f"{_PREFIX}{purpose}-*/{_LOCK}"):
        try:
            with left.open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left.parent, ignore_errors=True)
        except OSError:  # its owner lives, or is another user
            continue


def _writable(place: Path) -> bool:
    return place.is_dir() and os.access(place, os.W_OK | os.X_OK)


def _free(place: Path) -> int:
    told = os.statvfs(place)
    return told.f_bavail * told.f_frsize
