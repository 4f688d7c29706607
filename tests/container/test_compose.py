"""Gateway and worker as two containers of one image, sharing nothing but a socket."""

import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.container.engine import (
    PROJECT,
    Container,
    compose_command,
    environment,
    free_port,
    wait_until,
)

pytestmark = pytest.mark.container

PICTURE = PROJECT / "web" / "example.jpg"


class Pair:
    """The project of compose.yaml under a name and a port of its own."""

    def __init__(self, command: list[str], image: str) -> None:
        self._command = [*command, "-f", "docker/compose.yaml", "-p", f"hyojotest{os.getpid()}"]
        self._env = environment(IMAGE=image, HYOJO_PORT=str(free_port()))

    def __call__(self, *arguments: str) -> str:
        """Run compose; returns what it prints on standard output."""
        done = subprocess.run(
            [*self._command, *arguments],
            cwd=PROJECT,
            env=self._env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def container(self, service: str) -> Container:
        """The one container of a service."""
        return Container(self("ps", "-q", service).strip())


@pytest.fixture(scope="module")
def pair(image: str) -> Iterator[Pair]:
    """Both containers, healthy."""
    command = compose_command()
    if command is None:
        if os.environ.get("HYOJO_TEST_CONTAINER"):
            pytest.fail("neither `docker compose` nor docker-compose is here")
        pytest.skip("neither `docker compose` nor docker-compose is here")
    pair = Pair(command, image)
    try:
        pair("up", "-d")
        yield pair
    finally:
        pair("down", "-v", "-t", "30")


def test_both_turn_healthy_and_a_picture_is_answered(pair: Pair):
    gateway, worker = pair.container("gateway"), pair.container("worker")
    worker.wait_healthy()
    gateway.wait_healthy()
    answer = gateway.classify(PICTURE.read_bytes())
    assert answer["status"] == 200 and answer["label"]


def test_both_are_locked_down_and_the_worker_has_no_network(pair: Pair):
    for service, network in (("gateway", None), ("worker", "none")):
        host = pair.container(service).inspect()["HostConfig"]
        assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"], service
        assert any("no-new-privileges" in option for option in host["SecurityOpt"]), service
        assert not any("seccomp" in option for option in host["SecurityOpt"]), "the default holds"
        assert not host["Privileged"] and not host["CapAdd"], service
        assert host["Memory"] > 0 and host["PidsLimit"] > 0, service
        assert network is None or host["NetworkMode"] == network
    published = pair.container("gateway").inspect()["NetworkSettings"]["Ports"]["8000/tcp"]
    assert {place["HostIp"] for place in published} == {"127.0.0.1"}


def test_a_lost_worker_comes_back_and_the_gateway_finds_it_again(pair: Pair):
    gateway, worker = pair.container("gateway"), pair.container("worker")
    gateway.wait_ready()
    before = worker.inspect()["RestartCount"]
    worker.execute("sh", "-c", "kill -9 $(cat /proc/1/task/1/children)", check=False)
    wait_until(lambda: worker.inspect()["RestartCount"] > before, 30, "the worker's restart")
    gateway.wait_ready()
    assert gateway.classify(PICTURE.read_bytes())["status"] == 200
    assert gateway.inspect()["RestartCount"] == 0


def test_a_stop_ends_both_with_0(pair: Pair):
    containers = {name: pair.container(name) for name in ("gateway", "worker")}
    containers["gateway"].wait_ready()
    pair("stop", "-t", "30")
    assert {name: c.state["ExitCode"] for name, c in containers.items()} == {
        "gateway": 0,
        "worker": 0,
    }
    for container in containers.values():
        assert "Traceback" not in container.logs
