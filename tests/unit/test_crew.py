"""Processes that train end with the one that started them, whenever it is broken off."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.conftest import PROJECT

SLOW_TO_END_S = 300.0

SCRIPT = f"""
import sys, time
from multiprocessing import util

from models import crew
from models.framework import Interrupted, interrupt_on_signals


def begin():
    crew.settle()
    util.Finalize(None, time.sleep, ({SLOW_TO_END_S},), exitpriority=1)  # as if it had much to tidy


def numbers(where):
    with crew.pool(2, begin, ()) as workers:
        for number in workers.map(abs, (-1, -2)):
            yield number
        if where == "at work":
            print("now", flush=True)
            workers.submit(time.sleep, {SLOW_TO_END_S}).result()
        print("now", flush=True)


if __name__ == "__main__":
    interrupt_on_signals()
    try:
        for number in numbers(sys.argv[1]):
            if sys.argv[1] == "between":
                print("now", flush=True)
                time.sleep({SLOW_TO_END_S})
    except Interrupted:
        sys.exit(130)
"""


@pytest.mark.parametrize("where", ["at work", "between", "at the end"])
def test_an_interruption_ends_all_processes_at_once(where: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    with subprocess.Popen(
        [sys.executable, script, where],
        env={"PYTHONPATH": str(PROJECT)}, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout
        try:
            assert process.stdout.readline() == "now\n"
            time.sleep(0.5)  # at the end: until the processes are awaited
            below = psutil.Process(process.pid).children(recursive=True)
            assert sum("spawn_main" in " ".join(one.cmdline()) for one in below) == 2
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130
        finally:
            process.kill()
    gone, alive = psutil.wait_procs(below, timeout=10)
    assert not alive and len(gone) == len(below)
