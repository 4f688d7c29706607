"""How a container ends: cleanly when told to, and visibly when something in it is lost."""

import threading
import time

import pytest

from tests.container.engine import PROJECT, Container, Engine, wait_until

pytestmark = pytest.mark.container

PICTURE = PROJECT / "web" / "example.jpg"


def test_a_stop_ends_it_with_0_well_within_the_grace_time(engine: Engine, figures):
    container = engine.start()
    container.wait_ready()
    began = time.monotonic()
    assert container.stop() == 0
    figures["stop when idle, s"] = time.monotonic() - began
    assert time.monotonic() - began < 10
    assert "Traceback" not in container.logs
    assert "Hyojo has ended" in container.logs


def test_a_stop_under_load_loses_no_accepted_request(engine: Engine):
    container = engine.start()
    container.wait_ready()
    url, picture = container.url, PICTURE.read_bytes()
    statuses: list[int] = []
    told = threading.Event()

    def ask() -> None:
        while not told.is_set():
            statuses.append(Asker(url).ask(picture))

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    wait_until(lambda: len(statuses) >= 20, 30, "load")
    stopper = threading.Thread(target=container.stop)
    stopper.start()
    wait_until(lambda: statuses[-1] == 0, 30, "the end of the answers")
    told.set()
    for thread in (*askers, stopper):
        thread.join()
    assert set(statuses) <= {0, 200, 503}, statuses  # 0: no longer listening
    assert container.state["ExitCode"] == 0
    assert "Traceback" not in container.logs


def test_a_stop_before_it_is_ready_is_clean_too(engine: Engine):
    container = engine.start()
    time.sleep(0.5)
    assert container.stop() == 0
    assert "Traceback" not in container.logs


@pytest.mark.parametrize("lost", ["infer.py", "gunicorn"])
def test_it_ends_visibly_when_a_half_of_it_is_lost(lost, engine: Engine):
    container = engine.start()
    container.wait_ready()
    # The parent of the two is `python -m service`; its own children are what may be lost.
    script = (
        "import os, pathlib, signal, sys\n"
        "def about(d): return (d / 'stat').read_text().rpartition(')')[2].split()[1],"
        " (d / 'cmdline').read_bytes().decode()\n"
        "known = {d.name: about(d) for d in pathlib.Path('/proc').glob('[0-9]*')}\n"
        "parent = next(p for p, (_, c) in known.items() if c.endswith('-m\\0service\\0')"
        " and 'tini' not in c)\n"
        "victim = next(p for p, (up, c) in known.items() if up == parent and sys.argv[1] in c)\n"
        "os.kill(int(victim), signal.SIGKILL)\n"
    )
    container.execute("python", "-c", script, lost)
    wait_until(lambda: container.state["Status"] == "exited", 30, "the container's end")
    assert container.state["ExitCode"] not in (0, 143)
    assert "ended by itself" in container.logs


class Asker(Container):
    """Asks a known address, without asking the engine for it each time."""

    def __init__(self, url: str) -> None:
        super().__init__("")
        self._url = url

    @property
    def url(self) -> str:
        return self._url

    def ask(self, picture: bytes) -> int:
        """The status of one answer, 0 when there is none."""
        return int(self.classify(picture)["status"])
