"""The two commands, as a person at a terminal runs them; and what they say when something lacks."""

import os
import pty
import re
import select
import shutil
import socket
import subprocess
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
CTRL_C = b"\x03"


def run(*command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a command in the project without a terminal."""
    return subprocess.run(
        command,
        cwd=PROJECT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def up_to_date() -> bool:
    """Whether `make` would install nothing: these tests never wait for pip."""
    return run("make", "-q", ".venv/.installed").returncode == 0


@dataclass
class Terminal:
    """A command with a terminal of its own, where Ctrl-C reaches all of it."""

    pid: int
    fd: int
    seen: str = field(default="")

    @classmethod
    def open(cls, *command: str, **environment: str) -> "Terminal":
        script = 'cd "$1" && shift && exec "$@"'
        pid, fd = pty.fork()
        if pid == 0:
            everything = {**os.environ, **environment}
            os.execvpe("sh", ["sh", "-c", script, "sh", str(PROJECT), *command], everything)
        return cls(pid, fd)

    def read_until(self, word: str | None, seconds: float = 60) -> None:
        """Read until `word` is seen, or to the end with None."""
        end = time.monotonic() + seconds
        while word is None or word not in self.seen:
            assert time.monotonic() < end, self.seen
            if not select.select([self.fd], [], [], 0.2)[0]:
                continue
            try:
                part = os.read(self.fd, 65536)
            except OSError:  # the other end is closed
                part = b""
            if not part:
                assert word is None, self.seen
                return
            self.seen += part.decode(errors="replace")

    def close(self) -> int:
        """Wait for its end; returns the wait status."""
        status = os.waitpid(self.pid, 0)[1]
        os.close(self.fd)
        return status


@pytest.fixture
def port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def settings(port: int, tmp_path: Path) -> dict[str, str]:
    """A service of these tests' own."""
    return {
        "HYOJO_PORT": str(port),
        "HYOJO_PREDICTORS": "1",
        "HYOJO_WORKER": f"ipc://{tmp_path}/worker.sock",
    }


@pytest.mark.skipif(not up_to_date(), reason=".venv was not made by `make`, or is out of date")
class TestServe:
    """make serve"""

    def test_it_says_what_to_open_and_ctrl_c_ends_all_of_it_without_noise(self, settings, port):
        terminal = Terminal.open("make", "serve", **settings)
        terminal.read_until(f"Hyojo is ready: open http://127.0.0.1:{port}")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as answer:
            assert answer.status == 200
        os.write(terminal.fd, CTRL_C)
        terminal.read_until(None)
        terminal.close()
        assert terminal.seen.rstrip().endswith("Hyojo has ended")
        for noise in ("Traceback", "make:", "***", "KeyboardInterrupt", "Warning"):
            assert noise not in terminal.seen, terminal.seen
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0

    def test_a_port_in_use_is_a_sentence(self, settings, port):
        with socket.create_server(("127.0.0.1", port)):
            done = run("make", "serve", **settings)
        assert done.returncode != 0
        assert f"port {port}" in done.stderr and "HYOJO_PORT" in done.stderr
        assert "Traceback" not in done.stderr

    def test_nothing_is_installed_twice(self):
        began = time.monotonic()
        assert run("make", "-n", "serve").stdout.split("\n")[0].startswith("exec .venv/bin/python")
        assert time.monotonic() - began < 2


def test_make_alone_lists_what_there_is():
    said = run("make").stdout
    for target in ("serve", "test", "lint", "train", "onnx", "image", "clean"):
        assert re.search(rf"^  make {target} +\S", said, re.MULTILINE), target


def test_another_python_is_refused_with_a_sentence(tmp_path: Path):
    other = tmp_path / "python3.13"
    other.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.13.1\nexit 1\n')
    other.chmod(0o755)
    venv = tmp_path / "venv"
    done = run(".ci/environment", str(venv), "requirements.txt", PYTHON=str(other))
    assert done.returncode == 1 and not venv.exists()
    assert "needs Python 3.11" in done.stderr and "Python 3.13.1" in done.stderr
    assert "make PYTHON=" in done.stderr


def test_what_cannot_be_installed_is_named():
    """As anyone but root: nothing is installed, everything missing is named."""
    as_nobody: tuple[str, ...] = ()
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("setpriv is needed to be someone else than root")
        as_nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    done = run(*as_nobody, "sh", ".ci/packages", "hyojo-no-such-thing", "hyojo-nor-this")
    assert done.returncode == 1
    assert "apt-get install hyojo-no-such-thing hyojo-nor-this" in done.stderr


def test_what_is_there_is_not_installed_again():
    done = run(".ci/packages", "libgomp1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
