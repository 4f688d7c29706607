"""The benchmark runs, its load generator counts rightly, and its report says what was measured."""

import asyncio
import http.server
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from bench import harness, load, pictures, report
from models import images
from tests.conftest import PROJECT

DELAY_S = 0.05


class Slow(http.server.BaseHTTPRequestHandler):
    """Answers after a while; every fifth time with an error; in chunks or whole in turn."""

    protocol_version = "HTTP/1.1"
    seen: ClassVar[list[bytes]] = []
    lock = threading.Lock()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.lock:
            self.seen.append(body)
            number = len(self.seen)
        time.sleep(DELAY_S)
        self.send_response(503 if number % 5 == 0 else 200)
        if number % 2:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"2\r\n{}\r\n0\r\n\r\n")
        else:
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    Slow.seen = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_clients_in_a_closed_loop_wait_for_their_answers(port: int) -> None:
    told = load.closed(port, "/classify", [b"one", b"two"], clients=2, seconds=1.0)
    asked = len(told.latencies_ms) + told.errors
    assert asked == len(Slow.seen) and set(Slow.seen) == {b"one", b"two"}
    assert told.errors == asked // 5
    assert min(told.latencies_ms) >= DELAY_S * 1e3
    assert asked <= 2 * (1.0 / DELAY_S + 1), "two clients, one request at a time each"
    assert told.rate == pytest.approx(len(told.latencies_ms) / told.seconds)
    assert told.percentile(50) <= told.percentile(99)


def test_an_open_loop_sends_on_time_however_slow_the_answers_are(port: int) -> None:
    told = load.opened(port, "/classify", [b"one"], rate=100, seconds=1.0)
    asked = len(told.latencies_ms) + told.errors
    assert asked == len(Slow.seen) == 100
    assert told.seconds < 2.5, "one after the other they would take five seconds"


def test_nobody_there_is_an_error_and_not_an_answer() -> None:
    told = load.closed(harness.free_port(), "/classify", [b"one"], clients=1, seconds=0.05)
    assert told.latencies_ms == () and told.errors > 0
    assert told.percentile(50) != told.percentile(50), "there is no median of nothing"


def test_a_line_that_breaks_is_opened_again(port: int) -> None:
    async def asked() -> list[int]:
        line = load._Line(port)
        (request,) = load._requests("/", [b"x"])
        first = await line.ask(request)
        await line.close()
        second = await line.ask(request)
        await line.close()
        return [first, second]

    assert asyncio.run(asked()) == [200, 200]


def test_the_pictures_are_what_their_names_say() -> None:
    sizes = [pictures.vga(), pictures.small(), pictures.photograph()]
    shapes = [images.decode(data).shape for data in sizes]
    assert shapes == [(480, 640, 3), (96, 96, 3), (3000, 4000, 3)]


def test_processor_time_and_memory_are_those_of_the_process() -> None:
    program = (
        "import time\ndata = bytearray(50_000_000)\nends = time.process_time() + 0.5\n"
        "while time.process_time() < ends: pass\nprint('done', flush=True)\ninput()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout and child.stdout.readline() == "done\n"
        assert 0.5 <= harness.cpu_s([child.pid]) < 1.5
        assert 50 < harness.memory_mb(child.pid)["private"] < 120
        assert harness.pss_mb([child.pid]) > 45
        assert harness.tree(child.pid) == [child.pid]
        child.communicate("\n")


def test_a_noisy_machine_is_told() -> None:
    found = {"machine": "x", "date": "y", "minutes": 1.0, "noise": {"spread": 0.01, "others": 0.0}}
    assert "calm enough" in report.text(found)
    for noise in ({"spread": 0.3, "others": 0.0}, {"spread": 0.0, "others": 0.4}):
        assert "too noisy" in report.text(found | {"noise": noise})


def test_a_quick_run_measures_the_real_service_and_writes_its_report(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", "--only", "overhead", "decoding", "--json",
         "--out", str(tmp_path)],
        cwd=PROJECT, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == json.loads((tmp_path / "bench.json").read_text())
    for row in found["overhead"].values():
        assert 0 < row["bare_cpu_ms"] < row["service_cpu_ms"] * 1.5
        assert row["gateway_cpu_ms"] > 0 and row["predictor_cpu_ms"] > 0
    assert found["decoding"]["decode_ms"] < found["decoding"]["ms"]
    text = (tmp_path / "RESULTS.md").read_text()
    assert f"{found['decoding']['ms']:.1f} ms in all (goal 60)" in text
    assert "## Overhead" in text and "## Growth" not in text


def test_what_a_bundle_costs_is_told_in_a_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.things", "params/emotion", "--images", "3", "--rounds", "1"],
        cwd=PROJECT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    machine, head, row = done.stdout.splitlines()
    assert "busy" in machine and head.split()[:2] == ["bundle", "ms"]
    name, *figures = row.split()
    assert name == "emotion" and len(figures) == 6 and all(float(f) > 0 for f in figures)
