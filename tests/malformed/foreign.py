"""Files that are no image of a kind that is read, whatever they claim, and files that are two."""

import gzip
import io
import struct
import zipfile
from collections.abc import Callable

import numpy as np
from PIL import Image

from tests.malformed.whole import whole
from tests.pictures import gradient, saved


def _zip(size: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("photo.png", bytes(size))
    return out.getvalue()


def _pdf() -> bytes:
    return saved(gradient(), "PDF")


def _box(brand: bytes) -> bytes:
    """The beginning of an ISO media file: HEIC, AVIF, MP4."""
    body = b"ftyp" + brand + bytes(4) + b"mif1" + brand
    return struct.pack(">I", len(body) + 4) + body + b"\0\0\0\x08mdat" + bytes(500)


_SVG = (
    b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">'
    b'<!ENTITY a "&x;&x;&x;">]><svg xmlns="http://www.w3.org/2000/svg"><text>&a;</text>'
    b'<image href="http://127.0.0.1/"/></svg>'
)

FOREIGN: dict[str, Callable[[], bytes]] = {
    "one byte": lambda: b"\xff",
    "text": lambda: b"a photograph of my aunt",
    "zeros": lambda: bytes(100_000),
    "noise": lambda: np.random.default_rng(0).bytes(100_000),
    "HTML": lambda: b"<!doctype html><script>alert(1)</script>",
    "SVG": lambda: _SVG,
    "SVG, gzipped": lambda: gzip.compress(_SVG),
    "PDF": _pdf,
    "PostScript": lambda: saved(gradient(), "EPS"),
    "zip": lambda: _zip(1000),
    "zip bomb": lambda: _zip(100_000_000),
    "gzip bomb": lambda: gzip.compress(bytes(100_000_000)),
    "gzip of an image": lambda: gzip.compress(whole()["JPEG"]),
    "HEIC": lambda: _box(b"heic"),
    "MP4": lambda: _box(b"isom"),
    "AVIF": lambda: saved(gradient(), "AVIF"),
    "JPEG 2000": lambda: saved(gradient(), "JPEG2000"),
    "icon": lambda: saved(gradient(), "ICO"),
    "Mac icon": lambda: saved(Image.new("RGB", (64, 64)), "ICNS"),
    "PPM": lambda: saved(gradient(), "PPM"),
    "PCX": lambda: saved(gradient(), "PCX"),
    "TGA": lambda: saved(gradient(), "TGA"),
    "SGI": lambda: saved(gradient(), "SGI"),
    "DDS": lambda: saved(gradient(), "DDS"),
    "QOI": lambda: saved(gradient(), "QOI"),
    "Photoshop": lambda: b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 40, 40, 8, 3),
    "JPEG XL": lambda: b"\xff\x0a" + bytes(200),
    "JPEG XR": lambda: b"II\xbc\x01" + bytes(200),
    "BMP without its file header": lambda: whole()["BMP, mode RGB"][14:],
    "WAV": lambda: b"RIFF" + struct.pack("<I", 36) + b"WAVEfmt " + bytes(100),
    "program": lambda: b"\x7fELF\2\1\1" + bytes(500),
    "pickle": lambda: b"\x80\x04cos\nsystem\n(S'id'\ntR.",
    "PNG changed as text": lambda: whole()["PNG colour 2, 8 bits"].replace(b"\r\n", b"\n"),
    "PNG and a zip": lambda: whole()["PNG colour 2, 8 bits"] + _zip(5000),
    "PNG and a second PNG": lambda: (
        whole()["PNG colour 2, 8 bits"] + whole()["PNG colour 6, 8 bits"]
    ),
    "JPEG and a zip": lambda: whole()["JPEG"] + _zip(5000),
    "JPEG and a video": lambda: whole()["JPEG"] + _box(b"isom") + b"\xff\xda" * 10**5,
    "JPEG with a script in its comment": lambda: saved(
        gradient(), "JPEG", comment=b"*/=1;alert(document.domain);/*"
    ),
    "JPEG in a PDF": lambda: b"%PDF-1.4\n" + whole()["JPEG"],
    "GIF that is a script": lambda: b"GIF89a/*" + whole()["GIF"][8:] + b"*/=alert(1)",
    "GIF and an archive": lambda: whole()["GIF"] + _zip(5000),
    "BMP that is a script": lambda: b"BM=1//" + whole()["BMP, mode RGB"][6:],
    "TIFF and a zip": lambda: whole()["TIFF, raw"] + _zip(5000),
    "WebP and more": lambda: whole()["WebP"] + whole()["JPEG"],
    "EXIF alone": lambda: b"Exif\0\0II*\0\x08\0\0\0\0\0",
    "signature of a PNG": lambda: b"\x89PNG\r\n\x1a\n",
    "signature of a JPEG": lambda: b"\xff\xd8\xff",
    "signature of a GIF": lambda: b"GIF89a",
    "signature of a WebP": lambda: b"RIFF\0\0\0\0WEBP",
    "signature of a BMP": lambda: b"BM",
    "signature of a TIFF": lambda: b"II*\0\x08\0\0\0",
    "signature of a big TIFF": lambda: b"II+\0\x08\0\0\0" + b"\xff" * 8,
}
