"""Processes that train one network together do what one alone would, and end together."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from models import bundle, devices, joining, ranks
from models.errors import UsageError
from models.framework import paddle
from models.joining import Crowd
from models.predictor import Predictor
from tests import shapes, together
from tests.amount import soak_only

PROJECT = Path(__file__).resolve().parents[2]
LAUNCH = (sys.executable, "-m", "paddle.distributed.launch", "--nproc_per_node", "2")
QUICK = (
    "--faces", "no", "--network", "1x32 1x16 1x8", "--width", "4", "--batch-size", "16",
    "--epochs", "4", "--fixed", "--protocol", "kfold", "--folds", "2", "--mixup", "0.2",
    "--average", "0.9", "--json",
)  # fmt: skip


def started(*words: object, cwd: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        list(map(str, words)), cwd=cwd, text=True, bufsize=1,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def beside(process: "subprocess.Popen[str]") -> int:
    """The one process that `train.py --processes 2` has started."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 1
    return int(children[0])


def gone(number: int, seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while Path(f"/proc/{number}").exists() and time.monotonic() < end:
        time.sleep(0.1)
    return not Path(f"/proc/{number}").exists()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shapes.folders(tmp_path_factory.mktemp("data") / "shapes", 12)


def test_two_launched_processes_compute_what_one_does(tmp_path: Path) -> None:
    shapes.folders(tmp_path / "data", 7)  # 21 images: shares and the last turn are uneven
    done = subprocess.run(
        [*LAUNCH, str(PROJECT / "tests" / "together.py"), str(tmp_path)],
        cwd=tmp_path, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    alone = together.work(tmp_path, tmp_path / "alone")
    for number in range(2):
        told = dict(np.load(tmp_path / f"told-{number}.npz"))
        assert told.keys() == alone.keys()
        for name, values in alone.items():
            np.testing.assert_allclose(told[name], values, rtol=2e-5, atol=2e-5, err_msg=name)
            if name in ("features", "maps", "kept", "done"):  # nothing is added up
                np.testing.assert_array_equal(told[name], values, err_msg=name)
    kept = (tmp_path / "run" / "steps").iterdir()
    assert not [path.name for path in kept if path.suffix == ".new"]


def test_a_lost_process_ends_the_rest_with_a_sentence_and_a_launched_run_goes_on(
    data: Path, tmp_path: Path
) -> None:
    words = (PROJECT / "train.py", "--data", data, *QUICK)
    with started(sys.executable, *words, "--processes", 2, cwd=tmp_path) as process:
        for line in process.stderr:
            if "epoch 2/" in line:
                os.kill(beside(process), signal.SIGKILL)
                break
        rest = process.stderr.read()
        assert process.stdout.read() == ""
    assert process.returncode == 1, rest
    assert "One of the 2 processes that train together was ended from outside" in rest
    assert "--resume goes on. Process 2 ended by signal 9." in rest
    assert "Traceback" not in rest
    with started(*LAUNCH, *words, "--resume", "--out", "out", cwd=tmp_path) as process:
        process.communicate(timeout=240)
    told = (tmp_path / "log" / "workerlog.0").read_text()
    assert process.returncode == 0, told
    assert "kfold/1/fit  epoch 1/" not in told  # it went on from its checkpoint
    assert "Warning" not in told and "Traceback" not in told
    assert (tmp_path / "log" / "workerlog.1").read_text().strip() == ""
    result = json.loads(told.splitlines()[-1])
    assert result["metrics"]["images"] == 36
    made = bundle.load(tmp_path / "out")
    assert made.manifest.training["processes"] == 2
    assert made.manifest.training["command"].endswith("--processes 2")
    picture = (data / "disc" / "000.png").read_bytes()
    (answer,) = Predictor(made).classify([picture])
    assert answer.whole.sum() == pytest.approx(1, abs=1e-4)


@soak_only
@pytest.mark.parametrize("launched", [False, True])
def test_ctrl_c_keeps_the_best_so_far_and_ends_all(
    data: Path, tmp_path: Path, launched: bool
) -> None:
    words = [PROJECT / "train.py", "--data", data, *QUICK]
    command = [*LAUNCH, *words] if launched else [sys.executable, *words, "--processes", 2]
    with started(*command, cwd=tmp_path) as process:
        for line in process.stdout if launched else process.stderr:
            if "epoch 3/" in line:
                others = [] if launched else [beside(process)]
                process.send_signal(signal.SIGINT)
                break
        said = "".join(process.communicate(timeout=60))
    if launched:
        said = (tmp_path / "log" / "workerlog.0").read_text()
    else:
        assert process.returncode == 130
    best = re.search(r"kept as a bundle in (\S+)\. ", said)
    assert best, said
    bundle.load(tmp_path / best[1])
    assert all(gone(other) for other in others)


@soak_only
def test_a_first_process_that_is_killed_takes_the_others_along(data: Path, tmp_path: Path) -> None:
    words = (PROJECT / "train.py", "--data", data, *QUICK, "--processes", 2)
    with started(sys.executable, *words, cwd=tmp_path) as process:
        for line in process.stderr:
            if "epoch 1/" in line:
                other = beside(process)
                process.kill()
                break
    assert gone(other)


def test_a_graphics_card_that_is_not_there_is_a_sentence_before_anything_is_written(
    data: Path, tmp_path: Path
) -> None:
    if paddle.device.is_compiled_with_cuda():
        pytest.skip("this Paddle can use a graphics card")
    with pytest.raises(UsageError, match=r"--device gpu.*paddlepaddle-gpu.*leave --device away"):
        devices.use("gpu")
    with started(sys.executable, PROJECT / "train.py", "--data", data, "--device", "gpu",
                 cwd=tmp_path) as process:  # fmt: skip
        _, said = process.communicate(timeout=60)
    assert process.returncode == 2 and said.startswith("train.py: --device gpu: ")
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_meant_for_several_processes_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PADDLE_TRAINERS_NUM", "2")
    monkeypatch.setenv("PADDLE_TRAINER_ID", "1")
    crowd = joining.crowd()
    assert (crowd.number, crowd.count, crowd.launched, crowd.ours) == (1, 2, True, False)
    with pytest.raises(UsageError, match=r"started 2 processes already.*Leave --processes away"):
        crowd.asked(3, "cpu")
    with pytest.raises(UsageError, match=r"Run python train.py sweep; --jobs"):
        joining.refuse_sweep(crowd)
    with pytest.raises(UsageError, match="between 1 and 64, not 0"):
        Crowd().asked(0, "cpu")
    joining.refuse_sweep(Crowd())
    assert "PADDLE_TRAINER_ID" not in os.environ  # its processes would take it for theirs


def test_a_share_of_one_image_is_refused() -> None:
    ranks.take(0, 4)
    try:
        ranks.check(8)
        with pytest.raises(UsageError, match=r"4 processes.*7 images.*larger --batch-size"):
            ranks.check(7)
    finally:
        ranks.take(0, 1)
    ranks.check(1)


def test_what_listens_while_processes_meet_answers_this_machine_alone() -> None:
    with socket.create_server(("", 0)) as listening:
        met = threading.Event()
        met.set()
        joining._keep_in(met)
        bound = listening.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16)
        assert bound.rstrip(b"\0") == b"lo"
