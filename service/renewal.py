"""SIGHUP: read the bundles again and let new predictors take over, or say why they may not.

The old predictors answer until the new ones are warm, and what they had accepted to the end. Where
the new ones cannot be had, the old ones stay.
"""

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog

from service.catalog import Catalog
from service.pool import START_TIMEOUT_S, Pool
from service.shelf import Shelf

_log = structlog.get_logger("worker")


class Renewal:
    """One change of models at a time. The worker's loop owns it and calls `tick`.

    Args:
        read: the bundles as they are now. It runs in a thread: hashing takes long.
        hire: predictors for a catalogue, not yet started.
        shelf: where copies of the bundles are.
    """

    def __init__(
        self, read: Callable[[], Catalog], hire: Callable[[Catalog], Pool], shelf: Shelf
    ) -> None:
        self._read, self._hire, self._shelf = read, hire, shelf
        self._asked = False  # no threading.Event: a signal during its lock would wait for itself
        self._reading: threading.Thread | None = None
        self._came: Catalog | None = None
        self._pool: Pool | None = None
        self._began = 0.0

    def ask(self) -> None:
        """Read the bundles again as soon as may be. For a signal handler."""
        self._asked = True

    def tick(self, present: Catalog) -> tuple[Catalog, Pool | None] | None:
        """Take the next step.

        Args:
            present: the catalogue that is served.

        Returns:
            None while nothing changes; a catalogue and the warm pool that is to take over; or, with
            no pool, the present catalogue with what was refused.
        """
        if self._pool is not None:
            return self._warming(present, self._pool)
        if self._reading is not None:
            return None if self._reading.is_alive() else self._has_read(present)
        if self._asked:
            self._asked = False  # before the reading: who asks during it may mean newer ones
            _log.info("reading the models again")
            self._came = None
            self._reading = threading.Thread(target=self._read_all, daemon=True)
            self._reading.start()
        return None

    def keep_only(self, folders: Iterable[Path]) -> None:
        """Give the memory back of what is in none of these."""
        self._shelf.keep_only(folders)

    def close(self) -> None:
        """End what has been started and is not wanted any more."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def _read_all(self) -> None:
        try:
            self._came = self._read()
        except Exception as error:  # whatever it is: the present models stay, and it is said
            _log.error("the models cannot be read, the old ones stay", why=str(error))

    def _has_read(self, present: Catalog) -> tuple[Catalog, Pool | None] | None:
        self._reading = None
        if self._came is None:
            return None
        found = self._came = self._came.after(present)
        for name, info in found.models.items():
            if info.refused or info.error:
                _log.error("model refused", model=name, why=info.refused or info.error)
        if found.folders == present.folders:
            same = found.guests == present.guests
            _log.info("no model has changed" if same else "models changed that nobody holds")
            return found, None
        try:
            self._pool, self._began = self._hire(found), time.monotonic()
        except OSError as error:  # out of open files
            why = f"No predictors can be had for them: {error.strerror or error}."
            _log.error("models refused, the old ones stay", why=why)
            return present.refusing(found, why), None
        return None

    def _warming(self, present: Catalog, pool: Pool) -> tuple[Catalog, Pool | None] | None:
        assert self._came is not None
        pool.receive()
        pool.tick()
        if pool.ready == pool.size:
            self._pool = None
            _log.info(
                "models changed",
                models={name: info.version for name, info in self._came.models.items()},
                seconds=round(time.monotonic() - self._began, 1),
            )
            return self._came, pool
        why = pool.problem
        if not why and time.monotonic() - self._began > START_TIMEOUT_S:
            why = f"Its predictors were not warm within {START_TIMEOUT_S:g} s."
        if not why:
            return None
        _log.error("models refused, the old ones stay", why=why)
        self.close()
        return present.refusing(self._came, why), None
