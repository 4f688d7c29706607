"""An image that kills the process that looks at it. The kill is the test's: no image known to this
project crashes its decoders."""

import os
import signal
import time

from service.protocol import ClassifyReply, ClassifyRequest, ImageResult
from tests.conftest import Launcher
from tests.pictures import gradient, saved
from tests.worker.conftest import WarmWorker, wait_until, warm


def _crash(worker: WarmWorker, image: bytes, number: int = signal.SIGSEGV) -> ImageResult:
    """The result of an image whose process dies of a signal while it holds it."""
    pid = worker.freeze()
    worker.client.send(ClassifyRequest(id="deadly"), image)
    time.sleep(0.3)  # until it is handed out
    os.kill(pid, number)
    os.kill(pid, signal.SIGCONT)
    result = _result(worker.client.receive(10))
    wait_until(lambda: worker.client.status().ready, "a new predictor", 20)
    return result


def _result(reply: object) -> ImageResult:
    assert isinstance(reply, ClassifyReply)
    (result,) = reply.results
    return result


def test_an_image_that_crashes_its_process_is_refused_and_the_others_are_not(
    launch: Launcher, face_jpeg: bytes
) -> None:
    worker = warm(launch)
    deadly = saved(gradient(), "PNG")
    lost = _crash(worker, deadly)
    assert lost.error is not None and lost.error.code == "worker_lost"
    before = worker.predictors
    reply = worker.client.classify(deadly, face_jpeg, deadly)
    assert isinstance(reply, ClassifyReply)
    codes = [result.error.code if result.error else "" for result in reply.results]
    assert codes == ["image_quarantined", "", "image_quarantined"]
    assert _result(worker.client.classify(deadly)).error is not None
    assert worker.predictors == before, "nobody looked at it"
    assert worker.client.status().counters["quarantined"] == 3


def test_a_refused_image_is_answered_while_no_process_is_warm(launch: Launcher) -> None:
    worker = warm(launch)
    deadly = saved(gradient(), "PNG")
    _crash(worker, deadly)
    pid = worker.freeze()
    began = time.monotonic()
    problem = _result(worker.client.classify(deadly)).error
    assert problem is not None and problem.code == "image_quarantined"
    assert time.monotonic() - began < 0.5, "it does not wait for a process"
    os.kill(pid, signal.SIGCONT)


def test_a_process_killed_from_outside_is_not_laid_to_its_image(
    launch: Launcher, face_jpeg: bytes
) -> None:
    worker = warm(launch)
    lost = _crash(worker, face_jpeg, signal.SIGKILL)
    assert lost.error is not None and lost.error.code == "worker_lost"
    assert _result(worker.client.classify(face_jpeg)).error is None
