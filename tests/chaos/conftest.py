"""A service to be harmed, and what to harm."""

import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.load import different_pictures
from tests.conftest import START_PATIENCE_S, Launcher, Running, children, is_ready, name_of

FIGURES: list[str] = []


@pytest.fixture(scope="session")
def pictures(face_jpeg: bytes) -> list[bytes]:
    """Pictures with different answers."""
    return different_pictures(face_jpeg)


@pytest.fixture
def start(launch: Launcher) -> Callable[..., Running]:
    """Starts a whole service of the test's own, ready when it returns."""

    def start(**settings: object) -> Running:
        running = launch("-m", "service", **settings)
        running.wait_for(lambda: ended_or_ready(running), "readiness", START_PATIENCE_S)
        assert running.process.poll() is None, running.log
        return running

    def ended_or_ready(running: Running) -> bool:
        return running.process.poll() is not None or is_ready(running.url)

    return start


@pytest.fixture(scope="session")
def figure() -> Callable[[str], None]:
    """Takes a line with something measured, shown at the end."""
    return FIGURES.append


def family(pid: int) -> list[int]:
    """All descendants' process ids."""
    try:
        own = children(pid)
    except OSError:  # it ended meanwhile
        return []
    return [p for child in own for p in (child, *family(child))]


def of_kind(running: Running, word: str) -> list[int]:
    """The service's processes that have `word` as their name or in their command line."""
    found = []
    for pid in family(running.process.pid):
        try:
            line = Path(f"/proc/{pid}/cmdline").read_text()
        except OSError:
            continue
        if word in line or word == name_of(pid):
            found.append(pid)
    return found


def lives(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not yet buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def readiness(url: str) -> dict[str, Any]:
    """What /readyz says, with its `status`; 0 where nothing answers."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
            return {"status": answer.status, **json.load(answer)}
    except urllib.error.HTTPError as error:
        with error:
            return {**json.load(error), "status": error.code}
    except (OSError, http.client.HTTPException):
        return {"status": 0}


def seconds_until(condition: Callable[[], object], most_s: float, what: str) -> float:
    """Wait until `condition` holds; returns how long that took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < most_s, f"{what}: not within {most_s} s"
        time.sleep(0.02)
    return time.monotonic() - began


def kill(pid: int, number: int) -> bool:
    """Signal a process; False when it is gone already."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what was measured."""
    if FIGURES:
        terminalreporter.section("chaos, measured")
        for line in FIGURES:
            terminalreporter.write_line(line)
