"""SIGTERM while requests keep coming, and stopping and starting again and again."""

import glob
import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.amount import amount
from tests.chaos.conftest import family, lives, seconds_until
from tests.chaos.load import NO_ANSWER, REFUSED, Load, known_answers
from tests.conftest import Running

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


def leavings(pids: list[int], folder: Path) -> list[str]:
    """Folders and files that these processes made and left, in memory and among temporary files."""
    named = [f"/dev/shm/hyojo-*-{pid}-*" for pid in pids]
    return [path for pattern in named for path in glob.glob(pattern)] + [
        str(path) for path in folder.iterdir() if path.name != "log"
    ]
