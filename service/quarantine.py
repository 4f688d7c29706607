"""Images that predictors died on: remembered for a while, and refused.

One picture that crashes the decoder costs a process. Sent again and again it would cost all of
them; so it is known again by its digest, and answered without being looked at.
"""

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from service.protocol import ImageProblem

MOST = 1024
"""Images remembered; the ones noted longest ago give way."""
STRIKES = 3
"""Losses in a row after which an image is refused. A crash counts as all of them."""


@dataclass
class _Noted:
    strikes: int
    until: float


class Quarantine:
    """Which images are refused. Not for threads.

    A process may also be killed from outside, or stopped, while it holds an innocent picture: only
    a crash is laid to its picture at once. Otherwise it takes several losses without an answer
    between them.

    Args:
        hold_s: seconds an image is refused after it cost a process; 0 refuses none.
        clock: seconds, for tests.
    """

    def __init__(self, hold_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._hold_s = hold_s
        self._clock = clock
        self._key = secrets.token_bytes(16)  # digests say nothing about an image to anyone else
        self._noted: OrderedDict[bytes, _Noted] = OrderedDict()

    def lost(self, image: bytes, crashed: bool) -> bool:
        """A process was lost over this image; True if it is refused from now on."""
        if not self._hold_s:
            return False
        now = self._clock()
        self._forget(now)
        digest = self._digest(image)
        before = self._noted.pop(digest, None)
        strikes = STRIKES if crashed else 1 + (before.strikes if before is not None else 0)
        self._noted[digest] = _Noted(strikes, now + self._hold_s)
        while len(self._noted) > MOST:
            self._noted.popitem(last=False)
        return strikes >= STRIKES

    def answered(self, image: bytes) -> None:
        """A process lived through this image: earlier losses were not its doing."""
        if self._noted:
            self._noted.pop(self._digest(image), None)

    def refusal(self, image: bytes) -> ImageProblem | None:
        """Why this image is not looked at, or None."""
        if not self._noted:
            return None
        now = self._clock()
        self._forget(now)
        if not self._noted:  # a digest of every image costs the worker's loop milliseconds
            return None
        noted = self._noted.get(self._digest(image))
        if noted is None or noted.strikes < STRIKES:
            return None
        return ImageProblem(
            "image_quarantined",
            "A predictor process died while it held this very image, so it is not looked at again "
            f"for {noted.until - now:.0f} s. Save it anew with an image editor, or send another.",
        )

    def _forget(self, now: float) -> None:
        """Drop what has had its time. All are held equally long: the first noted ends first."""
        while self._noted and next(iter(self._noted.values())).until <= now:
            self._noted.popitem(last=False)

    def _digest(self, image: bytes) -> bytes:
        return hashlib.blake2b(image, digest_size=16, key=self._key).digest()
