"""Each number to alert on (docs/OPERATING.md) rests, and moves when its state is provoked."""

import contextlib
import os
import re
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
import zmq
from prometheus_client.parser import text_string_to_metric_families

from service import protocol
from service.nursery import NURSERY
from service.protocol import ErrorReply
from tests.conftest import PROJECT, Launcher, Running, children, name_of, predictors
from tests.guests import family, large

PICTURE = (PROJECT / "web" / "example.jpg").read_bytes()
TOLD = re.findall(r"^\| `(hyojo_[^`]+)` \|", (PROJECT / "docs" / "OPERATING.md").read_text(), re.M)
GATEWAY = ("-m", "gunicorn", "-c", "python:service.gunicorn_conf", "service.gateway:create_app()")
PATIENCE_S = 30


def event(name: str) -> str:
    return f'hyojo_worker_events_total{{event="{name}"}}'


def problem(code: str) -> str:
    return f'hyojo_problems_total{{code="{code}"}}'


@dataclass
class Pair:
    """A worker and a gateway, each a process of its own; the worker may be missing."""

    gateway: Running
    worker: Running | None = None

    def figures(self) -> dict[str, float]:
        """All numbers now, named as the table names them."""
        text = requests.get(f"{self.gateway.url}/metrics", timeout=30).text
        return {
            sample.name
            + "".join(f'{{{key}="{value}"}}' for key, value in sample.labels.items()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if len(sample.labels) <= 1
        }

    def moves(self, number: str, to: Callable[[float], bool]) -> None:
        """Wait until a number is what it is to be."""
        ends = time.monotonic() + PATIENCE_S
        while not to(seen := self.figures().get(number, -1.0)):
            assert time.monotonic() < ends, f"{number} is {seen}\n{self.gateway.log}"
            time.sleep(0.05)

    def post(self, image: bytes = PICTURE) -> int:
        """Ask; returns the status."""
        headers = {"Content-Type": "image/jpeg"}
        url = f"{self.gateway.url}/classify"
        return requests.post(url, image, headers=headers, timeout=60).status_code

    @property
    def predictor(self) -> int:
        """Process id of the worker's one predictor."""
        assert self.worker is not None
        return predictors(self.worker.process.pid)[0]


def started(launch: Launcher, **settings: object) -> Pair:
    """Both, ready."""
    worker = launch("infer.py", **settings)
    gateway = launch(*GATEWAY, **{**settings, "worker": worker.endpoint})
    worker.wait_for(lambda: "ready: " in worker.log, "the ready line")
    gateway.wait_for(lambda: "gateway listening" in gateway.log, "the gateway")
    return Pair(gateway, worker)


@pytest.fixture(scope="module")
def both() -> Iterator[Pair]:
    """One pair for the tests that leave it whole, or come last."""
    with tempfile.TemporaryDirectory(prefix="hyojo-") as folder:
        launcher = Launcher(Path(folder))
        yield started(launcher)
        launcher.end_all()


def above(least: float) -> Callable[[float], bool]:
    return lambda value: value > least


def zero(value: float) -> bool:
    return value == 0


def test_at_rest_every_number_is_there_and_quiet(both: Pair) -> None:
    assert len(TOLD) == len(set(TOLD)) >= 15
    figures = both.figures()
    good = {"hyojo_worker_up": 1.0, "hyojo_worker_ready": 1.0}
    images = [number for number in TOLD if number.startswith("hyojo_image_problems")]
    for number in set(TOLD) - set(images):
        assert figures[number] == good.get(number, 0.0), number


def test_a_lost_predictor(both: Pair) -> None:
    os.kill(both.predictor, signal.SIGSTOP)
    asking = threading.Thread(target=both.post)
    asking.start()
    both.moves(event("images_lost"), above(0))
    both.moves(event("predictors_replaced"), above(0))
    both.moves("hyojo_worker_predictors_missing", above(0))
    asking.join()
    both.moves("hyojo_worker_predictors_missing", zero)
    both.moves("hyojo_worker_ready", above(0))


def test_more_than_it_can_do(launch: Launcher) -> None:
    """Its predictors stand still whenever they come, and more is asked than may wait."""
    both = started(launch, queue_size=2, deadline_s=2, predictor_stuck_s=60)
    assert both.worker is not None
    over, parent = threading.Event(), both.worker.process.pid

    def freeze() -> None:
        while not over.wait(0.05):
            for pid in predictors(parent):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)

    def ask() -> None:
        while not over.wait(0.1):
            both.post()

    threads = [threading.Thread(target=what) for what in (freeze, *[ask] * 6)]
    for thread in threads:
        thread.start()
    try:
        both.moves("hyojo_worker_queue_fill", above(0.8))
        both.moves("hyojo_worker_oldest_wait_seconds", above(0.2))
        both.moves(problem("overloaded"), above(0))
        both.moves(event("late"), above(0))
        both.moves(problem("deadline_exceeded"), above(0))
    finally:
        over.set()
        for thread in threads:
            thread.join()
    both.moves("hyojo_worker_queue_fill", zero)
    both.moves("hyojo_worker_oldest_wait_seconds", zero)


def test_no_warm_predictor_and_a_broken_model(launch: Launcher, tmp_path: Path) -> None:
    for name in ("emotion", "other"):
        shutil.copytree(PROJECT / "params" / "emotion", tmp_path / name)
        (tmp_path / name / "inference.pdiparams").write_bytes(b"spoilt")
    worker = launch("infer.py", params=tmp_path)
    gateway = launch(*GATEWAY, worker=worker.endpoint)
    gateway.wait_for(lambda: "gateway listening" in gateway.log, "the gateway")
    both = Pair(gateway, worker)
    both.moves("hyojo_worker_models_broken", lambda value: value == 2)
    both.moves("hyojo_worker_ready", zero)


def test_models_that_are_asked_for(launch: Launcher, tmp_path: Path) -> None:
    """One pushes another out, cannot be loaded, and meanwhile there is no room for a third."""
    params = family(tmp_path / "params", "a", "b")
    for name in ("large", "larger"):
        large(params / "imagenet" / name, 20)
    both = started(launch, params=params, model_memory=200)
    assert both.worker is not None

    def ask(model: str) -> int:
        url = f"{both.gateway.url}/classify?model={model}"
        return requests.post(url, files={"image": PICTURE}, timeout=60).status_code

    assert ask("imagenet:a") == 200
    assert ask("imagenet:large") == 503
    both.moves(event("guests_put_away"), above(0))
    both.moves(event("guest_failures"), above(0))
    (nursery,) = (pid for pid in children(both.worker.process.pid) if name_of(pid) == NURSERY)
    os.kill(nursery, signal.SIGSTOP)
    asking = threading.Thread(target=ask, args=("imagenet:b",))
    asking.start()
    both.moves("hyojo_worker_guests", above(0))
    assert ask("imagenet:larger") == 503
    os.kill(nursery, signal.SIGCONT)
    asking.join()
    both.moves(problem("no_room_for_model"), above(0))


def test_strangers_at_the_workers_door(both: Pair) -> None:
    assert both.worker is not None
    with zmq.Context() as context, context.socket(zmq.DEALER) as stranger:
        stranger.linger = 1000
        stranger.connect(both.worker.endpoint)
        stranger.send(b"this is no message")
        both.moves(event("unreadable"), above(0))
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(both.worker.endpoint.removeprefix("ipc://"))
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n" + b"x" * 200)
    both.moves(event("strangers"), above(0))


@pytest.fixture
def impostor(launch: Launcher) -> Iterator[tuple[Pair, Callable[[bytes], None]]]:
    """A gateway that finds something else where its worker should be, and what that answers."""
    gateway = launch(*GATEWAY)
    gateway.wait_for(lambda: "gateway listening" in gateway.log, "the gateway")
    Path(gateway.endpoint.removeprefix("ipc://")).parent.mkdir()
    says, ends = [b"noise"], threading.Event()

    def answer() -> None:
        with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
            router.linger = 0
            router.bind(gateway.endpoint)
            while not ends.is_set():
                if router.poll(20):
                    peer, head, *_ = router.recv_multipart()
                    asked = protocol.decode_request(head)
                    told = says[0].replace(b"REQUEST-ID-16-CH", asked.id.encode())
                    router.send_multipart([peer, told])

    thread = threading.Thread(target=answer)
    thread.start()
    yield Pair(gateway), lambda said: says.__setitem__(0, said)
    ends.set()
    thread.join()


def test_an_impostor_and_a_fault(impostor: tuple[Pair, Callable[[bytes], None]]) -> None:
    both, say = impostor
    assert both.post() == 503
    both.moves("hyojo_foreign_messages_total", above(0))
    refusal = ErrorReply(id="REQUEST-ID-16-CH", code="of_another_version", detail="Some.")
    say(protocol.encode(refusal))
    assert both.post() == 500
    both.moves(problem("internal"), above(0))


def test_bad_input(both: Pair) -> None:
    assert both.post(b"this is no image") == 415
    both.moves('hyojo_image_problems_total{code="unsupported_image"}', above(0))
    host, port = both.gateway.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(b"this is no HTTP\r\n\r\n")
        assert b" 400 " in client.recv(4096).split(b"\r\n")[0]
    both.moves(problem("bad_request"), above(0))


def test_no_worker(both: Pair) -> None:
    assert both.worker is not None
    both.worker.process.kill()
    both.worker.process.wait()
    both.moves("hyojo_worker_up", zero)
    assert both.post() == 503
    both.moves(problem("worker_unavailable"), above(0))


def test_every_number_of_the_table_is_provoked_here() -> None:
    text = Path(__file__).read_text()
    for number in TOLD:
        name, _, label = number.partition("{")
        key = re.search(r'"(.*)"', label)
        assert (
            (f'("{key[1]}"' in text or f'code="{key[1]}"' in text) if key else f'"{name}"' in text
        )
