"""SIGHUP means two things: read the models again, or the terminal has been closed."""

import os
import signal
from collections.abc import Callable


def on_hangup(reload: Callable[[], object], end: Callable[[], object]) -> None:
    """Install a handler that tells the two apart.

    Args:
        reload: called where somebody sent the signal.
        end: called where the terminal is gone that this process was started from. Started with
            nohup it is never called.
    """
    attached = _has_terminal() and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN

    def handle(_number: int, _frame: object) -> None:
        if attached and not _has_terminal():
            end()
        else:
            reload()

    signal.signal(signal.SIGHUP, handle)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
