"""The gateway's end on a Ray cluster: workers are replicas, and Ray chooses which one is asked.

A replica that is lost while it holds a request did not fall over the picture: pictures are decoded
in processes of its own, whose loss it survives and tells. So the request is asked of another one.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import (
    BackPressureError,
    DeploymentUnavailableError,
    ReplicaUnavailableError,
)
from ray.serve.handle import DeploymentHandle

from service import protocol
from service.client import Client, Patience
from service.errors import ApiError
from service.protocol import ModelInfo, Request, StatusReply

TRIES = 4
"""Replicas that one request is asked of, at most."""
_LOST = (RayError, DeploymentUnavailableError, ReplicaUnavailableError)
"""Its process or its machine is gone, or cannot be reached."""
_FIRST_PAUSE_S = 0.05
_FRESH_S = 1.0
"""A status is not asked for again within it: every look asks all replicas."""
_SUMS = ("predictors_ready", "predictors", "queue_length", "queue_limit", "guests")


class ReplicaClient(Client):
    """Asks one of the replicas of `service.ray_worker`.

    Args:
        workers: Ray's handle of them.
        on_foreign: see `Client`.
    """

    def __init__(
        self, workers: DeploymentHandle, on_foreign: Callable[[], object] = lambda: None
    ) -> None:
        super().__init__(Patience(status_s=2.0), on_foreign)
        self._workers = workers
        self._seen: tuple[float, StatusReply] | None = None

    def status(self, request_id: str) -> StatusReply:
        """All replicas as if they were one worker.

        Raises:
            ApiError: worker_unavailable.
        """
        if self._seen is None or time.monotonic() - self._seen[0] > _FRESH_S:
            told = self._replies()
            if not told:
                raise ApiError(
                    "worker_unavailable",
                    "No replica of the worker answers: all are being started, or the cluster has "
                    "no room for one. `ray status` tells what it waits for. Try again shortly.",
                )
            self._seen = time.monotonic(), together(told)
        return msgspec.structs.replace(self._seen[1], id=request_id)

    def _replies(self) -> list[StatusReply]:
        """What those say that answer in time."""
        try:
            told = self._workers.broadcast("status").results(
                timeout_s=self._patience.status_s, return_exceptions=True
            )
        except (*_LOST, TimeoutError, RuntimeError):
            return []
        frames = [frame for frame in told if isinstance(frame, bytes)]
        replies = [protocol.decode_reply(frame) for frame in frames]
        return [reply for reply in replies if isinstance(reply, StatusReply)]

    def _exchange(
        self, request: Request, images: Sequence[bytes], connect_s: float, answer_s: float
    ) -> bytes:
        frames = [protocol.encode(request), *images]
        name = getattr(request, "model", None) or ""
        # One that holds the model already, where it is loaded when asked for.
        handle = self._workers.options(multiplexed_model_id=name) if ":" in name else self._workers
        ends = time.monotonic() + answer_s
        for attempt in range(TRIES):
            try:
                return _asked(handle, frames, ends - time.monotonic())
            except BackPressureError:
                raise ApiError(
                    "overloaded",
                    "As many images are waiting as the cluster may hold. Try again in a moment.",
                ) from None
            except RayTaskError:  # a mistake in the replica: another one would make it, too
                raise
            except _LOST:
                time.sleep(max(0.0, min(_FIRST_PAUSE_S * 2**attempt, ends - time.monotonic())))
        raise ApiError(
            "worker_unavailable",
            f"{TRIES} replicas of the worker were lost while they held this request. Try again.",
        )

    def _drop(self) -> None:
        """Nothing is held between two requests."""


def _asked(handle: DeploymentHandle, frames: list[bytes], left_s: float) -> bytes:
    answer: Any = handle.ask.remote(frames, left_s)
    try:
        reply: bytes = answer.result(timeout_s=max(0.0, left_s))
    except TimeoutError:
        answer.cancel()
        raise ApiError(
            "deadline_exceeded",
            "No replica of the worker answered in time: all are busy, or being started. Try again "
            "in a moment.",
        ) from None
    return reply


def together(told: Sequence[StatusReply]) -> StatusReply:
    """Several workers' states as one: ready where one is, with all their counts.

    Args:
        told: one or more.
    """
    first = next((reply for reply in told if reply.ready), told[0])
    counters: Counter[str] = Counter()
    for reply in told:
        counters.update(reply.counters)
    return msgspec.structs.replace(
        first,
        models=[
            _warmest([same for reply in told for same in reply.models if same.name == info.name])
            for info in first.models
        ],
        oldest_wait_s=max(reply.oldest_wait_s for reply in told),
        guests_mb=round(sum(reply.guests_mb for reply in told), 1),
        guests_limit_mb=sum(reply.guests_limit_mb for reply in told),
        counters=dict(counters),
        **{name: sum(getattr(reply, name) for reply in told) for name in _SUMS},
    )


def _warmest(told: Sequence[ModelInfo]) -> ModelInfo:
    """A model as the replica tells it that has it most at hand."""
    return min(told, key=lambda info: ("warm", "loading", "asleep").index(info.state))
