"""The line between the worker and one predictor process: whole messages over a pair of sockets.

A job goes one way and its answer the other, one at a time, so a short message always fits into
what the system keeps for the other side. What is longer goes beside it, in memory that has no name
and that both can read (memfd_create(2)): a sender never waits for who does not read. A round trip
costs a fifth of the processor time that it costs through ZeroMQ, which is made for more.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate

from service.protocol import UnreadableError

_BESIDE = 64 * 1024
"""Bytes beyond which a message's parts go beside it."""
_MOST_PARTS = 64
_LARGEST = 1 << 30
"""Bytes of all parts; what is longer is no message of ours."""
_COUNT = struct.Struct("!I")
_SIZES = [struct.Struct(f"!{count}Q") for count in range(_MOST_PARTS + 1)]
_ROOM = _COUNT.size + _SIZES[-1].size + _BESIDE

Part = bytes | memoryview


class Wire:
    """One end of the line.

    Args:
        end: of a pair (AF_UNIX, SOCK_SEQPACKET); it is closed with this.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    @classmethod
    def pair(cls) -> tuple[Wire, Wire]:
        """Both ends of a new line."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(ours), cls(theirs)

    def fileno(self) -> int:
        """For who waits for several."""
        return self._end.fileno()

    def close(self) -> None:
        """Close this end; the other one then reads the end."""
        self._end.close()

    def send(self, parts: Sequence[Part], wait: bool = True) -> None:
        """Send a message.

        Args:
            parts: of it, at most 64.
            wait: until there is room; without, it goes at once or not at all.

        Raises:
            OSError: there was no room, or the other side is gone.
        """
        sizes = [memoryview(part).nbytes for part in parts]
        head = _COUNT.pack(len(parts)) + _SIZES[len(parts)].pack(*sizes)
        flags = 0 if wait else socket.MSG_DONTWAIT
        if sum(sizes) <= _BESIDE:
            self._end.sendmsg([head, *parts], [], flags)
            return
        memory = _kept(parts)
        try:
            send_with_file(self._end, head, memory, flags)
        finally:
            os.close(memory)

    def receive(self, wait: bool = True) -> list[bytes]:
        """The next message's parts; none when the other side has ended.

        Raises:
            BlockingIOError: nothing is there, and it was not to be waited for.
            UnreadableError: it is no message of ours.
        """
        try:
            data, memory = receive_with_file(self._end, _ROOM, 0 if wait else socket.MSG_DONTWAIT)
        except ConnectionError:
            return []
        try:
            return _parts(data, memory) if data else []
        finally:
            if memory is not None:
                os.close(memory)


def send_with_file(end: socket.socket, data: bytes, file: int, flags: int = 0) -> None:
    """Send bytes and an open file, as `socket.send_fds`, which does not heed flags."""
    end.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [file]))], flags)


def receive_with_file(end: socket.socket, most: int, flags: int = 0) -> tuple[bytes, int | None]:
    """What comes next, with the open file that came with it; b"" when the other side has ended.

    Raises:
        UnreadableError: it was longer than `most` bytes, or brought more than one file.
    """
    room = socket.CMSG_LEN(array("i", [0]).itemsize)
    data, beside, told, _ = end.recvmsg(most, room, flags | socket.MSG_CMSG_CLOEXEC)
    files = array("i")
    for level, kind, numbers in beside:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            files.frombytes(numbers[: len(numbers) - len(numbers) % files.itemsize])
    file = files[0] if files else None
    if told & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
        if file is not None:
            os.close(file)
        raise UnreadableError("longer than a message is")
    return data, file


def _kept(parts: Iterable[Part]) -> int:
    """A nameless file in memory that holds all parts, one after the other."""
    memory = os.memfd_create("message")
    try:
        with open(memory, "wb", closefd=False) as file:
            for part in parts:
                file.write(part)
    except BaseException:
        os.close(memory)
        raise
    return memory


def _parts(data: bytes, memory: int | None) -> list[bytes]:
    """What came, apart.

    Raises:
        UnreadableError: its sizes are not what they say.
    """
    if len(data) < _COUNT.size or not 0 < (count := _COUNT.unpack_from(data)[0]) <= _MOST_PARTS:
        raise UnreadableError("no number of parts")
    begin = _COUNT.size + _SIZES[count].size
    if len(data) < begin:
        raise UnreadableError("no sizes")
    sizes = _SIZES[count].unpack_from(data, _COUNT.size)
    if sum(sizes) > _LARGEST:
        raise UnreadableError("too long")
    if memory is not None:
        return _read(memory, sizes)
    if len(data) != begin + sum(sizes):
        raise UnreadableError("other sizes")
    return [data[end - size : end] for size, end in zip(sizes, _ends(sizes, begin), strict=True)]


def _read(memory: int, sizes: Sequence[int]) -> list[bytes]:
    about = os.fstat(memory)
    if not stat.S_ISREG(about.st_mode) or about.st_size != sum(sizes):
        raise UnreadableError("other sizes")
    parts = [
        os.pread(memory, size, end - size) for size, end in zip(sizes, _ends(sizes), strict=True)
    ]
    if [len(part) for part in parts] != list(sizes):
        raise UnreadableError("other sizes")
    return parts


def _ends(sizes: Sequence[int], begin: int = 0) -> Iterable[int]:
    return list(accumulate(sizes, initial=begin))[1:]
