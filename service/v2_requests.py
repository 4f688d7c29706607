"""An infer request of the Open Inference Protocol: what it brings, and what it wants back.

Three forms: JSON alone, images as base64 in it; JSON and after it the images' bytes, the header
Inference-Header-Content-Length telling where it ends; and, where that says 0, one image alone.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any, NoReturn

import msgspec
from flask import Request

from service.body import BoundedBody, Limits
from service.errors import ApiError
from service.protocol import FacesMode
from service.schemas import FACES
from service.uploads import image_of_text, refuse_too_many, see_that_they_fit, whole
from service.v2_schemas import HEADER_LENGTH, INPUT, OUTPUTS, InferenceRequest, RequestInput
from service.v2_tensors import bytes_elements

_TYPES = frozenset(
    # curl says the last one where it is told nothing, and other servers do not look.
    ("", "application/json", "application/octet-stream", "application/x-www-form-urlencoded")
)
_MOST_VALUES = 1000
"""Of JSON: more commas are no request, and would only cost memory. Base64 has none."""
_KNOWN = ("faces", "explain", "binary_data_output")
_SHAPES = "[N] or [N, 1]"
_decoder = msgspec.json.Decoder(InferenceRequest)


@dataclass(frozen=True)
class Wanted:
    """An output that is asked for.

    Attributes:
        name: of the output.
        binary: whether its bytes follow the JSON.
    """

    name: str
    binary: bool


@dataclass(frozen=True)
class Inference:
    """A request, read.

    Attributes:
        images: as files' bytes, in order.
        shape: of the input; outputs begin as it does.
        faces: as of POST /classify.
        explain: likewise.
        outputs: those that are asked for; None for all of the model's.
        binary: whether those that are not named go as bytes.
        id: the request's own.
    """

    images: list[bytes]
    shape: list[int]
    faces: FacesMode = "auto"
    explain: bool = False
    outputs: tuple[Wanted, ...] | None = None
    binary: bool = False
    id: str | None = None


def inference_of(request: Request, body: BoundedBody, limits: Limits) -> Inference:
    """Read a request.

    Args:
        request: with its body not yet read.
        body: of the request.
        limits: what it may bring.

    Raises:
        ApiError: it is too large, or is not what it says it is.
    """
    body.check_declared()
    if request.mimetype not in _TYPES and not request.mimetype.startswith("image/"):
        raise ApiError(
            "unsupported_content_type",
            f"Content-Type is {request.mimetype[:80]!r} but must be application/json, or "
            f"application/octet-stream where bytes follow the JSON.",
        )
    if encoding := request.headers.get("Content-Encoding"):
        raise ApiError(
            "unsupported_content_type",
            f"The body is encoded ({encoding[:40]!r}) and is only taken as it is. Images are "
            "compressed already.",
        )
    told = request.headers.get(HEADER_LENGTH)
    length = None if told is None else _length(told)
    content = whole(body, limits.body_bytes)
    if length == 0:
        see_that_they_fit([content], limits)
        return Inference([content], [1])
    if length is not None and length > len(content):
        raise _invalid(f"{HEADER_LENGTH} says {length} but the body has {len(content)} bytes")
    asked = _decoded(content if length is None else content[:length])
    rest = None if length is None else memoryview(content)[length:]
    given = _input(asked)
    images = _images(given, rest, limits)
    see_that_they_fit(images, limits)
    parameters = asked.parameters or {}
    _see_no_misspelling(parameters)
    binary = _switch(parameters, "binary_data_output")
    return Inference(
        images,
        given.shape,
        _faces(parameters),
        _switch(parameters, "explain"),
        _outputs(asked, binary) if asked.outputs else None,
        binary,
        asked.id,
    )


def _length(told: str) -> int:
    if not (told.isascii() and told.isdigit() and len(told) <= 12):
        raise _invalid(f"{HEADER_LENGTH} is {told[:40]!r} but takes the JSON's length in bytes")
    return int(told)


def _decoded(text: bytes) -> InferenceRequest:
    if text.count(b",") > _MOST_VALUES:
        raise _invalid("it has more values than any request needs")
    try:
        return _decoder.decode(text)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(
            "invalid_json", f"The body cannot be parsed as JSON: {error}. Check what is sent."
        ) from None


def _input(asked: InferenceRequest) -> RequestInput:
    """The one input, its name, type and shape being right."""
    named = [given.name[:40] for given in asked.inputs[:8]]
    if len(asked.inputs) != 1 or named != [INPUT]:
        raise _invalid(f"its inputs are {named} but there is one, {INPUT!r}")
    given = asked.inputs[0]
    if given.datatype != "BYTES":
        raise _invalid(
            f"the input {INPUT!r} is {given.datatype[:20]!r} but takes BYTES, an image file an "
            "element"
        )
    shape = given.shape
    if len(shape) not in (1, 2) or shape[1:] not in ([], [1]) or shape[0] < 1:
        raise _invalid(f"the shape of {INPUT!r} is {str(shape[:8])[:80]} but takes {_SHAPES}, N≥1")
    return given


def _images(given: RequestInput, rest: memoryview | None, limits: Limits) -> list[bytes]:
    """The elements of the input, from the JSON or from what follows it."""
    number = given.shape[0]
    refuse_too_many(number, limits)
    size = (given.parameters or {}).get("binary_data_size")
    if "shared_memory_region" in (given.parameters or {}):
        raise _invalid("shared memory is not offered; send the images themselves")
    if size is None:
        if rest:
            raise _invalid(f"{len(rest)} bytes follow the JSON and no input has binary_data_size")
        return _from_json(given.data, number)
    if rest is None:
        raise _invalid(f"it has binary_data_size but the header {HEADER_LENGTH} is missing")
    if given.data is not None:
        raise _invalid(f"the input {INPUT!r} has both data and binary_data_size")
    if size != len(rest) or isinstance(size, bool):
        raise _invalid(f"binary_data_size is {str(size)[:20]} and {len(rest)} bytes follow")
    return bytes_elements(rest, number)


def _from_json(data: list[Any] | None, number: int) -> list[bytes]:
    texts = [one for part in data or [] for one in (part if isinstance(part, list) else [part])]
    if len(texts) != number:
        raise _invalid(f"its shape tells of {number} elements and its data has {len(texts)}")
    images = []
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise _invalid(f"data[{place}] is no text; each element is an image as base64")
        images.append(image_of_text(text, f"data[{place}]"))
    return images


def _see_no_misspelling(parameters: dict[str, Any]) -> None:
    """Clients add parameters of their own: only what nearly is one of ours is refused."""
    for name in parameters:
        close = difflib.get_close_matches(name[:40].lower(), _KNOWN, n=1, cutoff=0.8)
        if name not in _KNOWN and close:
            raise _unusable(f"{name[:40]!r} is no parameter; did you mean {close[0]!r}")


def _faces(parameters: dict[str, Any]) -> FacesMode:
    given = parameters.get("faces", "auto")
    for mode in FACES:
        if given == mode:
            return mode
    _refuse("faces", given, ", ".join(FACES))


def _switch(parameters: dict[str, Any], name: str, default: bool = False) -> bool:
    given = parameters.get(name, default)
    if not isinstance(given, bool):
        _refuse(name, given, "true or false")
    return given


def _refuse(name: str, given: object, takes: str) -> NoReturn:
    raise _unusable(f"{name!r} is {str(given)[:40]!r} but takes {takes}")


def _outputs(asked: InferenceRequest, binary: bool) -> tuple[Wanted, ...]:
    wanted: list[Wanted] = []
    for output in asked.outputs or []:
        parameters = output.parameters or {}
        if output.name not in OUTPUTS:
            raise _invalid(f"there is no output {output.name[:40]!r}; there are {_named()}")
        if any(one.name == output.name for one in wanted):
            raise _invalid(f"the output {output.name!r} is asked for twice")
        if parameters.get("classification") or "shared_memory_region" in parameters:
            raise _invalid(
                "neither classification nor shared memory is offered for an output; "
                "`probabilities` has every label's"
            )
        wanted.append(Wanted(output.name, _switch(parameters, "binary_data", binary)))
    return tuple(wanted)


def _named() -> str:
    return ", ".join(OUTPUTS)


def _unusable(what: str) -> ApiError:
    return ApiError("invalid_parameter", f"The parameter cannot be used: {what}. See /docs.")


def _invalid(what: str) -> ApiError:
    return ApiError(
        "invalid_request",
        f"The request has the wrong shape: {what}. GET /v2/models/NAME tells inputs and outputs.",
    )
