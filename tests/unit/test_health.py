"""The health check says what the gateway or the worker says, in one line and at once."""

import contextlib
import socket
import threading
import time

import pytest
import zmq

from service import health, protocol


def gateway_that_says(answer: bytes) -> int:
    """A port where one connection is answered with these bytes."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)

    def serve() -> None:
        with listener, listener.accept()[0] as connection:
            connection.recv(4096)
            with contextlib.suppress(OSError):  # the other side may have read enough
                connection.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    return int(listener.getsockname()[1])


def worker_that_says(endpoint: str, ready: bool, reason: str) -> threading.Thread:
    """A worker that answers one status request."""
    reply = protocol.StatusReply(
        id="health",
        ready=ready,
        reason=reason,
        models=[],
        default_model="emotion",
        predictors_ready=int(ready),
        predictors=1,
        queue_length=0,
        queue_limit=64,
        counters={},
    )

    def serve() -> None:
        with zmq.Context() as context, context.socket(zmq.ROUTER) as socket_:
            socket_.bind(endpoint)
            if socket_.poll(5000):
                client, frame = socket_.recv_multipart()
                assert isinstance(protocol.decode(frame), protocol.StatusRequest)
                socket_.send_multipart([client, protocol.encode(reply)])

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\n{}", 0, "ready"),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\nwarming up", 1, "not ready: warming up"),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", 1, "not ready: the gateway is not ready"),
        (b"", 1, "not ready: the gateway is not ready"),
        (b"\x00\xff200 200 200", 1, "not ready: the gateway is not ready"),
    ],
)
def test_the_gateways_answer_becomes_the_exit_status(answer, status, said, monkeypatch, capsys):
    monkeypatch.setenv("HYOJO_PORT", str(gateway_that_says(answer)))
    monkeypatch.setenv("HYOJO_HOST", "0.0.0.0")
    assert health.main([]) == status
    assert capsys.readouterr().out.strip() == said


def test_nobody_listening_is_not_ready(monkeypatch, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("HYOJO_PORT", str(port))
    assert health.main([]) == 1
    assert f"port {port}" in capsys.readouterr().out


def test_an_endless_answer_is_cut(monkeypatch):
    port = gateway_that_says(b"HTTP/1.0 503 No\r\n\r\n" + b"x" * 200_000)
    with pytest.raises(health.NotReadyError) as caught:
        health.ask_gateway("", port)
    assert len(str(caught.value)) < 100_000


@pytest.mark.parametrize(
    ("ready", "reason", "status", "said"),
    [(True, "", 0, "ready"), (False, "no model", 1, "not ready: no model")],
)
def test_the_workers_answer_becomes_the_exit_status(
    ready, reason, status, said, tmp_path, monkeypatch, capsys
):
    endpoint = f"ipc://{tmp_path}/w"
    monkeypatch.setenv("HYOJO_WORKER", endpoint)
    worker = worker_that_says(endpoint, ready, reason)
    assert health.main(["worker"]) == status
    worker.join()
    assert capsys.readouterr().out.strip() == said


def test_a_silent_worker_is_not_ready_after_the_timeout(tmp_path):
    began = time.monotonic()
    with pytest.raises(health.NotReadyError, match="does not answer"):
        health.ask_worker(f"ipc://{tmp_path}/w", timeout_s=0.2)
    assert time.monotonic() - began < 5


def test_wrong_use_is_2(capsys):
    assert health.main(["gateway", "now"]) == 2
    assert "Usage" in capsys.readouterr().err


def test_help_teaches_and_asks_nobody(capsys):
    assert health.main(["--help"]) == 0
    assert "python -m service.health worker" in capsys.readouterr().out
