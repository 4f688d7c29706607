"""Processor time in the simulation: cores that all who can run share alike.

The kernel's scheduler gives runnable threads equal shares; so does processor sharing, its limit for
short slices. Times are milliseconds.
"""

import heapq
import itertools
import math
import random
from collections import deque
from collections.abc import Callable

import simpy

Then = Callable[[], object]

COLD_MS = 7.0
"""Who has slept for so long is two thirds as cold as one gets: others have filled the caches, and
the core may have slept. Chosen by hand on a measurement before that of docs/SCALE.md."""


def coldness(slept_ms: float) -> float:
    """How cold a process is that has slept for so long: 0 not at all, 1 altogether."""
    return 1 - math.exp(-slept_ms / COLD_MS)


class Cores:
    """A machine's cores.

    Args:
        env: the simulation.
        count: how many.
        together: speed of each while all are busy, as a share of one's that is busy alone.
        wake_ms: in the mean, until one that has slept runs on a core that nobody here uses: that
            core sleeps, too, or others of the machine have it. Any time is as likely as it was
            before (exponential).
        seed: of those times.
    """

    def __init__(
        self,
        env: simpy.Environment,
        count: int,
        together: float = 1.0,
        wake_ms: float = 0.0,
        seed: int = 0,
    ) -> None:
        self._env = env
        self._count = count
        self._wake_ms = wake_ms
        self._random = random.Random(f"cores {seed}")
        self._slower = (1 - together) / max(1, count - 1)
        self._served = 0.0  # ms that each runnable has got since the start of time
        self._since = 0.0
        self._running: list[tuple[float, int, Then]] = []
        self._numbers = itertools.count()
        self._turn = 0
        self.busy_ms = 0.0
        """Core milliseconds in which somebody ran."""

    @property
    def now(self) -> float:
        """Simulated milliseconds since the start."""
        return float(self._env.now)

    def wake(self, ms: float, then: Then) -> None:
        """Wake up, then `work`."""
        if self._wake_ms and len(self._running) < self._count:
            waking = self._env.timeout(self._random.expovariate(1 / self._wake_ms))
            waking.callbacks.append(lambda _: self.work(ms, then))
        else:
            self.work(ms, then)

    def work(self, ms: float, then: Then) -> None:
        """Run for `ms` of a lone core's time, then call `then`."""
        self._advance()
        heapq.heappush(self._running, (self._served + ms, next(self._numbers), then))
        self._plan()

    def _rate(self) -> float:
        """Of each that runs, in core ms a ms."""
        runnable = len(self._running)
        busy = min(runnable, self._count)
        return busy / runnable * (1 - self._slower * (busy - 1))

    def _advance(self) -> None:
        now = self._env.now
        if self._running and now > self._since:
            self._served += (now - self._since) * self._rate()
            self.busy_ms += (now - self._since) * min(len(self._running), self._count)
        self._since = now

    def _plan(self) -> None:
        """See to it that the next one to be done is noticed; earlier plans are void."""
        self._turn += 1
        if self._running:
            left = max(0.0, self._running[0][0] - self._served) / self._rate()
            turn = self._turn
            self._env.timeout(left).callbacks.append(lambda _: self._done(turn))

    def _done(self, turn: int) -> None:
        if turn != self._turn:
            return
        self._advance()
        self._served = max(self._served, self._running[0][0])  # whatever rounding left
        _, _, then = heapq.heappop(self._running)
        self._plan()
        then()


class Process:
    """One that does a thing at a time: a process with Python's lock, or a single thread.

    Args:
        cores: where it runs.
        waking_ms: what it costs more to do a thing after a long sleep.
    """

    def __init__(self, cores: Cores, waking_ms: float = 0.0) -> None:
        self._cores = cores
        self._waking_ms = waking_ms
        self.used_ms = 0.0
        """Processor ms so far, of a core that is busy alone."""
        self.cold = 0.0
        """How often it has been altogether cold; half as cold counts half."""
        self._waiting: deque[tuple[float, Then]] = deque()
        self._busy = False
        self._began = 0.0
        self._ended = -math.inf
        self._busy_ms = 0.0

    @property
    def busy_ms(self) -> float:
        """Milliseconds so far in which it ran or waited for a core."""
        return self._busy_ms + (self._cores.now - self._began if self._busy else 0.0)

    def do(self, ms: float, then: Then) -> None:
        """Work for `ms` after what was asked before, then call `then`."""
        if self._busy:
            self.used_ms += ms
            self._waiting.append((ms, then))
            return
        cold = coldness(self._cores.now - self._ended)
        ms += cold * self._waking_ms
        self.used_ms, self.cold = self.used_ms + ms, self.cold + cold
        self._busy, self._began = True, self._cores.now
        self._cores.wake(ms, lambda: self._end(then))

    def _end(self, then: Then) -> None:
        if self._waiting:
            ms, following = self._waiting.popleft()
            self._cores.work(ms, lambda: self._end(following))
        else:
            self._busy, self._ended = False, self._cores.now
            self._busy_ms += self._ended - self._began
        then()
