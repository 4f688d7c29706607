"""Models that are loaded when they are asked for, in bounded memory.

Each has a predictor process and a queue of its own, so that loading one holds up no other. It stays
warm until its room is needed: then the idle one that was asked for longest ago is put away, its
process ended.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog
import zmq

from service.catalog import Catalog
from service.catalog import Guest as Bundle
from service.crew import Crew
from service.errors import ApiError
from service.footprint import Footprint, expected_mb
from service.nursery import Nursery
from service.pool import Event, Pool
from service.protocol import ModelInfo, State

FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 300.0
"""After a model could not be loaded: how long it is not tried again. It doubles each time."""
MEASURED_EVERY_S = 1.0
RETRY_AFTER_S = 2.0
_log = structlog.get_logger("worker")


@dataclass
class _Guest:
    """A model that is here, or on its way.

    Attributes:
        name: of the model.
        crew: its predictor and its queue.
        takes_mb: memory, expected or measured (MiB).
        used: when it was last asked for.
        began: when loading began.
        measure: of its process, once it is warm.
    """

    name: str
    crew: Crew
    takes_mb: float
    used: float
    began: float
    measure: Footprint | None = None

    @property
    def idle(self) -> bool:
        """Whether nobody would miss it."""
        return bool(self.crew.pool.ready) and self.crew.done


@dataclass(frozen=True)
class _Failure:
    """Why a model could not be loaded; until when it is not tried again, after which pause."""

    why: str
    until: float
    pause_s: float


class Guests:
    """Those that are here. Not for threads: the worker's loop owns it.

    Args:
        limit_mb: what all of them may take (MiB).
        hire: a pool for a guest, not yet started; it is told where its predictor's nursery is.
        poller: of the predictors' sockets.

    Attributes:
        unable: tickets of requests whose model could not be loaded, each with what to answer; who
            reads them takes them away.
    """

    def __init__(
        self,
        limit_mb: float,
        hire: Callable[[str, Bundle, Callable[[], Nursery]], Pool],
        poller: zmq.Poller,
    ) -> None:
        self._limit_mb = limit_mb
        self._hire = hire
        self._poller = poller
        self._catalog = Catalog({}, {}, "")
        self._host: Pool | None = None
        self._here: dict[Path, _Guest] = {}
        self._leaving: list[Pool] = []
        self._failures: dict[Path, _Failure] = {}
        self._measured: dict[Path, float] = {}
        self._measured_at = 0.0
        self._counts = Counter(
            dict.fromkeys(("guest_loads", "guests_put_away", "guest_failures"), 0)
        )
        self._gone: Counter[str] = Counter()
        self.unable: list[tuple[int, ApiError]] = []

    def __iter__(self) -> Iterator[Crew]:
        return iter([guest.crew for guest in self._here.values()])

    def __len__(self) -> int:
        return len(self._here)

    @property
    def takes_mb(self) -> float:
        """Memory of all of them (MiB)."""
        return sum(guest.takes_mb for guest in self._here.values())

    @property
    def counters(self) -> Counter[str]:
        """What happened here; of pools only those that are gone."""
        told = Counter(self._counts)
        told.update(self._gone)
        return told

    def told(self, name: str, info: ModelInfo) -> ModelInfo:
        """A model as it is now."""
        bundle = self._catalog.guests.get(name)
        if bundle is None:
            return info
        here, failure = self._here.get(bundle.folder), self._failures.get(bundle.folder)
        state: State = "asleep"
        if here is not None:
            state = "warm" if here.crew.pool.ready else "loading"
        error = failure.why if failure is not None and here is None else None
        return msgspec.structs.replace(info, state=state, error=error)

    def crew_of(self, name: str) -> Crew | None:
        """Who holds a guest; None while nobody does."""
        here = self._here.get(self._catalog.guests[name].folder)
        return here.crew if here is not None else None

    def is_loading(self, name: str) -> bool:
        """Whether a guest is on its way."""
        crew = self.crew_of(name) if name in self._catalog.guests else None
        return crew is not None and not crew.pool.ready

    def welcome(self, names: Sequence[str]) -> list[Crew]:
        """Have guests here, all of them: those that are not are loaded from now on.

        Raises:
            ApiError: no_room_for_model, model_too_large, or model_unavailable where one cannot be
                loaded, or could not a moment ago. Then none is loaded for it.
        """
        now = time.monotonic()
        missing = [name for name in names if self.crew_of(name) is None]
        for name in missing:
            self._see_that_it_may_be_tried(name, now)
        if missing:
            self._make_room(names, missing)
        self._load_all(missing, now)
        here = [self._here[self._catalog.guests[name].folder] for name in names]
        for guest in here:
            guest.used = now
        return [guest.crew for guest in here]

    def tick(self) -> list[Event]:
        """Look after them; ten times a second."""
        events = []
        for folder, guest in list(self._here.items()):
            events += guest.crew.pool.tick()
            self._look_at(folder, guest)
        self._leaving = [pool for pool in self._leaving if not self._has_left(pool)]
        now = time.monotonic()
        if now - self._measured_at > MEASURED_EVERY_S:
            self._measured_at = now
            self._measure()
        return events

    def renew(self, catalog: Catalog, host: Pool) -> None:
        """Take another catalogue: what it does not name goes when it is idle.

        Args:
            catalog: of the models as they are now.
            host: the pool whose nursery guests come from.
        """
        self._catalog, self._host = catalog, host
        self._failures.clear()

    def close(self) -> None:
        """End all of them."""
        for folder in list(self._here):
            self._leave(folder)
        for pool in self._leaving:
            pool.close()
        self._leaving.clear()

    # Coming ----------------------------------------------------------------------------------

    def _see_that_it_may_be_tried(self, name: str, now: float) -> None:
        failure = self._failures.get(self._catalog.guests[name].folder)
        if failure is not None and now < failure.until:
            raise ApiError("model_unavailable", failure.why, failure.until - now)

    def _expected_mb(self, name: str) -> float:
        bundle = self._catalog.guests[name]
        return self._measured.get(bundle.folder, expected_mb(bundle.parameters_bytes))

    def _make_room(self, names: Sequence[str], missing: Sequence[str]) -> None:
        """Put idle ones away until there is room, if there can be."""
        for folder, guest in self._here.items():
            if guest.crew.pool.ready and guest.measure is None:  # warm since the last look
                self._greet(folder, guest)
        folders = {self._catalog.guests[name].folder for name in names}
        needed_mb = sum(self._expected_mb(name) for name in missing)
        kept_mb = sum(g.takes_mb for folder, g in self._here.items() if folder in folders)
        if needed_mb + kept_mb > self._limit_mb:
            raise self._too_large(names, needed_mb + kept_mb)
        free_mb = self._limit_mb - self.takes_mb
        idle = [f for f, guest in self._here.items() if guest.idle and f not in folders]
        idle.sort(key=lambda folder: self._here[folder].used)
        if free_mb + sum(self._here[folder].takes_mb for folder in idle) < needed_mb:
            raise self._no_room(missing, needed_mb)
        for folder in idle:
            if free_mb >= needed_mb:
                break
            free_mb += self._here[folder].takes_mb
            self._put_away(folder)

    def _too_large(self, names: Sequence[str], needed_mb: float) -> ApiError:
        several = len(names) > 1
        return ApiError(
            "model_too_large",
            f"{' and '.join(names)} {'together take' if several else 'takes'} about "
            f"{needed_mb:.0f} MiB of memory, and all models that are loaded on demand may take "
            f"{self._limit_mb:.0f}. Ask for {'fewer or ' if several else 'a '}smaller"
            f"{' ones' if several else ' one'}, or have HYOJO_MODEL_MEMORY raised.",
        )

    def _no_room(self, missing: Sequence[str], needed_mb: float) -> ApiError:
        busy = ", ".join(guest.name for guest in self._here.values() if not guest.idle)
        return ApiError(
            "no_room_for_model",
            f"There is no room to load {' and '.join(missing)} just now: about {needed_mb:.0f} MiB "
            f"are needed of the {self._limit_mb:.0f} of HYOJO_MODEL_MEMORY, and models that are "
            f"answering or loading have too much of them ({busy}). Try again in a moment.",
            RETRY_AFTER_S,
        )

    def _load_all(self, names: Sequence[str], now: float) -> None:
        begun: list[Path] = []
        for name in names:
            folder = self._catalog.guests[name].folder
            try:
                self._here[folder] = self._load(name, now)
            except OSError as error:  # out of open files: it may go better in a while
                for other in begun:
                    self._leave(other)
                why = f"The model {name} cannot be loaded just now: {error.strerror or error}."
                _log.error("model cannot be loaded", model=name, why=why)
                why += " Try again in a moment."
                raise ApiError("model_unavailable", why, RETRY_AFTER_S) from None
            begun.append(folder)

    def _load(self, name: str, now: float) -> _Guest:
        bundle = self._catalog.guests[name]
        pool = self._hire(name, bundle, self._nursery)
        one = Catalog({name: self._catalog.models[name]}, {name: bundle.folder}, name)
        takes_mb = self._expected_mb(name)
        self._poller.register(pool.fileno(), zmq.POLLIN)
        pool.tick()  # at once: it starts
        self._counts["guest_loads"] += 1
        _log.info("loading a model", model=name, expected_mb=round(takes_mb))
        return _Guest(name, Crew(one, pool, guest=True), takes_mb, now, now)

    def _nursery(self) -> Nursery:
        assert self._host is not None
        return self._host.nursery

    # Here, and going -------------------------------------------------------------------------

    def _look_at(self, folder: Path, guest: _Guest) -> None:
        pool = guest.crew.pool
        if not pool.ready:
            guest.measure = None
            if pool.problem:
                self._give_up(folder, guest)
        elif guest.measure is None:
            self._greet(folder, guest)
        elif guest.idle and folder not in self._catalog.all_folders:
            self._put_away(folder)

    def _greet(self, folder: Path, guest: _Guest) -> None:
        """It is warm."""
        pool = guest.crew.pool
        if not pool.pids:  # its first word came before its nursery's: at the next look
            return
        guest.measure = Footprint(pool.pids[0], pool.private_mb)
        guest.takes_mb = self._measured[folder] = guest.measure.mb or guest.takes_mb
        self._failures.pop(folder, None)
        seconds = time.monotonic() - guest.began
        _log.info(
            "model warm", model=guest.name, mb=round(guest.takes_mb), seconds=round(seconds, 1)
        )

    def _give_up(self, folder: Path, guest: _Guest) -> None:
        """It cannot be loaded: those who wait for it hear why, and others for a while."""
        before = self._failures.get(folder)
        pause_s = FIRST_PAUSE_S if before is None else min(LONGEST_PAUSE_S, 2 * before.pause_s)
        why = f"The model {guest.name} cannot be loaded: {guest.crew.pool.problem}"
        self._failures[folder] = _Failure(why, time.monotonic() + pause_s, pause_s)
        refusal = ApiError("model_unavailable", why, pause_s)
        self.unable += [(ticket, refusal) for ticket in {w.ticket for w in guest.crew.queue}]
        guest.crew.queue.clear()
        self._counts["guest_failures"] += 1
        _log.error("model cannot be loaded", model=guest.name, why=why, next_try_in_s=pause_s)
        self._leave(folder)

    def _measure(self) -> None:
        """See what they take by now; where it is too much, the idle give way."""
        for guest in self._here.values():
            if guest.measure is not None:
                guest.takes_mb = guest.measure.mb or guest.takes_mb
        while self.takes_mb > self._limit_mb:
            idle = [folder for folder, guest in self._here.items() if guest.idle]
            if not idle:
                return
            self._put_away(min(idle, key=lambda folder: self._here[folder].used))

    def _put_away(self, folder: Path) -> None:
        guest = self._here[folder]
        self._counts["guests_put_away"] += 1
        _log.info("model put away", model=guest.name, mb=round(guest.takes_mb))
        self._leave(folder)

    def _leave(self, folder: Path) -> None:
        pool = self._here.pop(folder).crew.pool
        self._gone.update(pool.counters)
        self._poller.unregister(pool.fileno())
        pool.end()
        self._leaving.append(pool)

    @staticmethod
    def _has_left(pool: Pool) -> bool:
        gone = pool.end()
        if gone:
            pool.close()
        return gone
