"""Messages that are none: what a broken, foreign or hostile process might write to the socket."""

import random
from collections.abc import Sequence

import msgspec

Frames = list[bytes]

_ODD = (
    b"",
    b"\xc1",  # never used in MessagePack
    b"\xdd\xff\xff\xff\xff",  # an array of four thousand million
    b"\xdf\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\x91" * 100_000,  # a box in a box in a box
    b"\x81\xa4type" * 20_000,
    b"\xd9\xff\xfe",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\x80\x04\x95cos\nsystem\n.",  # the beginning of a pickle
    b"{}",
    b"\0" * 4096,
)
_VALUES = (
    *(None, True, False, 0, -1, 2**63, -(2**63), 1e308, float("nan"), float("inf")),
    *("", "x" * 10_000, "\0", "é" * 300, b"", b"\xff" * 100, [], [[]], {}, {"": None}),
)
_BAD_TEXT = (b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80")


class Mangler:
    """Makes something else of good messages, the same for the same seed.

    Args:
        good: lists of frames as they should be.
        seed: of its dice.
    """

    def __init__(self, good: Sequence[Frames], seed: int) -> None:
        self._good = good
        self._dice = random.Random(seed)
        self._ways = (
            *(self._flip, self._cut, self._splice, self._stretch, self._noise),
            *(self._odd, self._another_value, self._another_value, self._bad_text, self._frames),
        )

    def next(self) -> Frames:
        """The next message: at least one frame, any of which may be empty."""
        frames = list(self._dice.choice(self._good))
        return self._dice.choice(self._ways)(frames)

    def _flip(self, frames: Frames) -> Frames:
        head = bytearray(frames[0])
        for _ in range(self._dice.randint(1, 4)):
            head[self._dice.randrange(len(head))] ^= 1 << self._dice.randrange(8)
        return [bytes(head), *frames[1:]]

    def _cut(self, frames: Frames) -> Frames:
        return [frames[0][: self._dice.randrange(len(frames[0]))], *frames[1:]]

    def _splice(self, frames: Frames) -> Frames:
        other = self._dice.choice(self._good)[0]
        place = self._dice.randrange(len(frames[0]))
        return [frames[0][:place] + other[self._dice.randrange(len(other)) :], *frames[1:]]

    def _stretch(self, frames: Frames) -> Frames:
        place = self._dice.randrange(len(frames[0]))
        return [frames[0][:place] + self._some(64) + frames[0][place:], *frames[1:]]

    def _noise(self, frames: Frames) -> Frames:
        return [self._some(300), *frames[1:]]

    def _odd(self, frames: Frames) -> Frames:
        odd = self._dice.choice(_ODD)
        place = self._dice.choice((0, len(frames[0]), self._dice.randrange(len(frames[0]))))
        return [frames[0][:place] + odd, *frames[1:]]

    def _another_value(self, frames: Frames) -> Frames:
        """The message's own fields, one with a value of another kind or size, or one more."""
        fields = msgspec.msgpack.decode(frames[0])
        name = self._dice.choice([*fields, "type", "extra"])
        fields[name] = self._dice.choice(_VALUES)
        return [msgspec.msgpack.encode(fields), *frames[1:]]

    def _bad_text(self, frames: Frames) -> Frames:
        """Text that is no UTF-8, where the message's id stands."""
        bad = self._dice.choice(_BAD_TEXT)
        text = bytes([0xA0 | len(bad)]) + bad
        fields = msgspec.msgpack.decode(frames[0])
        marked = msgspec.msgpack.encode({**fields, "id": "MARKED"})
        return [marked.replace(b"\xa6MARKED", text), *frames[1:]]

    def _frames(self, frames: Frames) -> Frames:
        """Frames too few, too many, doubled or in another order."""
        kind = self._dice.randrange(4)
        if kind == 0:
            return [b"", *frames]
        if kind == 1:
            return frames + [self._some(8) for _ in range(self._dice.randint(1, 40))]
        if kind == 2:
            return frames[:1] * self._dice.randint(2, 12)
        return frames[::-1]

    def _some(self, most: int) -> bytes:
        return self._dice.randbytes(self._dice.randint(0, most))
