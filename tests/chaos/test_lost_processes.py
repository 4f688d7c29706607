"""The worker, the gateway or one of its processes killed: told at once, and ended or mended."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import closing

import pytest

from tests.chaos.conftest import family, kill, lives, of_kind, readiness, seconds_until
from tests.chaos.load import ask, connect
from tests.conftest import Launcher, Running

TRUTH_WITHIN_S = 1.0
GATEWAY = ("-m", "gunicorn", "-c", "python:service.gunicorn_conf", "service.gateway:create_app()")


def ready(url: str) -> bool:
    return bool(readiness(url)["status"] == 200)


@pytest.mark.parametrize("lost", ["infer.py", "gunicorn"])
def test_a_half_that_is_killed_ends_the_whole_with_1_and_leaves_nothing(
    lost: str, start: Callable[..., Running], figure: Callable[[str], None]
) -> None:
    running = start()
    everybody = family(running.process.pid)
    os.kill(of_kind(running, lost)[0], signal.SIGKILL)  # the first is the parent of its kind
    untold_s = seconds_until(lambda: not ready(running.url), 5, "the truth")
    assert running.process.wait(15) == 1
    assert "ended by itself (status -9)" in running.log
    seconds_until(lambda: not any(map(lives, everybody)), 5, "the end")
    figure(f"{lost} killed: /readyz says so after {untold_s:.2f} s, the service ends with 1")
    assert untold_s < TRUTH_WITHIN_S


def test_gateways_find_a_new_worker_by_themselves_and_serve_without_one_of_them(
    launch: Launcher, pictures: list[bytes], figure: Callable[[str], None]
) -> None:
    gateway = launch(*GATEWAY, gateway_processes=2)
    first = launch("infer.py", worker=gateway.endpoint)
    gateway.wait_for(lambda: ready(gateway.url), "readiness", 60)
    first.process.kill()
    first.process.wait()
    killed = time.monotonic()
    seconds_until(lambda: not ready(gateway.url), 5, "the truth")
    untold_s = time.monotonic() - killed
    second = launch("infer.py", worker=gateway.endpoint)
    second.wait_for(lambda: "ready: " in second.log, "a new worker", 60)
    found_s = seconds_until(lambda: all(ready(gateway.url) for _ in range(8)), 5, "readiness again")

    one, other = family(gateway.process.pid)
    kill(one, signal.SIGKILL)
    for number, picture in enumerate(pictures):
        with closing(connect(gateway.url)) as connection:
            answer = ask(connection, number, picture)
        assert answer.status == 200, answer
    seconds_until(
        lambda: len(family(gateway.process.pid)) == 2 and one not in family(gateway.process.pid),
        10,
        "a process in its place",
    )
    assert other in family(gateway.process.pid)
    figure(
        f"worker killed: /readyz says so after {untold_s:.2f} s; the new one is found "
        f"{found_s:.2f} s after it is ready"
    )
    assert untold_s < TRUTH_WITHIN_S and found_s < 2
    assert "Traceback" not in gateway.log
