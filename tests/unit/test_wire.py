"""The line to a predictor: messages come as they were sent, whole or not at all."""

import os
from collections.abc import Iterator

import numpy as np
import pytest

from service.wire import Wire

LONG = 3_000_001
"""Bytes, far more than the system keeps for a socket that nobody reads."""


@pytest.fixture
def line() -> Iterator[tuple[Wire, Wire]]:
    here, there = Wire.pair()
    yield here, there
    here.close()
    there.close()


def files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize(
    "parts",
    [
        [b"job"],
        [b""],
        [b"job", b"", b"\x00" * 7],
        [b"job", b"x" * 65_533],
        [b"job", b"x" * 65_534],
        [b"job", os.urandom(LONG), b"", os.urandom(5)],
        [b"p"] * 64,
    ],
    ids=["short", "empty", "three", "just short", "just long", "long", "many"],
)
def test_a_message_comes_as_it_was_sent(line: tuple[Wire, Wire], parts: list[bytes]) -> None:
    here, there = line
    before = files()
    for _ in range(3):
        here.send(parts, wait=False)
        assert there.receive() == parts
    assert files() == before


def test_messages_keep_their_order_and_none_waits_for_who_does_not_read(
    line: tuple[Wire, Wire],
) -> None:
    here, there = line
    for number in range(4):
        here.send([b"%d" % number, bytes(LONG)], wait=False)
    assert [there.receive()[0] for _ in range(4)] == [b"0", b"1", b"2", b"3"]
    with pytest.raises(BlockingIOError):
        there.receive(wait=False)


def test_pixels_go_as_they_lie_in_memory(line: tuple[Wire, Wire]) -> None:
    here, there = line
    picture = np.arange(40 * 30 * 3, dtype=np.uint8).reshape(40, 30, 3)
    here.send([b"job", picture.data, picture[:2].data])
    _, whole, top = there.receive()
    assert whole == picture.tobytes() and top == picture[:2].tobytes()


def test_the_other_sides_end_is_heard(line: tuple[Wire, Wire]) -> None:
    here, there = line
    here.send([b"last"])
    here.close()
    assert there.receive() == [b"last"]
    assert there.receive() == [] and there.receive(wait=False) == []
    with pytest.raises(OSError):
        there.send([b"anyone?"])


def test_what_nobody_reads_is_refused_and_not_waited_for(line: tuple[Wire, Wire]) -> None:
    here, _ = line
    before = files()
    with pytest.raises(BlockingIOError):
        for _ in range(10_000):
            here.send([b"x" * 1000], wait=False)
    with pytest.raises(BlockingIOError):
        here.send([b"x" * LONG], wait=False)
    assert files() == before
