"""A Ray cluster of several nodes on this machine, and the service on it, as its users deploy it."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import PROJECT, free_port

PATIENCE_S = 400.0


@dataclass
class Cluster:
    """A running cluster, whose proxy listens at one port.

    Attributes:
        process: `tests.ray.nodes`.
        address: of its first node.
        settings: HYOJO_* of all that is deployed.
    """

    process: "subprocess.Popen[str]"
    address: str
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where the service answers."""
        return f"http://127.0.0.1:{self.settings['HYOJO_PORT']}"

    def tell(self, command: str) -> None:
        """`kill worker` or `add 1`: see `tests.ray.nodes`."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline().strip() == "done"

    def deploy(self, *options: str, **settings: object) -> str:
        """`python -m service.ray_app` with these options; returns what it told."""
        done = run_app("--address", self.address, *options, **self.settings, **named(settings))
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def named(settings: dict[str, object]) -> dict[str, str]:
    """Settings as environment variables."""
    return {f"HYOJO_{name.upper()}": str(value) for name, value in settings.items()}


def run_app(*options: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """`python -m service.ray_app`, to its end."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HYOJO_")}
    return subprocess.run(
        [sys.executable, "-m", "service.ray_app", *options],
        cwd=PROJECT,
        env={**kept, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


@contextmanager
def nodes(*cores: int) -> Iterator[Cluster]:
    """A cluster of nodes with so many cores each; nothing of it outlives the block."""
    with tempfile.TemporaryDirectory(prefix="hyojo-") as folder:
        with (Path(folder) / "log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.ray.nodes", *map(str, cores)],
                cwd=PROJECT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        try:
            assert process.stdout and process.stdin
            address = process.stdout.readline().strip()
            assert address, (Path(folder) / "log").read_text()
            yield Cluster(process, address, {"HYOJO_PORT": str(free_port())})
            process.stdin.close()
            process.wait(60)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Three nodes: the first speaks HTTP, each of the others has a worker, the last has room."""
    with nodes(0, 1, 2) as running:
        running.deploy("--replicas", "2", "--proxies", "first")
        yield running
