"""service/renewal.py: when the bundles are read again."""

import errno
import os
import sys
import threading
import time
from pathlib import Path

from service.catalog import Catalog
from service.pool import Pool
from service.protocol import ModelInfo
from service.renewal import Renewal
from service.shelf import Shelf

PRESENT = Catalog({}, {}, "")


def no_pool(catalog: Catalog) -> Pool:
    raise AssertionError(f"no predictors were to be hired for {catalog}")


def reads(renewal: Renewal, seconds: float = 5) -> int:
    """Tick until nothing is asked for any more; returns how often the bundles had been read."""
    count, quiet, ends = 0, 0, time.monotonic() + seconds
    while quiet < 3 and time.monotonic() < ends:
        told = renewal.tick(PRESENT)
        count += told is not None
        quiet = 0 if told is not None or renewal._reading is not None else quiet + 1
        time.sleep(0.002)
    return count


def test_who_asks_once_gets_one_reading_and_who_asks_during_it_another(tmp_path: Path) -> None:
    renewal = Renewal(lambda: PRESENT, no_pool, Shelf(tmp_path))
    assert reads(renewal) == 0
    renewal.ask()
    renewal.ask()
    assert reads(renewal) == 1
    going_on = threading.Event()
    slow = Renewal(lambda: PRESENT if going_on.wait(5) else None, no_pool, Shelf(tmp_path))
    slow.ask()
    slow.tick(PRESENT)
    slow.ask()
    going_on.set()
    assert reads(slow) == 2


def test_a_signal_at_any_moment_of_another_or_of_the_loop_locks_nothing(tmp_path: Path) -> None:
    """`ask` runs in a signal handler: between any two steps of whatever the loop does."""
    renewal = Renewal(lambda: PRESENT, no_pool, Shelf(tmp_path))

    def interrupted() -> None:
        sys.setprofile(lambda *_: renewal.ask())  # at each call and return
        try:
            renewal.ask()
            renewal.tick(PRESENT)
        finally:
            sys.setprofile(None)

    thread = threading.Thread(target=interrupted, daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive(), "it waits for itself"
    assert reads(renewal) == 2


def test_where_no_predictors_can_be_had_the_present_models_stay_and_say_why(
    tmp_path: Path,
) -> None:
    def none_left(catalog: Catalog) -> Pool:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    present, newer = (
        Catalog({"one": ModelInfo(name="one", version=version)}, {"one": tmp_path / version}, "one")
        for version in ("1", "2")
    )
    renewal = Renewal(lambda: newer, none_left, Shelf(tmp_path))
    renewal.ask()
    told, ends = None, time.monotonic() + 5
    while told is None and time.monotonic() < ends:
        told = renewal.tick(present)
    assert told is not None and told[1] is None
    (info,) = told[0].models.values()
    assert info.version == "1" and told[0].folders == present.folders
    assert "Too many open files" in str(info.refused)
    assert renewal.tick(present) is None, "it goes on"
