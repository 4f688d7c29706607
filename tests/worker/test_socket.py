"""Who may speak to the worker: its own user, or over TCP whoever holds a key."""

import socket
import stat
import time
from pathlib import Path

import pytest
import requests
import zmq

from service import keys, protocol
from service.health import NotReadyError, ask_worker
from service.protocol import StatusReply, StatusRequest
from tests.conftest import Launcher, Running, free_port, is_ready
from tests.worker.conftest import WarmWorker, wait_until

WAIT_MS = 20_000
NEVER_MS = 1_000
"""How long nothing may come; the answer of a friend takes a few milliseconds."""


def ask(endpoint: str, who: keys.Keys | None, wait_ms: int, **change: bytes) -> StatusReply | None:
    """Ask how the worker is, with these keys; None when no answer comes."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        if who is not None:
            who.as_client(dealer)
        for option, value in change.items():
            setattr(dealer, option, value)
        dealer.connect(endpoint)
        dealer.send(protocol.encode(StatusRequest(id="a")))
        if not dealer.poll(wait_ms):
            return None
        reply = protocol.decode_reply(dealer.recv_multipart()[0])
        assert isinstance(reply, StatusReply)
        return reply


def test_the_unix_socket_is_its_users_alone(worker: WarmWorker) -> None:
    path = Path(worker.running.endpoint.removeprefix("ipc://"))
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_what_speaks_no_zeromq_is_refused_and_counted(worker: WarmWorker) -> None:
    before = worker.client.status().counters["strangers"]
    path = worker.running.endpoint.removeprefix("ipc://")
    for greeting in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + b"x" * 200, b"\xff" * 200, b"\0" * 64):
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(path)
            stranger.sendall(greeting)
            stranger.settimeout(1)
            try:
                while stranger.recv(4096):
                    pass
            except (ConnectionError, TimeoutError):
                pass
    wait_until(
        lambda: worker.client.status().counters["strangers"] >= before + 2, "strangers counted"
    )
    assert worker.client.status().ready


@pytest.fixture
def held(tmp_path: Path) -> tuple[keys.Keys, keys.Keys]:
    """The worker's keys and a gateway's."""
    worker, gateway = keys.make(tmp_path / "keys")
    return keys.load(worker), keys.load(gateway)


def test_over_tcp_only_known_keys_are_heard(
    launch: Launcher, tmp_path: Path, held: tuple[keys.Keys, keys.Keys], face_jpeg: bytes
) -> None:
    """The whole service over TCP with keys, and everybody else before the same door."""
    port = free_port()
    endpoint = f"tcp://127.0.0.1:{port}"
    files = {name: tmp_path / "keys" / f"{name}.keys" for name in ("worker", "gateway")}
    worker = launch("infer.py", worker=endpoint, worker_keys=files["worker"])
    command = ("-m", "gunicorn", "-c", "python:service.gunicorn_conf")
    gateway = launch(
        *(*command, "service.gateway:create_app()"),
        worker=endpoint,
        worker_keys=files["gateway"],
    )
    worker.wait_for(lambda: "ready: " in worker.log, "the ready line")
    gateway.wait_for(lambda: is_ready(gateway.url), "readiness")
    answer = requests.post(
        f"{gateway.url}/classify", face_jpeg, headers={"Content-Type": "image/jpeg"}, timeout=30
    )
    assert answer.status_code == 200 and answer.json()["label"]

    client = held[1]
    friend = ask(endpoint, client, WAIT_MS)
    assert friend is not None and friend.ready
    before = friend.counters["strangers"]
    public, secret = zmq.curve_keypair()
    assert ask(endpoint, None, NEVER_MS) is None, "no key at all"
    assert (
        ask(endpoint, client, NEVER_MS, curve_publickey=public, curve_secretkey=secret) is None
    ), "a key that the worker does not know"
    assert ask(endpoint, client, NEVER_MS, curve_serverkey=public) is None, "another worker's key"
    with socket.create_connection(("127.0.0.1", port)) as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n" + b"x" * 200)
    time.sleep(0.3)
    after = ask(endpoint, client, WAIT_MS)
    assert after is not None and after.ready
    assert after.counters["strangers"] >= before + 3
    assert after.counters["unreadable"] == 0, "not a byte of theirs came through"

    ask_worker(endpoint, 20, str(files["worker"]))
    with pytest.raises(NotReadyError, match="HYOJO_WORKER_KEYS is not set"):
        ask_worker(endpoint, 1)
    assert worker.stop() == 0


def test_nothing_of_what_goes_over_tcp_can_be_read(
    launch: Launcher, tmp_path: Path, held: tuple[keys.Keys, keys.Keys]
) -> None:
    """A wire in the middle sees the gateway's question pass, but not what it says."""
    port, marker = free_port(), b"MARKER-5521"
    running = launch(
        "infer.py",
        worker=f"tcp://127.0.0.1:{port}",
        worker_keys=tmp_path / "keys" / "worker.keys",
    )
    running.wait_for(lambda: "ready: " in running.log, "the ready line")
    seen = b""
    with (
        socket.create_server(("127.0.0.1", 0)) as middle,
        zmq.Context() as context,
        context.socket(zmq.DEALER) as dealer,
    ):
        dealer.linger = 0
        held[1].as_client(dealer)
        dealer.connect(f"tcp://127.0.0.1:{middle.getsockname()[1]}")
        question = protocol.ClassifyRequest(id="a", model=marker.decode())
        dealer.send_multipart([protocol.encode(question), marker * 100])
        near = middle.accept()[0]
        far = socket.create_connection(("127.0.0.1", port))
        with near, far:
            near.settimeout(0.05)
            far.settimeout(0.05)
            ends = time.monotonic() + 20
            while not dealer.poll(0) and time.monotonic() < ends:
                for here, there in ((near, far), (far, near)):
                    try:
                        passed = here.recv(65536)
                    except TimeoutError:
                        continue
                    seen += passed
                    there.sendall(passed)
            reply = protocol.decode_reply(dealer.recv_multipart(zmq.NOBLOCK)[0])
    assert isinstance(reply, protocol.ErrorReply) and marker.decode() in reply.detail
    assert len(seen) > 100 * len(marker) and marker not in seen


def _ends(running: Running, sentence: str) -> None:
    assert running.process.wait(20) == 2, running.log
    assert sentence in running.log and "Traceback" not in running.log


def test_tcp_without_keys_is_refused_by_both_sides(launch: Launcher) -> None:
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    _ends(launch("infer.py", worker=endpoint), "service.keys make FOLDER")
    command = ("-m", "gunicorn", "-c", "python:service.gunicorn_conf")
    _ends(launch(*command, "service.gateway:create_app()", worker=endpoint), "service.keys make")


def test_a_gateways_keys_do_not_make_a_worker(
    launch: Launcher, tmp_path: Path, held: tuple[keys.Keys, keys.Keys]
) -> None:
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    running = launch("infer.py", worker=endpoint, worker_keys=tmp_path / "keys" / "gateway.keys")
    _ends(running, "names a gateway's keys, and this is the worker")
