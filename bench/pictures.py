"""The pictures that are sent: made from web/example.jpg, the same on every machine."""

import io

import numpy as np
from PIL import Image

from bench.harness import PROJECT

_EXAMPLE = PROJECT / "web" / "example.jpg"


def vga() -> bytes:
    """JPEG, 640 x 480, one face."""
    return _jpeg(_example(640).crop((0, 20, 640, 500)))


def small(side: int = 96, other: int | None = None) -> bytes:
    """JPEG, 96 x 96 unless told otherwise, one face."""
    return _jpeg(_example(512).resize((side, other or side)))


def photograph() -> bytes:
    """JPEG of a camera's 12 megapixels (4000 x 3000) with its noise, one face."""
    pixels = np.asarray(_example(4000).crop((0, 300, 4000, 3300)), np.int16)
    noise = np.random.default_rng(0).normal(0, 4, pixels.shape).astype(np.int16)
    return _jpeg(Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8)), 90)


def _example(side: int) -> Image.Image:
    return Image.open(_EXAMPLE).convert("RGB").resize((side, side), Image.Resampling.BICUBIC)


def _jpeg(image: Image.Image, quality: int = 88) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()
