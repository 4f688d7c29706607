"""A container engine, the image, and containers of it.

HYOJO_TEST_CONTAINER names the image to test; it must then be there. Without it the tests take the
image `hyojo` and skip where there is no engine or no such image.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.container.engine import PROJECT, Container, Engine, docker, environment

FIGURES: dict[str, float] = {}


@pytest.fixture(scope="session")
def image() -> str:
    """The image's name."""
    named = os.environ.get("HYOJO_TEST_CONTAINER")
    try:
        docker("version")
        docker("image", "inspect", named or "hyojo")
    except (OSError, AssertionError, subprocess.TimeoutExpired) as error:
        if named:
            raise
        pytest.skip(f"no container engine with the image hyojo (`make image`): {error}")
    return named or "hyojo"


@pytest.fixture
def engine(image: str) -> Iterator[Engine]:
    """Starts containers for one test."""
    engine = Engine(image)
    yield engine
    engine.remove_all()


@pytest.fixture(scope="session")
def running(image: str) -> Iterator[Container]:
    """The service in a container, ready, shared by the tests that do not harm it."""
    engine = Engine(image)
    try:
        container = engine.start()
        container.wait_ready()
        yield container
    finally:
        engine.remove_all()


@pytest.fixture(scope="session")
def ask_here() -> Callable[..., dict[str, Any]]:
    """Classify a picture on this machine, without a container: ask_here(path, bundle)."""

    def ask(picture: Path, bundle: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "infer.py", "--json", "--model", bundle, str(picture)],
            cwd=PROJECT,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    return ask


@pytest.fixture(scope="session")
def untrained() -> Callable[[str, Path], None]:
    """Write a bundle of a network as it is before any training: untrained(network, folder)."""

    def write(network: str, folder: Path) -> None:
        script = Path(__file__).with_name("untrained.py")
        command = [sys.executable, str(script), network, str(folder)]
        done = subprocess.run(
            command, cwd=PROJECT, env=environment(PYTHONPATH=str(PROJECT)), capture_output=True
        )
        assert done.returncode == 0, done.stderr.decode()

    return write


@pytest.fixture(scope="session")
def figures() -> dict[str, float]:
    """Measured numbers by name with unit; shown at the end and kept in test-output/."""
    return FIGURES


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the measured numbers."""
    if not FIGURES:
        return
    terminalreporter.section("container, measured")
    for name, value in FIGURES.items():
        terminalreporter.write_line(f"{name:44} {value:8.1f}")
    out = PROJECT / "test-output"
    out.mkdir(exist_ok=True)
    (out / "container.json").write_text(json.dumps(FIGURES, indent=2) + "\n")
