"""Slow, endless, lying, idle and vanishing clients: a good one hardly notices them.

Its p99 stays under five times what it is without them, measured just before and just after on the
same service.
"""

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

from tests.amount import SOAK, amount
from tests.chaos.hostile import HEAD, KINDS
from tests.conftest import PROJECT, Launcher, Running

TIMES = 5
TRIES = 3
"""Other work on the machine passes, and starvation does not."""
LEAST_S = 0.0 if SOAK else 0.05
"""In small amounts the undisturbed client's p99, its slowest of 40, counts as this at least."""


def connect(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=5)


def p99(url: str, face: bytes, requests_made: int) -> float:
    """Seconds within which 99 of 100 requests of a good client are answered, each rightly.

    Every other request comes over a new connection.
    """
    seconds = []
    with requests.Session() as kept:
        for number in range(requests_made):
            started = time.perf_counter()
            ask = kept.post if number % 2 else requests.post
            answer = ask(f"{url}/classify", files={"image": face}, timeout=30)
            seconds.append(time.perf_counter() - started)
            assert answer.status_code == 200, answer.text
            assert answer.json()["label"] == "happiness"
    return sorted(seconds)[int(0.99 * len(seconds))]


@contextmanager
def harm(kind: str, url: str) -> Iterator[dict[str, object]]:
    """Hostile clients of a kind at work; afterwards what they did."""
    did: dict[str, object] = {}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.hostile", kind, url],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin and process.stdout
    try:
        assert process.stdout.readline() == "ready\n"
        yield did
        process.stdin.close()
        did |= json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


@pytest.mark.parametrize("kind", KINDS)
def test_they_starve_nobody(service: Running, face_jpeg: bytes, kind: str) -> None:
    p99(service.url, face_jpeg, 5)
    errors = service.log.count("internal error")
    figures = []
    for _ in range(TRIES):
        before = p99(service.url, face_jpeg, amount(20, 500))
        with harm(kind, service.url) as did:
            among = p99(service.url, face_jpeg, amount(40, 1000))
        alone = max(before, p99(service.url, face_jpeg, amount(20, 500)))
        figures.append(f"p99 {alone * 1000:.0f} ms alone, {among * 1000:.0f} ms among {did}")
        if among <= TIMES * max(alone, LEAST_S):
            break
    print(f"{kind}: {'; '.join(figures)}")
    assert among <= TIMES * max(alone, LEAST_S), figures
    assert int(str(did["opened"])) >= KINDS[kind][0]
    assert service.log.count("internal error") == errors and "Traceback" not in service.log


GATEWAY = ("-m", "gunicorn", "-c", "python:service.gunicorn_conf", "service.gateway:create_app()")


def answers(url: str) -> bool:
    """Whether the gateway itself answers, to a new client and soon."""
    try:
        return requests.get(f"{url}/livez", timeout=3).status_code == 200
    except requests.RequestException:
        return False


def test_unfinished_bodies_are_held_in_bounded_memory(launch: Launcher) -> None:
    gateway = launch(*GATEWAY, max_body_mb=1, body_buffer_mb=1)  # at least two bodies: 2 MiB
    gateway.wait_for(lambda: answers(gateway.url), "the gateway", 20)
    slow = [connect(gateway.url) for _ in range(8)]
    for client in slow:
        client.sendall(HEAD + b"Content-Length: 1000000\r\n\r\n" + bytes(900_000))
        time.sleep(0.1)
    refused, waiting = slow[:6], slow[6:]
    for client in refused:  # the oldest
        answer = client.recv(65536)
        assert answer.startswith(b"HTTP/1.1 503 ") and b"Retry-After" in answer
    for client in waiting:
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.recv(1)
    assert answers(gateway.url)
    for client in slow:
        client.close()


def test_more_connections_than_it_may_open_make_way_for_new_ones(launch: Launcher) -> None:
    code = (
        "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (400, 400));"
        "runpy.run_module('gunicorn', run_name='__main__', alter_sys=True)"
    )
    gateway = launch("-c", code, *GATEWAY[2:])
    gateway.wait_for(lambda: answers(gateway.url), "the gateway", 20)
    idle = [connect(gateway.url) for _ in range(300)]
    slow = [connect(gateway.url) for _ in range(300)]
    for client in slow:
        with contextlib.suppress(OSError):
            client.sendall(HEAD + b"Content-Length: 1000\r\n\r\nx")
    assert answers(gateway.url)
    assert "Traceback" not in gateway.log
    for client in [*idle, *slow]:
        client.close()
