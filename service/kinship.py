"""A child process does not outlive its parent, whatever the parent died of."""

import ctypes

_PR_SET_PDEATHSIG = 1  # prctl(2)
_libc = ctypes.CDLL(None, use_errno=True)  # loaded before any fork, so that a child only calls


def end_with_parent(number: int) -> None:
    """Ask the kernel to send this process signal `number` when its parent ends (Linux)."""
    _libc.prctl(_PR_SET_PDEATHSIG, number)
