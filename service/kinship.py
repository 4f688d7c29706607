"""Whose child a process is; and that it does not outlive its parent, whatever that died of."""

import ctypes
import os
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # prctl(2)
PROJECT = Path(__file__).resolve().parent.parent
_libc = ctypes.CDLL(None, use_errno=True)  # loaded before any fork, so that a child only calls


def end_with_parent(number: int) -> None:
    """Ask the kernel to send this process signal `number` when its parent ends (Linux)."""
    _libc.prctl(_PR_SET_PDEATHSIG, number)


def adopt_orphans(yes: bool = True) -> None:
    """Become the parent of descendants whose own parent ends, in place of the system's first
    process; or no longer.

    Affects the whole process, and all that it starts.
    """
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, int(yes))


def environment() -> dict[str, str]:
    """For a child that runs a module of this project, whatever folder it is started in."""
    path = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path}
