"""What the worker does when its processes die, hang, or have too much to do."""

import os
import resource
import signal
import time
from pathlib import Path

from service.protocol import ClassifyReply, ClassifyRequest, ErrorReply
from tests.conftest import Launcher, children
from tests.worker.conftest import Client, WarmWorker, wait_until, warm


def _is_good(worker: WarmWorker, image: bytes) -> bool:
    reply = worker.client.classify(image)
    return isinstance(reply, ClassifyReply) and reply.results[0].error is None


def test_a_killed_predictor_costs_its_image_alone_and_is_replaced(
    launch: Launcher, face_jpeg: bytes
) -> None:
    worker = warm(launch)
    pid = worker.freeze()
    worker.client.send(ClassifyRequest(id="doomed"), face_jpeg)
    time.sleep(0.3)  # until it is handed out
    os.kill(pid, signal.SIGKILL)
    reply = worker.client.receive(2)
    assert isinstance(reply, ClassifyReply) and reply.id == "doomed"
    (result,) = reply.results
    assert result.error is not None and result.error.code == "worker_lost"
    assert "ended with status -9" in result.error.detail
    wait_until(lambda: worker.client.status().ready, "a new predictor", 10)
    assert _is_good(worker, face_jpeg)
    assert worker.predictors != [pid]
    assert worker.client.status().counters["predictors_replaced"] == 1


def test_an_image_that_cannot_be_handed_over_costs_itself_alone(
    launch: Launcher, face_jpeg: bytes
) -> None:
    """No memory without a name is to be had for it; a limit on files stands for what is used up."""
    worker = warm(launch)
    before, most = worker.predictors, 100_000
    resource.prlimit(worker.running.process.pid, resource.RLIMIT_FSIZE, (most, most))
    reply = worker.client.classify(face_jpeg + bytes(2 * most))
    assert isinstance(reply, ClassifyReply) and (error := reply.results[0].error)
    assert error.code == "worker_lost" and "Try again" in error.detail
    assert _is_good(worker, face_jpeg) and worker.predictors == before


def test_a_hung_predictor_is_replaced_after_its_time(launch: Launcher, face_jpeg: bytes) -> None:
    worker = warm(launch, predictor_timeout_s=1)
    pid = worker.freeze()
    reply = worker.client.classify(face_jpeg)
    assert isinstance(reply, ClassifyReply)
    (result,) = reply.results
    assert result.error is not None and result.error.code == "worker_lost"
    assert "did not answer within 1 s" in result.error.detail
    assert not Path(f"/proc/{pid}").exists()
    wait_until(lambda: worker.client.status().ready, "a new predictor", 10)
    assert _is_good(worker, face_jpeg)


def test_a_predictor_that_stands_still_is_replaced_long_before_its_time(
    launch: Launcher, face_jpeg: bytes
) -> None:
    worker = warm(launch, predictor_stuck_s=0.5, predictor_timeout_s=60)
    worker.freeze()
    began = time.monotonic()
    reply = worker.client.classify(face_jpeg)
    assert time.monotonic() - began < 5
    assert isinstance(reply, ClassifyReply) and reply.results[0].error is not None
    assert reply.results[0].error.code == "worker_lost"
    assert "stood still for 0.5 s" in reply.results[0].error.detail
    wait_until(lambda: worker.client.status().ready, "a new predictor", 10)
    assert _is_good(worker, face_jpeg)


def test_a_predictor_stopped_while_idle_is_replaced_before_it_costs_an_image(
    launch: Launcher, face_jpeg: bytes
) -> None:
    worker = warm(launch, predictor_stuck_s=0.5)
    pid = worker.freeze()
    wait_until(lambda: worker.predictors not in ([], [pid]), "a new one", 10)
    wait_until(lambda: worker.client.status().ready, "readiness", 20)
    assert _is_good(worker, face_jpeg)


def test_the_deadline_of_a_request_is_kept_and_a_late_result_goes_to_nobody(
    launch: Launcher, face_jpeg: bytes
) -> None:
    worker = warm(launch)
    pid = worker.freeze()
    began = time.monotonic()
    worker.client.send(ClassifyRequest(id="late", timeout_ms=700), face_jpeg)
    reply = worker.client.receive(3)
    assert isinstance(reply, ErrorReply) and (reply.id, reply.code) == ("late", "deadline_exceeded")
    assert 0.6 < time.monotonic() - began < 1.5
    os.kill(pid, signal.SIGCONT)
    reply = worker.client.classify(face_jpeg)
    assert isinstance(reply, ClassifyReply) and reply.id == "one"
    assert worker.client.status().counters["late"] == 1


def test_what_does_not_fit_in_the_queue_is_refused_at_once(
    launch: Launcher, face_jpeg: bytes
) -> None:
    worker = warm(launch, queue_size=4, max_batch_size=1)
    pid = worker.freeze()
    for number in range(6):  # one with the predictor, four in the queue, one too many
        worker.client.send(ClassifyRequest(id=str(number)), face_jpeg)
    reply = worker.client.receive(1)
    assert isinstance(reply, ErrorReply) and (reply.id, reply.code) == ("5", "overloaded")
    assert reply.retry_after_s is not None and reply.retry_after_s >= 1
    status = worker.client.status()
    assert (status.queue_length, status.queue_limit) == (4, 4)
    os.kill(pid, signal.SIGCONT)
    answered = [worker.client.receive().id for _ in range(5)]
    assert answered == ["0", "1", "2", "3", "4"], "in the order they came"


def test_sigterm_answers_what_was_accepted_refuses_the_rest_and_ends_with_0(
    launch: Launcher, face_jpeg: bytes
) -> None:
    worker = warm(launch, max_batch_size=1)
    pid = worker.freeze()
    for number in range(3):
        worker.client.send(ClassifyRequest(id=str(number)), face_jpeg)
    wait_until(lambda: worker.client.status().queue_length == 2, "two to wait")
    worker.running.process.terminate()
    time.sleep(0.3)
    worker.client.send(ClassifyRequest(id="after"), face_jpeg)
    reply = worker.client.receive(2)
    assert isinstance(reply, ErrorReply) and (reply.id, reply.code) == ("after", "shutting_down")
    os.kill(pid, signal.SIGCONT)
    replies = [worker.client.receive() for _ in range(3)]
    assert all(isinstance(reply, ClassifyReply) for reply in replies)
    assert worker.running.process.wait(10) == 0
    assert not Path(worker.running.endpoint.removeprefix("ipc://")).exists()


def test_predictors_end_with_a_killed_parent(launch: Launcher) -> None:
    worker = warm(launch, predictors=2)
    pids = worker.predictors
    assert len(pids) == 2
    worker.running.process.kill()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), "their end", 5)


def test_a_worker_takes_over_the_socket_file_of_one_that_was_killed(
    launch: Launcher, face_jpeg: bytes
) -> None:
    first = warm(launch)
    first.running.process.kill()
    first.running.process.wait()
    assert Path(first.running.endpoint.removeprefix("ipc://")).exists()
    assert _is_good(warm(launch, worker=first.running.endpoint), face_jpeg)


def test_two_predictors_work_side_by_side(launch: Launcher, face_jpeg: bytes) -> None:
    worker = warm(launch, predictors=2, max_batch_size=1)
    frozen = worker.predictors[0]
    os.kill(frozen, signal.SIGSTOP)
    worker.client.send(ClassifyRequest(id="a"), face_jpeg)
    worker.client.send(ClassifyRequest(id="b"), face_jpeg)
    worker.client.send(ClassifyRequest(id="c"), face_jpeg)
    done = {worker.client.receive().id, worker.client.receive().id}
    assert "c" in done and len(done) == 2, "the other one does the work"
    os.kill(frozen, signal.SIGCONT)
    assert {worker.client.receive().id} | done == {"a", "b", "c"}


def test_a_client_that_leaves_does_not_disturb(launch: Launcher, face_jpeg: bytes) -> None:
    worker = warm(launch)
    pid = worker.freeze()
    leaver = Client(launch, worker.running.endpoint)
    leaver.send(ClassifyRequest(id="gone"), face_jpeg)
    wait_until(lambda: not children(pid) and worker.client.status().counters["images"] == 1, "it")
    leaver.socket.close()
    os.kill(pid, signal.SIGCONT)
    assert _is_good(worker, face_jpeg)
