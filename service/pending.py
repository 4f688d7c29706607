"""What the worker knows of a request until it is answered."""

from dataclasses import dataclass, field

from service.protocol import ClassifyRequest, ImageResult, Timings


@dataclass
class Pending:
    """A request that is being answered.

    Attributes:
        client: who asked, as the socket names it.
        request: what was asked.
        model: the model that answers.
        version: of it.
        arrived: by `time.monotonic`.
        deadline: likewise.
        results: one an image, None until it is there.
        timings: of the images that are done.
    """

    client: bytes
    request: ClassifyRequest
    model: str
    version: str
    arrived: float
    deadline: float
    results: list[ImageResult | None]
    timings: list[Timings] = field(default_factory=list)


@dataclass(frozen=True)
class Waiting:
    """An image in the queue: the `index`th of the request `ticket`."""

    ticket: int
    index: int
    image: bytes


@dataclass(frozen=True)
class Out:
    """An image that a predictor has; `handed_out` by `time.monotonic`."""

    waiting: Waiting
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
