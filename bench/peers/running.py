"""Start a peer, wait until all of it answers, read what it takes, end all of it.

    with started(peer, jpeg) as running:
        load(running.port, peer.path)
        print(running.pss_mb())

Frameworks put processes into sessions of their own (Ray its daemons). Each process of a peer
carries a mark in its environment, or is in the first one's session, or is a child of one that is:
by these they are found.
"""

import contextlib
import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.peers import PROJECT, Peer, PeerError, environment
from service.kinship import end_with_parent

_MARK = "HYOJO_BENCH_PEER"
_ENDING_S = 15.0
_LEAVING_S = 5.0
_REQUEST_S = 30.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Running:
    """A peer that answers.

    Attributes:
        peer: which.
        port: on 127.0.0.1.
        leader: the process that was started.
        folder: its scratch folder.
        mark: what its processes carry in their environment.
        ready_s: from the start until every process with the model had answered.
    """

    peer: Peer
    port: int
    leader: "subprocess.Popen[bytes]"
    folder: Path
    mark: str
    ready_s: float = 0.0
    _known: set[tuple[int, str]] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Where it takes pictures."""
        return f"http://127.0.0.1:{self.port}{self.peer.path}"

    @property
    def log(self) -> str:
        """What it has said, on both streams."""
        return (self.folder / "log.txt").read_text(errors="replace")

    def processes(self) -> list[int]:
        """Every process of the peer that is alive now."""
        table = _table()
        found = {pid for pid, row in table.items() if self._own(pid, row)}
        while grown := {pid for pid, row in table.items() if row.parent in found} - found:
            found |= grown
        self._known |= {(pid, table[pid].began) for pid in found}
        return sorted(pid for pid in found if table[pid].state != "Z")

    def pss_mb(self) -> float:
        """Proportional memory of all its processes, in MB of 2^20 bytes."""
        return sum(map(_pss_kb, self.processes())) / 1024

    def cpu_s(self) -> float:
        """Seconds of processor time until now, of its processes and of their ended children."""
        table = _table()
        return sum(table[pid].cpu_s for pid in self.processes() if pid in table)

    def ask(self, jpeg: bytes) -> dict[str, Any]:
        """One answer, over a connection of its own.

        Raises:
            OSError, http.client.HTTPException: nobody answers.
            PeerError: the answer is not 200, or no JSON object.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_REQUEST_S)
        try:
            connection.request("POST", self.peer.path, jpeg, {"Content-Type": "image/jpeg"})
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise PeerError(f"{self.peer.name} answers {answer.status}: {body[:200]!r}")
        told = json.loads(body)
        if not isinstance(told, dict):
            raise PeerError(f"{self.peer.name} answers no JSON object: {body[:200]!r}")
        return told

    def stop(self) -> list[int]:
        """Ask the first process to end, then what it left, then kill; returns what was killed."""
        self.processes()  # remember them before their parents go
        if self.leader.poll() is None:
            self.leader.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.leader.wait(_ENDING_S)
        _signal(self._left(), signal.SIGTERM)
        end = time.monotonic() + _LEAVING_S
        while (left := self._left()) and time.monotonic() < end:
            time.sleep(0.05)
        while remaining := self._left():
            _signal(remaining, signal.SIGKILL)
            time.sleep(0.05)
        self.leader.wait()
        return left

    def _left(self) -> list[int]:
        """What is alive of it, also of those that nothing but our memory ties to it any more."""
        self.leader.poll()  # no zombie of ours
        alive = set(self.processes())
        table = _table()
        for pid, began in self._known:
            row = table.get(pid)
            if row and row.began == began and row.state != "Z":
                alive.add(pid)
        return sorted(alive)

    def _own(self, pid: int, row: "_Row") -> bool:
        return row.session == self.leader.pid or self.mark.encode() in _read(pid, "environ")


@contextlib.contextmanager
def started(
    peer: Peer, jpeg: bytes, port: int | None = None, python: Path | None = None
) -> Iterator[Running]:
    """A peer, ready; ended with all its processes when the block is left.

    Args:
        peer: which.
        jpeg: the picture it is warmed up with.
        port: a free one unless told.
        python: runs it instead of its environment's interpreter.

    Raises:
        PeerError: its environment is missing, it ended by itself, or it was not ready in time.
    """
    python = python or environment.python(peer.environment)
    port = port or free_port()
    mark = secrets.token_hex(8)
    with tempfile.TemporaryDirectory(prefix="hyojo-", ignore_cleanup_errors=True) as place:
        folder = Path(place)
        command = [peer.filled(part, python, port, folder) for part in peer.command]
        own = {
            name: peer.filled(text, python, port, folder) for name, text in peer.settings.items()
        }
        env = {k: v for k, v in os.environ.items() if not k.startswith(("HYOJO_", "VIRTUAL_ENV"))}
        env |= {"PATH": f"{python.parent}:{env.get('PATH', '')}", "PYTHONPATH": str(PROJECT)}
        env |= {"PYTHONUNBUFFERED": "1", "TMPDIR": place, _MARK: mark, **own}
        began = time.perf_counter()
        with (folder / "log.txt").open("wb") as log:
            leader = subprocess.Popen(
                command,
                cwd=PROJECT,
                env=env,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=lambda: end_with_parent(signal.SIGTERM),
            )
        running = Running(peer, port, leader, folder, f"{_MARK}={mark}")
        try:
            _wait(running, jpeg, began)
            running.ready_s = time.perf_counter() - began
            yield running
        finally:
            running.stop()


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _signal(processes: list[int], number: int) -> None:
    for pid in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _wait(running: Running, jpeg: bytes, began: float) -> None:
    """Until each process with the model has answered: some servers listen with the first."""
    peer, seen, last = running.peer, set(), "nobody answered"
    with ThreadPoolExecutor(2 * peer.processes) as pool:
        while time.perf_counter() - began < peer.patience_s:
            if running.leader.poll() is not None:
                raise PeerError(
                    f"{peer.name} ended with status {running.leader.returncode} before it was "
                    f"ready. It said:\n{_tail(running.log)}"
                )
            for asked in [pool.submit(running.ask, jpeg) for _ in range(2 * peer.processes)]:
                try:
                    seen.add(asked.result().get("process"))
                except (OSError, http.client.HTTPException, ValueError, PeerError) as error:
                    last = str(error) or type(error).__name__
            if len(seen) >= peer.processes:
                return
            time.sleep(0.1)
    raise PeerError(
        f"{peer.name} was not ready within {peer.patience_s:g} s: {len(seen)} of {peer.processes} "
        f"processes answered; the last trouble was {last}. It said:\n{_tail(running.log)}"
    )


@dataclass(frozen=True)
class _Row:
    """What /proc/PID/stat says: state, parent, session, start in ticks, processor time in s."""

    state: str
    parent: int
    session: int
    began: str
    cpu_s: float


def _table() -> dict[int, _Row]:
    rows = {}
    for pid in (int(entry) for entry in os.listdir("/proc") if entry.isdigit()):
        parts = _read(pid, "stat").decode(errors="replace").rpartition(")")[2].split()
        if parts:
            cpu_s = sum(map(int, parts[11:15])) / _TICKS
            rows[pid] = _Row(parts[0], int(parts[1]), int(parts[3]), parts[19], cpu_s)
    return rows


def _pss_kb(pid: int) -> int:
    for line in _read(pid, "smaps_rollup").decode().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def _read(pid: int, name: str) -> bytes:
    """A file of a process, or nothing once it has ended or is another user's."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def _tail(log: str) -> str:
    return "\n".join(f"  {line}" for line in log.strip().splitlines()[-40:])
