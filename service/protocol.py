"""The messages between gateway, worker and predictor processes.

A message is a list of frames: the first is one of the structs below in MessagePack, then come the
bytes of the images it speaks of, as the client sent them. Nothing here is a pickle.
"""

from typing import Any, Literal

import msgspec

FacesMode = Literal["auto", "all", "largest", "whole"]


class Message(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Any message. `id` ties a reply to its request."""

    id: str


class ClassifyRequest(Message, frozen=True, kw_only=True):
    """Classify the images in the frames that follow.

    Attributes:
        model: by name; None for the worker's default.
        faces: which faces to look for.
        top: how many labels each `probabilities` holds; None for all.
        timeout_ms: how long the sender will wait, from now. A duration and no clock time, so that
            the two sides need no common clock.
    """

    model: str | None = None
    faces: FacesMode = "auto"
    top: int | None = None
    timeout_ms: float = 10_000


class StatusRequest(Message, frozen=True, kw_only=True):
    """Ask how the worker is."""


class Size(msgspec.Struct, frozen=True):
    """Of the upright picture, in pixels."""

    width: int
    height: int


class FaceResult(msgspec.Struct, frozen=True):
    """One face.

    Attributes:
        box: x, y, width, height in pixels of the upright picture; may reach past its edge.
        score: of the detector, 0 to 1.
        label: the likeliest.
        probability: its own, 0 to 1.
        probabilities: by label, highest first, cut to `top`.
    """

    box: tuple[float, float, float, float]
    score: float
    label: str
    probability: float
    probabilities: dict[str, float]


class ImageProblem(msgspec.Struct, frozen=True):
    """Why one image has no answer: a code of `service.errors` and a sentence."""

    code: str
    detail: str


class ImageResult(msgspec.Struct, frozen=True):
    """What one image shows; label and probabilities are those of its largest face.

    For a model that wants no face they are those of the whole image. Without a face all are empty.
    """

    size: Size | None = None
    label: str | None = None
    probability: float | None = None
    probabilities: dict[str, float] = {}
    faces: list[FaceResult] = []
    error: ImageProblem | None = None


class Timings(msgspec.Struct, frozen=True):
    """Milliseconds in the worker; of several images, the way of the slowest."""

    queue: float = 0.0
    decode: float = 0.0
    detect: float = 0.0
    classify: float = 0.0
    total: float = 0.0


class ClassifyReply(Message, frozen=True, kw_only=True):
    """One result an image, in order."""

    model: str
    version: str
    results: list[ImageResult]
    timings_ms: Timings


class ErrorReply(Message, frozen=True, kw_only=True):
    """The whole request has no answer.

    Attributes:
        code: of `service.errors`.
        detail: a sentence.
        retry_after_s: when it may go better; None if trying again does not help.
    """

    code: str
    detail: str
    retry_after_s: float | None = None


class ModelInfo(msgspec.Struct, frozen=True):
    """A model as GET /models shows it; `error` says why it cannot be served, if it cannot."""

    name: str
    version: str = ""
    task: str = "classification"
    labels: list[str] = []
    faces: bool = False
    input_size: int = 0
    network: str = ""
    licence: str = ""
    trained_on: dict[str, Any] = {}
    protocol: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    error: str | None = None


class StatusReply(Message, frozen=True, kw_only=True):
    """How the worker is.

    Attributes:
        ready: a warm predictor has answered an inference and the default model can be served.
        reason: why not, when not.
        models: every model of the params folder, fit or not.
        default_model: answers when a request names none.
        predictors_ready: warm processes.
        predictors: processes there should be.
        queue_length: images waiting for a predictor.
        queue_limit: images that may wait.
        counters: since the start: images, errors by kind, predictors replaced.
    """

    ready: bool
    reason: str
    models: list[ModelInfo]
    default_model: str
    predictors_ready: int
    predictors: int
    queue_length: int
    queue_limit: int
    counters: dict[str, int]


class Hello(Message, frozen=True, kw_only=True):
    """A predictor process is warm (`id` is its own name) after `seconds`."""

    seconds: float


class Failed(Message, frozen=True, kw_only=True):
    """A predictor process cannot start; `detail` says why, in a sentence."""

    detail: str


class Job(Message, frozen=True, kw_only=True):
    """Images for one predictor process, in the frames that follow."""

    model: str
    faces: FacesMode = "auto"
    top: int | None = None


class JobDone(Message, frozen=True, kw_only=True):
    """One result and one timing an image of the job, in order."""

    results: list[ImageResult]
    timings_ms: list[Timings]


AnyMessage = (
    ClassifyRequest
    | StatusRequest
    | ClassifyReply
    | ErrorReply
    | StatusReply
    | Hello
    | Failed
    | Job
    | JobDone
)

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(AnyMessage)


def encode(message: Message) -> bytes:
    """A message as its first frame."""
    return _encoder.encode(message)


def decode(frame: bytes) -> AnyMessage:
    """A first frame as its message.

    Raises:
        msgspec.DecodeError: it is none of ours.
    """
    message: AnyMessage = _decoder.decode(frame)
    return message
