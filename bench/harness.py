"""What every measurement needs: the service started and stopped, processor time, memory, the
machine."""

import http.client
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from service.nursery import NURSERY, PREDICTOR

PROJECT = Path(__file__).resolve().parent.parent
PATIENCE_S = 60.0
_TICKS = os.sysconf("SC_CLK_TCK")
_ROLES = (
    ("gunicorn", "gateway"),
    ("infer.py", "worker"),
    ("-m\0service", "supervisor"),
)


class BenchError(Exception):
    """Something cannot be measured; the sentence says why."""


@dataclass(frozen=True)
class Served:
    """Something that answers HTTP on this machine.

    Attributes:
        pid: of the process that started all the others.
        port: on 127.0.0.1.
        path: that takes an image as the body of a POST.
        answers_s: seconds from the start until /livez answered (the service alone).
        ready_s: seconds until it was ready.
    """

    pid: int
    port: int
    path: str
    answers_s: float
    ready_s: float


@contextmanager
def service(settings: Mapping[str, str] | None = None, log: Path | None = None) -> Iterator[Served]:
    """`python -m service` on a free port, ready; ended with all its processes afterwards.

    Args:
        settings: HYOJO_* beside the defaults.
        log: file for what it logs; nowhere without one.

    Raises:
        BenchError: it is not ready within a minute.
    """
    with tempfile.TemporaryDirectory(prefix="hyojo-") as folder:
        port = free_port()
        own = {"HYOJO_PORT": str(port), "HYOJO_WORKER": f"ipc://{folder}/worker.sock"}
        own |= {"HYOJO_LOG_LEVEL": "error", **(settings or {})}
        began = time.perf_counter()
        with started([sys.executable, "-m", "service"], own, log=log) as process:
            answers_s = wait_for(process, port, "/livez", began)
            ready_s = wait_for(process, port, "/readyz", began)
            yield Served(process.pid, port, "/classify", answers_s, ready_s)


@contextmanager
def started(
    command: Sequence[str],
    environment: Mapping[str, str],
    cwd: Path = PROJECT,
    log: Path | None = None,
) -> Iterator["subprocess.Popen[bytes]"]:
    """A command in a session of its own; afterwards nothing of it is left."""
    with open(log or os.devnull, "wb") as told:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            stderr=told,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            pass
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()


def before_others(*pids: int) -> None:
    """Let these processes' sessions run before all others, who get what they leave.

    The kernel weighs sessions first (autogroups), and processes only within theirs, so that `nice`
    does nothing against another terminal's.

    Raises:
        BenchError: the system does not let us, or knows no autogroups.
    """
    for pid in pids:
        try:
            Path(f"/proc/{pid}/autogroup").write_text("-20")
        except OSError as error:
            raise BenchError(
                f"These processes cannot be put before others ({error.strerror}): that takes root "
                "and a kernel with autogroups."
            ) from None


def wait_for(
    process: "subprocess.Popen[bytes]",
    port: int,
    path: str,
    began: float,
    body: bytes | None = None,
) -> float:
    """Seconds since `began` until an address answers 200 (to a POST where there is a body).

    Raises:
        BenchError: it ended, or did not answer within `PATIENCE_S`.
    """
    while time.perf_counter() - began < PATIENCE_S:
        if process.poll() is not None:
            raise BenchError(f"{process.args!r} ended with status {process.returncode}.")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request("GET" if body is None else "POST", path, body)
            if connection.getresponse().status == 200:
                return time.perf_counter() - began
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(0.02)
    raise BenchError(f"{path} of {process.args!r} did not answer 200 within {PATIENCE_S:g} s.")


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:
            continue
        for child in children:
            found += tree(int(child))
    return found


def role(pid: int) -> str:
    """What a process of the service is; `other` where it is none of them."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_text()
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "other"
    if name in (NURSERY, PREDICTOR):
        return name
    return next((name for part, name in _ROLES if part in command), "other")


def cpu_s(pids: Sequence[int]) -> float:
    """Processor seconds that living processes have used so far, in the kernel too."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def memory_mb(pid: int) -> dict[str, float]:
    """Resident, proportional and private megabytes of one process."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    private = kilobytes["Private_Clean"] + kilobytes["Private_Dirty"]
    shown = {"rss": kilobytes["Rss"], "pss": kilobytes["Pss"], "private": private}
    return {name: round(value / 1024, 1) for name, value in shown.items()}


def pss_mb(pids: Sequence[int]) -> float:
    """Proportional megabytes of processes together: shared pages count once."""
    return round(sum(memory_mb(pid)["pss"] for pid in pids if Path(f"/proc/{pid}").exists()), 1)


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0))


def busy_s() -> float:
    """Processor seconds of the whole machine so far, idle and waiting left out."""
    fields = [int(n) for n in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / _TICKS


def machine() -> str:
    """Cores, processor, system and Python in a line."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return f"{cores()} cores, {model}, Python {platform.python_version()}"


def free_port() -> int:
    """Of 127.0.0.1, free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
