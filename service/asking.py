"""The way from images to the worker's reply, the same for every address that takes images.

What the request's log line and the counts tell of it is noted here, too.
"""

from __future__ import annotations

from collections.abc import Sequence

from service.body import arrival
from service.client import Client
from service.errors import ApiError
from service.hooks import Course
from service.metrics import STAGES, Metrics
from service.protocol import ClassifyReply, ClassifyRequest, Timings
from service.schemas import ClassifyQuery


class Asking:
    """Asks the worker what images show.

    Args:
        client: asks the worker.
        metrics: counts images and stages.
        deadline_s: seconds for one request.
    """

    def __init__(self, client: Client, metrics: Metrics, deadline_s: float) -> None:
        self._client = client
        self._metrics = metrics
        self._deadline_s = deadline_s

    def __call__(self, now: Course, query: ClassifyQuery, images: Sequence[bytes]) -> ClassifyReply:
        """One result an image, in order.

        Args:
            now: the present request's course.
            query: what is asked about them.
            images: as the client sent them, within the limits.

        Raises:
            ApiError: deadline_exceeded, worker_unavailable, or what the worker says.
        """
        now.images = len(images)
        self._metrics.images([len(image) for image in images])
        left_s = _time_left(self._deadline_s)
        reply = self._client.classify(_asked(now.id, query, left_s), images, left_s)
        now.model = reply.model
        now.queue_ms, now.worker_ms = reply.timings_ms.queue, reply.timings_ms.total
        self._metrics.stages(reply.timings_ms)
        for result in reply.results:
            if result.error:
                self._metrics.image_problem(result.error.code)
        return reply


def server_timing(timings: Timings) -> str:
    """The header Server-Timing."""
    return ", ".join(f"{stage};dur={getattr(timings, stage):.2f}" for stage in STAGES)


def _time_left(deadline_s: float) -> float:
    """Seconds left of the deadline for a request that waited for its thread."""
    left_s = deadline_s - arrival.waited_s
    if left_s <= 0:
        raise ApiError(
            "deadline_exceeded",
            f"The request waited {arrival.waited_s:.1f} s for its turn. The service is busy; try "
            "again in a moment.",
        )
    return left_s


def _asked(request_id: str, query: ClassifyQuery, deadline_s: float) -> ClassifyRequest:
    return ClassifyRequest(
        id=request_id,
        model=query.model,
        faces=query.faces,
        top=query.top,
        explain=query.explain,
        timeout_ms=deadline_s * 1000,
    )
