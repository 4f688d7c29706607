"""Bytes of an image file to upright RGB pixels, safely.

One decoder for training and serving. Only formats on the allow-list are opened, recognised by their
content and never by
a name; the size is read from the header and refused before a pixel is decoded.
"""

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from models.errors import ImageError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
"""What is opened; the first frame of an animation or of a file with several pages."""

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
)
"""Which files of a folder are taken for images (what is inside still decides)."""

MAX_PIXELS = 40_000_000
"""Default limit on width x height; a 40-megapixel picture takes 120 MB once decoded."""

_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"BM", b"GIF8", b"II*\0", b"MM\0*")
_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")


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
        ImageError: `empty_image`, `unsupported_image`, `image_too_large` or `image_broken`.
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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's on damaged metadata and on size: judged here
        with _open(data) as image:
            return _picture(image, enough_px, max_pixels)


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


def _picture(image: Image.Image, enough_px: int | None, max_pixels: int) -> Picture:
    width, height = image.size
    if width * height > max_pixels:
        raise _too_large(f"It is {width} x {height} pixels", max_pixels)
    try:
        scale = _reduce(image, enough_px) if enough_px else 1.0
        if _transpose(image):
            width, height = height, width
        return Picture(np.ascontiguousarray(_rgb(image)), width, height, scale)
    except Image.DecompressionBombError:
        raise _too_large("A part of it is larger than its header says", max_pixels) from None
    except MemoryError:
        raise _too_large("It needs more memory than there is", max_pixels) from None
    except Exception as error:  # a decoder that trips over damage may raise anything
        raise ImageError(
            f"The image cannot be decoded: the {image.format} file is truncated or damaged "
            f"({_reason(error)}). Take the file from its source again, or save it anew with an "
            "image editor.",
            "image_broken",
        ) from None


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:
        raise _too_large("Its header names a huge size", MAX_PIXELS) from None
    except UnidentifiedImageError:
        if data.startswith(_SIGNATURES):
            raise _damaged_header("it cannot be made out") from None
        raise ImageError(
            "This is not an image that can be read: its content is none of JPEG, PNG, WebP, BMP, "
            "GIF or TIFF. Convert it to JPEG or PNG and try again.",
            "unsupported_image",
        ) from None
    except Exception as error:  # a plugin that trips over a damaged header may raise anything
        raise _damaged_header(_reason(error)) from None


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


def _transpose(image: Image.Image) -> bool:
    """Turn the picture upright in place; True where that exchanged its sides.

    Damaged EXIF is as good as none.
    """
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # EXIF is a file in the file, and its damage does not spoil the picture
        return False
    if orientation in range(2, 9):
        ImageOps.exif_transpose(image, in_place=True)
    return orientation in range(5, 9)


def _rgb(image: Image.Image) -> np.ndarray:
    """Pixels of any mode as uint8 (height, width, 3)."""
    if image.mode in _SIXTEEN_BIT or image.mode in ("I", "F"):
        return np.repeat(_grey_to_8_bits(np.asarray(image), image.mode)[..., None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _grey_to_8_bits(grey: np.ndarray, mode: str) -> np.ndarray:
    """16-bit, 32-bit and float greys to 0..255; the range is the mode's, else the smallest usual
    one that holds them."""
    values = np.nan_to_num(grey.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    if mode in _SIXTEEN_BIT:
        top = 65535.0
    else:
        peak = float(values.max(initial=0.0))
        top = next(
            (t for t in (1.0, 255.0, 65535.0) if peak <= t and (t > 1.0 or mode == "F")), peak
        )
    return (np.clip(values / top, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def _too_large(what: str, max_pixels: int) -> ImageError:
    return ImageError(
        f"The image is too large. {what}; the limit is {max_pixels / 1e6:g} megapixels. Make it "
        "smaller and try again.",
        "image_too_large",
    )


def _reason(error: Exception) -> str:
    text = str(error).split("\n")[0].strip().rstrip(".")
    return text[:80] if text else type(error).__name__
