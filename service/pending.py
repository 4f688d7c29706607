"""What the worker knows of a request until it is answered."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from service.averaging import mean
from service.protocol import ClassifyRequest, ImageResult, Job, Timings

if TYPE_CHECKING:
    from service.crew import Crew


@dataclass
class Pending:
    """A request that is being answered.

    Attributes:
        client: who asked, as the socket names it.
        request: what was asked.
        model: what answers, a model or an average of several.
        version: of it; of an average all of them.
        models: the one that answers, or those that are averaged.
        arrived: by `time.monotonic`.
        deadline: likewise.
        results: one an image and model, None until it is there; all images of the first model come
            first.
        timings: of those that are done.
    """

    client: bytes
    request: ClassifyRequest
    model: str
    version: str
    models: tuple[str, ...]
    arrived: float
    deadline: float
    results: list[ImageResult | None]
    timings: list[Timings] = field(default_factory=list)

    @property
    def top(self) -> int | None:
        """How many labels a model is to tell: all where they are to be averaged."""
        return self.request.top if len(self.models) == 1 else None

    def job(self, number: str, model: str) -> Job:
        """What a predictor is asked of an image, under a number of ours."""
        asked = self.request
        return Job(id=number, model=model, faces=asked.faces, top=self.top, explain=asked.explain)

    def told(self) -> list[ImageResult]:
        """One result an image, once all are there."""
        results = [result for result in self.results if result is not None]
        if len(self.models) == 1:
            return results
        images = len(results) // len(self.models)
        return [mean(results[n::images], self.request.top) for n in range(images)]


@dataclass(frozen=True)
class Waiting:
    """An image in a queue.

    Attributes:
        ticket: of its request.
        index: of its result there.
        model: that is to look at it.
        image: the file.
        alone: a predictor died on it and others together: it is handed out by itself.
    """

    ticket: int
    index: int
    model: str
    image: bytes
    alone: bool = False


@dataclass(frozen=True)
class Out:
    """Images that a predictor of a crew has; `handed_out` by `time.monotonic`."""

    waiting: tuple[Waiting, ...]
    crew: "Crew"
    handed_out: float


def with_waits(timings: Timings, queue_ms: float, total_ms: float) -> Timings:
    """A predictor's timings with the worker's own added, rounded to hundredths."""
    return Timings(
        queue=round(queue_ms, 2),
        decode=round(timings.decode, 2),
        detect=round(timings.detect, 2),
        classify=round(timings.classify, 2),
        total=round(total_ms, 2),
    )
