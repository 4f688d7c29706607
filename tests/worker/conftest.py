"""A client of the worker's socket, as plain as can be."""

import os
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import zmq

from service import protocol
from service.protocol import AnyMessage, ClassifyRequest, StatusReply, StatusRequest
from tests.conftest import Launcher, Running, predictors


@dataclass
class Client:
    """One DEALER socket, closed with the launcher's processes."""

    launch: Launcher
    endpoint: str

    def __post_init__(self) -> None:
        self.socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        self.launch.closing.append(self.socket.close)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(self.endpoint)

    def send(self, message: protocol.Message, *images: bytes) -> None:
        self.socket.send_multipart([protocol.encode(message), *images])

    def receive(self, seconds: float = 20) -> AnyMessage:
        assert self.socket.poll(int(seconds * 1000)), f"no answer within {seconds} s"
        return protocol.decode(self.socket.recv_multipart()[0])

    def classify(self, *images: bytes, **options: object) -> AnyMessage:
        self.send(ClassifyRequest(id="one", **options), *images)  # type: ignore[arg-type]
        return self.receive()

    def status(self) -> StatusReply:
        self.send(StatusRequest(id="how"))
        reply = self.receive()
        assert isinstance(reply, StatusReply)
        return reply


@dataclass
class WarmWorker:
    """A worker that was ready, and a client of it."""

    running: Running
    client: Client

    @property
    def predictors(self) -> list[int]:
        """Process ids of its predictors."""
        return predictors(self.running.process.pid)

    def freeze(self) -> int:
        """Stop its one predictor in its tracks; returns the process id."""
        (pid,) = self.predictors
        os.kill(pid, signal.SIGSTOP)
        return pid


def wait_until(condition: object, what: str, seconds: float = 15) -> None:
    """Wait until `condition()` holds."""
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.05)


def warm(launch: Launcher, **settings: object) -> WarmWorker:
    """Start a worker and wait until it is ready; a predictor that is stopped is not replaced."""
    running = launch("infer.py", **{"predictor_stuck_s": 60, **settings})  # some are to be stopped
    running.wait_for(lambda: bool(re.search(r"ready: .*\n", running.log)), "the ready line")
    return WarmWorker(running, Client(launch, running.endpoint))


@pytest.fixture(scope="session")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmWorker]:
    """One warm worker with one predictor, for the tests that do not harm it."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="hyojo-") as folder:
        launcher = Launcher(Path(folder))
        yield warm(launcher)
        launcher.end_all()
