"""Models that are loaded when they are asked for: beside the others, in bounded memory."""

import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.nursery import NURSERY
from service.protocol import ClassifyReply, ClassifyRequest, ErrorReply, ModelInfo
from tests.conftest import Launcher, children, name_of
from tests.guests import LABELS, family, large, made
from tests.worker.conftest import WarmWorker, wait_until, warm

A, B, C, LARGE = "imagenet:a", "imagenet:b", "imagenet:c", "imagenet:large"
ONE_MB, SEVERAL_MB = 200, 270
"""HYOJO_MODEL_MEMORY with room for one that is loading, and for one beside some that are warm."""


@pytest.fixture
def params(tmp_path: Path) -> Path:
    return family(tmp_path / "params", "a", "b", "c")


def info(worker: WarmWorker, name: str) -> ModelInfo:
    (found,) = [model for model in worker.client.status().models if model.name == name]
    return found


def states(worker: WarmWorker) -> dict[str, str]:
    return {model.name: model.state for model in worker.client.status().models}


def answered(worker: WarmWorker, model: str, image: bytes, **options: object) -> ClassifyReply:
    reply = worker.client.classify(image, model=model, **options)
    assert isinstance(reply, ClassifyReply), reply
    assert [result.error for result in reply.results] == [None]
    return reply


def refused(worker: WarmWorker, code: str, model: str, image: bytes) -> ErrorReply:
    reply = worker.client.classify(image, model=model)
    assert isinstance(reply, ErrorReply) and reply.code == code, reply
    return reply


@contextmanager
def nothing_can_start(worker: WarmWorker) -> Iterator[None]:
    """The nursery stands still: what is being loaded stays so."""
    pid = worker.running.process.pid
    (nursery,) = (child for child in children(pid) if name_of(child) == NURSERY)
    os.kill(nursery, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(nursery, signal.SIGCONT)


def test_a_guest_comes_when_asked_for_and_stays(
    launch: Launcher, params: Path, face_jpeg: bytes
) -> None:
    worker = warm(launch, params=params)
    assert f"when asked for {A}, {B}, {C}; 1 predictors" in worker.running.log
    before = worker.predictors
    assert states(worker) == {"emotion": "warm", A: "asleep", B: "asleep", C: "asleep"}
    assert (info(worker, A).kind, info(worker, "emotion").kind) == ("things", "expression")
    first = answered(worker, A, face_jpeg, top=3)
    assert (first.model, first.version) == (A, "a")
    assert len(first.results[0].probabilities) == 3 and first.results[0].faces == []
    assert states(worker) == {"emotion": "warm", A: "warm", B: "asleep", C: "asleep"}
    (own,) = set(worker.predictors) - set(before)
    again = answered(worker, A, face_jpeg, top=3)
    assert again.results == first.results
    assert set(worker.predictors) == {*before, own}, "the same process has answered"
    wait_until(lambda: 20 < worker.client.status().guests_mb < 150, "its measure")
    status = worker.client.status()
    assert (status.guests, status.counters["guest_loads"]) == (1, 1)
    assert status.ready and status.predictors == status.predictors_ready == 1
    # It may use what its network takes, and beside that as much for pictures as the others.
    limit, _ = resource.prlimit(own, resource.RLIMIT_DATA)
    others, _ = resource.prlimit(before[0], resource.RLIMIT_DATA)
    assert others < limit < others + 200 * 2**20
    # What was read again and is the same stays.
    worker.running.process.send_signal(signal.SIGHUP)
    worker.running.wait_for(lambda: "no model has changed" in worker.running.log, "the reading")
    answered(worker, A, face_jpeg)
    assert own in worker.predictors


def test_loading_holds_up_no_other_and_ends_after_its_request_was_late(
    launch: Launcher, params: Path, face_jpeg: bytes
) -> None:
    worker = warm(launch, params=params)
    with nothing_can_start(worker):
        worker.client.send(ClassifyRequest(id="late", model=A, timeout_ms=400), face_jpeg)
        late = worker.client.receive()
        assert isinstance(late, ErrorReply) and late.code == "deadline_exceeded"
        assert f"{A} could not be loaded within 0." in late.detail
        worker.client.send(ClassifyRequest(id="slow", model=A), face_jpeg)
        for _ in range(5):
            answered(worker, "emotion", face_jpeg)
        assert states(worker)[A] == "loading" and worker.client.status().ready
        assert worker.client.status().queue_length == 1
    reply = worker.client.receive()
    assert isinstance(reply, ClassifyReply) and (reply.id, reply.model) == ("slow", A)


def test_the_idle_one_asked_for_longest_ago_gives_way(
    launch: Launcher, tmp_path: Path, face_jpeg: bytes
) -> None:
    params = family(tmp_path / "params", *"abcdefgh")
    worker = warm(launch, params=params, model_memory=SEVERAL_MB)
    asked = [f"imagenet:{letter}" for letter in "abcdefgh"]
    count = 0
    while not worker.client.status().counters["guests_put_away"]:
        for name in (asked[count], A):
            answered(worker, name, face_jpeg)
        count += 1
    # A was asked for again and again; of the others the first ones have gone.
    gone = worker.client.status().counters["guests_put_away"]
    here = [name for name in asked if states(worker)[name] == "warm"]
    assert here == [A, *asked[1 + gone : count]] and count > 1 + gone
    wait_until(lambda: len(worker.predictors) == 1 + len(here), "the end of its process")
    answered(worker, B, face_jpeg)
    status = worker.client.status()
    assert states(worker)[B] == "warm" and status.guests_mb <= SEVERAL_MB == status.guests_limit_mb
    assert status.counters["guest_loads"] == count + 1


def test_where_others_are_busy_or_loading_there_is_no_room_for_now(
    launch: Launcher, params: Path, face_jpeg: bytes
) -> None:
    large(params / "imagenet" / "large", 20)
    worker = warm(launch, params=params, model_memory=ONE_MB)
    before = worker.predictors
    with nothing_can_start(worker):
        worker.client.send(ClassifyRequest(id="first", model=A), face_jpeg)
        full = refused(worker, "no_room_for_model", B, face_jpeg)
        assert f"loading have too much of them ({A})" in full.detail
        assert full.retry_after_s == 2
    assert isinstance(worker.client.receive(), ClassifyReply)
    (own,) = set(worker.predictors) - set(before)
    os.kill(own, signal.SIGSTOP)
    worker.client.send(ClassifyRequest(id="busy", model=A), face_jpeg)
    refused(worker, "no_room_for_model", LARGE, face_jpeg)
    os.kill(own, signal.SIGCONT)
    assert isinstance(worker.client.receive(), ClassifyReply)
    refused(worker, "model_unavailable", LARGE, face_jpeg)  # there was room; it is a dummy
    assert states(worker)[A] == "asleep"


def test_what_can_never_fit_is_told_so(launch: Launcher, params: Path, face_jpeg: bytes) -> None:
    large(params / "imagenet" / "large", 200)
    worker = warm(launch, params=params, model_memory=ONE_MB)
    both = refused(worker, "model_too_large", "average:a,b", face_jpeg)
    assert f"{A} and {B} together take about" in both.detail and both.retry_after_s is None
    assert states(worker)[A] == "asleep", "nothing was loaded for it"
    alone = refused(worker, "model_too_large", LARGE, face_jpeg)
    assert f"{LARGE} takes about 550 MiB" in alone.detail and "HYOJO_MODEL_MEMORY" in alone.detail
    answered(worker, A, face_jpeg)


def test_a_lost_guest_costs_its_image_and_comes_back(
    launch: Launcher, params: Path, face_jpeg: bytes, landscape_png: bytes
) -> None:
    worker = warm(launch, params=params)
    before = worker.predictors
    answered(worker, A, face_jpeg)
    (own,) = set(worker.predictors) - set(before)
    os.kill(own, signal.SIGSTOP)
    worker.client.send(ClassifyRequest(id="held", model=A), landscape_png)
    worker.client.send(ClassifyRequest(id="next", model=A), face_jpeg)
    answered(worker, "emotion", face_jpeg)
    os.kill(own, signal.SIGSEGV)
    os.kill(own, signal.SIGCONT)
    held, following = worker.client.receive(), worker.client.receive()
    assert isinstance(held, ClassifyReply) and isinstance(following, ClassifyReply)
    assert held.results[0].error is not None and held.results[0].error.code == "worker_lost"
    assert following.results[0].error is None, "the one behind it waited for the new process"
    again = worker.client.classify(landscape_png, model=A)
    assert isinstance(again, ClassifyReply) and again.results[0].error is not None
    assert again.results[0].error.code == "image_quarantined"
    assert set(before) < set(worker.predictors)
    assert worker.client.status().counters["predictors_replaced"] == 1


def test_a_guest_that_cannot_be_loaded_is_told_and_left_alone_for_a_while(
    launch: Launcher, params: Path, face_jpeg: bytes
) -> None:
    damaged = params / "imagenet" / "a" / "inference.json"
    damaged.unlink()
    damaged.write_bytes(b"{}")
    worker = warm(launch, params=params)
    assert states(worker)[A] == "asleep" and info(worker, A).error is None
    why = refused(worker, "model_unavailable", A, face_jpeg)
    assert f"The model {A} cannot be loaded: The model bundle {damaged.parent}" in why.detail
    assert why.retry_after_s == 2
    again = refused(worker, "model_unavailable", A, face_jpeg)
    assert again.detail == why.detail and 0 < (again.retry_after_s or 0) < 2
    status = worker.client.status()
    assert (status.counters["guest_loads"], status.counters["guest_failures"]) == (1, 1)
    assert "is not the file that was saved" in (info(worker, A).error or "")
    part = refused(worker, "model_unavailable", "average:a,b", face_jpeg)
    assert part.detail == why.detail and states(worker)[B] == "asleep"
    answered(worker, B, face_jpeg)
    answered(worker, "emotion", face_jpeg)
    made(damaged.parent)
    worker.running.process.send_signal(signal.SIGHUP)
    wait_until(lambda: info(worker, A).version == "1", "the repaired one")
    assert info(worker, A).error is None
    answered(worker, A, face_jpeg)
    assert "Traceback" not in worker.running.log


def test_a_changed_guest_is_loaded_anew_and_a_removed_one_goes(
    launch: Launcher, params: Path, face_jpeg: bytes
) -> None:
    worker = warm(launch, params=params)
    for name in (A, B):
        answered(worker, name, face_jpeg)
    before = worker.predictors
    # On disk another one stands by now: until the models are read again the first one answers.
    made(params / "imagenet" / "a", version="new")
    subprocess.run(["rm", "-r", str(params / "imagenet" / "b")], check=True)
    assert answered(worker, A, face_jpeg).version == "a"
    weights = params / "imagenet" / "c" / "inference.pdiparams"
    content = weights.read_bytes()
    weights.unlink()
    weights.write_bytes(content[:-4] + b"else")
    assert "is not the file" in refused(worker, "model_unavailable", C, face_jpeg).detail
    worker.running.process.send_signal(signal.SIGHUP)
    wait_until(lambda: B not in states(worker), "the reading")
    assert answered(worker, A, face_jpeg).version == "new"
    refused(worker, "model_not_found", B, face_jpeg)
    wait_until(lambda: len(worker.predictors) == 2, "the end of the old ones")
    assert before[0] in worker.predictors


def test_a_running_request_of_a_guest_is_answered_before_the_end(
    launch: Launcher, params: Path, face_jpeg: bytes
) -> None:
    worker = warm(launch, params=params)
    with nothing_can_start(worker):
        worker.client.send(ClassifyRequest(id="last", model=A), face_jpeg)
        wait_until(lambda: states(worker)[A] == "loading", "its start")
        worker.running.process.terminate()
        time.sleep(0.3)
    assert isinstance(worker.client.receive(), ClassifyReply)
    assert worker.running.process.wait(20) == 0


def test_a_worker_of_guests_alone_is_ready_at_once(
    launch: Launcher, params: Path, face_jpeg: bytes
) -> None:
    worker = warm(launch, params=params, models=f"{A},{B}", model=A)
    status = worker.client.status()
    assert status.ready and status.predictors == 0 == len(worker.predictors)
    assert [model.name for model in status.models] == [A, B]
    reply = worker.client.classify(face_jpeg)
    assert isinstance(reply, ClassifyReply) and reply.model == A
    assert set(reply.results[0].probabilities) == set(LABELS)


@contextmanager
def open_files_left(pid: int, count: int) -> Iterator[None]:
    """A process can open so many files more."""
    taken = {int(number) for number in os.listdir(f"/proc/{pid}/fd")}
    free = [number for number in range(len(taken) + count + 1) if number not in taken]
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (free[count], hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


def test_where_no_file_can_be_opened_a_guest_is_refused_and_the_worker_goes_on(
    launch: Launcher, params: Path, face_jpeg: bytes
) -> None:
    worker = warm(launch, params=params)
    pid = worker.running.process.pid
    before = worker.client.status()
    for count, model in ((0, A), (1, "average:a,b")):  # the first of the two was begun
        with open_files_left(pid, count):
            refusal = refused(worker, "model_unavailable", model, face_jpeg)
        assert "cannot be loaded just now: Too many open files" in refusal.detail
        assert refusal.retry_after_s == 2
    status = worker.client.status()
    assert (status.guests, status.guests_mb) == (before.guests, before.guests_mb)
    assert states(worker) == {"emotion": "warm", A: "asleep", B: "asleep", C: "asleep"}
    answered(worker, A, face_jpeg)
    assert "Traceback" not in worker.running.log
