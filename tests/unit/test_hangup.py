"""SIGHUP: the models read again; or the terminal closed, which is the end."""

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

from tests.conftest import PROJECT

CODE = """
import signal, sys
from service.hangup import on_hangup
on_hangup(reload=lambda: print("reload", flush=True), end=lambda: sys.exit(7))
print("here", flush=True)
while True:
    signal.pause()
"""


def test_a_signal_reloads_and_a_closed_terminal_ends(tmp_path: Path) -> None:
    said = tmp_path / "stderr"
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(PROJECT)
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT), 2)
        os.execv(sys.executable, [sys.executable, "-c", CODE])
    assert b"here" in _until(terminal, b"here")
    os.kill(pid, signal.SIGHUP)
    assert b"reload" in _until(terminal, b"reload")
    os.close(terminal)  # the kernel sends SIGHUP to who was attached
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7, said.read_text()


def test_without_a_terminal_it_always_reloads() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CODE], cwd=PROJECT, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        process.send_signal(signal.SIGHUP)
        assert process.stdout.readline() == b"reload\n"
        process.kill()


def _until(terminal: int, word: bytes) -> bytes:
    said = b""
    while word not in said:
        said += os.read(terminal, 1024)
    return said
