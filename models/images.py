"""Bytes of an image file to upright RGB pixels, safely.

One decoder for training and serving. Only formats on the allow-list are opened, recognised by their
content and never by
a name; the size is read from the header and refused before a pixel is decoded.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from models import headers
from models.errors import ImageError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
"""What is opened; the first frame of an animation or of a file with several pages."""

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
)
"""Which files of a folder are taken for images (what is inside still decides)."""

MAX_PIXELS = 40_000_000
"""Default limit on width x height; a 40-megapixel picture takes 120 MB once decoded."""

_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")
_DECODER_BYTES = 16
"""A pixel, in the hungriest decoder: lossless WebP, which holds four copies of four bytes."""
_BAND_PX = 1 << 20
"""Pixels brought to RGB at a time: a large picture is not held in several forms at once."""


@dataclass(frozen=True)
class Picture:
    """A picture, perhaps decoded smaller than it is.

    Attributes:
        pixels: uint8 (rows, columns, 3), RGB, upright.
        width: of the upright picture as it was stored, in pixels.
        height: likewise.
        scale: how many stored pixels a decoded one spans along a side; 1, 2, 4 or 8.
    """

    pixels: np.ndarray
    width: int
    height: int
    scale: float


def decode(data: bytes, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decode one image file.

    Transparency is laid over white, 16-bit and float greys are brought to 8 bits, palettes and CMYK
    become RGB, and the
    orientation that a camera noted (EXIF) is applied.

    Args:
        data: the whole file.
        max_pixels: refuse what is larger, by its header.

    Returns:
        uint8 array (height, width, 3), RGB, upright, contiguous.

    Raises:
        ImageError: `empty_image`, `unsupported_image`, `image_too_large`, `image_too_complex` or
            `image_broken`.
    """
    return decode_enough(data, None, max_pixels).pixels


def decode_enough(data: bytes, enough_px: int | None, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decode one image file no larger than needed, where its format can.

    JPEG is decoded at a half, a quarter or an eighth of its size from fewer coefficients of each
    block, in a fraction of the time and memory (the reduced-size modes of libjpeg's inverse cosine
    transform). Other formats are decoded as they are.

    Args:
        data: the whole file.
        enough_px: the longer side of what is decoded stays at least this; None decodes it whole.
        max_pixels: refuse what is larger, by its header.

    Raises:
        ImageError: as `decode`.
    """
    if not data:
        raise ImageError("The image is empty: it has 0 bytes. Take the whole file.", "empty_image")
    try:
        header = headers.read(data)
        if header is None:
            raise _no_image(data)
        _see_size(header, max_pixels)
        with _strictly(max_pixels):
            return _decoded(data, header, enough_px, max_pixels)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large("A part of it is larger than its header says", max_pixels) from None
    except MemoryError:
        raise ImageError(
            "The image is too large: decoding it takes more memory than there is for one picture. "
            "Make it smaller, or save it in another format, and try again.",
            "image_too_large",
        ) from None


def rehearse() -> None:
    """Decode one small picture of each format: Pillow loads a format's code with its first one."""
    for kind in FORMATS:
        out = io.BytesIO()
        Image.new("RGB", (32, 32)).save(out, kind)
        decode(out.getvalue())


def read(path: str | Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decode the file at `path`; see `decode`.

    Raises:
        ImageError: as `decode`, and `unreadable_file` where the file itself cannot be read.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ImageError(
            f"The file cannot be read: {error.strerror or error}.", "unreadable_file"
        ) from None
    return decode(data, max_pixels)


def find(path: str | Path) -> list[Path]:
    """The image files below a folder, sorted by path, hidden ones left out; a file gives itself."""
    path = Path(path)
    if not path.is_dir():
        return [path]
    found = (entry for entry in path.rglob("*") if entry.suffix.lower() in SUFFIXES)
    return sorted(p for p in found if p.is_file() and not _hidden(p.relative_to(path)))


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


@contextmanager
def _strictly(max_pixels: int) -> Iterator[None]:
    """Pillow's own limit on pixels is ours too, and an error; its other warnings, on damaged
    metadata, are silent."""
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = max_pixels
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _see_size(header: headers.Header, max_pixels: int) -> None:
    what = f"It is {header.width} x {header.height} pixels"
    if header.width * header.height > max_pixels:
        raise _too_large(what, max_pixels)
    if max(header.width, header.height) > headers.MAX_SIDE:
        raise ImageError(
            f"The image is too large. {what}; a side may have {headers.MAX_SIDE}. "
            "Make it smaller and try again.",
            "image_too_large",
        )


def _decoded(
    data: bytes, header: headers.Header, enough_px: int | None, max_pixels: int
) -> Picture:
    with _open(data, header) as image:
        width, height = image.size
        _see_size(headers.Header(image.format or "", width, height), max_pixels)
        try:
            scale = _reduce(image, enough_px) if enough_px else 1.0
            image.load()
            orientation = _orientation(image)
            pixels = _rgb(image)
        except (MemoryError, Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise
        except Exception as error:  # a decoder that trips over damage may raise anything
            if _for_want_of_memory(error, width * height):
                raise MemoryError from None
            raise ImageError(
                f"The image cannot be decoded: the {image.format} file is truncated or damaged "
                f"({_reason(error)}). Take the file from its source again, or save it anew with an "
                "image editor.",
                "image_broken",
            ) from None
    if orientation in range(5, 9):
        width, height = height, width
    return Picture(_upright(pixels, orientation), width, height, scale)


def _open(data: bytes, header: headers.Header) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except (MemoryError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise
    except UnidentifiedImageError:
        raise _damaged_header("it cannot be made out") from None
    except Exception as error:  # a plugin that trips over a damaged header may raise anything
        if _for_want_of_memory(error, header.width * header.height):
            raise MemoryError from None
        raise _damaged_header(_reason(error)) from None


def _for_want_of_memory(error: Exception, pixels: int) -> bool:
    """Whether a decoder gave up because it was refused memory; some do not say so themselves."""
    if "out of memory" in str(error) or str(error).endswith("error -9"):  # Pillow's own code
        return True
    try:
        np.empty(pixels * _DECODER_BYTES, np.uint8)
    except MemoryError:
        return True
    return False


def _no_image(data: bytes) -> ImageError:
    if data.startswith(b"\x89PNG"):  # its line ends have been changed
        return _damaged_header("it was changed as if it were text")
    return ImageError(
        "This is not an image that can be read: its content is none of JPEG, PNG, WebP, BMP, "
        "GIF or TIFF. Convert it to JPEG or PNG and try again.",
        "unsupported_image",
    )


def _damaged_header(why: str) -> ImageError:
    return ImageError(
        f"The image cannot be opened: its header is damaged ({why}). Take the file from its "
        "source again.",
        "image_broken",
    )


def _reduce(image: Image.Image, enough_px: int) -> float:
    """Have a JPEG decoded smaller; how many times as long its sides are as what will come."""
    longer = max(image.size)
    times = next((times for times in (8, 4, 2) if longer >= times * enough_px), 1)
    if times == 1:
        return 1.0
    width, height = image.size
    reduced = image.draft(None, (width // times, height // times))  # None: the format cannot
    return width / reduced[1][2] if reduced else 1.0


def _orientation(image: Image.Image) -> int:
    """How the camera was held, 1 to 8 (EXIF); 1 where it is not told or already done.

    Damaged EXIF is as good as none.
    """
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # EXIF is a file in the file, and its damage does not spoil the picture
        return 1
    return orientation if orientation in range(1, 9) else 1


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels (rows, columns, 3) turned and mirrored as EXIF's orientation asks."""
    if orientation >= 5:
        pixels = cv2.transpose(pixels)
    # What is left to do is to mirror: left and right (1), up and down (0), or both (-1).
    flip = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)
    return pixels if flip is None else cv2.flip(pixels, flip)


def _rgb(image: Image.Image) -> np.ndarray:
    """Pixels of a loaded image of any mode as uint8 (height, width, 3), band by band."""
    width, height = image.size
    rows = max(1, _BAND_PX // width)
    if image.mode in _SIXTEEN_BIT or image.mode in ("I", "F"):
        white = 65535.0
        if image.mode not in _SIXTEEN_BIT:
            peaks = [_values(image, top, rows).max() for top in range(0, height, rows)]
            white = _white(max(peaks), image.mode)
        band = partial(_grey, image, white=white)
    else:
        band = partial(_colours, image)
    if rows >= height:
        return np.ascontiguousarray(band(top=0, rows=height))
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, rows):
        pixels[top : top + rows] = band(top=top, rows=rows)
    return pixels


def _colours(image: Image.Image, top: int, rows: int) -> np.ndarray:
    """Some rows as uint8 (rows, width, 3), what is transparent over white."""
    part = _part(image, top, rows)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        part = part.convert("RGBA")
        part = Image.alpha_composite(Image.new("RGBA", part.size, "white"), part)
    return np.asarray(part if part.mode == "RGB" else part.convert("RGB"))


def _grey(image: Image.Image, top: int, rows: int, white: float) -> np.ndarray:
    """Some rows as uint8 (rows, width, 3), greys from 0 to `white` brought to 0..255."""
    grey = np.clip(_values(image, top, rows) / np.float32(white), 0.0, 1.0) * 255.0 + 0.5
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)


def _values(image: Image.Image, top: int, rows: int) -> np.ndarray:
    """Greys of some rows, float32 (rows, width); what is no finite number is 0."""
    values = np.asarray(_part(image, top, rows)).astype(np.float32)
    return np.nan_to_num(values, copy=False, nan=0.0, posinf=0.0, neginf=0.0)


def _part(image: Image.Image, top: int, rows: int) -> Image.Image:
    width, height = image.size
    return image if rows >= height else image.crop((0, top, width, min(top + rows, height)))


def _white(peak: float, mode: str) -> float:
    """Which grey is white: the smallest usual range that holds them all."""
    usual = (1.0, 255.0, 65535.0) if mode == "F" else (255.0, 65535.0)
    return next((top for top in usual if peak <= top), float(peak))


def _too_large(what: str, max_pixels: int) -> ImageError:
    return ImageError(
        f"The image is too large. {what}; the limit is {max_pixels / 1e6:g} megapixels. Make it "
        "smaller and try again.",
        "image_too_large",
    )


def _reason(error: Exception) -> str:
    text = str(error).split("\n")[0].strip().rstrip(".")
    return text[:80] if text else type(error).__name__
