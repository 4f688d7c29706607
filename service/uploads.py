"""The images in a request: a form, one raw image, or JSON.

Nothing is written to disk: a form's files are kept in memory, and the body's limit bounds them.
The gateway does not look into an image; it only counts bytes.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Sequence

import msgspec
from flask import Request

from service.body import BoundedBody, Limits
from service.errors import ApiError
from service.forms import images_of_form
from service.schemas import ImagesInJson

Fetch = Callable[[list[str]], list[bytes]]
"""Fetches the images at some addresses."""
RAW_TYPES = "image/*, application/octet-stream, multipart/form-data or application/json"
_MEGABYTE = 1024 * 1024


def images_of(
    request: Request, body: BoundedBody, limits: Limits, fetch: Fetch | None = None
) -> list[bytes]:
    """The images of a request, in order, whichever of the three forms it has.

    Args:
        request: with its body not yet read.
        body: of the request.
        limits: what it may bring.
        fetch: for images by address; None refuses them.

    Raises:
        ApiError: the body is empty, too large, of no kind we take, or not what it says it is.
    """
    body.check_declared()
    images = _read(request, body, limits, fetch)
    see_that_they_fit(images, limits)
    return images


def see_that_they_fit(images: Sequence[bytes], limits: Limits) -> None:
    """Refuse images that are too many or too large, or a single one that is empty.

    Raises:
        ApiError: too_many_images, image_too_large or empty_image.
    """
    refuse_too_many(len(images), limits)
    for position, image in enumerate(images, start=1):
        if len(image) > limits.image_bytes:
            raise image_too_large(limits.image_bytes, position if len(images) > 1 else None)
    if len(images) == 1 and not images[0]:
        raise ApiError("empty_image", "The image has zero bytes. Check the file and send it again.")


def refuse_too_many(number: int, limits: Limits) -> None:
    """Refuse so many images where they are too many.

    Raises:
        ApiError: too_many_images.
    """
    if number > limits.images:
        raise ApiError(
            "too_many_images",
            f"The request has {number} images but at most {limits.images} are taken. "
            "Send the others in another request.",
        )


def image_too_large(limit: int, position: int | None = None) -> ApiError:
    """The error for an image of more bytes than `limit`; `position` from 1 when there are more."""
    which = "The image" if position is None else f"Image {position}"
    return ApiError(
        "image_too_large",
        f"{which} is larger than {limit / _MEGABYTE:g} MiB. Send it with fewer pixels.",
    )


def _read(request: Request, body: BoundedBody, limits: Limits, fetch: Fetch | None) -> list[bytes]:
    kind = request.mimetype
    chunked = "chunked" in request.headers.get("Transfer-Encoding", "").lower()
    if not chunked and not request.content_length:
        raise _empty_body()
    if kind == "multipart/form-data":
        boundary = request.mimetype_params.get("boundary", "")
        return images_of_form(whole(body, limits.body_bytes), boundary)
    if kind.startswith("image/") or kind == "application/octet-stream":
        return [whole(body, limits.image_bytes)]
    if kind == "application/json":
        return _from_json(whole(body, limits.body_bytes), limits, fetch)
    got = f"is {kind!r}" if kind else "is missing"
    raise ApiError(
        "unsupported_content_type",
        f"Content-Type {got} but must be {RAW_TYPES}. With curl: -F image=@photo.jpg, or "
        "-H 'Content-Type: image/jpeg' --data-binary @photo.jpg.",
    )


def whole(body: BoundedBody, limit: int) -> bytes:
    """All of a body.

    Raises:
        ApiError: empty_body, or image_too_large beyond `limit` bytes.
    """
    parts: list[bytes] = []
    size = 0
    while part := body.read(_MEGABYTE):
        parts.append(part)
        size += len(part)
        if size > limit:
            raise image_too_large(limit)
    if not size:
        raise _empty_body()
    return b"".join(parts)


def _empty_body() -> ApiError:
    return ApiError(
        "empty_body",
        f"The request has no body. Send an image as {RAW_TYPES}.",
    )


def _from_json(body: bytes, limits: Limits, fetch: Fetch | None) -> list[bytes]:
    try:
        wanted = msgspec.json.decode(body, type=ImagesInJson)
    except msgspec.ValidationError as error:
        raise ApiError(
            "invalid_request",
            f'The JSON has the wrong shape: {error}. Send {{"images": ["base64 or data URL"]}}.',
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(
            "invalid_json", f"The body cannot be parsed as JSON: {error}. Check what is sent."
        ) from None
    urls = [wanted.url, *wanted.urls] if wanted.url else wanted.urls
    if urls and fetch is None:
        raise ApiError(
            "url_input_disabled",
            "Fetching images by address is switched off here. Send the images themselves: "
            '{"images": ["base64 or data URL"]}.',
        )
    if not wanted.images and not urls:
        raise ApiError(
            "invalid_request",
            'The JSON has no images. Send {"images": ["base64 or data URL"]}.',
        )
    refuse_too_many(len(wanted.images) + len(urls), limits)
    images = [image_of_text(text, f"images[{n}]") for n, text in enumerate(wanted.images)]
    return images + (fetch(urls) if fetch and urls else [])


def image_of_text(text: str, place: str) -> bytes:
    """The bytes of a base64 string or a data URL; line breaks in the base64 are allowed.

    Args:
        text: of the image.
        place: where it stands, for messages.

    Raises:
        ApiError: invalid_request.
    """
    if text[:5].lower() == "data:":
        head, comma, text = text.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise ApiError(
                "invalid_request",
                f"{place} is a data URL without base64. It must begin like data:image/jpeg;base64,",
            )
    try:
        return binascii.a2b_base64("".join(text.split()), strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise ApiError(
            "invalid_request", f"{place} is not base64 ({error}). Encode the image's bytes."
        ) from None
