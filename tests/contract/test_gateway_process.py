"""The gateway as a process: small, quick to start, true about its worker, and it drains."""

import re
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
import requests

from tests.conftest import Launcher, Running, children, free_port, is_ready
from tests.contract.conftest import Api, assert_problem, imported_by_gateway

GATEWAY = ("-m", "gunicorn", "-c", "python:service.gunicorn_conf", "service.gateway:create_app()")


def answers(url: str) -> bool:
    """Whether the gateway itself answers."""
    try:
        return requests.get(f"{url}/livez", timeout=5).status_code == 200
    except requests.ConnectionError:
        return False


def alone(launch: Launcher, **settings: object) -> Running:
    """A gateway without a worker, answering."""
    gateway = launch(*GATEWAY, **settings)
    gateway.wait_for(
        lambda: gateway.process.poll() is not None or answers(gateway.url), "the gateway", 20
    )
    return gateway


def resident_mb(pid: int) -> float:
    with open(f"/proc/{pid}/status") as status:
        found = re.search(r"VmRSS:\s+(\d+) kB", status.read())
    assert found
    return int(found[1]) / 1024


def test_it_never_imports_what_knows_pixels() -> None:
    assert imported_by_gateway("paddle", "cv2", "numpy", "PIL", "models") == []


def test_it_stays_small_under_requests(launch: Launcher) -> None:
    gateway = alone(launch, gateway_processes=2)
    for _ in range(200):
        answers(gateway.url)
    pids = [gateway.process.pid, *children(gateway.process.pid)]
    assert len(pids) == 3
    assert all(resident_mb(pid) < 64 for pid in pids), [resident_mb(pid) for pid in pids]


def test_without_a_worker_it_says_so_quickly_and_lives(launch: Launcher, face_jpeg: bytes) -> None:
    gateway = alone(launch)
    with requests.Session() as session:
        api = Api(gateway.url, session)
        for send, most_s in ((lambda: api("GET", "/readyz"), 1), (lambda: api.form(face_jpeg), 2)):
            started = time.monotonic()
            answer = send()
            assert time.monotonic() - started < most_s
            assert_problem(answer, 503, "worker_unavailable")
            assert int(answer.headers["Retry-After"]) >= 1
        assert_problem(api("GET", "/models"), 503, "worker_unavailable")
        assert api("GET", "/livez").json() == {"alive": True}
        assert "hyojo_worker_up 0.0" in api("GET", "/metrics").text
        assert api("GET", "/").status_code == 200


def test_readiness_follows_the_worker_through_its_death_and_return(
    launch: Launcher, face_jpeg: bytes
) -> None:
    gateway = alone(launch)
    assert not is_ready(gateway.url)
    first = launch("infer.py", worker=gateway.endpoint)
    gateway.wait_for(lambda: is_ready(gateway.url), "readiness", 60)
    with requests.Session() as session:
        api = Api(gateway.url, session)
        assert api.form(face_jpeg).status_code == 200
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
        started = time.monotonic()
        gateway.wait_for(lambda: not is_ready(gateway.url), "unreadiness", 5)
        assert time.monotonic() - started < 1
        assert_problem(api.form(face_jpeg), 503, "worker_unavailable")
        launch("infer.py", worker=gateway.endpoint)
        gateway.wait_for(lambda: is_ready(gateway.url), "readiness again", 60)
        assert api.form(face_jpeg).status_code == 200


def test_a_worker_that_dies_with_a_request_is_noticed_at_once(launch: Launcher) -> None:
    gateway = alone(launch, deadline_s=30)
    worker = launch("infer.py", worker=gateway.endpoint, predictors=1)
    gateway.wait_for(lambda: is_ready(gateway.url), "readiness", 60)
    worker.process.send_signal(signal.SIGSTOP)  # it takes the request and does nothing
    got: list[requests.Response] = []
    asking = threading.Thread(
        target=lambda: got.append(
            requests.post(f"{gateway.url}/classify", files={"image": b"x"}, timeout=40)
        )
    )
    asking.start()
    time.sleep(0.5)
    worker.process.send_signal(signal.SIGKILL)
    started = time.monotonic()
    asking.join(20)
    assert time.monotonic() - started < 2
    assert_problem(got[0], 503, "worker_unavailable")


def test_a_worker_that_hangs_is_given_up_at_the_deadline(launch: Launcher) -> None:
    gateway = alone(launch, deadline_s=1)
    worker = launch("infer.py", worker=gateway.endpoint, predictors=1)
    gateway.wait_for(lambda: is_ready(gateway.url), "readiness", 60)
    requests.post(f"{gateway.url}/classify", files={"image": b"x"}, timeout=40)  # now connected
    worker.process.send_signal(signal.SIGSTOP)
    try:
        started = time.monotonic()
        answer = requests.post(f"{gateway.url}/classify", files={"image": b"x"}, timeout=40)
        assert 1 <= time.monotonic() - started < 3
        assert_problem(answer, 504, "deadline_exceeded")
        assert not is_ready(gateway.url)
    finally:
        worker.process.send_signal(signal.SIGCONT)
    gateway.wait_for(lambda: is_ready(gateway.url), "readiness again", 10)


def test_sigterm_lets_a_running_request_finish(launch: Launcher, face_jpeg: bytes) -> None:
    gateway = alone(launch)
    launch("infer.py", worker=gateway.endpoint)
    gateway.wait_for(lambda: is_ready(gateway.url), "readiness", 60)
    host, port = gateway.url.removeprefix("http://").split(":")
    head = "POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\n"
    head += f"Content-Length: {len(face_jpeg)}\r\n\r\n"
    with (
        socket.create_connection((host, int(port))) as idle,
        socket.create_connection((host, int(port)), timeout=30) as busy,
    ):
        idle.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")  # and is kept alive
        assert idle.recv(4096)
        busy.sendall(head.encode() + face_jpeg[:1000])
        time.sleep(0.3)
        gateway.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        busy.sendall(face_jpeg[1000:])
        with busy.makefile("rb") as answer:
            assert b" 200 " in answer.readline()
    assert gateway.process.wait(10) == 0


TOLD_AT_BIRTH = """
import os, signal
from service.gunicorn_conf import *
from service import gunicorn_conf

def post_fork(server, worker):
    print(f"process {worker.age}", flush=True)
    if worker.age == 1:
        os.kill(os.getpid(), signal.SIGTERM)
    if hasattr(gunicorn_conf, "post_fork"):
        gunicorn_conf.post_fork(server, worker)
"""


def test_sigterm_in_a_process_that_is_being_born_ends_it_at_once(
    launch: Launcher, tmp_path: Path
) -> None:
    config = tmp_path / "config.py"
    config.write_text(TOLD_AT_BIRTH)
    gateway = launch("-m", "gunicorn", "-c", str(config), "service.gateway:create_app()")
    gateway.wait_for(lambda: "process 1" in gateway.log, "the first process")
    gateway.wait_for(lambda: "process 2" in gateway.log, "its end, and another in its place", 10)
    gateway.wait_for(lambda: answers(gateway.url), "an answer")
    assert gateway.stop(seconds=5) == 0
    assert "Traceback" not in gateway.log


def test_several_processes_share_their_metrics(launch: Launcher) -> None:
    gateway = alone(launch, gateway_processes=2)
    for _ in range(20):
        requests.get(f"{gateway.url}/nothing", timeout=5)
    text = requests.get(f"{gateway.url}/metrics", timeout=5).text
    assert 'hyojo_requests_total{method="GET",route="none",status="404"} 20.0' in text
    assert gateway.stop() == 0


def test_a_bad_setting_is_one_sentence(launch: Launcher) -> None:
    gateway = launch(*GATEWAY, gateway_threads="many")
    assert gateway.process.wait(20) == 2
    assert "HYOJO_GATEWAY_THREADS is 'many' but takes a whole number" in gateway.log
    assert "Traceback" not in gateway.log


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_in_use_is_one_sentence(launch: Launcher, host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as taken:
        taken.bind((host, 0))
        taken.listen()
        gateway = launch(*GATEWAY, host=host, port=taken.getsockname()[1])
        assert gateway.process.wait(20) == 1
    assert "HYOJO_PORT" in gateway.log and "Traceback" not in gateway.log


def test_it_listens_where_it_is_told(launch: Launcher) -> None:
    port = free_port()
    gateway = launch(*GATEWAY, host="::1", port=port)
    gateway.wait_for(lambda: answers(f"http://[::1]:{port}"), "an answer over IPv6", 20)
