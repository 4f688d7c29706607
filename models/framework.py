"""All of Paddle, imported once and quietly, with the environment it needs set first.

Every module that trains does `from models.framework import paddle`; one that only answers takes
`models.native`.
"""

import logging
import signal
import sys
import warnings
from types import FrameType
from typing import Any

from models import native

# What `import paddle` replaces with handlers that print a stack and abort.
_TAKEN = ("SIGTERM", "SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGINT")


def _import_quietly() -> Any:
    handlers: dict[str, Any] = {name: signal.getsignal(getattr(signal, name)) for name in _TAKEN}
    root = logging.getLogger()
    before = list(root.handlers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import paddle
    paddle.device.set_device("cpu")  # a build for graphics cards would take one unasked
    # Said once a batch norm and process, of no use to anyone.
    warnings.filterwarnings("ignore", message="When training, we now always track global mean")
    for handler in [handler for handler in root.handlers if handler not in before]:
        root.removeHandler(handler)
    for name, taken in handlers.items():
        _restore(getattr(signal, name), taken)
    return paddle


def _restore(number: int, handler: Any) -> None:
    """Python keeps its own table; setting a handler again puts it back into the system's."""
    try:
        signal.signal(number, handler if handler is not None else signal.SIG_DFL)
    except ValueError:  # not the main thread: handlers cannot be set from here
        return


class Interrupted(Exception):  # noqa: N818 - a wish, not an error
    """The person asked for the end (Ctrl-C or a TERM signal)."""


def interrupt_on_signals() -> None:
    """Let Ctrl-C and TERM raise `Interrupted` once; a second Ctrl-C ends the process at once.

    A second TERM does not: some send it several times, and the best so far is being kept.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Interrupted("Interrupted before training began; nothing was written.")

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)


def follow() -> None:
    """In a process that trains beside a first one: that one decides what Ctrl-C means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


assert native  # imported first: it sets the environment that Paddle reads
paddle = sys.modules.get("paddle") or _import_quietly()
