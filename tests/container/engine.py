"""The container engine as the tests use it: through its command line, like any user."""

import http.client
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
LOCKED_DOWN = (
    *("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"),
    *("--security-opt", "no-new-privileges", "--memory", "2g"),
)
HEALTHY_WITHIN_S = 60.0


def docker(*arguments: str, check: bool = True, seconds: float = 120) -> str:
    """Run docker; returns what it prints on standard output."""
    done = subprocess.run(
        ["docker", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    if check and done.returncode:
        raise AssertionError(f"docker {' '.join(arguments)}: {done.stdout}{done.stderr}")
    return done.stdout


def wait_until(condition: Callable[[], Any], seconds: float, what: str) -> float:
    """Ask until `condition` holds; returns the seconds it took."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            pytest.fail(f"{what} did not come about within {seconds} s")
        time.sleep(0.1)
    return time.monotonic() - began


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Container:
    """A container, running or ended."""

    id: str

    def inspect(self) -> dict[str, Any]:
        """All that the engine knows of it."""
        known: dict[str, Any] = json.loads(docker("inspect", self.id))[0]
        return known

    @property
    def state(self) -> dict[str, Any]:
        """Status, exit code, health."""
        known: dict[str, Any] = self.inspect()["State"]
        return known

    @property
    def url(self) -> str:
        """Where its port is published on this machine."""
        published = self.inspect()["NetworkSettings"]["Ports"]["8000/tcp"][0]["HostPort"]
        return f"http://127.0.0.1:{published}"

    @property
    def logs(self) -> str:
        """What it has said until now, on both streams."""
        done = subprocess.run(
            ["docker", "logs", self.id],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        return done.stdout

    def execute(self, *command: str, check: bool = True) -> str:
        """Run a command inside; returns what it prints on standard output."""
        return docker("exec", self.id, *command, check=check)

    def wait_ready(self) -> float:
        """Wait until /readyz says 200; returns the seconds."""
        return self._wait(lambda: self.get("/readyz")[0] == 200, "readiness")

    def wait_healthy(self) -> float:
        """Wait until the engine itself finds it healthy; returns the seconds."""
        return self._wait(lambda: self.state["Health"]["Status"] == "healthy", "health")

    def stop(self, seconds: int = 30) -> int:
        """`docker stop`; returns the exit code."""
        docker("stop", "-t", str(seconds), self.id)
        return int(self.state["ExitCode"])

    def get(self, path: str) -> tuple[int, bytes]:
        """GET; the status is 0 when nothing answers."""
        return self._open(urllib.request.Request(self.url + path))

    def classify(self, image: bytes, query: str = "") -> dict[str, Any]:
        """The answer to one JPEG as a raw body; a problem document is an answer too."""
        headers = {"Content-Type": "image/jpeg"}
        request = urllib.request.Request(f"{self.url}/classify{query}", image, headers)
        status, body = self._open(request)
        return {"status": status, **json.loads(body or b"{}")}

    def _open(self, request: urllib.request.Request) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()
        except (OSError, http.client.HTTPException):
            return 0, b""

    def _wait(self, condition: Callable[[], bool], what: str) -> float:
        def holds_or_ended() -> bool:
            return self.state["Status"] == "exited" or condition()

        took = wait_until(holds_or_ended, HEALTHY_WITHIN_S, f"{what} of {self.id[:12]}")
        assert self.state["Status"] == "running", self.logs
        return took


class Engine:
    """Starts containers of one image and removes them all."""

    def __init__(self, image: str) -> None:
        self.image = image
        self._started: list[Container] = []

    def start(self, *command: str, options: tuple[str, ...] = ()) -> Container:
        """Start one, locked down, with its port on a free one of this machine."""
        flags = (*LOCKED_DOWN, "-p", "127.0.0.1::8000", *options)
        return self._keep(docker("run", "-d", *flags, self.image, *command))

    def once(self, *command: str, options: tuple[str, ...] = ()) -> str:
        """Run a command in a fresh one without any network; returns what it prints."""
        flags = ("--rm", *LOCKED_DOWN, "--network", "none", *options)
        return docker("run", *flags, self.image, *command)

    def copy_out(self, path: str, to: Path) -> Path:
        """Copy a folder of the image to this machine, readable for all."""
        container = self._keep(docker("create", self.image))
        docker("cp", f"{container.id}:{path}", str(to))
        for file in (to, *to.rglob("*")):
            file.chmod(0o755 if file.is_dir() else 0o644)
        return to

    def remove_all(self) -> None:
        """Nothing that was started outlives its tests."""
        for container in self._started:
            docker("rm", "-f", "-v", container.id, check=False)
        self._started.clear()

    def _keep(self, printed: str) -> Container:
        container = Container(printed.strip())
        self._started.append(container)
        return container


def compose_command() -> list[str] | None:
    """`docker compose` or `docker-compose`, whichever there is."""
    for command in (["docker", "compose"], ["docker-compose"]):
        try:
            subprocess.run([*command, "version"], capture_output=True, check=True, timeout=60)
        except (OSError, subprocess.SubprocessError):
            continue
        return command
    return None


def environment(**more: str) -> dict[str, str]:
    """This process's environment with `more`, without settings of the product."""
    return {k: v for k, v in os.environ.items() if not k.startswith("HYOJO_")} | more
