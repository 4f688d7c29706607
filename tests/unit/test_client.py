"""The gateway's end of the socket, against workers that behave and workers that do not."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import zmq

from service import protocol
from service.client import Patience, WorkerClient
from service.errors import ApiError
from service.protocol import (
    ClassifyReply,
    ClassifyRequest,
    ErrorReply,
    ImageResult,
    StatusReply,
    Timings,
)

Answer = Callable[[protocol.AnyMessage, list[bytes]], bytes | None]
QUICK = Patience(connect_s=0.3, status_s=0.3)


def status(request_id: str) -> StatusReply:
    return StatusReply(
        id=request_id,
        ready=True,
        reason="",
        models=[],
        default_model="emotion",
        predictors_ready=1,
        predictors=1,
        queue_length=0,
        queue_limit=8,
        counters={},
    )


def reply(request_id: str, images: int) -> ClassifyReply:
    return ClassifyReply(
        id=request_id,
        model="emotion",
        version="1",
        results=[ImageResult()] * images,
        timings_ms=Timings(),
    )


def well(message: protocol.AnyMessage, images: list[bytes]) -> bytes:
    """What a good worker says."""
    if isinstance(message, ClassifyRequest):
        return protocol.encode(reply(message.id, len(images)))
    return protocol.encode(status(message.id))


class Worker(threading.Thread):
    """A bound ROUTER that answers as it is told; None answers nothing."""

    def __init__(self, endpoint: str, answer: Answer = well) -> None:
        super().__init__(daemon=True)
        self.endpoint, self.answer, self.ends = endpoint, answer, threading.Event()
        self.bound = threading.Event()
        self.start()
        assert self.bound.wait(5)

    def run(self) -> None:
        with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
            router.set(zmq.LINGER, 0)
            router.bind(self.endpoint)
            self.bound.set()
            while not self.ends.is_set():
                if router.poll(20):
                    peer, head, *images = router.recv_multipart()
                    answer = self.answer(protocol.decode(head), images)
                    if answer is not None:
                        router.send_multipart([peer, answer])

    def end(self) -> None:
        self.ends.set()
        self.join(5)


@pytest.fixture
def endpoint(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/w.sock"


@pytest.fixture
def client(endpoint: str) -> Iterator[WorkerClient]:
    """Of little patience, like its tests."""
    client = WorkerClient(endpoint, QUICK)
    yield client
    client.close()


@pytest.fixture
def worker(endpoint: str) -> Iterator[Worker]:
    worker = Worker(endpoint)
    yield worker
    worker.end()


def fails(code: str, call: Callable[[], object], most_s: float) -> ApiError:
    started = time.monotonic()
    with pytest.raises(ApiError) as caught:
        call()
    assert time.monotonic() - started < most_s
    assert caught.value.code == code
    return caught.value


def test_images_get_their_results(client: WorkerClient, worker: Worker) -> None:
    got = client.classify(ClassifyRequest(id="a"), [b"x", b""], 5)
    assert (got.id, len(got.results)) == ("a", 2)
    assert client.status("b").ready


def test_what_the_worker_refuses_keeps_its_code_and_time(
    client: WorkerClient, worker: Worker
) -> None:
    worker.answer = lambda m, _: protocol.encode(
        ErrorReply(id=m.id, code="overloaded", detail="Full.", retry_after_s=3)
    )
    error = fails("overloaded", lambda: client.classify(ClassifyRequest(id="a"), [b"x"], 5), 2)
    assert (error.detail, error.retry_after, error.status) == ("Full.", 3, 503)


def test_no_worker_is_noticed_soon(client: WorkerClient) -> None:
    fails("worker_unavailable", lambda: client.status("a"), 1)
    fails("worker_unavailable", lambda: client.classify(ClassifyRequest(id="a"), [b"x"], 5), 1)


def test_nothing_is_kept_for_a_worker_that_comes_later(client: WorkerClient, endpoint: str) -> None:
    fails("worker_unavailable", lambda: client.status("lost"), 1)
    seen: list[str] = []

    def noting(message: protocol.AnyMessage, images: list[bytes]) -> bytes:
        seen.append(message.id)
        return well(message, images)

    worker = Worker(endpoint, noting)
    assert client.status("found").id == "found"
    worker.end()
    assert seen == ["found"]


def test_a_silent_worker_is_given_up_at_the_deadline(client: WorkerClient, worker: Worker) -> None:
    worker.answer = lambda _message, _images: None
    fails("deadline_exceeded", lambda: client.classify(ClassifyRequest(id="a"), [b""], 0.1), 2)
    fails("worker_unavailable", lambda: client.status("b"), 1)


def test_a_worker_that_goes_away_is_noticed_before_the_deadline(
    client: WorkerClient, worker: Worker
) -> None:
    worker.answer = lambda _message, _images: None
    ending = threading.Timer(0.2, worker.end)
    ending.start()
    fails("worker_unavailable", lambda: client.classify(ClassifyRequest(id="a"), [b""], 30), 3)
    ending.join()


def test_a_late_reply_is_never_taken_for_the_next_one(client: WorkerClient, worker: Worker) -> None:
    def late(message: protocol.AnyMessage, images: list[bytes]) -> bytes:
        if message.id == "slow":
            time.sleep(0.9)
        return well(message, images)

    worker.answer = late
    fails("deadline_exceeded", lambda: client.classify(ClassifyRequest(id="slow"), [b""], 0.1), 2)
    for number in range(5):
        assert client.classify(ClassifyRequest(id=f"n{number}"), [b""], 5).id == f"n{number}"


@pytest.mark.parametrize(
    "wrong",
    [
        lambda m, _: b"not a message",
        lambda m, _: b"",
        lambda m, _: protocol.encode(reply("another", 1)),
        lambda m, _: protocol.encode(reply(m.id, 2)),
        lambda m, _: protocol.encode(status(m.id)),
    ],
    ids=["noise", "nothing", "another's", "too many results", "another kind"],
)
def test_a_foreign_reply_is_an_error_and_the_next_is_right(
    client: WorkerClient, worker: Worker, wrong: Answer
) -> None:
    worker.answer = wrong
    fails("worker_unavailable", lambda: client.classify(ClassifyRequest(id="a"), [b"x"], 5), 2)
    worker.answer = well
    assert client.classify(ClassifyRequest(id="b"), [b"x"], 5).id == "b"


def test_every_thread_gets_its_own_answers(client: WorkerClient, worker: Worker) -> None:
    wrong: list[str] = []

    def ask(name: str) -> None:
        for number in range(50):
            request_id = f"{name}-{number}"
            if client.classify(ClassifyRequest(id=request_id), [b"x"], 10).id != request_id:
                wrong.append(request_id)

    threads = [threading.Thread(target=ask, args=(f"t{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def _asking(port: int) -> set[str]:
    """Local ends of the connections to a port that nobody has answered yet."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {row[1] for row in rows if row[2].endswith(f":{port:04X}") and row[3] == "02"}


def test_an_address_that_swallows_what_comes_is_tried_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name may have another one by then."""
    monkeypatch.setattr("service.client._CONNECT_MS", 200, raising=False)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, ExitStack() as held:
        port = full.getsockname()[1]
        for _ in range(3):  # whoever comes when these wait gets no answer
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        full_by_others = _asking(port)
        client = WorkerClient(f"tcp://127.0.0.1:{port}", QUICK)
        held.callback(client.close)
        fails("worker_unavailable", lambda: client.status("a"), 1)
        tries: set[str] = set()
        ends = time.monotonic() + 3
        while len(tries) < 2 and time.monotonic() < ends:
            tries |= _asking(port) - full_by_others
            time.sleep(0.02)
        assert len(tries) > 1


def test_it_works_after_a_fork(client: WorkerClient, worker: Worker) -> None:
    assert client.status("parent").ready
    pid = os.fork()
    if pid == 0:
        os._exit(0 if client.status("child").id == "child" else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert client.status("parent again").ready
