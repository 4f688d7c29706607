"""Below the requests: broken, slow, endless and silent clients. None of them harms another."""

import json
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.conftest import Launcher, Running, is_ready
from tests.contract.conftest import Api, without_times

HEAD = b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\n"


def connect(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def talk(url: str, *parts: bytes, pause_s: float = 0.0, half_close: bool = False) -> bytes:
    """Send parts with pauses between, and read until the server closes."""
    with connect(url) as client:
        for part in parts:
            client.sendall(part)
            time.sleep(pause_s)
        if half_close:
            client.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while more := client.recv(65536):
                answer += more
        except TimeoutError:
            pytest.fail(f"the server neither answered nor closed: {answer!r}")
        return answer


def assert_raw_problem(answer: bytes, status: int, code: str) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode()), answer
    assert b"content-type: application/problem+json" in head.lower()
    assert json.loads(body)["code"] == code


@pytest.fixture(autouse=True)
def as_healthy_as_before(api: Api, face_jpeg: bytes) -> Iterator[None]:
    yield
    assert without_times(api.form(face_jpeg))["results"][0]["faces"]


CLOSE = b"Connection: close\r\n"
BROKEN = {
    "no HTTP": ((b"hello\r\n\r\n",), 400, "bad_request"),
    "a bad version": ((b"GET / HTTP/9.9\r\n\r\n",), 400, "bad_request"),
    "a bad header": ((b"GET / HTTP/1.1\r\nHost: x\r\nA B: c\r\n\r\n",), 400, "bad_request"),
    "a long address": (
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",),
        431,
        "head_too_large",
    ),
    "a huge header": (
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 9000 + b"\r\n\r\n",),
        431,
        "head_too_large",
    ),
    "a thousand headers": (
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 1000 + b"\r\n",),
        431,
        "head_too_large",
    ),
    "two lengths": (
        (HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",),
        400,
        "bad_request",
    ),
    "length and chunks": (
        (HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",),
        400,
        "bad_request",
    ),
    "a chunk of no size": (
        (HEAD + CLOSE + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",),
        400,
        "bad_request",
    ),
    "chunks that break off": (
        (HEAD + CLOSE + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",),
        400,
        "bad_request",
    ),
    "less than its length": (
        (HEAD + CLOSE + b"Content-Length: 99\r\n\r\nabc",),
        400,
        "bad_request",
    ),
    "a length beyond all limits": (
        (HEAD + CLOSE + b"Content-Length: 99999999999\r\n\r\nabc",),
        413,
        "body_too_large",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_http_gets_a_problem_document(service_url: str, name: str) -> None:
    parts, status, code = BROKEN[name]
    assert_raw_problem(talk(service_url, *parts, half_close=True), status, code)


def test_an_endless_body_is_cut_off(service_url: str) -> None:
    chunk = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
    started = time.monotonic()
    with connect(service_url) as client, pytest.raises(OSError):
        client.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        while time.monotonic() - started < 20:
            client.sendall(chunk)
    assert time.monotonic() - started < 10


@pytest.fixture(scope="module")
def impatient() -> Iterator[Running]:
    """A service with few threads that gives a body two seconds."""
    with tempfile.TemporaryDirectory(prefix="hyojo-") as folder:
        launcher = Launcher(Path(folder))
        running = launcher("-m", "service", gateway_threads=4, body_timeout_s=2)
        try:
            running.wait_for(lambda: is_ready(running.url), "readiness", 60)
            yield running
        finally:
            launcher.end_all()


def test_a_trickling_body_is_given_up(impatient: Running) -> None:
    with connect(impatient.url) as client:
        client.sendall(HEAD + b"Content-Length: 5000\r\n\r\n")
        started = time.monotonic()
        answer = b""
        while not answer and time.monotonic() - started < 15:
            client.sendall(b"x")
            client.settimeout(0.2)
            try:
                answer = client.recv(65536)
            except TimeoutError:
                continue
        assert time.monotonic() - started < 4
        client.settimeout(5)
        while more := client.recv(65536):
            answer += more
        assert_raw_problem(answer, 408, "body_timeout")


def test_idle_and_half_open_clients_starve_nobody(impatient: Running, face_jpeg: bytes) -> None:
    silent = [connect(impatient.url) for _ in range(300)]
    for client in silent[::3]:
        client.sendall(b"GET /livez HTTP/1.1\r\nHost")  # a head that never ends
    slow = [connect(impatient.url) for _ in range(3)]
    for client in slow:
        client.sendall(HEAD + b"Content-Length: 5000\r\n\r\nx")
    try:
        with requests.Session() as session:
            api = Api(impatient.url, session)
            assert without_times(api.form(face_jpeg))["results"][0]["faces"]
    finally:
        for client in [*silent, *slow]:
            client.close()


def test_clients_that_leave_in_the_middle_are_no_errors(service: Running) -> None:
    before = service.log.count("internal error")
    for _ in range(20):
        with connect(service.url) as client:
            client.sendall(HEAD + b"Content-Length: 5000\r\n\r\nabc")
    time.sleep(0.5)
    assert service.log.count("internal error") == before
    assert "Traceback" not in service.log


def test_a_client_that_does_not_close_holds_nobody_up(service_url: str) -> None:
    clients = [connect(service_url) for _ in range(8)]
    try:
        for client in clients:
            client.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert b" 200 " in client.recv(65536)  # and the connection stays open on our side
        started = time.monotonic()
        assert requests.get(f"{service_url}/livez", timeout=20).status_code == 200
        assert time.monotonic() - started < 1.5
    finally:
        for client in clients:
            client.close()


def test_requests_on_one_connection_are_all_answered(service_url: str) -> None:
    ask = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert talk(service_url, ask * 3 + last).count(b'{"alive":true}') == 4


def alive(client: socket.socket) -> bool:
    """Whether the answer that comes now is /livez's; its head and body may come apart."""
    answer = b""
    while not answer.endswith(b'{"alive":true}') and (more := client.recv(65536)):
        answer += more
    return answer.startswith(b"HTTP/1.1 200") and answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("rest_after_s", [0.0, 0.0005, 0.05])
def test_the_next_request_may_come_in_pieces(service_url: str, rest_after_s: float) -> None:
    """Its first half comes with the answer to the one before, the rest at once or later."""
    request = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect(service_url) as client:
        client.sendall(request)
        assert alive(client)
        for _ in range(20):
            client.sendall(request[:20])
            time.sleep(rest_after_s)
            client.sendall(request[20:])
            assert alive(client)


def test_more_busy_connections_than_threads_are_all_served(service_url: str) -> None:
    """Clients that ask again at once keep their threads only while nobody else wants one."""
    request = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    answers = [0] * 40

    def ask(number: int) -> None:
        with connect(service_url) as client:
            ends = time.monotonic() + 2
            while time.monotonic() < ends:
                client.sendall(request)
                assert alive(client)
                answers[number] += 1

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(len(answers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert min(answers) > 0.1 * max(answers) > 0, f"somebody was kept waiting: {answers}"


def test_a_client_that_reads_slowly_gets_every_byte(service_url: str, face_jpeg: bytes) -> None:
    host, port = service_url.removeprefix("http://").split(":")
    ask, number = b"GET /example.jpg HTTP/1.1\r\nHost: x\r\n", 60
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(10)
        client.connect((host, int(port)))
        client.sendall((ask + b"\r\n") * (number - 1) + ask + CLOSE + b"\r\n")
        time.sleep(0.5)
        answer = b""
        while more := client.recv(65536):
            answer += more
    assert answer.count(b"HTTP/1.1 200 OK") == number
    assert answer.count(face_jpeg) == number  # web/example.jpg


def test_leave_to_send_a_body_is_given_once_and_before_it(
    service_url: str, face_jpeg: bytes
) -> None:
    head = HEAD + CLOSE + f"Content-Length: {len(face_jpeg)}\r\n".encode()
    with connect(service_url) as client:
        client.sendall(head + b"Expect: 100-continue\r\n\r\n")
        assert client.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(face_jpeg)
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("pipelined", [False, True])
def test_leave_is_given_too_where_the_head_comes_at_once_after_an_answer(
    service_url: str, face_jpeg: bytes, pipelined: bool
) -> None:
    before = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    head = HEAD + CLOSE + f"Content-Length: {len(face_jpeg)}\r\n".encode()
    head += b"Expect: 100-continue\r\n\r\n"
    with connect(service_url) as client:
        client.settimeout(5)
        client.sendall(before + head if pipelined else before)
        answer = client.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200 ")
        if not pipelined:
            client.sendall(head)
        while b"100 Continue" not in answer:
            answer += client.recv(65536)
        client.sendall(face_jpeg)
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_refused_body_is_refused_before_it_is_sent(service_url: str) -> None:
    with connect(service_url) as client:
        client.sendall(HEAD + b"Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 413 ")
