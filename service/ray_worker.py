"""One replica of the worker on a Ray cluster: `infer.py`, unchanged, and a way to it.

The process that Ray runs forwards messages and never opens a picture. Queue, deadlines, models that
are loaded when asked for and predictors that may crash are those of every worker.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
from ray import serve

from service import logs, protocol, scratch
from service.client import Patience, WorkerClient
from service.errors import ApiError
from service.kinship import environment
from service.protocol import ErrorReply, StatusReply
from service.settings import load_settings

START_PATIENCE_S = 90.0
RENEWAL_PATIENCE_S = 60.0
_MARGIN_S = 1.0
_POLL_S = 0.05
_HELD = 64
"""Names of models that a replica remembers to have been asked for, for Ray to ask it again."""
# Its parent may be killed: it must not stay. Not as a `preexec_fn`: Ray's processes have threads.
_CHILD = """
import os, signal, sys
from service.kinship import end_with_parent
end_with_parent(signal.SIGTERM)
os.getppid() == int(sys.argv[1]) or sys.exit(1)
import infer
sys.exit(infer.main([]))
"""
_log = structlog.get_logger("replica")


class Worker:
    """The deployment's class.

    Args:
        at_once: requests that Ray hands to it at the same time, at most.
    """

    def __init__(self, at_once: int) -> None:
        settings = load_settings()
        logs.configure(settings.log_level, settings.log_format, "replica")
        self._folder = scratch.make("replica", scratch.places())
        endpoint = f"ipc://{self._folder.path}/worker.sock"
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CHILD, str(os.getpid())],
            env={**environment(), "HYOJO_WORKER": endpoint},
            stdin=subprocess.DEVNULL,
            process_group=0,
        )
        self._client = WorkerClient(endpoint, Patience(connect_s=1.0, status_s=2.0))
        self._threads = ThreadPoolExecutor(at_once, "ask")
        self._spare = ThreadPoolExecutor(2, "how-it-is")
        self._versions: dict[str, str] | None = None
        self._await_ready()

    async def ask(self, frames: list[bytes], answer_s: float) -> bytes:
        """Forward a request; returns the worker's reply.

        Args:
            frames: a message of `service.protocol` and its images.
            answer_s: how long whoever asks will wait.
        """
        if name := serve.get_multiplexed_model_id():
            await self.held(name)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._forward, frames, answer_s)

    @serve.multiplexed(max_num_models_per_replica=_HELD)  # type: ignore[untyped-decorator]
    async def held(self, name: str) -> str:
        """Tells Ray that this replica has been asked for a model; the worker loads it."""
        return name

    async def status(self) -> bytes:
        """How this one is, as a StatusReply's frame."""
        loop = asyncio.get_running_loop()
        return protocol.encode(await loop.run_in_executor(self._spare, self._status))

    async def check_health(self) -> None:
        """Ray asks again and again, and replaces a replica that says no.

        Raises:
            RuntimeError: the worker has ended.
            ApiError: it does not answer.
        """
        self._see_that_it_runs()
        await self.status()

    async def reconfigure(self, config: dict[str, Any]) -> None:
        """Other bundles lie in the folder: read them, as SIGHUP does, without losing a request.

        Args:
            config: `versions`, the bundles' by name.
        """
        before, self._versions = self._versions, config["versions"]
        if before is None or before == self._versions:
            return
        self._process.send_signal(signal.SIGHUP)
        ends = time.monotonic() + RENEWAL_PATIENCE_S
        loop = asyncio.get_running_loop()
        while not await loop.run_in_executor(self._spare, self._has_renewed):
            if time.monotonic() > ends:
                _log.error("models not renewed in time", seconds=RENEWAL_PATIENCE_S)
                return
            await asyncio.sleep(_POLL_S)

    def __del__(self) -> None:
        """The worker ends what it has accepted."""
        self._process.terminate()
        self._process.wait()
        self._client.close()
        self._folder.close()

    def _forward(self, frames: list[bytes], answer_s: float) -> bytes:
        try:
            return self._client.exchange(frames, 1.0, answer_s + _MARGIN_S)
        except ApiError as error:
            request = protocol.decode_request(frames[0])
            return protocol.encode(
                ErrorReply(
                    id=request.id,
                    code=error.code,
                    detail=error.detail,
                    retry_after_s=error.retry_after,
                )
            )

    def _status(self) -> StatusReply:
        return self._client.status("replica")

    def _has_renewed(self) -> bool:
        """Whether each model has the version that it should, or says why not."""
        assert self._versions is not None
        try:
            here = {info.name: info for info in self._status().models}
        except ApiError:  # busy with just that: Ray would end a replica that fails here
            return False
        return all(
            (info := here.get(name)) is None
            or info.version == version
            or info.refused
            or info.error
            for name, version in self._versions.items()
        ) and set(here) <= set(self._versions)

    def _await_ready(self) -> None:
        """Until a warm predictor has answered; Ray sends nothing before.

        Raises:
            RuntimeError: it cannot be, or not in time.
        """
        ends = time.monotonic() + START_PATIENCE_S
        why = "it has not answered"
        while time.monotonic() < ends:
            self._see_that_it_runs()
            try:
                status = self._status()
            except ApiError as error:
                why = error.detail
            else:
                if status.ready:
                    return
                why = status.reason
            time.sleep(_POLL_S)
        raise RuntimeError(f"The worker was not ready within {START_PATIENCE_S:g} s: {why}")

    def _see_that_it_runs(self) -> None:
        status = self._process.poll()
        if status is not None:
            raise RuntimeError(
                f"The worker has ended (status {status}); its reason stands in this replica's log."
            )
