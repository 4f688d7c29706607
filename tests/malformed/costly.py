"""Files that would cost a decoder far more than their bytes are worth: bombs, and their like."""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tests.malformed.whole import SIZE, chunk, png, whole
from tests.pictures import bomb, gradient, png_of, saved

BYTES = 12 * 2**20 - 65_536
"""Just under the largest image that is taken."""
LARGE = 8000, 5000
"""40 megapixels: the most that is taken."""


@dataclass(frozen=True)
class Costly:
    """How one is made, and what it gets.

    Attributes:
        make: builds it.
        code: of the error; empty where it is a picture after all.
        slow: it has tens of megapixels to be decoded.
    """

    make: Callable[[], bytes]
    code: str = "image_too_complex"
    slow: bool = False


def _jpeg_with(part: bytes, size: int = BYTES) -> Callable[[], bytes]:
    """A JPEG with `part` again and again after its first marker."""
    return lambda: b"\xff\xd8" + part * (size // len(part)) + whole()["JPEG"][2:]


def _png_with(*parts: bytes, size: int = BYTES) -> Callable[[], bytes]:
    block = b"".join(parts)
    return lambda: png(2, 8, False, block * max(1, size // len(block)))


def _png_behind(part: bytes) -> Callable[[], bytes]:
    end = chunk(b"IEND", b"")
    return lambda: png(2, 8, False)[: -len(end)] + part * (BYTES // len(part)) + end


def _gif_with(part: bytes) -> Callable[[], bytes]:
    def make() -> bytes:
        whole_gif = saved(Image.new("P", SIZE), "GIF")
        place = whole_gif.index(b",\0\0\0\0")
        return whole_gif[:place] + part * (BYTES // len(part)) + whole_gif[place:]

    return make


def scans(count: int, width: int = LARGE[0], height: int = LARGE[1]) -> bytes:
    """A progressive JPEG that refines one colour again and again, with nothing to refine."""
    data = saved(Image.new("L", (width, height), 90), "JPEG", progressive=True)
    end = data.rindex(b"\xff\xd9")
    scan = b"\xff\xda" + struct.pack(">H", 8) + bytes([1, 1, 0, 1, 63, 0x10]) + b"\0"
    return data[:end] + scan * count + data[end:]


def tiff(entries: list[tuple[int, int, int, int]], rest: bytes = b"") -> bytes:
    """A little-endian TIFF of one page: tag, type, count and value of each entry, then `rest`."""
    head = b"II*\0" + struct.pack("<IH", 8, len(entries))
    told = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return head + told + bytes(4) + rest


def _tiff_of(width: int, height: int, *more: tuple[int, int, int, int]) -> list[tuple[int, ...]]:
    """Entries of a grey picture of 8 bits."""
    return [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (262, 3, 1, 1),
            (277, 3, 1, 1), *more]  # fmt: skip


def strips(count: int) -> bytes:
    """One pixel wide, one row a strip, all of them the same byte."""
    start = 8 + 2 + 12 * 9 + 4
    entries = _tiff_of(1, count, (259, 3, 1, 1), (278, 4, 1, 1), (273, 3, count, start),
                       (279, 3, count, start))  # fmt: skip
    return tiff(entries, b"\x08\0" * count)  # type: ignore[arg-type]


def _one_huge_tile() -> bytes:
    """64 pixels in a tile of 1.6 gigabytes."""
    start = 8 + 2 + 12 * 10 + 4
    entries = _tiff_of(8, 8, (259, 3, 1, 8), (322, 4, 1, 40_000), (323, 4, 1, 40_000),
                       (324, 4, 1, start), (325, 4, 1, 100))  # fmt: skip
    return tiff(entries, zlib.compress(bytes(10_000)))  # type: ignore[arg-type]


def _values(tag: int, kind: int, count: int, size: int) -> Callable[[], bytes]:
    def make() -> bytes:
        start = 8 + 2 + 12 * 8 + 4
        entries = _tiff_of(8, 8, (259, 3, 1, 1), (273, 4, 1, start), (tag, kind, count, start))
        return tiff(entries, b"\1\0\0\0" * (count * size // 4))  # type: ignore[arg-type]

    return make


def _run_lengths(width: int, height: int, count: int, kind: int = 1) -> Callable[[], bytes]:
    def make() -> bytes:
        start = 14 + 40 + 1024
        bits = 8 if kind == 1 else 4
        head = struct.pack(
            "<IiiHHIIiiII",
            40,
            width,
            height,
            1,
            bits,
            kind,
            2 * count,
            0,
            0,
            256 >> (kind - 1) * 4,
            0,
        )
        sizes = struct.pack("<IHHI", start + 2 * count, 0, 0, start)
        return b"BM" + sizes + head + bytes(1024) + b"\x01\x07" * count

    return make


def _large(mode: str, form: str, size: tuple[int, int] = LARGE, **options: object) -> Costly:
    return Costly(lambda: saved(Image.new(mode, size), form, **options), "", slow=True)


def _noise_of_twelve_megabytes() -> bytes:
    noise = np.random.default_rng(1).integers(0, 256, (1900, 2000, 3), np.uint8)
    return saved(noise, "PNG", compress_level=0)


def _gif_larger_than_its_screen() -> bytes:
    data = bytearray(whole()["GIF"])
    place = data.index(b",\0\0\0\0") + 5
    data[place : place + 4] = struct.pack("<HH", 60_000, 60_000)
    return bytes(data)


def _webp_of(width: int, height: int) -> Callable[[], bytes]:
    def make() -> bytes:
        canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        head = b"VP8X" + struct.pack("<I", 10) + bytes([2, 0, 0, 0]) + canvas
        frame = b"ANIM" + struct.pack("<IIH", 6, 0, 0)
        body = b"WEBP" + head + frame
        return b"RIFF" + struct.pack("<I", len(body)) + body

    return make


_PROFILE = chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(2**20), 9))
_EXIF = b"\xff\xe1" + struct.pack(">H", 65_535) + b"Exif\0\0" + bytes(65_527)
_TURNED = Image.Exif()
_TURNED[0x0112] = 6

COSTLY: dict[str, Costly] = {
    "JPEG of three million segments": Costly(_jpeg_with(b"\xff\xee\0\2")),
    "JPEG of padding": Costly(_jpeg_with(b"\xff")),
    "JPEG of escapes": Costly(_jpeg_with(b"\xff\0")),
    "JPEG of restarts": Costly(_jpeg_with(b"\xff\xd0")),
    "JPEG of reserved markers": Costly(_jpeg_with(b"\xff\xf0")),
    "JPEG of junk between segments": Costly(_jpeg_with(b"\xff\xee\0\2" + bytes(4000))),
    "JPEG of EXIF": Costly(_jpeg_with(_EXIF)),
    "JPEG of 100 scans": Costly(lambda: scans(100, 64, 64)),
    "JPEG of 1,000 scans, 40 megapixels": Costly(lambda: scans(1000)),
    "PNG of a million chunks": Costly(_png_with(chunk(b"abCd", b""))),
    "PNG of empty pixels": Costly(_png_with(chunk(b"IDAT", b""))),
    "PNG of text": Costly(_png_with(chunk(b"tEXt", b"a\0b"))),
    "PNG of text behind its pixels": Costly(_png_behind(chunk(b"tEXt", b"a\0b"))),
    "PNG of colour profiles": Costly(_png_with(_PROFILE)),
    "PNG with a profile of 64 MB": Costly(
        _png_with(chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(2**26))), size=1), "image_broken"
    ),
    "PNG with text of 64 MB": Costly(
        _png_with(chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**26))), size=1), "image_broken"
    ),
    "PNG with text of 64 MB in parts": Costly(
        _png_with(chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**20 - 9))), size=200_000),
        "image_broken",
    ),
    "PNG, 144 megapixels in little": Costly(bomb, "image_too_large"),
    "PNG with sides beyond all": Costly(lambda: png_of(2**31 - 1, 2**31 - 1), "image_too_large"),
    "PNG with more pixels than it says": Costly(lambda: png_of(8, 8, bytes(2**26)), ""),
    "PNG, one row of a million": Costly(
        lambda: saved(Image.new("L", (1_000_000, 1)), "PNG"), "image_too_large"
    ),
    "GIF of comments": Costly(_gif_with(b"!\xfe\1a\0")),
    "GIF of one comment": Costly(_gif_with(b"!\xfe" + b"\1a" * 20_000 + b"\0")),
    "GIF of junk": Costly(_gif_with(b"\1")),
    "GIF larger than its screen": Costly(_gif_larger_than_its_screen, "image_too_large"),
    "TIFF of six million strips": Costly(lambda: strips(BYTES // 2)),
    "TIFF of 65,535 strips": Costly(lambda: strips(65_535), "", slow=True),
    "TIFF in one huge tile": Costly(_one_huge_tile),
    "TIFF of a million resolutions": Costly(_values(282, 5, 1_000_000, 8)),
    "TIFF of a million bits": Costly(_values(339, 3, 4_000_000, 2)),
    "TIFF with 12 MB of a text": Costly(_values(270, 2, BYTES, 1), "", slow=True),
    "WebP with a canvas of gigabytes": Costly(_webp_of(2**24, 2**24), "image_too_large"),
    "WebP of 16,383 x 16,383": Costly(_webp_of(16_383, 16_383), "image_too_large"),
    "BMP of run lengths": Costly(_run_lengths(8000, 5000, BYTES // 2)),
    "BMP of few run lengths, 40 megapixels": Costly(_run_lengths(8000, 5000, 9)),
    "BMP of half bytes, 40 megapixels": Costly(_run_lengths(8000, 5000, 9, kind=2)),
    "noise in 11 MB": Costly(_noise_of_twelve_megabytes, "", slow=True),
    "65,535 pixels long": Costly(lambda: saved(Image.new("RGB", (65_535, 40)), "PNG"), ""),
    "65,535 pixels high": Costly(lambda: saved(Image.new("RGB", (1, 65_535)), "PNG"), ""),
    "JPEG of 56 scans, 40 megapixels": Costly(lambda: scans(50), "", slow=True),
    "40 megapixels, JPEG": _large("RGB", "JPEG", exif=_TURNED),
    "40 megapixels, JPEG, progressive CMYK": _large("CMYK", "JPEG", progressive=True),
    "40 megapixels, PNG, 16 bits": _large("I;16", "PNG"),
    "40 megapixels, PNG, transparent": _large("RGBA", "PNG", exif=_TURNED),
    "40 megapixels, WebP": _large("RGBA", "WEBP", lossless=True, method=0),
    "40 megapixels, GIF": _large("P", "GIF"),
    "40 megapixels, TIFF, floats": _large("F", "TIFF", compression="tiff_lzw"),
    "40 megapixels, TIFF, CMYK": _large("CMYK", "TIFF", compression="tiff_adobe_deflate"),
    "40 megapixels, TIFF, 32 bits": _large("I", "TIFF", compression="zstd"),
    "40 megapixels, BMP of one bit": _large("1", "BMP"),
    "40,008,000 pixels": Costly(
        lambda: saved(Image.new("L", (8000, 5001)), "PNG"), "image_too_large"
    ),
    "a picture as it should be": Costly(lambda: saved(gradient(), "PNG"), ""),
}
