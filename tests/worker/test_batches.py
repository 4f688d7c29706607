"""HYOJO_MAX_BATCH_SIZE: images that wait are looked at together, and each gets its own answer."""

import os
import signal

import pytest
import requests

from tests.chaos.load import Load, different_pictures, known_answers
from tests.conftest import Running, children, predictors, ready_service
from tests.worker.conftest import wait_until


def measured(service: Running, series: str) -> float:
    """What /metrics says of a series."""
    text = requests.get(f"{service.url}/metrics", timeout=30).text
    return float(text.split(f"\n{series} ")[1].split()[0])


def counted(service: Running, name: str) -> float:
    """A counter of the worker's."""
    return measured(service, f'hyojo_worker_events_total{{event="{name}"}}')


@pytest.mark.parametrize("most", [1, 4])
def test_each_gets_the_answer_that_it_gets_alone(face_jpeg: bytes, most: int) -> None:
    pictures = different_pictures(face_jpeg)
    with ready_service(predictors=1, max_batch_size=most) as service:
        known = known_answers(service.url, pictures)
        alone = counted(service, "batches")
        assert alone == counted(service, "images"), "a lone image waits for no company"
        with Load(service.url, pictures, clients=8) as load:
            wait_until(lambda: len(load.answers) >= 80, "answers", 60)
        images = counted(service, "images") - alone
        batches = counted(service, "batches") - alone
    assert load.kinds.keys() == {"200"}
    for answer in load.answers:
        assert answer.body["results"] == known[answer.picture]
    assert images == batches if most == 1 else images > 2 * batches


def test_a_lost_predictor_costs_none_of_those_it_held_together(face_jpeg: bytes) -> None:
    pictures = different_pictures(face_jpeg)
    with ready_service(predictors=1, predictor_stuck_s=60) as service:
        (worker,) = (pid for pid in children(service.process.pid) if predictors(pid))
        (predictor,) = predictors(worker)
        os.kill(predictor, signal.SIGSTOP)
        with Load(service.url, pictures, clients=16) as load:
            wait_until(
                lambda: measured(service, "hyojo_worker_queue_length") >= 12, "images that wait", 60
            )
            before = counted(service, "batches")
            os.kill(predictor, signal.SIGCONT)
            while counted(service, "batches") == before:
                pass
            os.kill(predictor, signal.SIGKILL)  # while four are in it: as many as may be
            seen = len(load.answers)
            wait_until(lambda: len(load.answers) >= seen + 40, "answers afterwards", 60)
        replaced = counted(service, "predictors_replaced")
    assert replaced == 1
    assert load.kinds.keys() == {"200"}, load.kinds


def test_times_are_told_of_an_image_that_was_looked_at(face_jpeg: bytes) -> None:
    """The last one is broken: it has waited longest and took no stage's time."""
    with ready_service(predictors=1, max_batch_size=1) as service:
        files = [("image", face_jpeg), ("image", face_jpeg[:3000])]
        answer = requests.post(f"{service.url}/classify", files=files, timeout=30).json()
    assert [bool(result["error"]) for result in answer["results"]] == [False, True]
    timings = answer["timings_ms"]
    assert timings["classify"] > 0
    assert timings["total"] > timings["decode"] > 0
