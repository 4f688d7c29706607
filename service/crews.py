"""All predictors: those that hold the models, who were there before them, and the guests'."""

from collections import Counter, deque
from collections.abc import Container, Iterator

import msgspec
import zmq

from service.catalog import Catalog
from service.crew import Crew
from service.guests import Guests
from service.pool import Event
from service.protocol import ModelInfo, State
from service.renewal import Renewal


class Crews:
    """The crew that takes requests, those before it that finish what they have, and guests.

    Args:
        first: of them.
        renewal: finds others to take over.
        guests: models that are loaded when they are asked for.
        poller: of what predictors say; the worker's loop adds its own.

    Attributes:
        was_complete: all predictors of a crew have been warm at once.
    """

    def __init__(self, first: Crew, renewal: Renewal, guests: Guests, poller: zmq.Poller) -> None:
        self._all = [first]
        self._renewal = renewal
        self._gone: Counter[str] = Counter()
        self.guests = guests
        self.poller = poller
        self.was_complete = False
        self.poller.register(first.pool.fileno(), zmq.POLLIN)
        guests.renew(first.catalog, first.pool)

    def __iter__(self) -> Iterator[Crew]:
        yield from self._all
        yield from self.guests

    @property
    def present(self) -> Crew:
        """The one that takes requests."""
        return self._all[-1]

    @property
    def waiting(self) -> int:
        """Images that wait for a predictor."""
        return sum(len(crew.queue) for crew in self)

    @property
    def models(self) -> list[ModelInfo]:
        """Every model there is, each with its state."""
        catalog = self.present.catalog
        held: State = "warm" if self.present.pool.ready else "loading"
        return [
            msgspec.structs.replace(info, state=held)
            if name in catalog.folders
            else self.guests.told(name, info)
            for name, info in catalog.models.items()
        ]

    @property
    def counters(self) -> Counter[str]:
        """What happened in all pools until now."""
        told = Counter(self._gone)
        told.update(self.guests.counters)
        for crew in self:
            told.update(crew.pool.counters)
        return told

    def heard(self, readable: Container[object]) -> list[Event]:
        """What the predictors say whose pools are readable."""
        speaking = [crew.pool for crew in self if crew.pool.fileno() in readable]
        return [event for pool in speaking for event in pool.receive()]

    def tick(self) -> list[Event]:
        """Look after all predictors, and let a new crew take over; ten times a second."""
        events = []
        for crew in self._all:
            events += crew.pool.tick() if crew.catalog.folders else []
        events += self.guests.tick()
        self._renew()
        return events

    def drop(self, ticket: int) -> None:
        """Take a request's images out of the queues."""
        for crew in self:
            crew.queue = deque(waiting for waiting in crew.queue if waiting.ticket != ticket)

    def close(self) -> None:
        """End every predictor."""
        self._renewal.close()
        self.guests.close()
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
        else:
            self._all.append(Crew(catalog, pool))
            self.poller.register(pool.fileno(), zmq.POLLIN)
        self.guests.renew(catalog, self.present.pool)
        self._forget()

    def _bid_farewell(self, crew: Crew) -> None:
        self._all.remove(crew)
        self._gone.update(crew.pool.counters)
        self.poller.unregister(crew.pool.fileno())
        crew.pool.close()
        self._forget()

    def _forget(self) -> None:
        """Give the memory back that only models of before needed."""
        catalogs: list[Catalog] = [crew.catalog for crew in self]
        self._renewal.keep_only([folder for one in catalogs for folder in one.all_folders])
