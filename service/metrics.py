"""What the gateway counts, and the worker's state, in Prometheus' text format.

With several gateway processes the counts are shared through files in PROMETHEUS_MULTIPROC_DIR,
which service/gunicorn_conf.py sets before this module is imported; each scrape then sees all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from service.errors import PROBLEMS, ApiError
from service.protocol import StatusReply, Timings

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
STAGES = ("queue", "decode", "detect", "classify", "total")
# Without the time each count began: half of the text, and nobody reads it.
disable_created_metrics()  # type: ignore[no-untyped-call]
_MEGABYTE = 1024 * 1024
_METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"})
_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Metrics:
    """The gateway's counters, in a registry of their own.

    Args:
        status: asks the worker; None when it does not answer. Called once a scrape.
    """

    def __init__(self, status: Callable[[], StatusReply | None]) -> None:
        registry = CollectorRegistry()
        self._requests = Counter(
            "hyojo_requests",
            "HTTP requests answered.",
            ("route", "method", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "hyojo_request_seconds",
            "Seconds from a request's first line to its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._problems = Counter(
            "hyojo_problems", "Requests answered with an error.", ("code",), registry=registry
        )
        for code in PROBLEMS:  # at 0 from the start: the first of a kind is an increase, too
            self._problems.labels(code)
        self._images = Counter("hyojo_images", "Images sent to the worker.", registry=registry)
        self._image_bytes = Counter(
            "hyojo_image_bytes", "Bytes of the images sent to the worker.", registry=registry
        )
        self._image_problems = Counter(
            "hyojo_image_problems",
            "Images that could not be classified.",
            ("code",),
            registry=registry,
        )
        self._foreign = Counter(
            "hyojo_foreign_messages",
            "Messages from the worker's socket that were not the answer asked for.",
            registry=registry,
        )
        self._stages = Histogram(
            "hyojo_stage_seconds",
            "Seconds a request spent in each stage of the worker.",
            ("stage",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._stage = {stage: self._stages.labels(stage) for stage in STAGES}
        self._answered: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._own = registry
        self._status = status

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answer; an unknown method counts as OTHER, for few label values."""
        method = method if method in _METHODS else "OTHER"
        key = route, method, status
        counted = self._answered.get(key)
        if counted is None:  # finding a series by its labels costs more than counting
            requests = self._requests.labels(route, method, str(status))
            counted = self._answered[key] = requests, self._seconds.labels(route)
        counted[0].inc()
        counted[1].observe(seconds)

    def problem(self, code: str) -> None:
        """Count an answer that is a problem document."""
        self._problems.labels(code).inc()

    def refused(self, head: bytes, problem: ApiError) -> None:
        """Count a request that was refused before it was read.

        Args:
            head: it begins with the method.
            problem: what it was told.
        """
        method = head.partition(b" ")[0].decode("latin-1")
        self.answered("none", method, problem.status, 0.0)
        self.problem(problem.code)

    def images(self, sizes: Iterable[int]) -> None:
        """Count images on their way to the worker, by their sizes in bytes."""
        sizes = list(sizes)
        self._images.inc(len(sizes))
        self._image_bytes.inc(sum(sizes))

    def image_problem(self, code: str) -> None:
        """Count an image that could not be classified."""
        self._image_problems.labels(code if code in PROBLEMS else "internal").inc()

    def foreign(self) -> None:
        """Count a message from the worker's socket that was not the answer."""
        self._foreign.inc()

    def stages(self, timings: Timings) -> None:
        """Count where the time of one request went."""
        for stage in STAGES:
            self._stage[stage].observe(getattr(timings, stage) / 1000)

    def exposition(self) -> bytes:
        """Everything in Prometheus' text format."""
        registry = CollectorRegistry()
        if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        else:
            registry.register(_Of(self._own))
            ProcessCollector(registry=registry)
            PlatformCollector(registry=registry)
        registry.register(_WorkerState(self._status()))
        return generate_latest(registry)


class _Of(Collector):
    """Another registry's metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        yield from self._registry.collect()


class _WorkerState(Collector):
    """The worker's own figures as it gave them; only `hyojo_worker_up` when it did not."""

    def __init__(self, status: StatusReply | None) -> None:
        self._reply = status

    def collect(self) -> Iterator[Metric]:
        reply = self._reply
        yield _gauge("up", "1 when the worker answers.", reply is not None)
        if reply is None:
            return
        yield _gauge("ready", "1 when a warm predictor can answer.", reply.ready)
        yield _gauge("queue_length", "Images waiting for a predictor.", reply.queue_length)
        yield _gauge("queue_limit", "Images that may wait.", reply.queue_limit)
        yield _gauge("predictors", "Predictor processes there should be.", reply.predictors)
        yield _gauge(
            "predictors_ready", "Predictor processes that are warm.", reply.predictors_ready
        )
        yield _gauge(
            "predictors_missing",
            "Predictor processes that are not warm.",
            reply.predictors - reply.predictors_ready,
        )
        yield _gauge(
            "queue_fill",
            "Images waiting, as a share of those that may.",
            reply.queue_length / max(1, reply.queue_limit),
        )
        yield _gauge(
            "oldest_wait_seconds",
            "How long the image that waits longest has waited.",
            reply.oldest_wait_s,
        )
        yield _gauge(
            "models_broken",
            "Models that cannot be served.",
            sum(model.error is not None for model in reply.models),
        )
        yield _gauge("guests", "Models loaded because they were asked for.", reply.guests)
        yield _gauge("guest_memory_bytes", "Memory that they take.", reply.guests_mb * _MEGABYTE)
        yield _gauge(
            "guest_memory_limit_bytes",
            "Memory that they may take.",
            reply.guests_limit_mb * _MEGABYTE,
        )
        events = CounterMetricFamily(
            "hyojo_worker_events", "What happened in the worker since its start.", labels=["event"]
        )
        for event, count in sorted(reply.counters.items()):
            events.add_metric([event], count)
        yield events


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"hyojo_worker_{name}", text, value=float(value))
