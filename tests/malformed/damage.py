"""What can happen to a file: each takes a whole one and a source of chance; a bad one comes out."""

import re
import struct
import zlib
from collections.abc import Callable

import numpy as np

from tests.malformed.whole import whole

Damage = Callable[[bytes, np.random.Generator], bytes]
_SIDES = (0, 1, 2, 27, 32767, 32768, 65535, 65536, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def boundaries(data: bytes) -> list[int]:
    """Where the parts of a file begin: segments, chunks, blocks, entries."""
    if data.startswith(b"\xff\xd8"):
        found = [m.start() for m in re.finditer(rb"\xff[^\x00\xff]", data)]
    elif data.startswith(b"\x89PNG"):
        found = _chunks(data, 8, ">I", 12)
    elif data.startswith(b"RIFF"):
        found = [4, 8, *_chunks(data, 12, "<I", 8, type_first=True)]
    elif data.startswith((b"II", b"MM")):
        found = _entries(data)
    elif data.startswith(b"GIF"):
        found = [6, 10, 13, *(m.start() for m in re.finditer(rb"[!,;\x00]", data))]
    else:
        found = [2, 10, 14, 18, 22, 26, 28, 30, 34, 46, 54]
    return [place for place in found if place < len(data)] or [0]


def _chunks(data: bytes, at: int, order: str, around: int, type_first: bool = False) -> list[int]:
    found = []
    while at + 8 <= len(data):
        (length,) = struct.unpack_from(order, data, at + 4 * type_first)
        found += [at, at + 4, at + 8, at + 8 + length]
        at += around + length + (length % 2 if type_first else 0)
    return found


def _entries(data: bytes) -> list[int]:
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(order + "I", data, 4)
    if at + 2 > len(data):
        return [4]
    (number,) = struct.unpack_from(order + "H", data, at)
    return [4, at, *range(at + 2, min(at + 2 + 12 * number, len(data)), 4)]


def cut_at_a_boundary(data: bytes, random: np.random.Generator) -> bytes:
    return data[: max(0, int(random.choice(boundaries(data))) + int(random.integers(-1, 2)))]


def cut_anywhere(data: bytes, random: np.random.Generator) -> bytes:
    return data[: random.integers(0, len(data))]


def flip_bits(data: bytes, random: np.random.Generator) -> bytes:
    out = bytearray(data)
    for place in random.integers(0, len(data), int(random.choice([1, 2, 4, 16, 64]))):
        out[place] ^= 1 << int(random.integers(0, 8))
    return bytes(out)


def flip_bits_of_the_header(data: bytes, random: np.random.Generator) -> bytes:
    head = flip_bits(data[:64], random)
    return _checked(head + data[64:])


def wrong_numbers(data: bytes, random: np.random.Generator) -> bytes:
    """A number where a part begins, made zero, one, negative or huge."""
    out = bytearray(data)
    place = int(random.choice(boundaries(data))) + int(random.choice([0, 2, 4, 8]))
    number = int(random.choice(_SIDES))
    form = str(random.choice(["<I", ">I", "<H", ">H"]))
    written = struct.pack(form, number & (0xFFFF if form[1] == "H" else 0xFFFFFFFF))
    out[place : place + len(written)] = written
    return _checked(bytes(out))


def wrong_dimensions(data: bytes, random: np.random.Generator) -> bytes:
    """Other sides in the header; sometimes only a little other."""
    wide, high = (int(random.choice([*_SIDES, 39, 41, 29])) for _ in "wh")
    out = bytearray(data)
    if data.startswith(b"\xff\xd8"):
        frame = re.search(rb"\xff[\xc0-\xc3\xc9\xca]", data)
        at, form = (frame.start() + 5 if frame else 2), ">HH"
        wide, high = high & 0xFFFF, wide & 0xFFFF
    elif data.startswith(b"\x89PNG"):
        at, form = 16, ">II"
    elif data.startswith(b"GIF"):
        at, form, wide, high = 6, "<HH", wide & 0xFFFF, high & 0xFFFF
    elif data.startswith(b"RIFF"):
        at, form, wide, high = 24, "<HH", wide & 0xFFFF, high & 0xFFFF
    elif data.startswith(b"BM"):
        at, form = 18, "<II"
    else:
        return _other_sides_of_a_tiff(data, wide, high)
    out[at : at + struct.calcsize(form)] = struct.pack(form, wide, high)
    return _checked(bytes(out))


def _other_sides_of_a_tiff(data: bytes, wide: int, high: int) -> bytes:
    out = bytearray(data)
    order = "<" if data[:2] == b"II" else ">"
    for at in boundaries(data)[2:]:
        tag = int.from_bytes(data[at : at + 2], "little" if order == "<" else "big")
        if tag in (256, 257):
            entry = struct.pack(order + "HHII", tag, 4, 1, wide if tag == 256 else high)
            out[at : at + 12] = entry
    return bytes(out)


def splice(data: bytes, random: np.random.Generator) -> bytes:
    """The beginning of this file and the rest of another."""
    other = list(whole().values())[int(random.integers(0, len(whole())))]
    head = int(random.choice(boundaries(data)))
    return data[:head] + other[int(random.choice(boundaries(other))) :]


def repeat_a_part(data: bytes, random: np.random.Generator) -> bytes:
    start, end = sorted(int(random.choice(boundaries(data))) for _ in "ab")
    return data[:end] + data[start:end] * int(random.choice([1, 3, 50])) + data[end:]


def leave_a_part_out(data: bytes, random: np.random.Generator) -> bytes:
    start, end = sorted(int(random.choice(boundaries(data))) for _ in "ab")
    return data[:start] + data[end:]


def put_bytes_in(data: bytes, random: np.random.Generator) -> bytes:
    place = int(random.choice([*boundaries(data), int(random.integers(0, len(data)))]))
    return data[:place] + random.bytes(int(random.choice([1, 2, 300]))) + data[place:]


def zeros(data: bytes, random: np.random.Generator) -> bytes:
    start = int(random.integers(0, len(data)))
    length = int(random.integers(1, 64))
    return data[:start] + bytes(min(length, len(data) - start)) + data[start + length :]


def noise_after_the_header(data: bytes, random: np.random.Generator) -> bytes:
    place = len(data) // 2
    return data[:place] + random.bytes(len(data) - place)


def _checked(data: bytes) -> bytes:
    """A PNG with the checksums of its chunks put right, so that more than these is tried."""
    if not data.startswith(b"\x89PNG"):
        return data
    out, at = bytearray(data), 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        if at + 12 + length > len(data):
            break
        struct.pack_into(">I", out, at + 8 + length, zlib.crc32(out[at + 4 : at + 8 + length]))
        at += 12 + length
    return bytes(out)


DAMAGES: dict[str, Damage] = {
    damage.__name__.replace("_", " "): damage
    for damage in (
        cut_at_a_boundary,
        flip_bits,
        wrong_dimensions,
        splice,
        wrong_numbers,
        flip_bits_of_the_header,
        repeat_a_part,
        leave_a_part_out,
        put_bytes_in,
        cut_anywhere,
        zeros,
        noise_after_the_header,
    )
}
