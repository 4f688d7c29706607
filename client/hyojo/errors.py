"""The one error there is when asking went wrong, and which of its codes pass by themselves."""

from __future__ import annotations

UNREACHABLE = "unreachable"
TIMED_OUT = "timed_out"
UNREADABLE_ANSWER = "unreadable_answer"
UNREADABLE_FILE = "unreadable_file"

PASSING = frozenset(
    {
        "overloaded",
        "rate_limited",
        "not_ready",
        "no_room_for_model",
        "shutting_down",
        "worker_unavailable",
        UNREACHABLE,
    }
)
"""Codes after which the same request may well succeed a moment later, and does no harm.

`worker_lost` is none of them: the picture may have been the cause. Nor is `deadline_exceeded`: what
took too long would take as long again.
"""

OF_A_PICTURE = frozenset(
    {
        "empty_body",
        "empty_image",
        "image_broken",
        "image_quarantined",
        "image_too_complex",
        "image_too_large",
        "unsupported_image",
        "worker_lost",
    }
)
"""Codes that say something of one picture; others that are asked with it have their answers."""

TOO_MUCH = frozenset({"body_too_large", "image_too_large", "too_many_images"})
"""Codes of a request whose pictures may be taken one by one."""


class HyojoError(Exception):
    """Asking the service brought no answer.

    Attributes:
        code: the service's stable word; or `unreachable`, `timed_out` or `unreadable_answer`.
        sentence: what happened, why, and what to do; `str(error)` is the same.
        status: HTTP status; None where there was no answer.
        request_id: finds the request in the service's log; empty where it gave none.
        retry_after_s: seconds that the service asks to wait; None where it did not say.
    """

    def __init__(
        self,
        code: str,
        sentence: str,
        status: int | None = None,
        request_id: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(code, sentence, status, request_id, retry_after_s)
        self.code = code
        self.sentence = sentence
        self.status = status
        self.request_id = request_id
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return self.sentence

    @property
    def passing(self) -> bool:
        """Whether the same may well succeed a moment later, without harm."""
        return self.code in PASSING
