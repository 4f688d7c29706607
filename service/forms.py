"""The images in a form (multipart/form-data, RFC 7578), read from a body that is in memory.

`multipart` looks for a boundary in a tenth of the time that Werkzeug's own parser takes, which is
more than all else that the gateway does for a photograph.
"""

from __future__ import annotations

from multipart import (  # type: ignore[import-untyped]
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
)

from service.errors import ApiError
from service.schemas import ClassifyQuery

FIELD = "image"
_MOST_PARTS = 64
_FIELD_BYTES = 64 * 1024
"""Of all fields that are no files."""
_HEADER_BYTES = 8 * 1024
_NAMED = 8
"""Of a form's other fields, in a message."""


def images_of_form(body: bytes, boundary: str) -> list[bytes]:
    """The files in the field `image`, in order.

    Args:
        body: the form.
        boundary: between its parts, from Content-Type.

    Raises:
        ApiError: invalid_form, image_missing, invalid_parameter, or body_too_large for too many
            fields or too long names.
    """
    try:
        parts = _parts(body, boundary)
    except ParserLimitReached:
        raise _too_much() from None
    except (MultipartError, UnicodeError):
        raise ApiError(
            "invalid_form",
            "The form cannot be read: it breaks off, or Content-Type names no boundary. "
            "Let the HTTP client build the form and its Content-Type.",
        ) from None
    if sum(len(content) for part, content in parts if not _is_file(part)) > _FIELD_BYTES:
        raise _too_much()
    images = [content for part, content in parts if part.name == FIELD and _is_file(part)]
    fields = {part.name for part, _ in parts if not _is_file(part)}
    for name in ClassifyQuery.__struct_fields__:
        if name in fields:
            raise ApiError(
                "invalid_parameter",
                f"{name!r} is a field of the form but belongs in the address: /classify?{name}=….",
            )
    if images:
        return images
    if FIELD in fields:
        why = f"the field {FIELD!r} holds text, not a file; with curl: -F image=@photo.jpg"
    else:
        names = list(dict.fromkeys(part.name[:40] for part, _ in parts))[:_NAMED]
        why = (
            f"its fields are {', '.join(map(repr, names))}" if names else "it has no fields at all"
        )
    raise ApiError("image_missing", f"The form has no file in a field called {FIELD!r}: {why}.")


def _too_much() -> ApiError:
    return ApiError(
        "body_too_large", "The form has too many or too large fields. Send only the images."
    )


def _is_file(part: MultipartSegment) -> bool:
    return part.filename is not None


def _parts(body: bytes, boundary: str) -> list[tuple[MultipartSegment, bytes]]:
    found: list[tuple[MultipartSegment, bytes]] = []
    with PushMultipartParser(
        boundary, max_header_size=_HEADER_BYTES, max_segment_count=_MOST_PARTS
    ) as parser:
        for event in parser.parse(body):
            if isinstance(event, MultipartSegment):
                found.append((event, b""))
            elif event is not None:  # all of it at once: all of the form is here
                found[-1] = (found[-1][0], event)
    return found
