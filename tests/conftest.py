"""What every kind of test may use: a real worker, a real gateway, a real bundle, pictures."""

import io
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from service.nursery import PREDICTOR

PROJECT = Path(__file__).resolve().parent.parent
LOCKS = (
    "requirements",
    "requirements-onnx",
    "requirements-ray",
    "tests/requirements",
    "tests/fuzzing",
    "docker/requirements",
    "docker/tools",
)
"""Lists of requirements, each with a lock beside it."""
START_PATIENCE_S = 60.0


@dataclass
class Running:
    """A started process of the product, with what it says going to a file."""

    process: "subprocess.Popen[bytes]"
    log_file: Path
    env: dict[str, str]
    url: str = ""
    endpoint: str = ""

    @property
    def log(self) -> str:
        """What it has said until now, on both streams."""
        return self.log_file.read_text(errors="replace")

    def wait_for(self, condition: Callable[[], bool], what: str, seconds: float = 30) -> None:
        """Wait until `condition` holds, or fail with the log."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                pytest.fail(f"{what} did not come about within {seconds} s:\n{self.log}")
            time.sleep(0.05)

    def stop(self, number: int = signal.SIGTERM, seconds: float = 30) -> int:
        """Signal it and wait for its end; returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(seconds)


@dataclass
class Launcher:
    """Starts processes of the product with settings of their own and ends them all."""

    folder: Path
    started: list[Running] = field(default_factory=list)
    closing: list[Callable[[], object]] = field(default_factory=list)

    def __call__(self, *command: str, **settings: object) -> Running:
        """Start `python COMMAND …` with HYOJO_* settings given by name."""
        number = len(self.started)
        endpoint = f"ipc://{self.folder}/{number}/worker.sock"
        port = free_port()
        own = {"worker": endpoint, "port": port, "predictors": 1, **settings}
        env = {k: v for k, v in os.environ.items() if not k.startswith("HYOJO_")}
        env |= {f"HYOJO_{name.upper()}": str(value) for name, value in own.items()}
        path = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")]))
        env |= {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
        log_file = self.folder / f"log-{number}.txt"
        with log_file.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, *command], cwd=PROJECT, env=env, stdout=log, stderr=log
            )
        url = f"http://127.0.0.1:{own['port']}"
        running = Running(process, log_file, env, url, str(own["worker"]))
        self.started.append(running)
        return running

    def end_all(self) -> None:
        """Nothing that was started or opened outlives its tests."""
        for close in self.closing:
            close()
        for running in self.started:
            if running.process.poll() is None:
                running.process.terminate()
        for running in self.started:
            try:
                running.process.wait(30)
            except subprocess.TimeoutExpired:
                running.process.kill()
                running.process.wait()
            print(f"--- {running.process.args}\n{running.log}")  # shown where a test failed


def children(pid: int) -> list[int]:
    """Process ids of a process's children."""
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def name_of(pid: int) -> str:
    """A process's name, as `ps -o comm` shows it; empty once it has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def predictors(worker: int) -> list[int]:
    """Process ids of a worker's predictors; the nursery that bore them is none."""
    return [pid for pid in children(worker) if name_of(pid) == PREDICTOR]


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_ready(url: str) -> bool:
    """Whether /readyz says 200."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


# A suite started in the background of a shell ignores Ctrl-C, and so would all that it starts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def launch() -> Iterator[Launcher]:
    """Starts processes for one test."""
    with tempfile.TemporaryDirectory(prefix="hyojo-") as folder:  # short: socket paths are limited
        launcher = Launcher(Path(folder))
        yield launcher
        launcher.end_all()


@pytest.fixture(scope="session")
def service() -> Iterator[Running]:
    """The whole service with the shipped bundle, shared by the tests that do not harm it."""
    with ready_service(predictors=2) as running:
        yield running


@contextmanager
def ready_service(**settings: object) -> Iterator[Running]:
    """A whole service, ready, with settings of its own; ended with the block."""
    with tempfile.TemporaryDirectory(prefix="hyojo-") as folder:
        launcher = Launcher(Path(folder))
        running = launcher("-m", "service", **settings)
        try:
            running.wait_for(
                lambda: running.process.poll() is not None or is_ready(running.url),
                "readiness",
                START_PATIENCE_S,
            )
            assert running.process.poll() is None, running.log
            yield running
        finally:
            launcher.end_all()


@pytest.fixture(scope="session")
def service_url(service: Running) -> str:
    """Where the shared service answers."""
    return service.url


@pytest.fixture(scope="session")
def face_jpeg() -> bytes:
    """A picture with one smiling face: web/example.jpg (NASA, public domain)."""
    return (PROJECT / "web" / "example.jpg").read_bytes()


@pytest.fixture(scope="session")
def landscape_png() -> bytes:
    """A picture with no face: a drawn horizon."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (320, 240), "skyblue")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 150, 320, 240), fill="darkgreen")
    draw.polygon([(40, 150), (110, 60), (180, 150)], fill="grey")
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of the published data sets' archives; tests that need one skip without it."""
    named = os.environ.get("HYOJO_TEST_DATA")
    if not named or not Path(named).is_dir():
        pytest.skip("no published data set here: set HYOJO_TEST_DATA to the folder of archives")
    return Path(named)
