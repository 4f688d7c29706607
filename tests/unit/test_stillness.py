"""A process that has work and stands still is told from one that works, waits, or has ended."""

import os
import signal
import subprocess
import sys
import time

import pytest

from service.stillness import Stillness


def watch(pid: int, has_work: bool, looks: int = 6) -> float:
    """Seconds of stillness after some looks, a tenth of a second apart by the clock it is told."""
    watched = Stillness(pid)
    still_s = 0.0
    for number in range(looks):
        still_s = watched.look(100 + 0.1 * number, has_work)
        time.sleep(0.03)
    return still_s


@pytest.mark.parametrize(
    ("code", "stopped", "has_work", "still"),
    [
        ("while True: pass", False, True, False),  # computes
        ("import time; time.sleep(60)", False, True, True),  # locked up
        ("import time; time.sleep(60)", False, False, False),  # waits for work
        ("while True: pass", True, True, True),  # stopped at work
        ("import time; time.sleep(60)", True, False, True),  # stopped while it waits
    ],
)
def test_stillness(code: str, stopped: bool, has_work: bool, still: bool) -> None:
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        try:
            time.sleep(0.3)
            if stopped:
                os.kill(process.pid, signal.SIGSTOP)
                time.sleep(0.05)
            assert (watch(process.pid, has_work) > 0.3) == still
        finally:
            process.kill()


def test_one_that_has_ended_is_no_matter_of_stillness() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
        assert watch(process.pid, has_work=True) == 0


def test_a_long_pause_of_the_watcher_is_not_counted_as_the_others() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        try:
            time.sleep(0.3)
            watched = Stillness(process.pid)
            watched.look(100.0, has_work=True)
            assert watched.look(160.0, has_work=True) < 0.3
        finally:
            process.kill()
