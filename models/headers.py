"""What an image file says of itself, read before any decoder sees it: its format, its size, and how
much there is to read around its picture.

A decoder walks through all of a file's segments, chunks and tables, and through some of them with
far more work than their bytes are worth: twelve megabytes can be made to take minutes. No camera
and no editor writes such files. Here they are counted, in a fraction of that time, and refused.
"""

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from models.errors import ImageError

MAX_SIDE = 65_535
"""Pixels; the longest a JPEG can name. Rows and columns cost memory of their own."""
MAX_PARTS = 16_384
"""Segments, chunks or blocks around a picture; photographs have tens to a few thousand."""
MAX_JUNK = 65_536
"""Bytes that belong to no part: decoders step over them one at a time."""
MAX_SCANS = 64
"""Of a JPEG; each is a pass over the whole picture. Progressive ones have about ten."""
MAX_EXIF_SEGMENTS = 16
"""Of 64 KiB each."""
MAX_PROFILES = 4
"""Compressed colour profiles in a PNG, which may have one."""
MAX_STRIPS = 65_536
"""Strips or tiles of a TIFF."""
MAX_TILE_PIXELS = 4_000_000
"""By which a tile of a TIFF may be larger than the picture: it is decoded whole."""
MAX_ENTRIES = 4_096
"""Of a TIFF's first page."""
MAX_VALUES = 262_144
"""Numbers in another entry of a TIFF; the longest palette has 196,608."""
MAX_RLE_BYTES = 1 << 20
MAX_RLE_PIXELS = 4_000_000
"""Run-length coded BMPs are decoded step by step."""


@dataclass(frozen=True)
class Header:
    """What a file says it is.

    Attributes:
        format: as Pillow names it.
        width: in pixels, 0 where it was not found.
        height: likewise.
    """

    format: str
    width: int = 0
    height: int = 0


def read(data: bytes) -> Header | None:
    """Read the header of an image file; None where it is none of the formats that are read.

    A damaged one gives what was found: to say what is wrong with it is its decoder's part.

    Args:
        data: the whole file.

    Raises:
        ImageError: `image_too_complex`.
    """
    for signature, reader in _READERS:
        if signature.match(data):
            try:
                return reader(data)
            except (struct.error, IndexError, OverflowError):  # it ends within its header
                return Header(_NAMES[reader])
    return None


def _jpeg(data: bytes) -> Header:
    """Segments to the first scan as Pillow walks them, then the scans as libjpeg does."""
    header, at = Header("JPEG"), 2
    parts = junk = exif = 0
    while at < len(data):
        marked = _MARKER.search(data, at)
        if marked is None:
            junk += len(data) - at
            break
        junk += marked.end() - at - 2
        parts += 1
        if parts > MAX_PARTS:
            raise _too_complex("JPEG", "segments", MAX_PARTS)
        if junk > MAX_JUNK:
            break
        kind, at = marked[0][-1], marked.end()
        if kind in _WITHOUT_LENGTH:
            continue
        (length,) = struct.unpack_from(">H", data, at)
        if kind in _FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 3)
            header = Header("JPEG", width, height)
        exif += kind == 0xE1 and data[at + 2 : at + 8] == b"Exif\0\0"
        if exif > MAX_EXIF_SEGMENTS:
            raise _too_complex("JPEG", "segments of EXIF", MAX_EXIF_SEGMENTS)
        at += max(2, length)
        if kind == _SCAN:
            _count_scans(data, at)
            break
    if junk > MAX_JUNK:
        raise _too_complex("JPEG", "bytes between its segments", MAX_JUNK)
    return header


def _count_scans(data: bytes, at: int) -> None:
    if data.count(b"\xff\xda", at) < MAX_SCANS:  # rightly or not, there are no more
        return
    scans = 1
    while marked := _AFTER_SCAN.search(data, at):
        kind, at = marked[0][-1], marked.end()
        if kind in (0xD8, 0xD9):  # what follows the end belongs to the picture no more
            return
        at += max(2, struct.unpack_from(">H", data, at)[0])
        scans += kind == _SCAN
        if scans > MAX_SCANS:
            raise _too_complex("JPEG", "scans", MAX_SCANS)


def _png(data: bytes) -> Header:
    width, height = struct.unpack_from(">II", data, 16)
    at = 8
    parts = profiles = 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IEND":
            break
        parts += 1
        profiles += kind == b"iCCP"
        if parts > MAX_PARTS:
            raise _too_complex("PNG", "chunks", MAX_PARTS)
        if profiles > MAX_PROFILES:
            raise _too_complex("PNG", "colour profiles", MAX_PROFILES)
        at += 12 + length
    return Header("PNG", width, height)


def _gif(data: bytes) -> Header:
    """Blocks to the first picture; that one may be larger than the screen named at the start."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at = 13 + (3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0)
    parts = 0
    while at < len(data) and data[at] != 0x3B:
        parts += 1
        if data[at] == 0x2C:
            left, top, across, down = struct.unpack_from("<HHHH", data, at + 1)
            return Header("GIF", max(width, left + across), max(height, top + down))
        if data[at] == 0x21:
            at += 2
            while data[at]:
                at += 1 + data[at]
                parts += 1
                if parts > MAX_PARTS:
                    break
        at += 1
        if parts > MAX_PARTS:
            raise _too_complex("GIF", "blocks before its picture", MAX_PARTS)
    return Header("GIF", width, height)


def _webp(data: bytes) -> Header:
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    return Header("WEBP", width, height)


def _bmp(data: bytes) -> Header:
    start, size = struct.unpack_from("<II", data, 10)
    if size == 12:
        return Header("BMP", *struct.unpack_from("<HH", data, 18))
    width, height, _, _, coding = struct.unpack_from("<IiHHI", data, 18)
    header = Header("BMP", width, abs(height))
    if coding in (1, 2):
        if len(data) - start > MAX_RLE_BYTES:
            raise _too_complex("BMP", "run-length coded bytes", MAX_RLE_BYTES)
        if header.width * header.height > MAX_RLE_PIXELS:
            raise _too_complex("BMP", "run-length coded pixels", MAX_RLE_PIXELS)
    return header


def _tiff(data: bytes) -> Header:
    sides: dict[int, int] = dict.fromkeys(_SIDES, 0)
    for tag, kind, count, value in _entries(data):
        if tag in _STRIPS and count > MAX_STRIPS:
            raise _too_complex("TIFF", "strips or tiles", MAX_STRIPS)
        if kind not in _TEXTS and count > MAX_VALUES:
            raise _too_complex("TIFF", "numbers in one entry", MAX_VALUES)
        if tag in sides and not sides[tag]:
            sides[tag] = value
    width, height, across, down = sides.values()
    if across * down > width * height + MAX_TILE_PIXELS:
        raise _too_complex("TIFF", "pixels in a tile beyond the picture's own", MAX_TILE_PIXELS)
    return Header("TIFF", width, height)


def _entries(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Tag, type, count and value (of one number; otherwise where they stand) of the first page."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:3] == b"+"
    offset, counted, entry = ("Q", "Q", "HHQ") if big else ("I", "H", "HHI")
    (at,) = struct.unpack_from(order + offset, data, 8 if big else 4)
    (number,) = struct.unpack_from(order + counted, data, at)
    at += struct.calcsize(order + counted)
    if number > MAX_ENTRIES:
        raise _too_complex("TIFF", "entries", MAX_ENTRIES)
    for _ in range(number):
        tag, kind, count = struct.unpack_from(order + entry, data, at)
        at += struct.calcsize(order + entry)
        (value,) = struct.unpack_from(order + _NUMBERS.get(kind, offset), data, at)
        yield tag, kind, count, value
        at += 8 if big else 4


_MARKER = re.compile(rb"\xff[^\x00\xff]")
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_SCAN = 0xDA
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# As Pillow takes them: restarts, start and end of a picture, reserved ones.
_WITHOUT_LENGTH = frozenset((0xC8, *range(0xD0, 0xDA), *range(0xF0, 0xFE)))
_SIDES = (256, 257, 322, 323)  # ImageWidth, ImageLength, TileWidth, TileLength
# StripOffsets, StripByteCounts, TileOffsets, TileByteCounts.
_STRIPS = (273, 279, 324, 325)
_TEXTS = (1, 2, 6, 7)  # bytes and text: one value to a decoder
_NUMBERS = {1: "B", 3: "H", 4: "I", 16: "Q"}

_NAMES: dict[Callable[[bytes], Header], str] = {
    _jpeg: "JPEG",
    _png: "PNG",
    _gif: "GIF",
    _webp: "WEBP",
    _bmp: "BMP",
    _tiff: "TIFF",
}
_READERS = (
    (re.compile(rb"\xff\xd8\xff"), _jpeg),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), _png),
    (re.compile(rb"GIF8[79]a"), _gif),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), _webp),
    (re.compile(rb"BM"), _bmp),
    (re.compile(rb"II[*+]\0|MM\0\*"), _tiff),
)


def _too_complex(form: str, what: str, limit: int) -> ImageError:
    return ImageError(
        f"The image is too complicated: its {form} file has more than {limit:,} {what}, which no "
        "picture needs. Save it anew with an image editor.",
        "image_too_complex",
    )
