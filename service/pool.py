"""The predictor processes: start them, hand them jobs, replace the dead and the hung.

One job at a time to a process. What a lost process held is told as lost and handed to no other
here: one picture must not take them all. (The worker tries each of several once more, alone.)
"""

import itertools
import os
import select
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from service import protocol
from service.nursery import Child, Nursery, Wanted
from service.protocol import Failed, Hello, Job, JobDone
from service.slot import Slot
from service.stillness import Stillness
from service.wire import Wire

START_TIMEOUT_S = 60.0
KILLED_BACKOFF_S = 0.5
"""What was killed from outside while it started is no bad bundle: it is tried again soon."""
_numbers = itertools.count()
_log = structlog.get_logger("pool")


CRASHES = frozenset(
    -number
    for number in (
        signal.SIGSEGV,
        signal.SIGABRT,
        signal.SIGBUS,
        signal.SIGFPE,
        signal.SIGILL,
        signal.SIGSYS,
        signal.SIGTRAP,
    )
)
"""Exit statuses of a process that fell over what it did, as no one outside makes it do."""


@dataclass(frozen=True)
class Lost:
    """A job whose process died or hung.

    Attributes:
        id: of the job.
        detail: a sentence.
        crashed: the process fell over what it did; else it may have been ended from outside.
    """

    id: str
    detail: str
    crashed: bool = False


Event = JobDone | Lost


@dataclass
class Pool:
    """Predictor processes, each at the end of a wire. Not for threads: one loop owns it.

    Args:
        bundles: folders of the bundles that every process holds warm, by the models' names.
        size: processes.
        max_pixels: they refuse larger pictures.
        timeout_s: a job that takes longer counts as hung.
        stuck_s: a process that stands still for so long while it has a job counts as hung.
        memory_mb: memory of its own that a process may use (MiB).
        inherit: open files that the bundles are read from, where they are copies in memory.
        source: the folder that they were copied from, for messages.
        beside: what the models take does not count as `memory_mb`.
        largest_batch: crops that a network is given at once, at most.
        lodging: whose nursery the processes come from; without it the pool has its own.
    """

    bundles: Mapping[str, Path]
    size: int
    max_pixels: int
    timeout_s: float
    stuck_s: float = 1.0
    memory_mb: int = 1280
    inherit: Sequence[int] = ()
    source: Path | None = None
    beside: bool = False
    largest_batch: int = 8
    lodging: Callable[[], Nursery] | None = None
    replaced: int = 0
    unreadable: int = 0
    problem: str = ""
    private_mb: float = 0.0  # of the process that was warm last, as it said
    company_saves: dict[str, float] = field(default_factory=dict)  # the most that any said; `Hello`
    _slots: list[Slot] = field(default_factory=list)
    _unsent: list[Lost] = field(default_factory=list)  # jobs that no process could be given
    _generation: int = 0

    def __post_init__(self) -> None:
        self._wires = select.epoll()
        self._slots = [Slot(index) for index in range(self.size)]
        self.nursery = Nursery(self.inherit)
        self._prefix = f"{next(_numbers)}."

    def fileno(self) -> int:
        """Readable when a process has said something; for who waits for several."""
        return self._wires.fileno()

    def wait(self, milliseconds: int) -> None:
        """Wait until a process says something, at most so long."""
        self._wires.poll(milliseconds / 1e3)

    @property
    def idle(self) -> int:
        """Processes that can take a job now."""
        return sum(slot.state == "idle" for slot in self._slots)

    @property
    def ready(self) -> int:
        """Warm processes, idle or busy."""
        return sum(slot.state in ("idle", "busy") for slot in self._slots)

    @property
    def busy(self) -> int:
        """Jobs that processes have, or that are still to be told as lost."""
        return sum(slot.state == "busy" for slot in self._slots) + len(self._unsent)

    @property
    def counters(self) -> dict[str, int]:
        """What happened to its processes until now."""
        return {
            "predictors_replaced": self.replaced,
            "predictors_unreadable": self.unreadable,
        }

    @property
    def pids(self) -> list[int]:
        """Process ids of the living, for measuring and for tests."""
        return [slot.process.pid for slot in self._slots if slot.process is not None]

    def submit(self, job: Job, images: Sequence[bytes | memoryview]) -> bool:
        """Hand a job to an idle process; False when none could take it.

        What cannot be handed over at all is told as lost by the next `tick`.
        """
        for slot in self._slots:
            if slot.state != "idle" or slot.wire is None:
                continue
            try:
                slot.wire.send([protocol.encode(job), *images], wait=False)
            except (ConnectionError, BlockingIOError):  # it is gone; `tick` has not seen it yet
                continue
            except OSError as error:  # no memory or no open file is to be had for it
                why = f"No predictor could be given this image: {error.strerror or error}."
                _log.error("image not handed over", why=str(error))
                self._unsent.append(Lost(job.id, f"{why} Try again soon, or send a smaller one."))
                return True
            slot.state, slot.job, slot.since = "busy", job.id, time.monotonic()
            slot.images = len(images)
            return True
        return False

    def receive(self) -> list[Event]:
        """What the processes have sent by now, at most one message of each."""
        events: list[Event] = []
        for number, _ in self._wires.poll(0):
            for slot in self._slots:
                if slot.wire is not None and slot.wire.fileno() == number:
                    events += self._read(slot, slot.wire)
        return events

    def _read(self, slot: Slot, wire: Wire) -> list[Event]:
        try:
            frames = wire.receive(wait=False)
            if frames:
                return self._heard(slot, protocol.decode(frames[0]))
        except protocol.UnreadableError:
            self.unreadable += 1  # a process out of its mind; its job's time runs out
            return []
        except BlockingIOError:
            return []
        wire.close()  # it has ended, as `tick` will see
        slot.wire = None
        return []

    def tick(self) -> list[Event]:
        """Start what is to be started; find the dead and the hung. Call it ten times a second."""
        now = time.monotonic()
        events: list[Event] = [*self._unsent]
        self._unsent.clear()
        self._take_over(self.nursery.born(self._prefix))
        for slot in self._slots:
            if slot.state == "waiting":
                if now >= slot.since:
                    self._start(slot)
                continue
            if why := self._lost(slot, now):
                events += self._lose(slot, why)
        return events

    def _lost(self, slot: Slot, now: float) -> str:
        """What is wrong with a slot's process; empty when it lives and works."""
        if slot.process is None or slot.watch is None:
            if slot.wire is None:  # the nursery that was asked has ended, or could not fork
                return "could not be started"
            late = now - slot.since > START_TIMEOUT_S
            if late:
                self.nursery.close()  # it hangs
            return "" if self.nursery.alive else "could not be started"
        status = slot.process.poll()
        if status is not None:
            return f"ended with status {status}"
        if slot.wire is None:
            return "closed its line"
        if slot.watch.look(now, slot.state == "busy") > self.stuck_s:
            return f"stood still for {self.stuck_s:g} s"
        if slot.state == "busy" and now - slot.since > self.timeout_s:
            return f"did not answer within {self.timeout_s:g} s"
        if slot.state == "starting" and now - slot.since > START_TIMEOUT_S:
            return f"was not warm within {START_TIMEOUT_S:g} s"
        return ""

    def end(self) -> bool:
        """End every process at once; whether all are gone, so that `close` waits for none."""
        there = [slot.process for slot in self._slots if slot.process is not None]
        for process in there:
            process.kill()
        return all(process.poll() is not None for process in there)

    def close(self) -> None:
        """End every process and remove the socket."""
        if self.lodging is None:
            self.nursery.close()
        self._take_over(self.nursery.born(self._prefix))
        self.end()
        for slot in self._slots:
            if slot.process is not None:
                slot.process.wait()
                slot.process = None
            if slot.wire is not None:
                slot.wire.close()
                slot.wire = None
        self._wires.close()

    def _heard(self, slot: Slot, message: protocol.AnyMessage) -> list[Event]:
        if isinstance(message, Hello):
            slot.state, slot.since, self.problem = "idle", time.monotonic(), ""
            self.private_mb = message.private_mb
            for name, share in message.company_saves.items():  # too little where others work
                self.company_saves[name] = max(share, self.company_saves.get(name, 0.0))
            took, saves = round(message.seconds, 2), self.company_saves
            _log.debug("predictor warm", predictor=slot.name, seconds=took, company_saves=saves)
        elif isinstance(message, Failed):
            self.problem = self._told(message.detail)
            _log.error("predictor cannot start", predictor=slot.name, why=self.problem)
        elif isinstance(message, JobDone) and message.answers(slot.job, slot.images):
            slot.state, slot.job, slot.failures = "idle", None, 0
            return [message]
        return []

    def _told(self, detail: str) -> str:
        """A message with the bundles' places as people know them."""
        for folder in self.bundles.values() if self.source else ():
            detail = detail.replace(str(folder), f"{self.source}/{folder.name}")
        return detail

    def _lose(self, slot: Slot, why: str) -> list[Event]:
        """Give a process up; the slot is free for a new one after a pause that grows."""
        crashed = from_outside = False
        if slot.process is not None and slot.watch is not None:
            status = slot.process.poll()
            from_outside = slot.watch.still_s > self.stuck_s or status == -signal.SIGKILL
            slot.process.kill()
            crashed = slot.process.wait() in CRASHES  # perhaps it had only begun to end
        lost: list[Event] = []
        if slot.job is not None:
            detail = (
                f"The predictor process that held this image {why}. It is being replaced; "
                "other images are not affected. Send the image again, or another one."
            )
            lost = [Lost(slot.job, detail, crashed)]
        pause = 0.0
        if slot.state == "starting":
            pause = KILLED_BACKOFF_S if from_outside else slot.pause_s
            slot.failures += not from_outside
            if slot.process is not None or slot.failures > 1:  # else its nursery was at fault
                self.problem = self.problem or f"A predictor process {why} while it started."
        _log.warning("predictor lost", predictor=slot.name, why=why, next_start_in_s=pause)
        self.replaced += 1
        if slot.wire is not None:
            slot.wire.close()
        slot.state, slot.process, slot.watch, slot.wire = "waiting", None, None, None
        slot.job, slot.name = None, ""
        slot.since = time.monotonic() + pause
        return lost

    def _start(self, slot: Slot) -> None:
        self._generation += 1
        slot.name = f"{self._prefix}{slot.index}.{self._generation}"
        options = ["--name", slot.name, "--parent", str(os.getpid())]
        options += ["--max-pixels", str(self.max_pixels)]
        options += ["--memory-mb", str(self.memory_mb), *(["--beside"] if self.beside else [])]
        options += ["--largest-batch", str(self.largest_batch), "--"]
        options += [text for pair in self.bundles.items() for text in map(str, pair)]
        slot.state, slot.since = "starting", time.monotonic()
        if self.lodging is not None:
            self.nursery = self.lodging()
        try:
            slot.wire, theirs = Wire.pair()
        except OSError as error:  # out of open files: it may go better in a while
            self._not_started(slot, error)
            return
        try:
            self._wires.register(slot.wire, select.EPOLLIN)
            self.nursery.ask(Wanted(slot.name, options, bare=self.lodging is not None), theirs)
        except OSError as error:
            self._not_started(slot, error)
        finally:
            theirs.close()

    def _not_started(self, slot: Slot, error: OSError) -> None:
        """Try again later; what runs goes on."""
        self.problem = f"No predictor process could be started: {error.strerror or error}."
        _log.error("predictor not started", predictor=slot.name, why=str(error))
        if slot.wire is not None:
            slot.wire.close()
        slot.state, slot.wire, slot.name = "waiting", None, ""
        slot.since = time.monotonic() + slot.pause_s
        slot.failures += 1

    def _take_over(self, born: dict[str, Child]) -> None:
        """Those that have come get their places; one that came too late has none any more."""
        for name, child in born.items():
            slot = next((slot for slot in self._slots if slot.name == name), None)
            if slot is None:
                child.kill()
                child.wait()
            else:
                slot.process, slot.watch = child, Stillness(child.pid)
