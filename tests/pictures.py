"""Pictures that tests draw, in every format and kind of damage that comes in."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image


def gradient(width: int = 64, height: int = 48) -> np.ndarray:
    """uint8 (height, width, 3): red grows to the right, green downwards, blue is 40."""
    x = np.linspace(0, 255, width).round()
    y = np.linspace(0, 255, height).round()
    red, green = np.meshgrid(x, y)
    return np.dstack([red, green, np.full_like(red, 40)]).astype(np.uint8)


def saved(image: Image.Image | np.ndarray, form: str, **options: Any) -> bytes:
    """An image as a file of a format."""
    out = io.BytesIO()
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.save(out, form, **options)
    return out.getvalue()


def png_of(width: int, height: int, rows: bytes = b"") -> bytes:
    """A PNG whose header names any size, whatever its few bytes of data hold."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def bomb(side: int = 12_000) -> bytes:
    """A true picture of side x side white pixels in a few hundred kilobytes."""
    return saved(Image.new("1", (side, side), 1), "PNG")


def two_faces(face: bytes) -> bytes:
    """A PNG of 440 x 220 pixels: the example's face at the left, and smaller at the right."""
    one = Image.open(io.BytesIO(face)).crop((120, 0, 340, 220))
    both = Image.new("RGB", (440, 220))
    both.paste(one, (0, 0))
    both.paste(one.resize((150, 150)), (240, 40))
    return saved(both, "PNG")
