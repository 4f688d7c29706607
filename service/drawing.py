"""Boxes and words on pictures, legible on any ground: light on dark."""

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SMALLEST_PX = 14  # of letters
_INK, _PAPER = (255, 255, 255), (16, 20, 18)

Box = tuple[float, float, float, float]


def draw_face(
    picture: np.ndarray, box: Box, words: str, tallest: float, faint: bool = False
) -> None:
    """Draw one face's box with words above it.

    Args:
        picture: uint8 (height, width, 3), RGB or BGR; is drawn on.
        box: x, y, width, height in pixels; may reach past the picture's edge.
        words: for the tag.
        tallest: letters at most, in pixels.
        faint: dark only, the box of a face that is not seen at the moment.
    """
    x, y, width, height = box
    line = max(2, round(width / 60))
    left, top, right, bottom = round(x), round(y), round(x + width), round(y + height)
    _frame(picture, (left, top, right, bottom), line + 2, _PAPER)
    if not faint:
        _frame(picture, (left, top, right, bottom), line, _INK)
    draw_tag(picture, x, y, words, min(tallest, width / 5))


def draw_tag(picture: np.ndarray, x: float, bottom: float, words: str, tall: float) -> None:
    """Words on a dark ground that ends above `bottom`, moved to lie inside the picture."""
    tag = _tag(words, max(SMALLEST_PX, round(tall)))[: picture.shape[0], : picture.shape[1]]
    height, width = tag.shape[:2]
    left = max(0, min(round(x), picture.shape[1] - width))
    top = max(0, min(round(bottom) - height, picture.shape[0] - height))
    picture[top : top + height, left : left + width] = tag


def _frame(
    picture: np.ndarray, box: tuple[int, int, int, int], line: int, colour: tuple[int, int, int]
) -> None:
    """The four sides of a box, drawn inwards."""
    left, top, right, bottom = box
    for x0, y0, x1, y1 in (
        (left, top, right, top + line),
        (left, bottom - line, right, bottom),
        (left, top, left + line, bottom),
        (right - line, top, right, bottom),
    ):
        picture[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)] = colour


@lru_cache(256)
def _tag(words: str, tall: int) -> np.ndarray:
    """uint8 (height, width, 3); a video shows the same words again and again."""
    font = _font(tall)
    left, _, right, _ = font.getbbox(words)
    _, top, _, low = font.getbbox("Hgp")  # as tall for every word
    pad = (low - top) / 3
    size = round(right - left + 2 * pad), round(low - top + 2 * pad)
    image = Image.new("RGB", size, _PAPER)
    ImageDraw.Draw(image).text((pad - left, pad - top), words, fill=_INK, font=font)
    return np.asarray(image)


@lru_cache(32)
def _font(tall: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(tall)
