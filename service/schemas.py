"""What goes in and out over HTTP, as structs; /openapi.json is made from these."""

from __future__ import annotations

import difflib
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from werkzeug.datastructures import MultiDict

from service.errors import ApiError
from service.protocol import FacesMode, ImageResult, ModelInfo, Timings

FACES: tuple[FacesMode, ...] = ("auto", "all", "largest", "whole")
TOP_MOST = 1000
"""Highest `top`; more than a model has labels gives all of them."""
MODEL_NAME_MOST = 512


class ClassifyQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The query parameters of POST /classify."""

    model: Annotated[
        Annotated[str, Meta(min_length=1, max_length=MODEL_NAME_MOST)] | None,
        Meta(
            description="Name of a model, as GET /models lists them; without it the default. "
            "`average:A,B` averages the probabilities of 2 to 8 models with the same labels; the "
            "family `imagenet` may be left out there.",
            examples=["emotion", "average:mobilenet_v2,efficientnet_lite0"],
        ),
    ] = None
    top: Annotated[
        Annotated[int, Meta(ge=1, le=TOP_MOST)] | None,
        Meta(description="How many labels `probabilities` holds, the likeliest first."),
    ] = None
    faces: Annotated[
        FacesMode,
        Meta(
            description="Which faces: `auto` as the model wants, `all` also small ones, "
            "`largest` one, `whole` takes the whole image as the face."
        ),
    ] = "auto"
    explain: Annotated[
        bool,
        Meta(
            description="With `true` each face has an `explanation`: which of its places spoke for "
            "the label, and where they lie. Only for models whose `explains` is true."
        ),
    ] = False


class ImagesInJson(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The JSON body of POST /classify."""

    images: Annotated[list[str], Meta(description="Images as base64 or as data URLs.")] = []
    url: Annotated[
        str, Meta(description="The address of one image, where HYOJO_URL_INPUT allows it.")
    ] = ""
    urls: Annotated[list[str], Meta(description="Addresses of several images, likewise.")] = []


class ClassifyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the images show.

    With one image its label and probability stand at the top as well; with several they do not.
    """

    model: str
    version: str
    label: str | msgspec.UnsetType | None = msgspec.UNSET
    probability: float | msgspec.UnsetType | None = msgspec.UNSET
    results: list[ImageResult]
    timings_ms: Timings
    request_id: str


UrlInput = Literal["off", "https", "http"]


class ModelsAnswer(msgspec.Struct, frozen=True):
    """The models there are, fit to be served or not, and which one answers by default.

    Attributes:
        url_input: of which addresses images are fetched: none, `https:` alone, or `http:` too.
    """

    default: str
    models: list[ModelInfo]
    url_input: UrlInput = "off"


class Alive(msgspec.Struct, frozen=True):
    """The gateway process answers."""

    alive: bool


class Ready(msgspec.Struct, frozen=True):
    """A warm predictor has answered an inference."""

    ready: bool
    predictors_ready: int
    predictors: int
    queue_length: int


class ProblemDocument(msgspec.Struct, frozen=True):
    """What went wrong (RFC 9457).

    Attributes:
        type: where the code is explained.
        title: the same for every occurrence of the code.
        status: the HTTP status.
        detail: what happened, why, and what to do about it.
        code: a stable word for programs.
        request_id: the same as in the X-Request-Id header and in the log.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str


def classify_query(given: MultiDict[str, str]) -> ClassifyQuery:
    """The query parameters, checked.

    Raises:
        ApiError: invalid_parameter, saying which and what it takes.
    """
    known = ClassifyQuery.__struct_fields__
    for name in given:
        if name not in known:
            raise _invalid(f"{name[:40]!r} is no parameter{_meant(name, known)}")
        if len(given.getlist(name)) > 1:
            raise _invalid(f"{name!r} is given more than once")
    model, top, faces = given.get("model"), given.get("top"), given.get("faces", "auto")
    if model is not None and not 0 < len(model) <= MODEL_NAME_MOST:
        raise _invalid(f"'model' takes a name of 1 to {MODEL_NAME_MOST} characters")
    if faces not in FACES:
        choices = ", ".join(FACES)
        raise _invalid(f"'faces' is {faces[:40]!r} but takes one of {choices}")
    return ClassifyQuery(
        model=model,
        top=None if top is None else _top(top),
        faces=faces,
        explain=_switch("explain", given.get("explain", "false")),
    )


def _switch(name: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise _invalid(f"{name!r} is {text[:40]!r} but takes true or false")
    return text == "true"


def _top(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 6 else 0
    if not 1 <= number <= TOP_MOST:
        raise _invalid(f"'top' is {text[:40]!r} but takes a whole number from 1 to {TOP_MOST}")
    return number


def _meant(name: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name.lower(), known, n=1)
    return f"; did you mean {close[0]!r}" if close else f"; there are {', '.join(known)}"


def _invalid(what: str) -> ApiError:
    return ApiError("invalid_parameter", f"The query parameter cannot be used: {what}. See /docs.")
