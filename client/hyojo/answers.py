"""What the service answers, as frozen dataclasses.

Fields that are not known here are passed over: the service may be newer than the client.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hyojo.errors import UNREADABLE_ANSWER, HyojoError

Corner = tuple[float, float]
_WRONG = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What reading raises over JSON of another shape."""


@dataclass(frozen=True)
class Problem:
    """Why one picture has no answer: a stable code, and a sentence for people."""

    code: str
    sentence: str


@dataclass(frozen=True)
class Size:
    """Of the upright picture, in pixels."""

    width: int
    height: int


@dataclass(frozen=True)
class Explanation:
    """Which places of a face, or of the whole picture, spoke for its label.

    Attributes:
        label: the one it is about.
        map: rows from the top, each from its left: the places' shares of the evidence. Positive
            spoke for the label, negative against it; their sizes add up to 1.
        corners: the square that the map lies on, in pixels: its top left, top right, bottom right
            and bottom left.
    """

    label: str
    map: tuple[tuple[float, ...], ...]
    corners: tuple[Corner, ...]


@dataclass(frozen=True)
class Face:
    """One face.

    Attributes:
        box: x, y, width, height in pixels of the upright picture; may reach past its edge.
        score: of the face finder, 0 to 1.
        label: the likeliest.
        probability: its own, 0 to 1.
        probabilities: by label, highest first.
        explanation: what decided; only where it was asked for.
    """

    box: tuple[float, float, float, float]
    score: float
    label: str
    probability: float
    probabilities: Mapping[str, float]
    explanation: Explanation | None = None


@dataclass(frozen=True)
class Timings:
    """Milliseconds in the service's worker, for the whole request."""

    queue: float = 0.0
    decode: float = 0.0
    detect: float = 0.0
    classify: float = 0.0
    total: float = 0.0


@dataclass(frozen=True)
class Result:
    """What one picture shows; label and probabilities are those of its largest face.

    For a model that wants no face they are those of the whole picture. Where no face was found they
    are empty, and so they are where there is an `error`.
    """

    label: str | None = None
    probability: float | None = None
    probabilities: Mapping[str, float] = field(default_factory=dict)
    faces: tuple[Face, ...] = ()
    size: Size | None = None
    error: Problem | None = None
    explanation: Explanation | None = None
    model: str = ""
    version: str = ""
    request_id: str = ""
    timings_ms: Timings = Timings()

    @property
    def ok(self) -> bool:
        """Whether the picture was classified, be there a face on it or not."""
        return self.error is None


@dataclass(frozen=True)
class Model:
    """A model as the service lists it.

    Attributes:
        default: it answers when no model is named.
        kind: `expression`, `smile`, `things` or `own`.
        state: `warm`, it answers at once; `loading`; or `asleep`.
        faces: it looks at faces; otherwise at whole pictures.
        explains: it can tell what decided.
        error: why it cannot be served, if it cannot.
        refused: why a newer bundle did not take its place, if so.
    """

    name: str
    default: bool = False
    kind: str = "own"
    state: str = ""
    version: str = ""
    task: str = ""
    labels: tuple[str, ...] = ()
    faces: bool = False
    explains: bool = False
    input_size: int = 0
    network: str = ""
    licence: str = ""
    trained_on: Mapping[str, Any] = field(default_factory=dict)
    protocol: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    refused: str | None = None


def results_of(answer: Any, wanted: int) -> list[Result]:
    """The results in an answer of POST /classify, one a picture.

    Raises:
        HyojoError: unreadable_answer; it has another shape, or not `wanted` results.
    """
    try:
        results = [_result(told, answer) for told in answer["results"]]
    except _WRONG as error:
        raise _unreadable("/classify") from error
    if len(results) != wanted:
        raise _unreadable("/classify")
    return results


def models_of(answer: Any) -> tuple[Model, ...]:
    """The models in an answer of GET /models.

    Raises:
        HyojoError: unreadable_answer; it has another shape.
    """
    try:
        return tuple(_model(told, str(answer["default"])) for told in answer["models"])
    except _WRONG as error:
        raise _unreadable("/models") from error


def _unreadable(path: str) -> HyojoError:
    return HyojoError(
        UNREADABLE_ANSWER,
        f"What answers at {path} is no Hyojo service that this client understands. "
        "Check the address, and that client and service are of about the same age.",
    )


def _result(told: Mapping[str, Any], answer: Mapping[str, Any]) -> Result:
    size, error = told.get("size"), told.get("error")
    chance = told.get("probability")
    return Result(
        label=told["label"],
        probability=None if chance is None else float(chance),
        probabilities=_probabilities(told),
        faces=tuple(_face(face) for face in told["faces"]),
        size=Size(int(size["width"]), int(size["height"])) if size else None,
        error=Problem(str(error["code"]), str(error["detail"])) if error else None,
        explanation=_explanation(told.get("explanation")),
        model=str(answer["model"]),
        version=str(answer["version"]),
        request_id=str(answer.get("request_id", "")),
        timings_ms=_timings(answer.get("timings_ms", {})),
    )


def _face(told: Mapping[str, Any]) -> Face:
    x, y, width, height = map(float, told["box"])
    return Face(
        box=(x, y, width, height),
        score=float(told["score"]),
        label=str(told["label"]),
        probability=float(told["probability"]),
        probabilities=_probabilities(told),
        explanation=_explanation(told.get("explanation")),
    )


def _probabilities(told: Mapping[str, Any]) -> dict[str, float]:
    return {str(label): float(value) for label, value in told["probabilities"].items()}


def _explanation(told: Mapping[str, Any] | None) -> Explanation | None:
    if told is None:
        return None
    return Explanation(
        label=str(told["label"]),
        map=tuple(tuple(map(float, row)) for row in told["map"]),
        corners=tuple((float(x), float(y)) for x, y in told["corners"]),
    )


def _timings(told: Mapping[str, Any]) -> Timings:
    known = Timings.__dataclass_fields__
    return Timings(**{name: float(value) for name, value in told.items() if name in known})


def _model(told: Mapping[str, Any], default: str) -> Model:
    known = {name: told[name] for name in Model.__dataclass_fields__ if name in told}
    known["labels"] = tuple(map(str, told.get("labels", ())))
    known["default"] = told["name"] == default
    return Model(**known)
