"""One machine in the simulation: gateway, worker and predictors as the service has them.

A request's way is that of docs/DESIGN.md: the gateway's loop, one of its threads, the worker's
queue, a predictor, and back. Times are milliseconds.
"""

import heapq
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import simpy

from bench.scale.cores import Cores, Process
from models import batches
from service.overload import LONGEST_WAIT_S

Outcome = Literal["answered", "refused", "late"]


@dataclass(frozen=True)
class Costs:
    """What a request costs, in processor ms of a core that is busy alone.

    Attributes:
        work: what a predictor does for an image: quantiles of its time, from the least to the most,
            a row a kind of picture.
        order: which kind comes when.
        predictor_ms: what a predictor does beside, an image; below 0 where `work` is of one that
            sleeps between images.
        gateway_ms: of an answer.
        refusal_ms: of a request that the gateway refuses.
        worker_ms: of an image.
        client_ms: of whoever asks, where that runs on the same cores; 0 elsewhere.
        client_refusal_ms: of whoever is refused, likewise: the connection is a new one then.
        predictor_waking_ms: see `Process`; of a call.
        gateway_waking_ms: likewise; of half a request, as the next.
        worker_waking_ms: likewise.
        wake_ms: see `Cores`; seven times a request where none is busy.
        together: see `Cores`.
        shared_ms: what an image less costs a predictor that has another in the same call.
    """

    work: tuple[tuple[float, ...], ...]
    order: tuple[int, ...] = (0,)
    predictor_ms: float = 0.0
    gateway_ms: float = 0.0
    refusal_ms: float = 0.0
    worker_ms: float = 0.0
    client_ms: float = 0.0
    client_refusal_ms: float = 0.0
    predictor_waking_ms: float = 0.0
    gateway_waking_ms: float = 0.0
    worker_waking_ms: float = 0.0
    wake_ms: float = 0.0
    together: float = 1.0
    shared_ms: float = 0.0

    def asked_from_elsewhere(self) -> "Costs":
        """Without whoever asks, who runs on a machine of their own."""
        return replace(self, client_ms=0.0, client_refusal_ms=0.0)


@dataclass(frozen=True)
class Shape:
    """How the service is set up; the defaults are its own.

    Attributes:
        cores: of the machine.
        predictors: `HYOJO_PREDICTORS`.
        gateways: `HYOJO_GATEWAY_PROCESSES`.
        threads: `HYOJO_GATEWAY_THREADS`.
        gateway_queue: `HYOJO_GATEWAY_QUEUE`.
        queue: `HYOJO_QUEUE_SIZE`.
        deadline_ms: `HYOJO_DEADLINE_S`.
        company: `HYOJO_MAX_BATCH_SIZE`: images that a predictor takes at once, at most.
    """

    cores: int = 2
    predictors: int = 2
    gateways: int = 1
    threads: int = 16
    gateway_queue: int = 64
    queue: int = 64
    deadline_ms: float = 10_000.0
    company: int = 4


@dataclass
class _Gateway:
    process: Process
    free: int
    waiting: "deque[_Request]" = field(default_factory=deque)
    waited_ms: float = 0.0


@dataclass(eq=False)
class _Request:
    """One that is under way; `told` hears how it ended."""

    kinds: Sequence[int]
    told: Callable[[Outcome], object]
    gateway: _Gateway
    since: float = 0.0  # when it began to wait for a thread
    accepted: float = 0.0  # by the worker
    left: int = 0  # images without a result
    late: bool = False


class Machine:
    """Gateway processes, a worker and predictors on their cores.

    Args:
        env: the simulation.
        costs: of a request.
        shape: how it is set up.
        seed: of the service times.
    """

    def __init__(self, env: simpy.Environment, costs: Costs, shape: Shape, seed: int = 0) -> None:
        self._env = env
        self._costs = costs
        self._shape = shape
        self._random = random.Random(seed)
        self.cores = Cores(env, shape.cores, costs.together, costs.wake_ms, seed)
        self._client = Process(self.cores)
        self._doors = [
            _Gateway(Process(self.cores, costs.gateway_waking_ms), shape.threads)
            for _ in range(shape.gateways)
        ]
        self.worker = Process(self.cores, costs.worker_waking_ms)
        self._queue: deque[tuple[_Request, int]] = deque()
        self._predictors = [
            Process(self.cores, costs.predictor_waking_ms) for _ in range(shape.predictors)
        ]
        self._idle = list(range(shape.predictors))  # their numbers, a heap
        self.under_way = 0
        """Requests that have no answer yet."""
        self.waits_ms = 0.0
        """For a predictor, of all images together: what the service calls the stage `queue`."""
        self.waits = 0

    def ask(self, kinds: Sequence[int], told: Callable[[Outcome], object]) -> None:
        """A request is due, with an image of each kind given."""
        self.under_way += 1
        gateway = self._doors[self._random.randrange(len(self._doors))]
        request = _Request(kinds, told, gateway)
        self._client.do(self._costs.client_ms / 2, lambda: self._arrive(request))

    @property
    def busiest(self) -> dict[str, float]:
        """Milliseconds in which its busiest single threads had something to do."""
        gateway = max(door.process.busy_ms for door in self._doors)
        return {"gateway": gateway, "worker": self.worker.busy_ms}

    @property
    def used_ms(self) -> dict[str, float]:
        """Processor ms so far by role, of a core that is busy alone."""
        return {role: sum(one.used_ms for one in all_) for role, all_ in self._roles().items()}

    @property
    def cold(self) -> dict[str, float]:
        """How often each role was cold so far, as `Process` counts it."""
        return {role: sum(one.cold for one in all_) for role, all_ in self._roles().items()}

    def _roles(self) -> dict[str, list[Process]]:
        return {
            "predictor": self._predictors,
            "gateway": [door.process for door in self._doors],
            "worker": [self.worker],
            "generator": [self._client],
        }

    # The gateway -----------------------------------------------------------------------------

    def _arrive(self, request: _Request) -> None:
        """The loop has it: a thread takes it, it waits for one, or it is refused."""
        gateway, shape = request.gateway, self._shape
        request.since = self._env.now
        if gateway.free:
            self._take(request)
        elif gateway.waiting and (
            len(gateway.waiting) >= shape.gateway_queue or gateway.waited_ms >= LONGEST_WAIT_S * 1e3
        ):
            gateway.process.do(self._costs.refusal_ms, lambda: self._end(request, "refused"))
        else:
            gateway.waiting.append(request)

    def _take(self, request: _Request) -> None:
        gateway = request.gateway
        gateway.free -= 1
        gateway.waited_ms = self._env.now - request.since
        gateway.process.do(self._costs.gateway_ms / 2, lambda: self._ask_worker(request))

    def _answer(self, request: _Request, outcome: Outcome) -> None:
        gateway = request.gateway

        def answered() -> None:
            gateway.free += 1
            if gateway.waiting:
                self._take(gateway.waiting.popleft())
            self._end(request, outcome)

        gateway.process.do(self._costs.gateway_ms / 2, answered)

    def _end(self, request: _Request, outcome: Outcome) -> None:
        def told() -> None:
            self.under_way -= 1
            request.told(outcome)

        refused = outcome == "refused"
        self._client.do(
            self._costs.client_refusal_ms if refused else self._costs.client_ms / 2, told
        )

    # The worker ------------------------------------------------------------------------------

    def _ask_worker(self, request: _Request) -> None:
        images = len(request.kinds)
        self.worker.do(self._costs.worker_ms / 2 * images, lambda: self._admit(request))

    def _admit(self, request: _Request) -> None:
        request.accepted, request.left = self._env.now, len(request.kinds)
        if len(self._queue) + request.left > self._shape.queue + len(self._idle):
            self._answer(request, "refused")
            return
        self._queue.extend((request, kind) for kind in request.kinds)
        self._hand_out()

    def _hand_out(self) -> None:
        while self._queue and self._idle:
            batch: list[tuple[_Request, int]] = []
            most = self._together()
            while self._queue and len(batch) < most:
                request, kind = self._queue.popleft()
                waited = self._env.now - request.accepted
                if waited <= self._shape.deadline_ms:
                    self.waits_ms, self.waits = self.waits_ms + waited, self.waits + 1
                    batch.append((request, kind))
                elif not request.late:  # the worker would have said so earlier, and as cheaply
                    request.late = True
                    self._answer(request, "late")
            if batch:
                self._predict(batch)

    def _together(self) -> int:
        """Images that a predictor takes now: its share of the queue, as `service.grouping`."""
        fair = min(self._shape.company, len(self._queue) // self._shape.predictors)
        full = batches.sizes(self._shape.company)[-1]
        return fair // full * full or 1 if self._costs.shared_ms else 1

    def _predict(self, batch: list[tuple[_Request, int]]) -> None:
        number = heapq.heappop(self._idle)  # the first one, as `service.pool` has it
        ms = sum(self._work_ms(kind) for _, kind in batch)
        ms -= (len(batch) - 1) * self._costs.shared_ms

        def predicted() -> None:
            each_ms = self._costs.worker_ms / 2
            self.worker.do(each_ms * len(batch), lambda: self._settle(batch, number))

        self._predictors[number].do(ms, predicted)

    def _work_ms(self, kind: int) -> float:
        row = self._costs.work[kind]
        place = self._random.random() * (len(row) - 1)
        low = int(place)
        ms = row[low] + (row[min(low + 1, len(row) - 1)] - row[low]) * (place - low)
        return ms + self._costs.predictor_ms

    def _settle(self, batch: list[tuple[_Request, int]], predictor: int) -> None:
        """The worker has heard a predictor: it is idle again, and whoever is complete is told."""
        heapq.heappush(self._idle, predictor)
        for request, _ in batch:
            request.left -= 1
            if not request.left and not request.late:
                self._answer(request, "answered")
        self._hand_out()
