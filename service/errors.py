"""Every error the service answers with: its code, its status, its title, and what a person can do.

The table is the one place that maps codes to statuses; /openapi.json and /docs are made from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

RETRY_AFTER_S = 1.0
"""Seconds to wait when the other side did not say how long."""


class SettingsError(Exception):
    """A setting (environment variable HYOJO_*) that cannot be used; the message is for people."""


@dataclass(frozen=True)
class Problem:
    """What one error code means.

    Attributes:
        status: HTTP status.
        title: a few words, the same for every occurrence.
        meaning: when it is answered and what to do, for the documentation.
        retry: the same request may succeed later; answers carry Retry-After.
    """

    status: int
    title: str
    meaning: str
    retry: bool = False


ANYWHERE = ("bad_request", "head_too_large", "internal")
"""Codes that every address may answer."""

PROBLEMS: dict[str, Problem] = {
    # The request itself.
    "empty_body": Problem(
        400, "The body is empty", "Nothing was sent. Send an image, a form or JSON."
    ),
    "image_missing": Problem(
        400,
        "No image in the form",
        "The form has no file in a field called `image`. Name the field `image`.",
    ),
    "invalid_form": Problem(
        400,
        "The form cannot be read",
        "The multipart body breaks off or has no boundary. Let the HTTP client build the form.",
    ),
    "invalid_json": Problem(
        400, "The body is not JSON", "The body says it is JSON but cannot be parsed."
    ),
    "empty_image": Problem(400, "The image is empty", "An image of zero bytes was sent."),
    "bad_request": Problem(
        400, "The request cannot be read", "The HTTP request itself is malformed."
    ),
    "unauthorized": Problem(
        401,
        "A key is needed",
        "Send one of HYOJO_API_KEYS as `Authorization: Bearer KEY` or as `X-API-Key: KEY`.",
    ),
    "cross_site": Problem(
        403,
        "A page of another site may not post here",
        "A browser sent it for a page of another origin. HYOJO_CORS_ORIGINS names those that may.",
    ),
    "url_input_disabled": Problem(
        403,
        "Image addresses are switched off",
        "The service does not fetch images by address (HYOJO_URL_INPUT). Send the image itself.",
    ),
    "not_found": Problem(404, "There is nothing here", "No such address; see /docs."),
    "model_not_found": Problem(
        404, "There is no such model", "GET /models lists the models that are served."
    ),
    "method_not_allowed": Problem(
        405, "This method is not for this address", "The Allow header lists those that are."
    ),
    "body_timeout": Problem(
        408,
        "The body came too slowly",
        "The body did not arrive in time (HYOJO_BODY_TIMEOUT_S). Send smaller images.",
    ),
    "body_too_large": Problem(
        413,
        "The body is too large",
        "The whole request is larger than HYOJO_MAX_BODY_MB. Send fewer or smaller images.",
    ),
    "image_too_large": Problem(
        413,
        "The image is too large",
        "One image is larger than HYOJO_MAX_IMAGE_MB, has more pixels than HYOJO_MAX_PIXELS, or "
        "takes more memory than HYOJO_PREDICTOR_MEMORY_MB leaves it.",
    ),
    "unsupported_content_type": Problem(
        415,
        "This kind of body is not taken",
        "Send image/*, application/octet-stream, multipart/form-data or application/json.",
    ),
    "unsupported_image": Problem(
        415,
        "This is no image we read",
        "The bytes are none of JPEG, PNG, WebP, BMP, GIF or TIFF.",
    ),
    "invalid_request": Problem(
        422,
        "The JSON has the wrong shape",
        'Send {"images": ["base64 or data URL", …]}; see /docs.',
    ),
    "url_refused": Problem(
        422,
        "This address is not fetched",
        "Only public hosts are, at standard ports, in plain spelling. Send the image itself.",
    ),
    "url_failed": Problem(
        422,
        "The address gave no image",
        "Its host was not reached, was too slow, or sent something else. The detail says which.",
    ),
    "invalid_parameter": Problem(
        422, "A query parameter cannot be used", "The detail names it and what it takes."
    ),
    "not_explainable": Problem(
        422,
        "This model cannot show what decided",
        "GET /models says which can (`explains`). Ask another, or leave `explain` away.",
    ),
    "not_averageable": Problem(
        422,
        "These models cannot be averaged",
        "`average:A,B` takes 2 to 8 different models with the same labels, which see the same "
        "faces or the whole picture. GET /models lists labels.",
    ),
    "too_many_images": Problem(
        422, "Too many images", "One request takes at most HYOJO_MAX_IMAGES images."
    ),
    "image_broken": Problem(
        422, "The image is broken", "It begins like an image but is cut short or damaged."
    ),
    "image_too_complex": Problem(
        422,
        "The image is too complicated",
        "Its file has more segments, scans, chunks, strips or entries than any picture needs. "
        "Save it anew with an image editor.",
    ),
    "image_quarantined": Problem(
        422,
        "This image is not looked at again for now",
        "Predictor processes died while they held this very image. It is refused for "
        "HYOJO_QUARANTINE_S. Save it anew with an image editor, or send another.",
    ),
    "rate_limited": Problem(
        429,
        "Too many requests from here",
        "One key, or one address, asked more often than HYOJO_RATE_LIMIT allows.",
        True,
    ),
    "head_too_large": Problem(
        431,
        "The address or the headers are too large",
        "The first line of a request has at most 4,094 bytes, a header 8,190.",
    ),
    # The service.
    "internal": Problem(
        500, "The service made a mistake", "It is in the log under the request id. Report it."
    ),
    "overloaded": Problem(
        503, "Too many requests at once", "The queue is full. Try again after a moment.", True
    ),
    "worker_unavailable": Problem(
        503,
        "The worker does not answer",
        "The gateway runs but reaches no worker. Start infer.py, or wait for it to start.",
        True,
    ),
    "worker_lost": Problem(
        503,
        "No predictor could finish this image",
        "The one that held it died or hung and is being replaced, or it could be given to none. "
        "Other images are not affected.",
        True,
    ),
    "not_ready": Problem(
        503, "The worker is still warming up", "GET /readyz says when it is ready.", True
    ),
    "model_unavailable": Problem(
        503, "This model cannot be served", "Its bundle is missing, incomplete or altered."
    ),
    "no_room_for_model": Problem(
        503,
        "There is no room for this model just now",
        "It is loaded when asked for, and models that are busy or loading take all of "
        "HYOJO_MODEL_MEMORY. Try again after a moment.",
        True,
    ),
    "shutting_down": Problem(
        503, "The service is shutting down", "It takes no new work. Try again.", True
    ),
    "deadline_exceeded": Problem(
        504,
        "The answer took too long",
        "The deadline (HYOJO_DEADLINE_S) passed before the work was done.",
        True,
    ),
    "model_too_large": Problem(
        507,
        "This model takes more memory than there is for it",
        "Alone, or with those it is averaged with, it takes more than HYOJO_MODEL_MEMORY. Ask for "
        "a smaller one, or have the setting raised.",
    ),
}


class ApiError(Exception):
    """An answer that is a problem document.

    Args:
        code: a key of PROBLEMS; any other is answered as `internal`.
        detail: what happened, why, and what to do about it, for this occurrence.
        retry_after: seconds to wait; None takes what the table says for this code.
        headers: further headers of the answer (Allow).
    """

    def __init__(
        self,
        code: str,
        detail: str,
        retry_after: float | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code if code in PROBLEMS else "internal"
        self.detail = detail
        self.headers = headers or {}
        if retry_after is None and PROBLEMS[self.code].retry:
            retry_after = RETRY_AFTER_S
        self.retry_after = retry_after

    @property
    def status(self) -> int:
        """HTTP status of this code."""
        return PROBLEMS[self.code].status


def problem_document(error: ApiError, request_id: str) -> dict[str, Any]:
    """The RFC 9457 body for an error: type, title, status, detail, code, request_id."""
    problem = PROBLEMS[error.code]
    return {
        "type": f"/docs#{error.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": error.detail,
        "code": error.code,
        "request_id": request_id,
    }
