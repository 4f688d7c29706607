"""What has come of one request, and whether a thread can answer it without waiting.

A request's bytes are kept until all are here: the head, and a body as long as its head says. Where
a body ends is only estimated (gunicorn's parser reads it again, strictly): a wrong guess costs the
sender an error and nobody else's time.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable

from service.body import body_too_large
from service.errors import ApiError

HEAD_BYTES = 32 * 1024
"""A longer head goes to a thread all the same, which refuses it."""
PART_BYTES = 64
"""What a part costs beside its bytes: many tiny ones are not free."""
_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,18})[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r\n]*chunked", re.IGNORECASE)
_EXPECTS = re.compile(rb"HTTP/1\.1\r\n(?:.*\r\n)?expect:[ \t]*100-continue", re.I | re.S)
_HEXADECIMAL = re.compile(rb"[0-9a-fA-F]{1,12}")
_LINE_BYTES = 8190
_FEW_CHUNKS, _SMALL_CHUNK = 1000, 64
"""Beyond so many chunks they must be of so many bytes in the mean: smaller ones only cost time."""


class Arriving:
    """The bytes of one connection's next request, taken as they come.

    It stands in for the socket where a thread parses the request: `recv` never waits.

    Args:
        body_most: bytes of the longest body that is waited for.

    Attributes:
        held: bytes that it holds in memory.
        head: of the request, as far as it has come.
        has_head: the whole head is here.
        whole: all of the request is here.
        ready: a thread can take it: it is whole, or more of it is not worth waiting for.
        why: the error for who reads beyond what has come.
    """

    def __init__(self, body_most: int) -> None:
        self._body_most = body_most
        self._begin()

    def _begin(self) -> None:
        self._parts: deque[bytes] = deque()
        self.head = b""
        self._missing = 0
        self._chunks: _Chunks | None = None
        self._ended = self._lost = False
        self.held = 0
        self.has_head = self.whole = self.ready = False
        self.why = ApiError(
            "bad_request", "The body is framed wrongly or in too small pieces. Send it again."
        )

    @property
    def gone(self) -> bool:
        """Whether nobody waits for an answer: the client left, or ended before a whole head."""
        return self._lost or (self._ended and not self.has_head)

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for leave to send the body (Expect: 100-continue)."""
        return self.has_head and not self.ready and bool(_EXPECTS.search(self.head))

    def take(self, data: bytes) -> None:
        """Take what has come; b"" says that the client sends no more."""
        if not data:
            self._ended = self.ready = True
            return
        self._parts.append(data)
        self.held += len(data) + PART_BYTES
        if self.whole:
            return
        if self.has_head:
            self._more_body(data)
            return
        searched = max(0, len(self.head) - len(_END) + 1)
        self.head = self.head + data if self.head else data
        end = self.head.find(_END, searched)
        if end >= 0:
            self._head_came(end + len(_END))
        elif len(self.head) >= HEAD_BYTES:
            self.ready = True

    def lose(self) -> None:
        """The connection is broken."""
        self._ended = self._lost = self.ready = True

    def recv(self, _size: int) -> bytes:
        """The next part; b"" where the client ended. As of a socket, but it may give more.

        Raises:
            ApiError: `why`, when there is no more and the client did not end.
        """
        if self._parts:
            return self._parts.popleft()
        if self._ended:
            return b""
        raise self.why

    def next(self, unread: bytes) -> None:
        """The request is answered; what is left of its bytes begins the next one."""
        if self._parts:
            unread += b"".join(self._parts)
        ended = self._ended
        self._begin()
        if unread:
            self.take(unread)
        self._ended = ended

    def drop_body(self) -> None:
        """Give the memory back: this request will be refused."""
        self._parts = deque([self.head])
        self.held = len(self.head) + PART_BYTES

    def _head_came(self, end: int) -> None:
        self.has_head = True
        head, body = self.head[:end], self.head[end:]
        self.head = head
        length = _LENGTH.search(head)
        chunked = _CHUNKED.search(head)
        if length and not chunked:
            self._missing = int(length[1])
            self.ready = self._missing > self._body_most  # refused, whatever comes
            self._more_body(body)
        elif chunked and not length:
            self._chunks = _Chunks()
            self._more_body(body)
        else:
            # No body; or both, which is refused: two readers could see two different ends.
            self.ready = True
            self.whole = not chunked

    def _more_body(self, data: bytes) -> None:
        if self._chunks is None:
            self._missing -= len(data)
            self.whole = self._missing <= 0
        else:
            self._chunks.take(data)
            self.whole = self._chunks.done
            self.ready = self._chunks.broken
            if self._chunks.size > self._body_most:
                self.ready, self.why = True, body_too_large(self._body_most)
        self.ready = self.ready or self.whole


class _Chunks:
    """How far a chunked body has come (RFC 9112, section 7.1).

    Attributes:
        size: bytes of its chunks, the announced ones among them.
        done: its end is here.
        broken: no end will be found.
    """

    def __init__(self) -> None:
        self._line = b""
        self._pass = 0
        self._number = 0
        self._step: Callable[[bytes], None] = self._begin_chunk
        self.size = 0
        self.done = self.broken = False

    def take(self, data: bytes) -> None:
        """Look at what has come."""
        at = 0
        while at < len(data) and not (self.done or self.broken):
            if self._pass:
                step = min(self._pass, len(data) - at)
                self._pass -= step
                at += step
                continue
            end = data.find(b"\n", at)
            if end < 0:
                self._line += data[at:]
                self.broken = len(self._line) > _LINE_BYTES
                return
            line, self._line = self._line + data[at : end + 1], b""
            at = end + 1
            self._step(line)

    def _begin_chunk(self, line: bytes) -> None:
        digits = line.partition(b";")[0].strip()
        if not _HEXADECIMAL.fullmatch(digits):
            self.broken = True
            return
        size = int(digits, 16)
        if not size:
            self._step = self._trailer
            return
        self._number += 1
        self.size += size
        self.broken = self._number > _FEW_CHUNKS and self.size < _SMALL_CHUNK * self._number
        self._pass = size + 2  # and the line's end after it

    def _trailer(self, line: bytes) -> None:
        self.done = line == b"\r\n"
        self._number += 1
        self.broken = self._number > 2 * _FEW_CHUNKS
