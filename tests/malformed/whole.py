"""Whole files of every kind that is read, to be damaged, and oddities that are fine."""

import functools
import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from tests.pictures import gradient, saved

SIZE = 40, 28
PNG_KINDS = [
    *((0, depth) for depth in (1, 2, 4, 8, 16)),
    *((2, depth) for depth in (8, 16)),
    *((3, depth) for depth in (1, 2, 4, 8)),
    *((4, depth) for depth in (8, 16)),
    *((6, depth) for depth in (8, 16)),
]
"""Colour type and bit depth: all that there are."""
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
          (0, 1, 1, 2))  # fmt: skip


def chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(colour: int, depth: int, interlaced: bool, *extra: bytes) -> bytes:
    """A PNG of noise of any colour type and depth; `extra` are chunks before its pixels."""
    width, height = SIZE
    random = np.random.default_rng([colour, depth, interlaced])
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    rows = b""
    for left, top, across, down in passes:
        columns, lines = -(-(width - left) // across), -(-(height - top) // down)
        length = -(-columns * _CHANNELS[colour] * depth // 8)
        rows += b"".join(bytes([line % 5]) + random.bytes(length) for line in range(lines))
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    palette = chunk(b"PLTE", random.bytes(3 * 2**depth)) if colour == 3 else b""
    parts = [chunk(b"IHDR", head), *extra, palette, chunk(b"IDAT", zlib.compress(rows))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


@functools.cache
def whole() -> dict[str, bytes]:
    """All of them by name."""
    return {**_pngs(), **_jpegs(), **_tiffs(), **_others()}


def _pngs() -> dict[str, bytes]:
    found = {
        f"PNG colour {colour}, {depth} bits{', interlaced' * interlaced}": png(
            colour, depth, interlaced
        )
        for colour, depth in PNG_KINDS
        for interlaced in (False, True)
    }
    text = chunk(b"tEXt", b"Comment\0x"), chunk(b"zTXt", b"a\0\0" + zlib.compress(b"y" * 999))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    colours = chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(profile))
    found["PNG with text and a colour profile"] = png(2, 8, False, *text, colours)
    found["PNG, animated"] = _frames("PNG")
    found["PNG with a transparent colour"] = png(2, 8, False, chunk(b"tRNS", bytes(6)))
    return found


def _jpegs() -> dict[str, bytes]:
    picture = Image.fromarray(gradient(*SIZE))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    found = {
        "JPEG": saved(picture, "JPEG"),
        "JPEG, progressive": saved(picture, "JPEG", progressive=True),
        "JPEG, 4:2:0 and restarts": saved(picture, "JPEG", subsampling=2, restart_marker_blocks=2),
        "JPEG, grey": saved(picture.convert("L"), "JPEG"),
        "JPEG, CMYK": saved(picture.convert("CMYK"), "JPEG"),
        "JPEG, CMYK, progressive": saved(picture.convert("CMYK"), "JPEG", progressive=True),
        "JPEG with a colour profile": saved(picture, "JPEG", icc_profile=profile),
        "JPEG with a comment": saved(picture, "JPEG", comment=b"hello"),
        "JPEG of several pictures": saved(picture, "MPO", save_all=True, append_images=[picture]),
        "JPEG larger than looked at": saved(np.tile(gradient(*SIZE), (40, 60, 1)), "JPEG"),
    }
    # Marked as arithmetic-coded: that decoder makes a picture of any bytes.
    found["JPEG, arithmetic-coded"] = found["JPEG"].replace(b"\xff\xc0\0", b"\xff\xc9\0", 1)
    arithmetic = found["JPEG, progressive"].replace(b"\xff\xc2\0", b"\xff\xca\0", 1)
    found["JPEG, arithmetic-coded, progressive"] = arithmetic
    found["JPEG, lossless process"] = found["JPEG"].replace(b"\xff\xc0\0", b"\xff\xc3\0", 1)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        exif[0x010F] = "Maker"
        found[f"JPEG, EXIF {orientation}"] = saved(picture, "JPEG", exif=exif)
    return found


def _tiffs() -> dict[str, bytes]:
    picture = Image.fromarray(gradient(*SIZE))
    found = {
        f"TIFF, {how}": saved(picture, "TIFF", compression=how)
        for how in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd", "lzma")
    }
    found |= {
        f"TIFF, mode {mode}": saved(picture.convert(mode), "TIFF")
        for mode in ("1", "L", "LA", "P", "RGBA", "CMYK", "LAB")
    }
    deep = np.linspace(0, 65535, SIZE[0] * SIZE[1]).reshape(SIZE[::-1])
    found["TIFF, 16 bits"] = saved(deep.astype(np.uint16), "TIFF")
    found["TIFF, 32 bits"] = saved(deep.astype(np.int32), "TIFF")
    found["TIFF, floats"] = saved(deep.astype(np.float32), "TIFF")
    found["TIFF, fax"] = saved(picture.convert("1"), "TIFF", compression="group4")
    found["TIFF, big"] = saved(picture, "TIFF", big_tiff=True)
    found["TIFF, one row a strip"] = saved(picture, "TIFF", strip_size=1)
    found["TIFF of several pages"] = _frames("TIFF")
    for orientation in (3, 6):
        found[f"TIFF, EXIF {orientation}"] = saved(picture, "TIFF", tiffinfo={274: orientation})
    return found


def _others() -> dict[str, bytes]:
    picture = Image.fromarray(gradient(*SIZE))
    clear = picture.convert("RGBA")
    clear.putalpha(picture.convert("L"))
    return {
        "WebP": saved(picture, "WEBP"),
        "WebP, lossless": saved(picture, "WEBP", lossless=True),
        "WebP, transparent": saved(clear, "WEBP", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0"),
        "WebP, animated": _frames("WEBP"),
        "GIF": saved(picture, "GIF"),
        "GIF, interlaced": saved(picture, "GIF", interlace=1),
        "GIF, transparent": saved(clear, "GIF", comment=b"hello"),
        "GIF, animated": _frames("GIF"),
        **{f"BMP, mode {m}": saved(picture.convert(m), "BMP") for m in ("1", "L", "P", "RGB")},
        "BMP, transparent": saved(clear, "BMP"),
        "BMP, run-length coded": _run_length_coded(),
    }


def _frames(form: str) -> bytes:
    frames = [Image.new("RGB", SIZE, colour) for colour in ("red", "lime", "blue")]
    options: dict[str, Any] = {} if form == "TIFF" else {"duration": 40, "loop": 0}
    return saved(frames[0], form, save_all=True, append_images=frames[1:], **options)


def _run_length_coded() -> bytes:
    width, height = SIZE
    rows = (bytes([width, 7]) + b"\0\0") * height + b"\0\1"
    start = 14 + 40 + 1024
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(rows), 0, 0, 256, 0)
    out = io.BytesIO()
    out.write(b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + head)
    out.write(bytes(1024) + rows)
    return out.getvalue()
