"""The process that predictors are forked from: who their parent is, and what its own end costs."""

import os
import resource
import signal
import time
from pathlib import Path

import pytest

from service.kinship import adopt_orphans
from service.nursery import NURSERY, Nursery, Wanted
from service.pool import Pool
from service.protocol import ClassifyReply
from service.slot import Slot
from service.wire import Wire
from tests.conftest import PROJECT, Launcher, children, name_of, predictors
from tests.worker.conftest import WarmWorker, wait_until, warm


def nursery(worker: WarmWorker) -> int:
    """Its process id."""
    pid = worker.running.process.pid
    (found,) = (child for child in children(pid) if name_of(child) == NURSERY)
    return found


def private_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def test_predictors_are_the_workers_own_children_and_share_their_libraries(
    launch: Launcher, face_jpeg: bytes
) -> None:
    worker = warm(launch, predictors=2, models="emotion")
    assert isinstance(worker.client.classify(face_jpeg), ClassifyReply)
    pid = worker.running.process.pid
    both = predictors(pid)
    assert len(both) == 2 and not children(nursery(worker))
    for predictor in both:
        assert private_kb(predictor) < 130 * 1024, "a third less than without sharing"


def test_it_keeps_no_library_in_memory_that_only_its_start_needed(launch: Launcher) -> None:
    worker = warm(launch, predictors=1, models="emotion")
    status = Path(f"/proc/{nursery(worker)}/status").read_text()
    (kilobytes,) = (int(line.split()[1]) for line in status.splitlines() if "RssFile" in line)
    assert kilobytes < 20 * 1024, "Paddle's start alone looks at 170 MB"


def test_a_lost_predictor_is_back_at_once(launch: Launcher, face_jpeg: bytes) -> None:
    worker = warm(launch)
    (pid,) = worker.predictors
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: worker.predictors not in ([], [pid]), "a new one")
    wait_until(lambda: worker.client.status().predictors_ready == 1, "its warmth")
    assert time.monotonic() - began < 4
    assert isinstance(worker.client.classify(face_jpeg), ClassifyReply)


def test_without_their_nursery_predictors_go_on_and_another_is_started(
    launch: Launcher, face_jpeg: bytes
) -> None:
    worker = warm(launch)
    lost, before = nursery(worker), worker.predictors
    os.kill(lost, signal.SIGKILL)
    assert isinstance(worker.client.classify(face_jpeg), ClassifyReply)
    assert worker.predictors == before
    os.kill(before[0], signal.SIGKILL)
    wait_until(lambda: worker.predictors not in ([], before), "a new one", 30)
    wait_until(lambda: worker.client.status().predictors_ready == 1, "its warmth", 30)
    assert nursery(worker) != lost
    assert isinstance(worker.client.classify(face_jpeg), ClassifyReply)


def test_nothing_outlives_the_worker(launch: Launcher) -> None:
    worker = warm(launch, predictors=2)
    everyone = [nursery(worker), *worker.predictors]
    worker.running.process.kill()
    worker.running.process.wait()

    def gone() -> bool:
        return not any(Path(f"/proc/{pid}").exists() for pid in everyone)

    wait_until(gone, "their end", 5)


def test_it_loads_what_the_first_picture_would(worker: WarmWorker) -> None:
    maps = Path(f"/proc/{nursery(worker)}/maps").read_text()
    for library in ("libpaddle", "cv2", "_imaging", "webp", "tiff"):
        assert library in maps, library


def test_it_says_when_it_takes_no_more_wishes() -> None:
    nursery = Nursery()
    ours, theirs = Wire.pair()
    try:
        nursery.ask(Wanted("a", []), theirs)
        assert nursery._process is not None
        os.kill(nursery._process.pid, signal.SIGSTOP)
        with pytest.raises(BlockingIOError):
            for number in range(5000):
                nursery.ask(Wanted(str(number), ["x" * 100]), theirs)
    finally:
        nursery.close()
        ours.close()
        theirs.close()
        adopt_orphans(False)


def test_the_pause_before_the_next_start_grows_to_a_bound() -> None:
    pauses = [Slot(0, failures=failures).pause_s for failures in (0, 1, 2, 9, 5000)]
    assert pauses == [0.5, 1.0, 2.0, 30.0, 30.0]


def test_without_open_files_to_be_had_a_pool_waits_for_some() -> None:
    pool = Pool({"emotion": PROJECT / "params" / "emotion"}, 1, 1_000_000, timeout_s=10)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
        pool.tick()
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        assert pool.problem == "No predictor process could be started: Too many open files."
        wait_until(lambda: pool.tick() == pool.receive() == [] and pool.ready == 1, "its warmth")
        assert not pool.problem
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        pool.close()
        adopt_orphans(False)  # what other tests leave behind is not this process's
