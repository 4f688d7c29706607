"""The messages between gateway, worker and predictor processes.

A message is a list of frames: the first is one of the structs below in MessagePack, then come the
bytes of the images it speaks of, as the client sent them. Nothing here is a pickle.
"""

from typing import Annotated, Any, Literal, TypeVar

import msgspec

FacesMode = Literal["auto", "all", "largest", "whole"]
Kind = Literal["expression", "smile", "things", "own"]
State = Literal["warm", "loading", "asleep"]
Id = Annotated[str, msgspec.Meta(max_length=128)]
Name = Annotated[str, msgspec.Meta(max_length=1024)]
Count = Annotated[int, msgspec.Meta(ge=1)]


class UnreadableError(msgspec.DecodeError):
    """These bytes are no message that this side takes."""


class Message(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Any message. `id` ties a reply to its request."""

    id: Id


class ClassifyRequest(Message, frozen=True, kw_only=True):
    """Classify the images in the frames that follow.

    Attributes:
        model: by name; None for the worker's default.
        faces: which faces to look for.
        top: how many labels each `probabilities` holds; None for all.
        explain: tell too which places spoke for each label.
        timeout_ms: how long the sender will wait, from now. A duration and no clock time, so that
            the two sides need no common clock.
    """

    model: Name | None = None
    faces: FacesMode = "auto"
    top: Count | None = None
    explain: bool = False
    timeout_ms: Annotated[float, msgspec.Meta(ge=0)] = 10_000


class StatusRequest(Message, frozen=True, kw_only=True):
    """Ask how the worker is."""


class Size(msgspec.Struct, frozen=True):
    """Of the upright picture, in pixels."""

    width: int
    height: int


Corner = tuple[float, float]


class Explanation(msgspec.Struct, frozen=True):
    """Which places of a face (or of the whole image) spoke for its label.

    Attributes:
        label: the label it is about, the likeliest.
        map: rows of equal length, the crop's from the top, each from its left: the places' shares
            of the evidence. Positive spoke for the label, negative against it; their sizes add up
            to 1.
        corners: the square that the map lies on, in pixels of the upright picture: its top left,
            top right, bottom right and bottom left. It is turned as the face is, and may reach past
            the picture's edge.
    """

    label: str
    map: list[list[float]]
    corners: tuple[Corner, Corner, Corner, Corner]


class FaceResult(msgspec.Struct, frozen=True):
    """One face.

    Attributes:
        box: x, y, width, height in pixels of the upright picture; may reach past its edge.
        score: of the detector, 0 to 1.
        label: the likeliest.
        probability: its own, 0 to 1.
        probabilities: by label, highest first, cut to `top`.
        explanation: what decided; only where it was asked for.
    """

    box: tuple[float, float, float, float]
    score: float
    label: str
    probability: float
    probabilities: dict[str, float]
    explanation: Explanation | msgspec.UnsetType = msgspec.UNSET


class ImageProblem(msgspec.Struct, frozen=True):
    """Why one image has no answer: a code of `service.errors` and a sentence."""

    code: str
    detail: str


class ImageResult(msgspec.Struct, frozen=True):
    """What one image shows; label and probabilities are those of its largest face.

    For a model that wants no face they are those of the whole image, and so is the explanation if
    one was asked for. Without a face all are empty.
    """

    size: Size | None = None
    label: str | None = None
    probability: float | None = None
    probabilities: dict[str, float] = {}
    faces: list[FaceResult] = []
    error: ImageProblem | None = None
    explanation: Explanation | msgspec.UnsetType = msgspec.UNSET


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
    retry_after_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] | None = None


class ModelInfo(msgspec.Struct, frozen=True):
    """A model as GET /models shows it; `error` says why it cannot be served, if it cannot.

    Attributes:
        kind: what it tells of a picture: the expression or the smile on each face, what things are
            in it, or classes of one's own.
        state: `warm`, it answers at once; `loading`; or `asleep`, nobody holds it now.
        explains: it can tell which part of a face decided.
        refused: why a newer bundle did not take its place when the models were read again, if so.
    """

    name: str
    kind: Kind = "own"
    state: State = "asleep"
    version: str = ""
    task: str = "classification"
    labels: list[str] = []
    faces: bool = False
    explains: bool = False
    input_size: int = 0
    network: str = ""
    licence: str = ""
    trained_on: dict[str, Any] = {}
    protocol: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    error: str | None = None
    refused: str | None = None


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
        oldest_wait_s: how long the first of those waiting has waited.
        counters: since the start: images, errors by kind, predictors replaced.
        guests: models that are here because they were asked for.
        guests_mb: memory that they take (MiB).
        guests_limit_mb: that they may take.
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
    oldest_wait_s: float = 0.0
    guests: int = 0
    guests_mb: float = 0.0
    guests_limit_mb: float = 0.0


class Hello(Message, frozen=True, kw_only=True):
    """A predictor process is warm (`id` is its own name) after `seconds`.

    Attributes:
        private_mb: memory that it has to itself (MiB), of a guest's.
        company_saves: share of its time in the network that an image is spared in a full batch, by
            model, as it measured.
    """

    seconds: float
    private_mb: float = 0.0
    company_saves: dict[Name, float] = {}


class Failed(Message, frozen=True, kw_only=True):
    """A predictor process cannot start; `detail` says why, in a sentence."""

    detail: str


class Job(Message, frozen=True, kw_only=True):
    """Images for one predictor process, in the frames that follow.

    Attributes:
        video: the frames that follow are no files but raw pixels, consecutive frames of one video
            of this size: uint8, blue, green, red, row by row from the top left.
    """

    model: str
    faces: FacesMode = "auto"
    top: Count | None = None
    explain: bool = False
    video: Size | None = None


class JobDone(Message, frozen=True, kw_only=True):
    """One result and one timing an image of the job, in order."""

    results: list[ImageResult]
    timings_ms: list[Timings]

    def answers(self, job: str | None, images: int) -> bool:
        """Whether it has a result, and a timing, for each image of this job."""
        return self.id == job and len(self.results) == len(self.timings_ms) == images


Request = ClassifyRequest | StatusRequest
Reply = ClassifyReply | ErrorReply | StatusReply
AnyMessage = Request | Reply | Hello | Failed | Job | JobDone

_Kind = TypeVar("_Kind")
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[AnyMessage] = msgspec.msgpack.Decoder(AnyMessage)
_request_decoder: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_reply_decoder: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)
# All that decoding raises over bytes of any kind: text that is no UTF-8 and boxes in boxes in boxes
# are not among msgspec's own errors.
_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError, MemoryError)


def encode(message: Message) -> bytes:
    """A message as its first frame."""
    return _encoder.encode(message)


def decode(frame: bytes) -> AnyMessage:
    """A first frame as its message.

    Raises:
        UnreadableError: it is none of ours.
    """
    return _read(_decoder, frame)


def decode_request(frame: bytes) -> Request:
    """A first frame as what a gateway may ask.

    Raises:
        UnreadableError: it is nothing of the kind.
    """
    return _read(_request_decoder, frame)


def decode_reply(frame: bytes) -> Reply:
    """A first frame as what a worker may answer.

    Raises:
        UnreadableError: it is nothing of the kind.
    """
    return _read(_reply_decoder, frame)


def _read(decoder: "msgspec.msgpack.Decoder[_Kind]", frame: bytes) -> _Kind:
    try:
        return decoder.decode(frame)
    except _UNREADABLE as error:
        raise UnreadableError(type(error).__name__) from None
