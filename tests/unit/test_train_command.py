"""train.py as people call it: a process with arguments, streams, signals and an exit status."""

import fcntl
import json
import os
import pty
import re
import resource
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

import train as command_line
from models import bundle
from models.predictor import Predictor
from tests import shapes

PROJECT = Path(__file__).resolve().parents[2]
QUICK = ("--faces", "no", "--network", "face_cnn", "--image-size", "32", "--batch-size", "16")


def command(*words: object) -> list[str]:
    return [sys.executable, str(PROJECT / "train.py"), *map(str, words)]


def train(*words: object, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command(*words), cwd=cwd, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (("--data", "/home/me/my set", "--lr=0.1"), "--data 'my set' --lr 0.1"),
        (("--data=/home/me/set", "--out=/x", "--runs", "/y", "--json"), "--data set"),
        (("--data", "s", "--augment", "flip,rotation=15,noise"),
         "--data s --augment flip,rotation=15,noise"),
        (("--data", "s", "--augment=flip,rotation=15"), "--data s --augment flip,rotation=15"),
        (("--data", "/sets/a=b"), "--data a=b"),
    ],
)  # fmt: skip
def test_the_recorded_command_asks_for_the_same_and_tells_no_private_path(
    given: tuple[str, ...], kept: str
) -> None:
    assert command_line._command(list(given)) == f"python train.py {kept}"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shapes.folders(tmp_path_factory.mktemp("data") / "My Shapes", 10)


def test_too_little_memory_is_a_sentence(data: Path, tmp_path: Path) -> None:
    words = ("--faces", "no", "--network", "ResNet50", "--image-size", "512", "--batch-size", "30")
    more = ("--data", data, "--init", "none", "--epochs", "1", "--protocol", "holdout")

    def little() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (1_600_000_000, 1_600_000_000))

    done = subprocess.run(
        command(*words, *more, "--name", "big"),
        cwd=tmp_path, preexec_fn=little, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    assert "train.py: There is not enough memory. Give a smaller --batch-size" in done.stderr
    assert "Traceback" not in done.stderr and "C++" not in done.stderr


def test_help_shows_every_option_with_its_default(tmp_path: Path) -> None:
    done = train("--help", cwd=tmp_path)
    assert done.returncode == 0
    options = set(re.findall(r"^  (--[a-z-]+)", done.stdout, re.M))
    assert options >= {
        "--data", "--layout", "--name", "--out", "--network", "--init", "--freeze", "--epochs",
        "--batch-size", "--lr", "--optimizer", "--image-size", "--seed", "--patience",
        "--protocol", "--resume", "--json",
    }  # fmt: skip
    told = re.split(r"^  --", done.stdout, flags=re.M)[1:]
    for text in told:
        assert "default:" in text or "(required)" in text, text
    assert "$ python train.py --data" in done.stdout


def test_it_trains_own_folders_says_a_line_an_epoch_and_leaves_a_bundle_that_answers(
    data: Path, tmp_path: Path
) -> None:
    done = train("--data", data, *QUICK, "--epochs", 2, "--protocol", "holdout", "--json",
                 "--out", tmp_path / "out", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)  # one object and nothing else
    assert told["name"] == "my-shapes"
    assert told["labels"] == list(shapes.KINDS)
    assert told["protocol"]["name"] == "holdout"
    assert 0 <= told["metrics"]["accuracy"] <= 1
    lines = done.stderr.splitlines()
    assert sum("epoch " in line for line in lines) >= 4
    assert "\r" not in done.stderr and "Traceback" not in done.stderr
    assert not [line for line in lines if "Warning" in line or "ccache" in line]
    made = bundle.load(tmp_path / "out")
    assert made.manifest.training["command"].startswith("python train.py --data 'My Shapes'")
    assert str(tmp_path) not in (tmp_path / "out" / "model.json").read_text()
    picture = (data / "disc" / "000.png").read_bytes()
    (answer,) = Predictor(made).classify([picture])
    assert answer.whole.sum() == pytest.approx(1, abs=1e-4)


def test_names_of_files_and_folders_that_are_no_utf_8_are_trained_on(tmp_path: Path) -> None:
    plain = shapes.folders(tmp_path / "set", 4)
    os.rename(plain / "disc" / "000.png", os.fsencode(plain) + b"/disc/caf\xe9.png")
    (plain / "disc" / "copy.png").write_bytes((plain / "disc" / "001.png").read_bytes())
    bad = os.fsencode(plain) + b"/disc/torn\xe9.png"
    Path(os.fsdecode(bad)).write_bytes(b"no image")
    place = os.fsdecode(os.fsencode(tmp_path) + b"/s\xe9t")
    plain.rename(place)
    done = train("--data", place, *QUICK, "--epochs", 1, "--protocol", "none", "--out", "out",
                 cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    made = bundle.load(tmp_path / "out")
    assert made.manifest.training["data"] == r"s\udce9t"
    files = (tmp_path / "out" / "report" / "files.csv").read_text()
    assert r"disc/torn\udce9.png,unreadable" in files
    assert "disc/001.png,copy,disc/copy.png" in files


def test_images_replaced_under_the_same_names_are_not_resumed(tmp_path: Path) -> None:
    data = shapes.folders(tmp_path / "set", 4)
    words = ("--data", data, *QUICK, "--epochs", 1, "--protocol", "none", "--out", "out")
    assert train(*words, cwd=tmp_path).returncode == 0
    shapes.drawn("disc", 50).save(data / "disc" / "000.png")
    done = train(*words, "--resume", cwd=tmp_path)
    assert done.returncode == 2
    assert "other settings (data)" in done.stderr


def test_on_a_terminal_a_bar_shows_loss_accuracy_and_time_left(data: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
    with subprocess.Popen(
        command("--data", data, *QUICK, "--epochs", 3, "--protocol", "none", "--out", "out"),
        cwd=tmp_path, stdout=theirs, stderr=theirs, env={**os.environ, "COLUMNS": "160"},
    ) as process:  # fmt: skip
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other end closed
                break
            if not part:
                break
            shown += part
        os.close(ours)
    text = shown.decode()
    assert process.returncode == 0, text
    assert re.search(r"final/choose.*\d+%.*<\d\d:\d\d.*loss=\d", text), text
    assert "accuracy=" in text


def test_bad_data_is_a_sentence_and_status_2(tmp_path: Path) -> None:
    lonely = shapes.folders(tmp_path / "lonely", 1)
    done = train("--data", lonely, "--out", tmp_path / "out", cwd=tmp_path)
    assert done.returncode == 2
    assert "only one usable image" in done.stderr and "Traceback" not in done.stderr
    assert done.stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["lonely"]  # nothing half-written


def test_ctrl_c_keeps_the_best_so_far_says_where_and_can_be_resumed(
    data: Path, tmp_path: Path
) -> None:
    words = ("--data", data, *QUICK, "--epochs", 6, "--patience", 0, "--protocol", "none")
    with subprocess.Popen(
        command(*words, "--out", tmp_path / "out"), cwd=tmp_path, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=1,
    ) as process:  # fmt: skip
        for line in process.stderr:
            if "epoch 3/" in line:
                time.sleep(0.05)
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
    assert process.returncode == 130, rest
    assert "Traceback" not in rest
    best = re.search(r"kept as a bundle in (\S+)\. ", rest)
    assert best, rest
    made = bundle.load(tmp_path / best[1])
    assert Predictor(made).classify([(data / "disc" / "000.png").read_bytes()])
    assert not (tmp_path / "out").exists()  # nothing unfinished where the finished one goes
    resumed = train(*words, "--out", tmp_path / "out", "--resume", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert "final/choose  epoch 1/" not in resumed.stderr
    assert bundle.load(tmp_path / "out").manifest.metrics == {}


def test_ctrl_c_after_training_says_what_is_kept_and_resuming_writes_the_bundle(
    data: Path, tmp_path: Path
) -> None:
    words = list(map(str, ("--data", data, *QUICK, "--epochs", 1, "--protocol", "none",
                           "--out", tmp_path / "out")))  # fmt: skip
    program = (
        "import os, signal, sys, train; from models import report\n"
        "report.write = lambda *_: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.exit(train.main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=tmp_path, capture_output=True, text=True,
        timeout=120, env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )  # fmt: skip
    assert done.returncode == 130, done.stderr
    last = done.stderr.splitlines()[-1]
    assert "Interrupted after training" in last and "--resume writes the bundle" in last
    assert not (tmp_path / "out").exists()
    resumed = train(*words, "--resume", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert "final/choose  epoch 1/" not in resumed.stderr
    assert bundle.load(tmp_path / "out")


def test_resuming_with_other_options_is_refused(data: Path, tmp_path: Path) -> None:
    done = train("--data", data, *QUICK, "--protocol", "none", "--resume", cwd=tmp_path)
    assert done.returncode == 2
    assert "no run to resume" in done.stderr
