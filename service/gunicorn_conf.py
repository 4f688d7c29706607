"""gunicorn's configuration for the gateway, made from HYOJO_* settings.

    python -m gunicorn -c python:service.gunicorn_conf 'service.gateway:create_app()'

`python -m service` does so, with the worker beside it.
"""

from __future__ import annotations

import os
import queue
import resource
import signal
import socket
import sys
from typing import Any

import structlog
from gunicorn.glogging import Logger  # type: ignore[import-untyped]

from service import logs, scratch
from service.errors import SettingsError
from service.http_worker import GatewayWorker
from service.limits import no_core_dumps
from service.listening import stop_listening
from service.settings import load_settings

try:
    _settings = load_settings()
except SettingsError as error:
    sys.stderr.write(f"{error}\n")
    sys.exit(2)

_SEND_BYTES = 256 * 1024
"""What the system keeps for a client that does not read; by itself it would keep megabytes."""
_MOST_CONNECTIONS = 2000
_OTHER_FILES = 256
"""Open files of a process that are no connections: libraries, sockets to the worker, logs."""
_ENDS = (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT)
_in_memory = scratch.MEMORY if os.access(scratch.MEMORY, os.W_OK) else scratch.temporary_folder()
_COUNTS_BYTES = 16 * 1024 * 1024
"""Room for the counts, which are mapped files: where there is none left, writing one kills."""
_host = f"[{_settings.host}]" if ":" in _settings.host else _settings.host


class GunicornLog(Logger):  # type: ignore[misc]
    """gunicorn's warnings and errors as our log lines; its everyday messages are left out."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers = [logs.Through()]
        self.error_log.propagate = False

    def info(self, msg: str, *args: Any, **kwargs: Any) -> None:
        self.debug(msg, *args, **kwargs)


def _connections() -> int:
    """Connections a process may hold: 2,000, or what its limit of open files leaves."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_CONNECTIONS + _OTHER_FILES
    if soft < wanted:
        soft = min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(_MOST_CONNECTIONS, soft - _OTHER_FILES)


no_core_dumps()
logs.configure(_settings.log_level, _settings.log_format, "gateway")

bind = f"{_host}:{_settings.port}"
GatewayWorker.body_s = _settings.body_timeout_s
GatewayWorker.waiting = _settings.gateway_queue
GatewayWorker.body_bytes = _settings.max_body_bytes
GatewayWorker.buffer_bytes = max(_settings.body_buffer_bytes, 2 * _settings.max_body_bytes)
worker_class = GatewayWorker
workers = _settings.gateway_processes
threads = _settings.gateway_threads
worker_connections = _connections()
# Loaded once and shared by the processes after the fork: they start at once and share its memory.
preload_app = True
# The heartbeat file must not live on a disk: a slow one would look like a hung process.
worker_tmp_dir = str(_in_memory)
timeout = 30
graceful_timeout = max(1, round(_settings.grace_s))
keepalive = 15
forwarded_allow_ips = ""  # HYOJO_TRUSTED_PROXIES says whom to believe
sendfile = False  # it would wait for the client
accesslog = None
loglevel = "info"  # at "debug" it lists its whole configuration
logger_class = GunicornLog
control_socket_disable = True

_counts: scratch.Scratch | None = None
if workers > 1 and "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
    try:
        _places = [_in_memory, scratch.temporary_folder()]
        _counts = scratch.make("counts", _places, _COUNTS_BYTES)
    except scratch.ScratchError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
    # prometheus_client looks at this variable when it is imported, with the application.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_counts.path)


def on_starting(server: Any) -> None:
    """Say in a sentence that the port is taken, instead of trying for seconds."""
    for address in server.cfg.address:
        if isinstance(address, tuple) and "GUNICORN_FD" not in os.environ:
            _refuse_taken(address)


def _refuse_taken(address: tuple[Any, ...]) -> None:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            sys.stderr.write(
                f"The gateway cannot listen on {bind}: {error.strerror}. "
                "Stop what listens there, or choose another with HYOJO_PORT and HYOJO_HOST.\n"
            )
            sys.exit(1)


def when_ready(server: Any) -> None:
    """One line when requests are answered, with the address to open."""
    for listener in server.LISTENERS:
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BYTES)
        structlog.get_logger().info("gateway listening", url=str(listener))
    stop = server.stop

    def stop_listening_first(graceful: bool = True) -> None:
        for listener in server.LISTENERS:
            stop_listening(listener.sock)
        stop(graceful)

    server.stop = stop_listening_first  # gunicorn has no hook between the signal and its closing


def post_fork(server: Any, worker: Any) -> None:
    """Keep what a signal goes into until the new process has handlers of its own."""
    worker.told = server.SIG_QUEUE


def post_worker_init(worker: Any) -> None:
    """End at once if it was told to while it was being born.

    Until then it has the handlers of who bore it, which put a signal where nobody in it looks:
    the end of all would wait for it through the whole grace period.
    """
    try:
        while True:
            if worker.told.get_nowait() in _ENDS:
                worker.alive = False
    except queue.Empty:
        pass


def child_exit(server: Any, worker: Any) -> None:
    """A process that ended no longer counts as present in the metrics."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(server: Any) -> None:
    """Remove the metrics' files."""
    if _counts is not None:
        _counts.close()
