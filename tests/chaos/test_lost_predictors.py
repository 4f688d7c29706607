"""Predictors killed or stopped one after another while requests keep coming."""

import random
import re
import signal
import time
from collections.abc import Callable

import pytest

from tests.amount import amount
from tests.chaos.conftest import kill, of_kind, readiness, seconds_until
from tests.chaos.load import Load, known_answers
from tests.conftest import Running

CLIENTS = 4
PAUSE_S = 0.05
BACK_WITHIN_S = 4.0
DEADLINE_S = 10.0


def capacity(running: Running) -> int:
    return int(readiness(running.url).get("predictors_ready", 0))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_one_each_second_costs_no_request_but_the_one_it_held(
    number: signal.Signals,
    start: Callable[..., Running],
    pictures: list[bytes],
    figure: Callable[[str], None],
) -> None:
    predictors, seconds = amount(3, 6), amount(4, 60)
    running = start(predictors=predictors, deadline_s=DEADLINE_S)
    known = known_answers(running.url, pictures)
    ready = re.compile(r"ready: .*, ([\d.]+) s")
    running.wait_for(lambda: bool(ready.search(running.log)), "all of them warm", 60)
    began_in_s = float(ready.findall(running.log)[0])
    chance = random.Random(5)
    with Load(running.url, pictures, CLIENTS, PAUSE_S) as load:
        for _ in range(seconds):
            time.sleep(1)
            if there := of_kind(running, "predictor"):  # all may be starting again
                kill(chance.choice(there), number)
        last = time.monotonic()
        if number == signal.SIGSTOP:  # else the stopped one counts as warm for a moment more
            time.sleep(1.2)
        else:
            seconds_until(lambda: capacity(running) < predictors, 2, "the loss")
        seconds_until(lambda: capacity(running) == predictors, 60, "all of the capacity")
        back_s = time.monotonic() - last
    kinds = load.kinds
    figure(
        f"a predictor {number.name} each second for {seconds} s: {dict(kinds)}, slowest "
        f"{max(a.seconds for a in load.answers):.1f} s, capacity back in {back_s:.1f} s "
        f"(a start took {began_in_s:.1f} s)"
    )
    told = {"503 worker_lost"}
    if began_in_s > DEADLINE_S / 2:  # so busy a machine that new ones come too late for who waits
        told.add("504 deadline_exceeded")
    for answer in load.answers:
        if answer.status == 200:
            assert answer.body["results"] == known[answer.picture], "another picture's answer"
        else:
            assert answer.kind in told, f"{answer}\n{running.log[-3000:]}"
            assert answer.retry_after is not None and int(answer.retry_after) >= 1
    assert max(answer.seconds for answer in load.answers) < DEADLINE_S + 2
    assert kinds["200"] > kinds["503 worker_lost"]
    # Where the machine is so busy that a first start takes long, another takes as long.
    assert back_s < max(BACK_WITHIN_S, 2 * began_in_s + 1)
    assert "Traceback" not in running.log
