"""Where predictors come from: a process that has their libraries loaded, and forks.

Loading Paddle, OpenCV and NumPy takes a second of processor time; a predictor that is forked off
after that is warm in a third of one, and shares their memory with the others. The nursery itself
never opens a bundle or a network and starts no thread: nothing that a fork would break. What it
forks is handed to the worker as its own child (a subreaper; prctl(2)), which sees it end.
"""

import argparse
import contextlib
import gc
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from service import mapped_files
from service.kinship import adopt_orphans, end_with_parent, environment
from service.wire import Wire, receive_with_file, send_with_file

NURSERY, PREDICTOR = "nursery", "predictor"
"""As `ps -o comm` shows them."""
_MOST_BYTES = 64 * 1024
_ADOPTION_S = 5.0


class Wanted(msgspec.Struct, frozen=True):
    """A predictor to be born.

    Attributes:
        name: its own, unlike any other's.
        options: its command line's.
        bare: it reads nothing from the files that the nursery inherited.
    """

    name: str
    options: list[str]
    bare: bool = False


class Born(msgspec.Struct, frozen=True):
    """A predictor that has been."""

    name: str
    pid: int


class Child:
    """A process that became our child; what `subprocess.Popen` is for those we start ourselves.

    Args:
        pid: its process id.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._status: int | None = None

    def poll(self) -> int | None:
        """Its exit status, a signal's number negative; None while it lives."""
        return self._wait(os.WNOHANG)

    def wait(self) -> int | None:
        """Wait for its end; returns its exit status."""
        return self._wait(0)

    def kill(self) -> None:
        """End it at once."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def _wait(self, how: int) -> int | None:
        if self._status is None:
            try:
                pid, status = os.waitpid(self.pid, how)
            except ChildProcessError:  # somebody else has seen its end
                self._status = -signal.SIGKILL
            else:
                self._status = os.waitstatus_to_exitcode(status) if pid else None
        return self._status


class Nursery:
    """The worker's side. It starts the process when first asked, and again if it ended.

    Args:
        inherit: open files that predictors read their bundles from.
    """

    def __init__(self, inherit: Sequence[int] = ()) -> None:
        self._inherit = inherit
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._here: dict[str, Child] = {}

    def ask(self, wanted: Wanted, wire: Wire) -> None:
        """Ask for a predictor; `born` tells when it is there. It may never be.

        Args:
            wanted: what it shall be.
            wire: its end of the line; it gets a copy. The other end ends where it is not born.

        Raises:
            OSError: it takes no more wishes now.
        """
        if not self.alive:
            self._start()
        assert self._line is not None
        with contextlib.suppress(ConnectionError):  # it is ending: the wire's end tells
            asked = msgspec.json.encode(wanted)
            send_with_file(self._line, asked, wire.fileno(), socket.MSG_DONTWAIT)

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.poll() is None

    def born(self, prefix: str) -> dict[str, Child]:
        """Those that have come since the last look, by name, whose names begin so."""
        self._hear()
        found = {name: child for name, child in self._here.items() if name.startswith(prefix)}
        for name in found:
            del self._here[name]
        return found

    def _hear(self) -> None:
        while self._line is not None:
            try:
                data = self._line.recv(_MOST_BYTES, socket.MSG_DONTWAIT)
            except OSError:
                break
            if not data:
                break
            one = msgspec.json.decode(data, type=Born)
            self._here[one.name] = Child(one.pid)

    def close(self) -> None:
        """End its process. `born` still tells of those that came before; none comes any more."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._line is not None:
            self._line.shutdown(socket.SHUT_RDWR)  # who is being born now cannot say so, and ends
            self._hear()
            self._line.close()
            self._line = None

    def _start(self) -> None:
        self.close()
        adopt_orphans()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        numbers = [os.getpid(), theirs.fileno(), *self._inherit]
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "service.nursery", *map(str, numbers)],
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=2,  # what a library prints must not stand among the answers
                process_group=0,  # Ctrl-C is for the parent, which ends its processes itself
                pass_fds=numbers[1:],
            )
        self._line = ours


def main(argv: list[str] | None = None) -> int:
    """Load the libraries, then fork whatever is asked for until the worker is gone."""
    parser = argparse.ArgumentParser(description="Forks predictors; the pool starts it.")
    parser.add_argument("parent", type=int, help="process id to end with")
    parser.add_argument("line", type=int, help="open socket that children are asked for on")
    parser.add_argument("files", type=int, nargs="*", help="open files for children to read")
    options = parser.parse_args(argv)
    end_with_parent(signal.SIGKILL)
    if os.getppid() != options.parent:  # it ended before we asked
        return 1
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text(NURSERY)
    life = _prepared()
    with socket.socket(fileno=options.line) as line:
        while True:
            data, end_number = receive_with_file(line, _MOST_BYTES)
            if end_number is None:
                return 0
            wanted = msgspec.json.decode(data, type=Wanted)
            with socket.socket(fileno=end_number) as end:
                _bear(wanted, Wire(end), line, options.parent, life, options.files)


def _prepared() -> Callable[[Wire, list[str]], int]:
    """Load what predictors need; returns what one of them does with its options."""
    from service import predictor_process

    with contextlib.suppress(Exception):  # whatever is wrong, a predictor finds it and tells it
        predictor_process.preload()
    gc.collect()
    gc.freeze()  # a collection in a child would touch, and so copy, what it shares
    mapped_files.release()
    return predictor_process.main


def _bear(
    wanted: Wanted,
    wire: Wire,
    line: socket.socket,
    parent: int,
    life: Callable[[Wire, list[str]], int],
    files: Sequence[int],
) -> None:
    """Fork twice: the one in between ends at once, and the worker becomes the second's parent."""
    between = os.fork()
    if between:
        os.waitpid(between, 0)
        return
    if os.fork():
        os._exit(0)
    status = 1
    try:
        ends = time.monotonic() + _ADOPTION_S
        while os.getppid() != parent and time.monotonic() < ends:
            time.sleep(0.001)
        line.send(msgspec.json.encode(Born(wanted.name, os.getpid())))
        line.close()
        for number in files if wanted.bare else ():  # it must not hold their memory
            os.close(number)
        with contextlib.suppress(OSError):
            Path("/proc/self/comm").write_text(PREDICTOR)
        status = life(wire, wanted.options)
    except BrokenPipeError:  # nobody waits for it any more
        status = 1
    except Exception:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    sys.exit(main())
