"""The clock set back an hour while the service works.

No test may set a machine's clock, and libfaketime 0.9.10 breaks Python's own sleep. So the wall
clock is shifted for all Python code of every process of the real service, its packages' too, before
any of it is imported; ZeroMQ and Paddle below know only the monotonic one.
"""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.conftest import readiness
from tests.chaos.load import Load, known_answers
from tests.conftest import Running

SHIM = """
import sys, time
_shift, _asked = {shift!r}, {asked!r}
_time, _time_ns = time.time, time.time_ns

def _now(real, unit):
    with open(_asked, "a") as asked:
        asked.write(sys._getframe(2).f_globals.get("__name__", "") + "\\n")
    with open(_shift) as shift:
        return real() + int(shift.read() or 0) * unit

time.time = lambda: _now(_time, 1)
time.time_ns = lambda: _now(_time_ns, 10**9)
"""


def test_a_clock_set_back_an_hour_costs_nothing(
    start: Callable[..., Running],
    pictures: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    shift, asked = tmp_path / "shift", tmp_path / "asked"
    shift.write_text("0")
    (tmp_path / "sitecustomize.py").write_text(SHIM.format(shift=str(shift), asked=str(asked)))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    running = start(predictors=2, grace_s=15)
    known = known_answers(running.url, pictures)
    with Load(running.url, pictures, clients=3, pause_s=0.02) as load:
        for seconds in ("3600", "-3600"):
            shift.write_text(seconds)
            time.sleep(1.2)
            assert readiness(running.url)["status"] == 200
    assert set(load.kinds) == {"200"}
    assert all(answer.body["results"] == known[answer.picture] for answer in load.answers)
    running.process.send_signal(signal.SIGTERM)
    shift.write_text("-7200")
    assert running.process.wait(15) == 0
    readers = set(asked.read_text().split())
    assert readers, "nobody was given the shifted clock"
    assert not {name for name in readers if name.startswith(("service", "models"))}, readers
