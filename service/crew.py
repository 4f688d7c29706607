"""Predictors that hold the same models, with the images that wait for them."""

from collections import Counter, deque
from collections.abc import Container, Iterator
from dataclasses import dataclass, field

import msgspec
import zmq

from service.catalog import Catalog
from service.pending import Waiting
from service.pool import Event, Pool
from service.protocol import ModelInfo, State
from service.renewal import Renewal


@dataclass
class Crew:
    """What answers a request from its acceptance to its end, whatever takes over meanwhile.

    Attributes:
        catalog: the models.
        pool: the predictors.
        queue: images that wait for one of them.
    """

    catalog: Catalog
    pool: Pool
    queue: deque[Waiting] = field(default_factory=deque)

    @property
    def done(self) -> bool:
        """Whether nothing waits and nothing is being looked at."""
        return not self.queue and not self.pool.busy

    @property
    def complete(self) -> bool:
        """Whether all of its predictors are warm."""
        return self.pool.ready == self.pool.size

    @property
    def models(self) -> list[ModelInfo]:
        """Every model there is, each with its state."""
        held: State = "warm" if self.pool.ready else "loading"
        return [
            msgspec.structs.replace(info, state=held) if name in self.catalog.folders else info
            for name, info in self.catalog.models.items()
        ]

    @property
    def why_not_ready(self) -> str:
        """Empty when it can answer."""
        if self.catalog.problem:
            return self.catalog.problem
        if self.pool.ready:
            return ""
        return self.pool.problem or "The predictors are warming up; this takes a few seconds."


class Crews:
    """The crew that takes requests, and those before it that finish what they have.

    Args:
        first: of them.
        renewal: finds others to take over.

    Attributes:
        poller: of the sockets towards the predictors; the worker's loop adds its own.
    """

    def __init__(self, first: Crew, renewal: Renewal) -> None:
        self._all = [first]
        self._renewal = renewal
        self._gone: Counter[str] = Counter()
        self.poller = zmq.Poller()
        self.poller.register(first.pool.socket, zmq.POLLIN)

    def __iter__(self) -> Iterator[Crew]:
        return iter(self._all)

    @property
    def present(self) -> Crew:
        """The one that takes requests."""
        return self._all[-1]

    @property
    def waiting(self) -> int:
        """Images that wait for a predictor."""
        return sum(len(crew.queue) for crew in self._all)

    @property
    def counters(self) -> Counter[str]:
        """What happened in all pools until now."""
        told = Counter(self._gone)
        for crew in self._all:
            told.update(_counted(crew))
        return told

    def heard(self, readable: Container[object]) -> list[Event]:
        """What the predictors say whose sockets are readable."""
        speaking = [crew.pool for crew in self._all if crew.pool.socket in readable]
        return [event for pool in speaking for event in pool.receive()]

    def tick(self) -> list[Event]:
        """Look after all predictors, and let a new crew take over; ten times a second."""
        events = []
        for crew in self._all:
            events += crew.pool.tick() if crew.catalog.folders else []
        self._renew()
        return events

    def drop(self, ticket: int) -> None:
        """Take a request's images out of the queue."""
        for crew in self._all:
            crew.queue = deque(waiting for waiting in crew.queue if waiting.ticket != ticket)

    def close(self) -> None:
        """End every predictor."""
        self._renewal.close()
        for crew in self._all:
            crew.pool.close()

    def _renew(self) -> None:
        for crew in self._all[:-1]:
            if crew.done:
                self._bid_farewell(crew)
        step = self._renewal.tick(self.present.catalog) if len(self._all) == 1 else None
        if step is None:
            return
        catalog, pool = step
        if pool is None:
            self.present.catalog = catalog
            return
        self._all.append(Crew(catalog, pool))
        self.poller.register(pool.socket, zmq.POLLIN)

    def _bid_farewell(self, crew: Crew) -> None:
        self._all.remove(crew)
        self._gone.update(_counted(crew))
        self.poller.unregister(crew.pool.socket)
        crew.pool.close()
        self._renewal.forget_all_but(self.present.catalog)


def _counted(crew: Crew) -> dict[str, int]:
    pool = crew.pool
    return {
        "predictors_replaced": pool.replaced,
        "predictors_unreadable": pool.unreadable,
    }
