"""A malformed or foreign message on the socket is dropped and counted, and harms neither side."""

import os
import random
import signal
import socket
import struct
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest
import requests
import zmq
from prometheus_client.parser import text_string_to_metric_families

from service import protocol
from service.client import Patience, WorkerClient
from service.errors import ApiError
from service.nursery import Child, Nursery, Wanted
from service.pool import Lost, Pool
from service.protocol import (
    ClassifyReply,
    ClassifyRequest,
    ErrorReply,
    FaceResult,
    ImageProblem,
    ImageResult,
    JobDone,
    ModelInfo,
    Size,
    StatusReply,
    StatusRequest,
    Timings,
)
from service.wire import Wire
from tests.amount import amount
from tests.chaos.mangling import Frames, Mangler
from tests.conftest import Launcher
from tests.worker.conftest import WarmWorker, warm

TO_THE_WORKER = amount(3_000, 100_000)
TO_THE_GATEWAY = amount(1_500, 100_000)
FROM_A_PREDICTOR = amount(1_000, 20_000)
SEED = 20_261
ROUND = 50
"""Messages before the next is a good one."""


def reply_of(request_id: str) -> ClassifyReply:
    face = FaceResult((1.0, 2.0, 3.0, 4.0), 0.9, "joy", 0.8, {"joy": 0.8, "fear": 0.2})
    result = ImageResult(Size(8, 8), "joy", 0.8, {"joy": 0.8, "fear": 0.2}, [face])
    return ClassifyReply(
        id=request_id, model="m", version="1", results=[result], timings_ms=Timings()
    )


def status_of(request_id: str) -> StatusReply:
    return StatusReply(
        id=request_id,
        ready=True,
        reason="",
        models=[ModelInfo("m", labels=["joy", "fear"], metrics={"accuracy": 0.5})],
        default_model="m",
        predictors_ready=1,
        predictors=1,
        queue_length=0,
        queue_limit=8,
        counters={"images": 3},
    )


def replies(request_id: str) -> list[Frames]:
    """All that a worker says, and a predictor's word."""
    refusal = ErrorReply(id=request_id, code="overloaded", detail="Full.", retry_after_s=2.0)
    problem = ImageResult(error=ImageProblem("image_broken", "It is."))
    done = JobDone(id=request_id, results=[problem], timings_ms=[Timings()])
    said = (reply_of(request_id), status_of(request_id), refusal, done)
    return [[protocol.encode(message)] for message in said]


# Towards the worker ----------------------------------------------------------------------------


def readable(frames: Frames) -> bool:
    """Whether a worker takes this for a request, by the protocol itself."""
    try:
        protocol.decode_request(frames[0])
    except protocol.UnreadableError:
        return False
    return True


def drain(client: "zmq.Socket[bytes]") -> None:
    while client.poll(0):
        client.recv_multipart()


def test_a_worker_drops_and_counts_what_is_no_request(launch: Launcher, face_jpeg: bytes) -> None:
    """Between them good requests get, byte for byte, the answer they got before."""
    worker = warm(launch, queue_size=1000)
    good: list[Frames] = [
        [protocol.encode(StatusRequest(id="s"))],
        [protocol.encode(ClassifyRequest(id="c", faces="whole", top=2)), b"junk"],
        [protocol.encode(ClassifyRequest(id="d", model="emotion")), b"", b"\xff\xd8\xff"],
        [protocol.encode(ClassifyRequest(id="e", timeout_ms=5)), b"GIF89a"],
        *replies("r"),
    ]
    mangler = Mangler(good, SEED)
    first = answer_to(worker, face_jpeg)
    pid, before = worker.running.process.pid, worker.client.status().counters
    unreadable = 0
    with zmq.Context() as context, context.socket(zmq.DEALER) as stranger:
        stranger.linger = 0
        stranger.sndtimeo = 20_000
        stranger.connect(worker.running.endpoint)
        for number in range(TO_THE_WORKER):
            frames = mangler.next()
            unreadable += not readable(frames)
            stranger.send_multipart(frames)
            drain(stranger)
            if number % ROUND == 0:
                assert worker.client.status().ready
        assert answer_to(worker, face_jpeg) == first
    wait_for_count(worker, before["unreadable"] + unreadable)
    assert worker.running.process.poll() is None and worker.running.process.pid == pid
    assert worker.client.status().counters["predictors_replaced"] == 0
    assert "Traceback" not in worker.running.log
    assert TO_THE_WORKER / 2 < unreadable < TO_THE_WORKER, "of both kinds there were many"


def answer_to(worker: WarmWorker, image: bytes) -> tuple[object, ...]:
    """What a good request is answered, without its times."""
    reply = worker.client.classify(image)
    assert isinstance(reply, ClassifyReply), reply
    return reply.model, reply.version, protocol.encode(reply_without_times(reply))


def reply_without_times(reply: ClassifyReply) -> ClassifyReply:
    return ClassifyReply(
        id=reply.id,
        model=reply.model,
        version=reply.version,
        results=reply.results,
        timings_ms=Timings(),
    )


def wait_for_count(worker: WarmWorker, wanted: int) -> None:
    ends = time.monotonic() + 20
    while (counted := worker.client.status().counters["unreadable"]) != wanted:
        assert counted < wanted and time.monotonic() < ends, (counted, wanted)
        time.sleep(0.05)


class Changeling:
    """Stands where the nursery stands: what it bears is a process that we hold the line of.

    No real predictor talks as it does.
    """

    alive = True

    def __init__(self) -> None:
        self.end: socket.socket
        self._here: dict[str, Child] = {}

    def ask(self, wanted: Wanted, wire: Wire) -> None:
        """As `Nursery.ask`."""
        self.end = socket.socket(fileno=os.dup(wire.fileno()))
        sleeper = os.posix_spawnp("sleep", ["sleep", "600"], os.environ)
        self._here[wanted.name] = Child(sleeper)

    def born(self, _prefix: str) -> dict[str, Child]:
        """As `Nursery.born`."""
        here, self._here = self._here, {}
        return here


def test_a_predictor_that_is_not_born_is_asked_for_again() -> None:
    """Its nursery ended with the wish, or could not fork; another one lives by now."""

    class Forgetful(Changeling):
        def ask(self, wanted: Wanted, wire: Wire) -> None:
            """As `Nursery.ask`: nobody keeps the line's other end."""

    pool = Pool({}, 1, 10**6, 20.0, lodging=lambda: cast(Nursery, Forgetful()))
    pool.tick()
    pool.wait(1000)
    pool.receive()
    pool.tick()
    assert pool.replaced == 1 and not pool.busy
    pool.close()


def test_a_crash_is_seen_in_a_process_that_has_only_begun_to_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its line is closed before its status can be had: `poll` is made to say so."""
    changeling = Changeling()
    pool = Pool({}, 1, 10**6, 20.0, lodging=lambda: cast(Nursery, changeling))
    pool.tick()
    pool.tick()
    Wire(changeling.end).send([protocol.encode(protocol.Hello(id="x", seconds=1.0))])
    pool.wait(1000)
    pool.receive()
    assert pool.submit(protocol.Job(id="j", model="m"), [b"picture"])
    (pid,) = pool.pids
    os.kill(pid, signal.SIGSEGV)
    while "State:\tZ" not in Path(f"/proc/{pid}/status").read_text():
        time.sleep(0.01)
    changeling.end.close()
    pool.wait(1000)
    pool.receive()
    monkeypatch.setattr(Child, "poll", lambda _: None)
    (lost,) = pool.tick()
    assert isinstance(lost, Lost) and lost.crashed
    monkeypatch.undo()
    pool.close()


def test_a_predictor_out_of_its_mind_does_not_take_the_worker_along() -> None:
    """What it says on its line is dropped and counted, whatever it is; the line's end is heard."""
    changeling = Changeling()
    pool = Pool({}, 1, 10**6, 20.0, lodging=lambda: cast(Nursery, changeling))
    mangler = Mangler(replies("0.0"), SEED)
    mad = random.Random(SEED)
    pool.tick()
    well = Wire(changeling.end)
    said = 0
    for number in range(FROM_A_PREDICTOR):
        open_files = len(os.listdir("/proc/self/fd"))
        say(changeling.end, number, mangler, mad)
        pool.wait(1000)
        assert all(not isinstance(event, Lost) for event in pool.receive())
        assert len(os.listdir("/proc/self/fd")) == open_files, "no file of its is kept"
        if number % ROUND == 0:
            said += 1
            well.send([protocol.encode(protocol.Hello(id="x", seconds=1.0))])
            pool.receive()
            assert pool.ready == 1
    assert pool.unreadable > FROM_A_PREDICTOR / 2 and said > 1
    before = pool.pids
    changeling.end.close()
    pool.wait(1000)
    pool.receive()
    pool.tick()  # it lives and has hung up: it is given up, and the next one asked for
    assert not changeling_lives(before) and pool.replaced == 1
    pool.tick()
    pool.tick()
    assert pool.pids not in (before, [])
    pool.close()
    changeling.end.close()


def changeling_lives(pids: list[int]) -> bool:
    """Whether one of these processes is there."""
    return any(Path(f"/proc/{pid}").exists() for pid in pids)


def say(end: socket.socket, number: int, mangler: Mangler, mad: random.Random) -> None:
    """One packet that is none, or none that a pool can use: by turns five kinds of it."""
    frames = mangler.next()
    kind = number % 5
    if kind == 0:  # a well framed message of noise
        Wire(end).send(frames[:64] or [b""])
        return
    junk = mad.randbytes(mad.choice((1, 3, 4, 11, 12, 13, 200, 5000)))
    if kind == 1:
        end.send(junk)
    elif kind == 2:  # sizes that are not so
        sizes = [mad.choice((0, 1, 2**31, 2**63, 2**64 - 1)) for _ in range(mad.randint(1, 3))]
        end.send(struct.pack(f"!I{len(sizes)}Q", len(sizes), *sizes) + junk)
    elif kind == 3:  # longer than a message is, and more files than one
        files = array("i", [0, 0, 0])
        end.sendmsg([bytes(150_000)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
    else:  # files that are not what is said of them
        memory = os.memfd_create("x") if number % 2 else os.open("/dev/zero", os.O_RDONLY)
        socket.send_fds(end, [struct.pack("!IQ", 1, 100_000)], [memory])
        os.close(memory)


# Towards the gateway ---------------------------------------------------------------------------


class Stranger(threading.Thread):
    """Stands where the worker stands and answers as it is told: no real worker talks like this."""

    def __init__(self, endpoint: str, answer: Callable[[protocol.Request], Frames]) -> None:
        super().__init__(daemon=True)
        self._endpoint, self.answer = endpoint, answer
        self._ends, self._bound = threading.Event(), threading.Event()
        self.start()
        assert self._bound.wait(5)

    def run(self) -> None:
        with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
            router.linger = 0
            router.bind(self._endpoint)
            self._bound.set()
            while not self._ends.is_set():
                if router.poll(20):
                    peer, head, *_ = router.recv_multipart()
                    router.send_multipart([peer, *self.answer(protocol.decode_request(head))])

    def end(self) -> None:
        self._ends.set()
        self.join(5)


def well(request: protocol.Request) -> Frames:
    """What a good worker says."""
    made = status_of if isinstance(request, StatusRequest) else reply_of
    return [protocol.encode(made(request.id))]


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[Stranger]:
    stranger = Stranger(f"ipc://{tmp_path}/w.sock", well)
    yield stranger
    stranger.end()


def test_a_gateway_drops_and_counts_what_is_no_answer(stranger: Stranger, tmp_path: Path) -> None:
    """Every question ends in an answer of the right kind or in a documented error, at once."""
    foreign: list[int] = []
    client = WorkerClient(
        f"ipc://{tmp_path}/w.sock",
        Patience(connect_s=5, status_s=5),
        on_foreign=lambda: foreign.append(1),
    )
    mangler = Mangler([*replies("n"), *replies("other")], SEED)
    stranger.answer = lambda _: mangler.next()
    outcomes = {"answered": 0, "refused": 0, "foreign": 0}
    for number in range(TO_THE_GATEWAY):
        before = len(foreign)
        try:
            ask(client, "status" if number % 2 else "classify")
            outcomes["answered"] += 1
        except ApiError as error:
            assert error.code in ("worker_unavailable", "overloaded", "internal"), error.detail
            outcomes["foreign" if len(foreign) > before else "refused"] += 1
        if number % ROUND == 0:
            stranger.answer, mangling = well, stranger.answer
            ask(client, "classify")
            stranger.answer = mangling
    client.close()
    assert len(foreign) == outcomes["foreign"] > TO_THE_GATEWAY / 2, outcomes
    assert outcomes["answered"] > 0 and outcomes["refused"] > 0, outcomes


def ask(client: WorkerClient, what: str) -> None:
    """Ask; the answer is of the right kind and goes into JSON."""
    if what == "status":
        reply: protocol.Reply = client.status("n")
        assert isinstance(reply, StatusReply)
    else:
        reply = client.classify(ClassifyRequest(id="n"), [b"x"], 5)
        assert isinstance(reply, ClassifyReply) and len(reply.results) == 1
    assert reply.id == "n"


def test_a_gateway_process_answers_503_and_shows_the_count(
    launch: Launcher, face_jpeg: bytes
) -> None:
    """The whole gateway over HTTP, with noise where its worker should be; then a good worker."""
    command = ("-m", "gunicorn", "-c", "python:service.gunicorn_conf")
    gateway = launch(*command, "service.gateway:create_app()", deadline_s=5)
    folder = Path(gateway.endpoint.removeprefix("ipc://")).parent
    folder.mkdir()
    mangler = Mangler(replies("n"), SEED)
    stranger = Stranger(gateway.endpoint, well)
    try:
        with requests.Session() as session:
            gateway.wait_for(lambda: get(session, gateway.url, "/readyz") == 200, "readiness")
            stranger.answer = lambda _: mangler.next()
            for _ in range(100):
                answer = post(session, gateway.url, face_jpeg)
                assert answer.status_code in (500, 503), answer.text  # 500: it says so itself
                assert answer.json()["code"] in ("worker_unavailable", "internal", "overloaded")
            stranger.answer = well
            assert post(session, gateway.url, face_jpeg).status_code == 200
            assert figure(session, gateway.url, "hyojo_foreign_messages_total") >= 95
    finally:
        stranger.end()
    assert "Traceback" not in gateway.log


def get(session: requests.Session, url: str, path: str) -> int:
    try:
        return session.get(url + path, timeout=30).status_code
    except requests.ConnectionError:
        return 0


def post(session: requests.Session, url: str, image: bytes) -> requests.Response:
    return session.post(
        f"{url}/classify", image, headers={"Content-Type": "image/jpeg"}, timeout=30
    )


def figure(session: requests.Session, url: str, name: str) -> float:
    text = session.get(f"{url}/metrics", timeout=30).text
    (value,) = (
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    )
    return value
