"""How processes that train one network together start and find each other.

Either `python -m paddle.distributed.launch --nproc_per_node 2 train.py ...` started them all and
says so in the environment; or `train.py --processes 2` is the first and starts the others itself.
Nothing of that environment stays for a process's own children.
"""

import contextlib
import io
import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any

from models import ranks
from models.errors import HyojoError, UsageError
from models.framework import paddle

MOST = 64
_OWN = "train.py"  # PADDLE_JOB_ID of processes that the first one starts itself
_HANDED = ("PADDLE_", "FLAGS_selected_", "POD_", "COLLECTIVE_", "MASTER_ADDR", "MASTER_PORT")
_NOBODY = "python -m paddle.distributed.launch started"


@dataclass
class Crowd:
    """The processes that train together, as one of them sees it.

    Attributes:
        number: of this one.
        count: of all.
        launched: somebody else started this one.
        here: all of them are on this machine.
    """

    number: int = 0
    count: int = 1
    launched: bool = False
    here: bool = True
    _to_the_first: int = 1
    _others: list[tuple[Any, IO[bytes]]] = field(default_factory=list)

    @property
    def ours(self) -> bool:
        """Whether the first process started this one itself."""
        return self.launched and os.environ.get("PADDLE_JOB_ID") == _OWN

    def asked(self, processes: int | None, device: str) -> None:
        """Take `--processes` into account, and settle what carries the exchange.

        Raises:
            UsageError: it does not go with what is so already.
        """
        if processes is not None and not 1 <= processes <= MOST:
            raise UsageError(f"--processes must lie between 1 and {MOST}, not {processes}.")
        if self.launched and processes not in (None, self.count):
            raise UsageError(
                f"{_NOBODY} {self.count} processes already, and --processes {processes} asks for "
                "others. Leave --processes away."
            )
        if not self.launched:
            self.count = processes or 1
        if device == "cpu":
            os.environ["PADDLE_DISTRI_BACKEND"] = "gloo"
        ranks.take(self.number, self.count)

    def meet(self, command: list[str], device: str, checked: bool) -> None:
        """Start the others where that is this process's part, and wait until all have met.

        Args:
            command: that started this process, for those that it starts.
            device: that they train on.
            checked: whether options and data were found good by now. Processes that another
                started meet before that, so that none waits for one that found fault.

        Raises:
            HyojoError: one of them ended at once.
        """
        if self.launched == checked:
            return
        if self.count > 1:
            if not self.launched:
                self._start(command, device)
            elif self.ours:
                threading.Thread(target=_end_with_the_first, daemon=True).start()
                os.write(self._to_the_first, b"met\n")
            _join(self.here)
        if self.launched or self.count > 1:
            _forget()

    def leave(self) -> None:
        """End the processes that this one started; they have nothing left to do, or no purpose."""
        for process, said in self._others:
            process.terminate()
            process.wait()
            process.stdin.close()
            process.stdout.close()
            said.close()
        self._others.clear()

    def fates(self) -> str:
        """What became of those that this process started and that ended badly, for a message."""
        told = []
        for number, (process, said) in enumerate(self._others, 2):
            if process.poll():
                status = process.returncode
                how = f"signal {-status}" if status < 0 else f"status {status}"
                words = _last_words(said)
                told.append(f"Process {number} ended by {how}{': ' + words if words else '.'}")
        return " ".join(told)

    def _start(self, command: list[str], device: str) -> None:
        ends = [f"127.0.0.1:{port}" for port in _free_ports(self.count + 1)]
        shared = {
            "PADDLE_MASTER": ends.pop(), "PADDLE_TRAINERS_NUM": str(self.count),
            "PADDLE_TRAINER_ENDPOINTS": ",".join(ends), "PADDLE_NNODES": "1",
        }  # fmt: skip
        own = [
            shared | {
                "PADDLE_TRAINER_ID": str(number), "PADDLE_CURRENT_ENDPOINT": ends[number],
            } | ({"FLAGS_selected_gpus": str(number)} if device == "gpu" else {})
            for number in range(self.count)
        ]  # fmt: skip
        for given in own[1:]:
            said: IO[bytes] = tempfile.TemporaryFile()
            process = subprocess.Popen(
                command,
                env={**os.environ, **given, "PADDLE_JOB_ID": _OWN},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said,
            )  # fmt: skip
            self._others.append((process, said))
        for process, said in self._others:
            if not process.stdout.readline():
                raise HyojoError(
                    "A process that was to train beside this one ended as it started: "
                    f"{_last_words(said) or 'it said nothing'}"
                )
        os.environ.update(own[0])


def crowd() -> Crowd:
    """What the environment says of this process."""
    count = _number("PADDLE_TRAINERS_NUM", 1)
    number = _number("PADDLE_TRAINER_ID", 0)
    launched = "PADDLE_TRAINER_ID" in os.environ and "PADDLE_TRAINERS_NUM" in os.environ
    if not launched or not 0 <= number < count:
        return Crowd()
    # Standard output as it is now; train.py keeps it for the result.
    return Crowd(number, count, True, _number("PADDLE_NNODES", 1) == 1, os.dup(1))


def refuse_sweep(together: Crowd) -> None:
    """`train.py sweep` has processes of its own.

    Raises:
        UsageError: several were started for one training.
    """
    if together.count > 1:
        raise UsageError(
            "train.py sweep trains several settings side by side, each in one process, and cannot "
            "be started by paddle.distributed.launch. Run python train.py sweep; --jobs says how "
            "many trainings run at a time."
        )
    _forget()


def _number(name: str, usual: int) -> int:
    with contextlib.suppress(ValueError):
        return int(os.environ.get(name, usual))
    return usual


def _join(here: bool) -> None:
    """Meet the others at the address in the environment."""
    met = threading.Event()
    guard = threading.Thread(target=_keep_in, args=(met,), daemon=True)
    if here:
        guard.start()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            paddle.distributed.init_parallel_env()
    except (RuntimeError, ValueError) as error:
        raise HyojoError(
            f"The processes that train together did not find each other ({error}). Start them anew."
        ) from error
    finally:
        met.set()
        if here:
            guard.join()


def _keep_in(met: threading.Event) -> None:
    """Paddle listens on every address of the machine; nobody outside has any business there."""
    done = False
    while not done:
        done = met.wait(0.01)
        for listening in _listening():
            with contextlib.suppress(OSError):  # a kernel before 5.7 asks for a privilege
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo\0")


def _listening() -> Iterator[socket.socket]:
    """This process's listening TCP sockets; each may be used until the next is asked for."""
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if not stat.S_ISSOCK(os.stat(int(name)).st_mode):
                continue
            with socket.socket(fileno=os.dup(int(name))) as held:
                inet = held.family in (socket.AF_INET, socket.AF_INET6)
                if inet and held.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    yield held


def _forget() -> None:
    """What names this process's place in the crowd would mislead the processes it starts."""
    for name in [name for name in os.environ if name.startswith(_HANDED)]:
        del os.environ[name]


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in held]


def _end_with_the_first() -> None:
    sys.stdin.buffer.read()  # ends when the first process does, however it ends
    os._exit(1)


def _last_words(said: IO[bytes]) -> str:
    said.seek(0)
    lines = said.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
