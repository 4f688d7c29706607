"""The warm worker: one socket towards the gateways, a bounded queue, deadlines, and the pool.

It never loads Paddle itself: pictures are decoded and classified in the pool's processes.
"""

import itertools
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import structlog
import zmq

from service import protocol
from service.admission import Admission, Place
from service.crew import Crew
from service.crews import Crews
from service.endpoint import Endpoint
from service.errors import ApiError
from service.grouping import Grouping
from service.pending import Out, Pending, Waiting, with_waits
from service.pool import Lost
from service.protocol import (
    ClassifyReply,
    ClassifyRequest,
    ErrorReply,
    ImageProblem,
    ImageResult,
    Message,
    StatusReply,
    StatusRequest,
    Timings,
)
from service.quarantine import Quarantine
from service.settings import Settings

TICK_MS = 100
COUNTED = {
    "requests": "accepted",
    "images": "in them",
    "batches": "handed to a predictor, of one image or of several that waited",
    "images_lost": "held by a predictor process that was lost",
    "quarantined": "images not looked at, because predictors had died on them",
    "overloaded": "requests refused because the queue was full",
    "late": "requests whose deadline passed",
    "unclaimed": "answers that nobody was there to take",
    "unreadable": "messages that are no request, dropped",
    "strangers": "connections that are no gateway's, refused",
}
"""What the worker counts from its start; each counter's meaning."""
_log = structlog.get_logger("worker")


class Worker:
    """Answer requests until told to stop. One thread.

    Args:
        settings: see `service.settings`.
        endpoint: bound already.
        crews: the predictors with their models; started by `run`.
    """

    def __init__(self, settings: Settings, endpoint: Endpoint, crews: Crews) -> None:
        self._settings = settings
        self._crews = crews
        self._front = endpoint.socket
        self._address = endpoint.address
        self._strangers = endpoint.strangers
        self._pending: dict[int, Pending] = {}
        self._jobs: dict[str, Out] = {}
        self._quarantine = Quarantine(settings.quarantine_s)
        self._grouping = Grouping(settings.max_batch_size, self._pending, self._quarantine)
        self._tickets = itertools.count()
        self._counters: Counter[str] = Counter(dict.fromkeys(COUNTED, 0))
        self._stopping_at: float | None = None
        self._admission = Admission(crews, settings.queue_size)

    def stop(self) -> None:
        """Finish what was accepted, refuse what comes, then let `run` return."""
        if self._stopping_at is None:
            self._stopping_at = time.monotonic() + self._settings.grace_s

    def run(self) -> None:
        """The loop."""
        began = time.monotonic()
        poller = self._crews.poller
        poller.register(self._front, zmq.POLLIN)
        ticked = 0.0
        while not self._finished():
            readable = dict(poller.poll(TICK_MS))
            self._take(self._crews.heard(readable))
            if self._front in readable:
                self._accept()
            if time.monotonic() - ticked >= TICK_MS / 1e3:
                self._take(self._crews.tick())
                for ticket, refusal in self._crews.guests.unable:
                    self._refuse_late(ticket, refusal)
                self._crews.guests.unable.clear()
                self._drop_late()
                self._counters["strangers"] += self._strangers()
                ticked = time.monotonic()
            for crew in self._crews:
                self._hand_out(crew)
            if not self._crews.was_complete and self._crews.present.complete:
                self._crews.was_complete = True
                self._say_ready(self._crews.present, time.monotonic() - began)
        _log.info("worker stopped", **self._counters)

    def _finished(self) -> bool:
        if self._stopping_at is None:
            return False
        return not self._pending or time.monotonic() > self._stopping_at

    def _say_ready(self, crew: Crew, seconds: float) -> None:
        served = ", ".join(
            f"{info.name} {info.version} ({len(info.labels)} labels, {info.network}, "
            f"{info.input_size} px)"
            for name, info in crew.catalog.models.items()
            if name in crew.catalog.folders
        )
        on_demand = (
            f"; when asked for {', '.join(guests)}" if (guests := crew.catalog.guests) else ""
        )
        _log.info(
            f"ready: {served}{on_demand}; {crew.predictors} predictors on {self._address}, "
            f"{seconds:.1f} s"
        )

    # Requests in -----------------------------------------------------------------------------

    def _accept(self) -> None:
        """Take what has come, a bounded number at a time so that answers are not kept waiting."""
        for _ in range(64):
            try:
                client, *frames = self._front.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                message = protocol.decode_request(frames[0])
            except (protocol.UnreadableError, IndexError):
                self._counters["unreadable"] += 1
                continue
            if isinstance(message, StatusRequest):
                self._send(client, self._status(message.id))
            else:
                self._admit(client, message, frames[1:])

    def _admit(self, client: bytes, request: ClassifyRequest, images: Sequence[bytes]) -> None:
        """Put a request's images into the queues, or say why not."""
        try:
            if self._stopping_at is not None:
                why = "The worker is stopping. Send the request again."
                raise ApiError("shutting_down", why, 1.0)
            places = self._admission.places(request, len(images))
        except ApiError as refusal:
            self._counters["overloaded"] += refusal.code == "overloaded"
            self._send(client, _reply(request, refusal))
        else:
            self._enqueue(client, request, images, places)

    def _enqueue(
        self, client: bytes, request: ClassifyRequest, images: Sequence[bytes], places: list[Place]
    ) -> None:
        now = time.monotonic()
        wait_s = min(max(0.0, request.timeout_ms / 1e3), self._settings.deadline_s)
        ticket = next(self._tickets)
        self._pending[ticket] = Pending(
            client,
            request,
            model=places[0].model if len(places) == 1 else str(request.model),
            version="+".join(place.version for place in places),
            models=tuple(place.model for place in places),
            arrived=now,
            deadline=now + wait_s,
            results=[None] * (len(images) * len(places)),
        )
        self._counters["requests"] += 1
        self._counters["images"] += len(images)
        numbers = itertools.count()
        for place in places:
            for image in images:
                waiting = Waiting(ticket, next(numbers), place.model, image)
                if not self._refused(waiting):
                    place.crew.queue.append(waiting)

    # Work out and back -----------------------------------------------------------------------

    def _hand_out(self, crew: Crew) -> None:
        while crew.queue and crew.pool.idle:
            waiting = crew.queue[0]
            pending = self._pending.get(waiting.ticket)
            if pending is None:  # answered already: it was late
                crew.queue.popleft()
                continue
            if time.monotonic() > pending.deadline:
                self._expire(waiting.ticket)
                continue
            if self._refused(waiting):  # it came before the loss that it is refused for
                crew.queue.popleft()
                continue
            group = self._grouping.front(crew)
            job_id = f"{waiting.ticket}.{waiting.index}"
            job = pending.job(job_id, waiting.model)
            now = time.monotonic()  # before it is handed out: the predictor may begin at once
            if not crew.pool.submit(job, [one.image for one in group]):
                return
            for _ in group:
                crew.queue.popleft()
            self._jobs[job_id] = Out(group, crew, now)
            self._counters["batches"] += 1

    def _refused(self, waiting: Waiting) -> bool:
        """Whether an image is one that predictors died on; it then has its answer."""
        problem = self._quarantine.refusal(waiting.image)
        if problem is None:
            return False
        self._counters["quarantined"] += 1
        self._settle(waiting, ImageResult(error=problem), Timings(), time.monotonic())
        return True

    def _take(self, events: Sequence[protocol.JobDone | Lost]) -> None:
        for event in events:
            out = self._jobs.pop(event.id)
            if isinstance(event, protocol.JobDone):
                each_ms = event.timings_ms[0].total / len(out.waiting)
                out.crew.image_ms += 0.05 * (each_ms - out.crew.image_ms)
                told = zip(out.waiting, event.results, event.timings_ms, strict=True)
                for one, result, timings in told:
                    self._quarantine.answered(one.image)
                    self._settle(one, result, timings, out.handed_out)
            elif len(out.waiting) > 1 and out.crew in self._crews:
                # Which of them it was, if one, shows when each is alone.
                out.crew.queue.extendleft(replace(one, alone=True) for one in out.waiting[::-1])
            else:
                for one in out.waiting:
                    self._lose(one, event, out.handed_out)

    def _lose(self, waiting: Waiting, event: Lost, handed_out: float) -> None:
        self._counters["images_lost"] += 1
        if self._quarantine.lost(waiting.image, event.crashed):
            _log.warning("image quarantined", bytes=len(waiting.image))
        problem = ImageProblem("worker_lost", event.detail)
        self._settle(waiting, ImageResult(error=problem), Timings(), handed_out)

    def _settle(
        self, waiting: Waiting, result: ImageResult, timings: Timings, handed_out: float
    ) -> None:
        """Keep an image's result; the last one of a request is its answer."""
        pending = self._pending.get(waiting.ticket)
        if pending is None:  # its request was late and has been answered
            return
        queued_ms = (handed_out - pending.arrived) * 1e3
        total_ms = (time.monotonic() - pending.arrived) * 1e3
        pending.results[waiting.index] = result
        pending.timings.append(with_waits(timings, queued_ms, total_ms))
        if all(result is not None for result in pending.results):
            self._answer(waiting.ticket)

    def _answer(self, ticket: int) -> None:
        pending = self._pending.pop(ticket)
        # One that was broken took no stage's time, however long it waited.
        slowest = max(pending.timings, key=lambda told: (told.decode > 0, told.total))
        reply = ClassifyReply(
            id=pending.request.id,
            model=pending.model,
            version=pending.version,
            results=pending.told(),
            timings_ms=slowest,
        )
        self._send(pending.client, reply)

    def _drop_late(self) -> None:
        now = time.monotonic()
        for ticket in [t for t, pending in self._pending.items() if now > pending.deadline]:
            self._expire(ticket)

    def _expire(self, ticket: int) -> None:
        """Answer a late request; its images leave the queue, a running one's result is dropped."""
        pending = self._pending[ticket]
        self._counters["late"] += 1
        code = "deadline_exceeded"
        waited = time.monotonic() - pending.arrived
        detail = f"No answer within {waited:.1f} s. The service is busy; try again in a moment."
        loading = [name for name in pending.models if self._crews.guests.is_loading(name)]
        if loading:
            detail = (
                f"{' and '.join(loading)} could not be loaded within {waited:.1f} s, and is still "
                "being loaded. Try again in a moment."
            )
        elif self._crews.was_complete and not self._crews.present.warm:
            code = "worker_lost"
            detail = f"Every predictor was lost; after {waited:.1f} s none is back. Try again soon."
        self._refuse_late(ticket, ApiError(code, detail, 1.0))

    def _refuse_late(self, ticket: int, refusal: ApiError) -> None:
        """Answer a request that had been taken with why it has no answer."""
        pending = self._pending.pop(ticket, None)
        if pending is not None:  # else it has been answered
            self._crews.drop(ticket)
            self._send(pending.client, _reply(pending.request, refusal))

    def _send(self, client: bytes, message: Message) -> None:
        try:
            self._front.send_multipart([client, protocol.encode(message)], zmq.NOBLOCK)
        except zmq.ZMQError:  # the gateway that asked is gone
            self._counters["unclaimed"] += 1

    # How it is -------------------------------------------------------------------------------

    def _status(self, request_id: str) -> StatusReply:
        crew = self._crews.present
        reason = self._why_not_ready()
        return StatusReply(
            id=request_id,
            ready=not reason,
            reason=reason,
            models=self._crews.models,
            default_model=crew.catalog.default,
            predictors_ready=crew.pool.ready,
            predictors=crew.predictors,
            queue_length=self._crews.waiting,
            queue_limit=self._settings.queue_size,
            oldest_wait_s=self._oldest_wait_s(),
            guests=len(self._crews.guests),
            guests_mb=round(self._crews.guests.takes_mb, 1),
            guests_limit_mb=self._settings.model_memory,
            counters={**self._counters, **self._crews.counters},
        )

    def _oldest_wait_s(self) -> float:
        tickets = (waiting.ticket for crew in self._crews for waiting in crew.queue)
        arrivals = [self._pending[t].arrived for t in tickets if t in self._pending]
        return time.monotonic() - min(arrivals) if arrivals else 0.0

    def _why_not_ready(self) -> str:
        """Empty when ready."""
        if self._stopping_at is not None:
            return "The worker is stopping."
        return self._crews.present.why_not_ready


def _reply(request: ClassifyRequest, refusal: ApiError) -> ErrorReply:
    return ErrorReply(
        id=request.id,
        code=refusal.code,
        detail=refusal.detail,
        retry_after_s=refusal.retry_after,
    )
