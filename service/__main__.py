"""Worker and gateway together, ending together.

    $ python -m service                  # http://127.0.0.1:8000 until Ctrl-C
    $ HYOJO_PORT=9000 python -m service  # `python -m service.settings` lists all settings

SIGHUP reads the models again and changes to them without losing a request. SIGTERM or Ctrl-C lets
running requests finish (the gateway first, then the worker) and ends with status 0. If either of
the two ends by itself, the other is ended too, with status 1.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time

from service import logs
from service.errors import SettingsError
from service.hangup import on_hangup
from service.health import EVERY_ADDRESS, NotReadyError, a_key, ask_gateway
from service.kinship import PROJECT, end_with_parent, environment
from service.limits import no_core_dumps
from service.settings import Settings, load_settings

POLL_S = 0.2
_WELL = (0, -signal.SIGTERM)
"""How a process ends that is told to; by the signal itself before it has a handler and requests."""


class ServiceError(Exception):
    """The service cannot start; the message says why and what to do."""


class Service:
    """The two processes.

    Args:
        settings: of both.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        logs.configure(settings.log_level, settings.log_format, "service")
        self._stopping = False
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._listener = _listen(settings.host, settings.port)
        self._port = int(self._listener.getsockname()[1])
        fd = self._listener.fileno()
        os.environ["HYOJO_WORKER"] = settings.worker  # both take the same, whatever its default was
        for number in (signal.SIGINT, signal.SIGTERM):  # before any process is there to be left
            signal.signal(number, self._stop)
        on_hangup(reload=self._renew, end=lambda: self._stop(signal.SIGHUP, None))
        self._start("worker", [sys.executable, str(PROJECT / "infer.py")])
        gateway = [sys.executable, "-m", "gunicorn", "-c", "python:service.gunicorn_conf"]
        gateway += ["--bind", f"fd://{fd}", "service.gateway:create_app()"]
        self._start("gateway", gateway, fd)

    @property
    def url(self) -> str:
        """What to open in a browser on this machine."""
        host = EVERY_ADDRESS.get(self._settings.host, self._settings.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self._port}"

    def run(self) -> int:
        """Watch both until one ends or a signal comes; returns the exit status."""
        logs.say(f"Hyojo starts at {self.url} (Ctrl-C ends it)")
        said = False
        while not self._stopping:
            for name, process in self._processes.items():
                if process.poll() is not None:
                    return self._lost(name, process)
            if not said and _ready(self._settings.host, self._port):
                said = True
                logs.say(f"Hyojo is ready: open {self.url}")
            time.sleep(POLL_S)
        return self._end()

    def _start(self, name: str, command: list[str], *fds: int) -> None:
        if not self._stopping:
            self._processes[name] = _start(command, *fds)

    def _renew(self) -> None:
        """SIGHUP: the worker reads its models again."""
        worker = self._processes.get("worker")
        if worker is not None and worker.poll() is None:  # else it will read them first
            worker.send_signal(signal.SIGHUP)

    def _stop(self, number: int, frame: object) -> None:
        if self._stopping and number == signal.SIGINT:  # a second Ctrl-C: at once
            for process in self._processes.values():
                process.kill()
        self._stopping = True

    def _end(self) -> int:
        """The gateway drains while the worker still answers, then the worker ends."""
        patience_s = self._settings.grace_s + 5
        gateway_first = reversed(self._processes.values())
        statuses = [_terminate(process, patience_s) for process in gateway_first]
        logs.say("Hyojo has ended")
        return 0 if all(status in _WELL for status in statuses) else 1

    def _lost(self, name: str, process: "subprocess.Popen[bytes]") -> int:
        for other in reversed(self._processes.values()):
            _terminate(other, 5)
        status = process.returncode
        logs.say(
            f"python -m service: the {name} ended by itself (status {status}); its reason stands "
            "above. Everything has been stopped.",
            wrong=True,
        )
        return status if status == 2 else 1


def _listen(host: str, port: int) -> socket.socket:
    """The gateway's socket, taken here so that a port in use is one sentence."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise ServiceError(
            f"The gateway cannot listen on {host} port {port}: {why}. Set HYOJO_PORT (or "
            "HYOJO_HOST) to another, or stop what is listening there."
        ) from None


def _start(command: list[str], *fds: int) -> "subprocess.Popen[bytes]":
    parent = os.getpid()
    return subprocess.Popen(
        command,
        env=environment(),
        stdin=subprocess.DEVNULL,
        pass_fds=fds,
        process_group=0,  # Ctrl-C is for this process, which ends the two in order
        preexec_fn=lambda: _begin(parent),
    )


def _begin(parent: int) -> None:
    """In the new process, before its program."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until it has a handler of its own
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the parent's handler would end nothing here
    end_with_parent(signal.SIGTERM)
    if os.getppid() != parent:  # it ended before we asked
        os._exit(1)


def _terminate(process: "subprocess.Popen[bytes]", patience_s: float) -> int:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


def _ready(host: str, port: int) -> bool:
    try:
        ask_gateway(host, port, key=a_key())
    except NotReadyError:
        return False
    return True


def main(argv: list[str] | None = None) -> int:
    """Run worker and gateway; returns the exit status."""
    argparse.ArgumentParser(
        prog="python -m service",
        description=__doc__,
        epilog="It takes no other option: settings are environment variables.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args(argv)
    no_core_dumps()
    try:
        return Service(load_settings()).run()
    except (SettingsError, ServiceError) as error:
        logs.say(f"python -m service: {error}", wrong=True)
        return 2


if __name__ == "__main__":
    sys.exit(main())
