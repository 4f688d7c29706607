"""SIGTERM while requests keep coming, and stopping and starting again and again."""

import glob
import os
import re
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.amount import amount
from tests.chaos.conftest import family, lives, seconds_until
from tests.chaos.load import NO_ANSWER, REFUSED, Load, known_answers
from tests.conftest import Launcher, Running, is_ready

GRACE_S = 20


def test_sigterm_under_load_loses_no_request_and_ends_with_0(
    start: Callable[..., Running], pictures: list[bytes], figure: Callable[[str], None]
) -> None:
    """Neither on connections that are kept nor on new ones."""
    running = start(predictors=2, grace_s=GRACE_S)
    known = known_answers(running.url, pictures)
    with (
        Load(running.url, pictures, clients=6, keep=True) as kept,
        Load(running.url, pictures, clients=6, keep=False) as new,
    ):
        time.sleep(amount(2, 10))
        running.process.send_signal(signal.SIGTERM)
        told = time.monotonic()
        assert running.process.wait(GRACE_S) == 0
        ended_s = time.monotonic() - told
    answers = [*kept.answers, *new.answers]
    late = [answer for answer in answers if answer.began + answer.seconds > told]
    figure(
        f"SIGTERM under load: {len(answers) - len(late)} answers before, "
        f"{sum(answer.status > 0 for answer in late)} after, none lost, ended in {ended_s:.1f} s"
    )
    for answer in answers:
        assert answer.status != NO_ANSWER, (answer.began - told, answer)
        if answer.status == 200:
            assert answer.body["results"] == known[answer.picture]
        elif answer.status != REFUSED:
            assert answer.kind == "503 shutting_down" and answer.retry_after, answer
    assert sum(answer.status == 200 for answer in late) > 0
    assert any(answer.status == REFUSED for answer in late)
    assert "Traceback" not in running.log


def test_starting_and_stopping_again_leaves_nothing_behind(
    start: Callable[..., Running], pictures: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where it was killed: what a killed one left is swept by the next."""
    with tempfile.TemporaryDirectory(prefix="hyojo-t-") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        left = []
        everybody: list[int] = []
        for number in range(amount(2, 11)):
            running = start(gateway_processes=2)
            known_answers(running.url, pictures[:2])
            own = [running.process.pid, *family(running.process.pid)]
            everybody += own
            if number == 0:
                for pid in own:
                    os.kill(pid, signal.SIGKILL)
                running.process.wait()
            else:
                assert running.stop() == 0
            seconds_until(lambda own=own: not any(map(lives, own)), 5, "the end of them all")
            left.append(leavings(everybody, Path(folder)))
        assert left[0], "a killed one leaves something to be swept"
        assert left[1:] == [[]] * len(left[1:])


INTERRUPTED = """
import os, signal, sys
from service import __main__ as service

start, count = service._start, 0

def interrupted(*args):
    global count
    count += 1
    if count == int(sys.argv[2]):
        os.kill(os.getpid(), int(sys.argv[1]))
    return start(*args)

service._start = interrupted
sys.exit(service.main([]))
"""
"""A service that gets a signal just before it starts the first, or the second, of its processes."""


@pytest.mark.parametrize("before", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_the_start_ends_it_with_0(
    launch: Launcher, number: int, before: int
) -> None:
    running = launch("-c", INTERRUPTED, str(int(number)), str(before))
    assert running.process.wait(10) == 0, running.log
    assert "Hyojo has ended" in running.log and "Traceback" not in running.log


@pytest.mark.parametrize("before", [1, 2])
def test_a_wish_for_newer_models_during_the_start_does_no_harm(
    launch: Launcher, before: int
) -> None:
    running = launch("-c", INTERRUPTED, str(int(signal.SIGHUP)), str(before))
    running.wait_for(lambda: is_ready(running.url), "readiness")
    assert running.stop() == 0


ORPHANED = """
import os, signal, sys, time
from service import __main__ as service

plain = service.end_with_parent

def too_late(number):
    parent = os.getppid()
    os.write(1, f"born {os.getpid()} ".encode())
    os.kill(parent, signal.SIGKILL)
    while os.getppid() == parent:
        time.sleep(0.01)
    plain(number)

service.end_with_parent = too_late
sys.exit(service.main([]))
"""
"""A service that is killed before its first process asks to end with it."""


def test_a_process_whose_parent_is_killed_at_its_birth_does_not_stay(launch: Launcher) -> None:
    running = launch("-c", ORPHANED)
    assert running.process.wait(10) == -signal.SIGKILL
    born = re.search(r"born (\d+) ", running.log)
    assert born
    try:
        seconds_until(lambda: not lives(int(born[1])), 5, "its end")
    finally:
        with suppress(ProcessLookupError):
            os.kill(int(born[1]), signal.SIGKILL)


def leavings(pids: list[int], folder: Path) -> list[str]:
    """Folders and files that these processes made and left, in memory and among temporary files."""
    named = [f"/dev/shm/hyojo-*-{pid}-*" for pid in pids]
    return [path for pattern in named for path in glob.glob(pattern)] + [
        str(path) for path in folder.iterdir() if path.name != "log"
    ]
