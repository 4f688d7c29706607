"""Thousands of malformed files through the real service: each is answered, documented, in time, and
the one process that looks at them all stays as it was."""

import os
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from service.errors import PROBLEMS
from service.limits import OOM_SCORE
from tests.amount import amount
from tests.conftest import Launcher, Running, children, is_ready, predictors
from tests.malformed import Malformed, inputs
from tests.malformed.costly import COSTLY

DEADLINE_S = 10.0
"""As the service has it unless told: what one input may take, here by a busy machine's clock."""
PATIENCE_S = 40.0
"""What the largest pictures may take by that clock; of the processor they get the deadline."""
MEMORY_MB = 1280
QUERIES = ("", "?faces=whole", "?explain=true", "?faces=all&top=2")
UNSTEADY = re.compile(rb'"timings_ms":\{[^}]*\}|"request_id":"[^"]*"')
"""What differs between two answers to the same image."""


@pytest.fixture(scope="module")
def one_predictor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The service with a single predictor process: what a bad image does, the next one feels."""
    launcher = Launcher(tmp_path_factory.mktemp("malformed"))
    running = launcher(
        "-m",
        "service",
        deadline_s=PATIENCE_S,
        predictor_timeout_s=PATIENCE_S,
        predictor_memory_mb=MEMORY_MB,
    )
    try:
        running.wait_for(lambda: is_ready(running.url), "readiness", 60)
        yield running
    finally:
        launcher.end_all()


class Asked:
    """Asks the service for one image after the other."""

    def __init__(self, running: Running, good: bytes) -> None:
        self._url = running.url + "/classify"
        self._session = requests.Session()
        self._good = good
        self._expected = self._good_answer()

    def bad(self, item: Malformed, number: int, within_s: float = DEADLINE_S) -> requests.Response:
        """The answer to an input, which is as it must be."""
        began = time.monotonic()
        url = self._url + QUERIES[number % len(QUERIES)]
        if number % 3:
            answer = self._session.post(url, files={"image": ("a.png", item.data)}, timeout=60)
        else:
            kind = {"Content-Type": "image/png"}
            answer = self._session.post(url, data=item.data, headers=kind, timeout=60)
        took_s = time.monotonic() - began
        assert answer.status_code == 200 or 400 <= answer.status_code < 500, (
            item.name,
            answer.text,
        )
        if answer.status_code != 200:
            problem = answer.json()
            assert PROBLEMS[problem["code"]].status == answer.status_code, item.name
            assert problem["detail"].endswith((".", "?")), (item.name, problem["detail"])
        assert took_s < within_s, f"{item.name}: {took_s:.1f} s"
        return answer

    def good_is_as_ever(self, after: str) -> None:
        """The good image gets byte for byte the answer it got at the start."""
        assert self._good_answer() == self._expected, f"after {after}"

    def _good_answer(self) -> bytes:
        answer = self._session.post(
            self._url, files={"image": ("good.jpg", self._good)}, timeout=60
        )
        assert answer.status_code == 200, answer.text
        body, changed = UNSTEADY.subn(b"", answer.content)
        assert changed == 2
        return body


@contextmanager
def under_load(running: Running, good: bytes) -> Iterator[None]:
    """Three clients ask for the good image all the time; each of their answers must be good."""
    over = threading.Event()

    def ask() -> int:
        asked = Asked(running, good)
        count = 0
        while not over.is_set():
            asked.good_is_as_ever("one before")
            count += 1
        return count

    with ThreadPoolExecutor(3) as clients:
        asking = [clients.submit(ask) for _ in range(3)]
        try:
            yield
        finally:
            over.set()
        assert all(client.result(60) > 0 for client in asking)


def predictor_of(running: Running) -> int:
    """Process id of the one predictor."""
    (worker,) = (
        pid
        for pid in children(running.process.pid)
        if b"infer.py" in Path(f"/proc/{pid}/cmdline").read_bytes()
    )
    (predictor,) = predictors(worker)
    return predictor


def cpu_s(pid: int) -> float:
    """Processor time that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mb(pid: int) -> float:
    """The most that a process has had in memory, mapped files among it (MiB)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


def test_every_malformed_image_is_answered_and_harms_nothing(
    one_predictor: Running, face_jpeg: bytes
) -> None:
    asked = Asked(one_predictor, face_jpeg)
    predictor = predictor_of(one_predictor)
    limits = Path(f"/proc/{predictor}/limits").read_text()
    assert re.search(rf"Max data size +{MEMORY_MB << 20} ", limits), limits
    count = amount(400, 20_000)
    statuses: dict[int, int] = {}
    slowest = 0.0, ""
    for number, item in enumerate(inputs(count)):
        answer = asked.bad(item, number)
        statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
        slowest = max(slowest, (answer.elapsed.total_seconds(), item.name))
        if number % amount(3, 10) == 0:
            asked.good_is_as_ever(item.name)
    asked.good_is_as_ever("all of them")
    assert predictor_of(one_predictor) == predictor, "nobody died"
    assert peak_mb(predictor) < MEMORY_MB
    assert sum(statuses.values()) == count and statuses[200] > count / 10
    assert {413, 415, 422} <= set(statuses)
    print(f"{count} inputs: {statuses}; slowest {slowest[0]:.2f} s ({slowest[1]}); "
          f"peak {peak_mb(predictor):.0f} MiB")  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [name for name, item in COSTLY.items() if item.slow][:: amount(5, 1)],
)
def test_a_picture_of_as_many_pixels_as_are_taken_has_its_answer(
    one_predictor: Running, face_jpeg: bytes, name: str
) -> None:
    asked = Asked(one_predictor, face_jpeg)
    predictor = predictor_of(one_predictor)
    item, began_s = Malformed(name, COSTLY[name].make()), cpu_s(predictor)
    answer = asked.bad(item, 1, PATIENCE_S)
    took_s = cpu_s(predictor) - began_s
    assert answer.status_code == 200, answer.text
    assert took_s < DEADLINE_S
    asked.good_is_as_ever(name)
    assert predictor_of(one_predictor) == predictor
    assert peak_mb(predictor) < MEMORY_MB
    print(f"{name}: {took_s:.2f} s of processor time, peak {peak_mb(predictor):.0f} MiB")


def test_an_image_that_needs_more_memory_than_there_is_costs_itself_alone(
    launch: Launcher, face_jpeg: bytes
) -> None:
    running = launch("-m", "service", predictor_memory_mb=512, deadline_s=PATIENCE_S)
    running.wait_for(lambda: is_ready(running.url), "readiness", 60)
    asked = Asked(running, face_jpeg)
    predictor = predictor_of(running)
    with under_load(running, face_jpeg):
        for name in ("40 megapixels, WebP", "40 megapixels, PNG, transparent"):
            answer = asked.bad(Malformed(name, COSTLY[name].make()), 0, PATIENCE_S)
            assert (answer.status_code, answer.json()["code"]) == (413, "image_too_large"), name
            assert "memory" in answer.json()["detail"]
            asked.good_is_as_ever(name)
    assert predictor_of(running) == predictor, "it refused, and lives"
    assert int(Path(f"/proc/{predictor}/oom_score_adj").read_text()) >= OOM_SCORE
    assert peak_mb(predictor) < 512 + 256, "what it is held to, and the libraries it maps"


def test_too_little_memory_for_the_models_is_said_at_the_start(launch: Launcher) -> None:
    running = launch("infer.py", predictor_memory_mb=256)
    running.wait_for(lambda: "HYOJO_PREDICTOR_MEMORY_MB is 256" in running.log, "the reason")
    assert re.search(r"set it to \d+ at least", running.log)
