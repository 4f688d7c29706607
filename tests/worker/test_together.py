"""python -m service: worker and gateway together, ending together."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest

from service.nursery import PREDICTOR
from tests.conftest import PROJECT, Launcher, Running, children, is_ready, name_of
from tests.worker.conftest import wait_until


def _start(launch: Launcher, **settings: object) -> Running:
    running = launch("-m", "service", **settings)
    running.wait_for(lambda: "ready: open" in running.log, "readiness", 60)
    return running


def _family(pid: int) -> list[int]:
    """All descendants' process ids."""
    return [p for child in children(pid) for p in (child, *_family(child))]


def _classify(url: str, image: bytes) -> dict[str, object]:
    question = urllib.request.Request(
        f"{url}/classify", image, {"Content-Type": "image/jpeg"}, method="POST"
    )
    with urllib.request.urlopen(question, timeout=30) as answer:
        reply: dict[str, object] = json.load(answer)
        return reply


@pytest.mark.parametrize(("argument", "status"), [("--help", 0), ("--port=9", 2)])
def test_an_argument_starts_nothing(argument: str, status: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "service", argument],
        cwd=PROJECT, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.returncode == status
    assert "usage: python -m service" in done.stdout + done.stderr
    assert "Hyojo starts" not in done.stderr
    assert "python -m service.settings" in done.stdout or status == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_both_with_0_and_leaves_nothing(launch: Launcher, number: int) -> None:
    running = _start(launch)
    family = _family(running.process.pid)
    assert len(family) >= 4, "worker, predictor, gunicorn and its process"
    assert running.stop(number, 15) == 0
    assert "Hyojo has ended" in running.log and "Traceback" not in running.log
    assert not any(Path(f"/proc/{pid}").exists() for pid in family)
    with socket.create_server(("127.0.0.1", int(running.url.rpartition(":")[2]))):
        pass  # the port is free again


def test_a_running_request_is_answered_before_the_end(launch: Launcher, face_jpeg: bytes) -> None:
    running = _start(launch, predictor_stuck_s=60)
    predictor = next(pid for pid in _family(running.process.pid) if name_of(pid) == PREDICTOR)
    os.kill(predictor, signal.SIGSTOP)
    replies: list[dict[str, object]] = []
    asking = threading.Thread(target=lambda: replies.append(_classify(running.url, face_jpeg)))
    asking.start()
    threading.Event().wait(0.5)
    running.process.terminate()
    threading.Event().wait(0.5)
    os.kill(predictor, signal.SIGCONT)
    asking.join(20)
    assert len(replies) == 1 and replies[0]["model"] == "emotion"
    assert running.process.wait(20) == 0


def test_a_port_in_use_is_a_sentence_and_nothing_is_started(launch: Launcher) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        running = launch("-m", "service", port=port)
        assert running.process.wait(10) == 2
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in running.log
    assert "HYOJO_PORT" in running.log and "Traceback" not in running.log


def test_a_second_service_on_the_same_socket_says_so_and_the_first_goes_on(
    launch: Launcher,
) -> None:
    first = _start(launch)
    second = launch("-m", "service", worker=first.endpoint)
    assert second.process.wait(60) == 2
    assert "Another worker is already listening on" in second.log
    assert "Traceback" not in second.log
    assert is_ready(first.url)


@pytest.mark.parametrize("victim", ["infer.py", "gunicorn"])
def test_when_one_of_the_two_is_killed_the_other_ends_too(launch: Launcher, victim: str) -> None:
    running = _start(launch)
    family = _family(running.process.pid)
    pid = next(
        pid
        for pid in children(running.process.pid)
        if victim in Path(f"/proc/{pid}/cmdline").read_text()
    )
    os.kill(pid, signal.SIGKILL)
    assert running.process.wait(60) == 1, "not 0: whoever runs it must notice and start it again"
    assert "ended by itself" in running.log
    wait_until(lambda: not any(Path(f"/proc/{p}").exists() for p in family), "all to end", 5)


def test_nothing_outlives_a_killed_supervisor(launch: Launcher) -> None:
    running = _start(launch)
    family = _family(running.process.pid)
    running.process.kill()
    running.process.wait()
    wait_until(lambda: not any(Path(f"/proc/{p}").exists() for p in family), "all to end", 30)


def test_port_0_picks_a_free_one_and_says_which(launch: Launcher) -> None:
    running = _start(launch, port=0)
    line = next(line for line in running.log.splitlines() if "ready: open" in line)
    assert is_ready(line.rpartition(" ")[2])
