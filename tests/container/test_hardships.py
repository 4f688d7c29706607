"""Nowhere to write, no memory to share, stops and starts without end: the container serves."""

import io
import json
import re
import subprocess
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.amount import amount
from tests.container.engine import PROJECT, Container, Engine, docker, wait_until

pytestmark = pytest.mark.container

PICTURE = PROJECT / "web" / "example.jpg"
FILL = "head -c 200m /dev/zero >{0}/full 2>/dev/null; ! echo more >{0}/more 2>/dev/null || exit 9; "
SERVE = "exec python -m service"
# What is wrong -> options of the container, and what is done before the service starts in it.
HARDSHIPS = {
    "full /tmp": (("--tmpfs", "/tmp:size=64k"), FILL.format("/tmp")),
    "no /tmp to write to": (("--tmpfs", "/tmp:ro"), "! touch /tmp/1 2>/dev/null || exit 9; "),
    "no /dev/shm": (("--ipc", "none"), "! touch /dev/shm/1 2>/dev/null || exit 9; "),
    "full /dev/shm of 64 MB": (
        ("--shm-size", "64m", "-e", "HYOJO_GATEWAY_PROCESSES=2"),
        FILL.format("/dev/shm"),
    ),
}


@pytest.mark.parametrize("what", HARDSHIPS)
def test_it_serves_all_the_same(what: str, engine: Engine):
    options, before = HARDSHIPS[what]
    container = engine.start("sh", "-c", before + SERVE, options=options)
    container.wait_ready()
    assert container.inspect()["HostConfig"]["ReadonlyRootfs"]
    picture = PICTURE.read_bytes()
    assert [container.classify(picture)["status"] for _ in range(5)] == [200] * 5
    large = picture + bytes(10_000_000)  # what follows the picture is not looked at
    assert container.classify(large)["status"] < 500
    assert container.get("/metrics")[0] == 200
    assert "Traceback" not in container.logs
    assert container.stop() == 0


def test_where_no_socket_can_be_made_it_says_so_in_a_sentence_and_ends(engine: Engine):
    options = ("--tmpfs", "/tmp:nr_inodes=2")
    container = engine.start("sh", "-c", "touch /tmp/1; " + SERVE, options=options)
    wait_until(lambda: container.state["Status"] == "exited", 30, "the end")
    assert container.state["ExitCode"] == 2
    assert "No space left on device. Set HYOJO_WORKER" in container.logs
    assert "Traceback" not in container.logs


def test_when_the_containers_memory_runs_out_a_predictor_goes_and_the_service_stays(
    engine: Engine,
):
    """The kernel ends what `service.limits.first_to_go` named: not the worker, not the gateway."""
    options = ("-e", "HYOJO_PREDICTORS=1", "-e", "HYOJO_PREDICTOR_MEMORY_MB=4096")
    container = engine.start(options=options)
    container.wait_ready()
    picture = PICTURE.read_bytes()
    assert container.classify(picture)["status"] == 200
    used = int(docker("stats", "--no-stream", "--format", "{{.MemUsage}}", container.id)[:3])
    limit = f"{used + 80}m"  # MiB: less than 40 megapixels take
    docker("update", "--memory", limit, "--memory-swap", limit, container.id)
    large = io.BytesIO()
    Image.new("RGBA", (6300, 6300), (200, 30, 90, 255)).save(large, "PNG", compress_level=1)
    answer = container.classify(large.getvalue())
    assert (answer["status"], answer["code"]) == (503, "worker_lost")
    assert "ended with status -9" in answer["detail"]
    wait_until(lambda: container.classify(picture)["status"] == 200, 30, "a good answer")
    assert container.state["Status"] == "running" and container.inspect()["RestartCount"] == 0
    assert "Traceback" not in container.logs


def test_a_hangup_reads_the_models_again_and_ends_nothing(running: Container):
    docker("kill", "--signal", "HUP", running.id)
    wait_until(lambda: "no model has changed" in running.logs, 20, "the models read again")
    assert running.classify(PICTURE.read_bytes())["status"] == 200


INSIDE = """
import http.client, threading, time
picture = open("web/example.jpg", "rb").read()
def ask(keep):
    connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=60)
    while True:
        try:
            if connection.sock is None:
                connection.connect()
        except OSError:
            return
        try:
            connection.request("POST", "/classify", picture, {"Content-Type": "image/jpeg"})
            answer = connection.getresponse()
            answer.read()
            print(f"{answer.status}\\n", end="", flush=True)  # in one piece: there are many threads
        except Exception as error:
            print(f"lost {error!r}\\n", end="", flush=True)
            return
        if not keep:
            connection.close()
clients = [threading.Thread(target=ask, args=(n % 2 == 0,)) for n in range(8)]
[client.start() for client in clients]
[client.join() for client in clients]
print("refused", flush=True)
"""


def test_a_stop_under_load_loses_nobody_who_was_connected(engine: Engine, tmp_path: Path):
    """Asked from inside: through a published port the engine itself takes connections."""
    container = engine.start(options=("-e", "HYOJO_GRACE_S=20"))
    container.wait_ready()
    said = tmp_path / "answers"
    with said.open("wb") as out:
        command = ["docker", "exec", container.id, "python", "-c", INSIDE]
        clients = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        wait_until(lambda: said.read_text().count("200") > 40, 30, "load")
        began = time.monotonic()
        assert container.stop() == 0
        assert time.monotonic() - began < 20
        clients.wait(20)
    answers = said.read_text().splitlines()
    assert set(answers) <= {"200", "503", "refused"}, [a for a in answers if a != "200"]
    assert "Traceback" not in container.logs


LEFT = """
import json, os, pathlib
own = str(os.getpid())
processes = [p for p in pathlib.Path("/proc").glob("[0-9]*") if p.name != own]
def files(place): return len([0 for _ in pathlib.Path(place).rglob("*")])
def lines(place): return len(pathlib.Path(place).read_text().splitlines())
print(json.dumps({
    "processes": len(processes),
    "open files": sum(len(os.listdir(p / "fd")) for p in processes),
    "sockets": lines("/proc/net/unix"),
    "connections": lines("/proc/net/tcp"),
    "shared memory": lines("/proc/sysvipc/shm"),
    **{place: files(place) for place in ("/tmp", "/dev/shm", "/run/hyojo")},
}))
"""


def test_restarts_leave_nothing_behind(engine: Engine, figures):
    container = engine.start()
    seen = []
    for number in range(amount(2, 10) + 1):
        if number:
            docker("restart", "-t", "30", container.id)
            assert container.state["ExitCode"] == 0
        container.wait_ready()
        for _ in range(3):
            assert container.classify(PICTURE.read_bytes())["status"] == 200
        time.sleep(1)
        seen.append(json.loads(container.execute("python", "-c", LEFT)))
    figures["open files after restarts"] = seen[-1]["open files"]
    for what, first in seen[0].items():
        # Just closing; and a gateway's thread opens its line to the worker when it first asks.
        slack = {"open files": 12, "connections": 8, "sockets": 4}.get(what, 0)
        assert seen[-1][what] <= first + slack, f"{what}: {seen}"
    assert container.logs.count("Hyojo has ended") == len(seen) - 1
    assert len(re.findall("Traceback|exited with code", container.logs)) == 0
