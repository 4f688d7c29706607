"""What may be given as a picture, and its bytes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

MOST = 8
"""Pictures in one request; no service takes more."""
MOST_BYTES = 24 * 1024 * 1024
"""Of the pictures in one request, unless one alone has more; below what services take unasked."""
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
)
"""Of the files that are taken from a folder; a file that is named is sent whatever its name."""


@runtime_checkable
class Readable(Protocol):
    """An open file, or what reads like one."""

    def read(self) -> bytes:
        """Everything."""
        ...


Picture: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | Readable"
"""The path of a file, its bytes, or an open file."""
SINGLE = (str, os.PathLike, bytes, bytearray, memoryview, Readable)


def content(picture: Picture) -> bytes:
    """A picture's bytes, as its file has them.

    Raises:
        OSError: the file cannot be read.
        TypeError: it is none of the kinds that are taken.
    """
    if isinstance(picture, str | os.PathLike):
        return Path(picture).read_bytes()
    if isinstance(picture, bytes | bytearray | memoryview):
        return bytes(picture)
    if isinstance(picture, Readable):
        read = picture.read()
        if isinstance(read, bytes):
            return read
        raise TypeError("The file is open as text. Open it with mode 'rb'.")
    raise TypeError(
        f"A {type(picture).__name__} is no picture here. Give the path of an image file, its "
        "bytes, or an open file."
    )


def batches(pictures: Iterable[Picture]) -> Iterator[list[bytes | OSError]]:
    """Pictures as they go out together: few enough and small enough, read when it is their turn.

    Yields:
        the bytes of each; or why its file cannot be read.
    """
    batch: list[bytes | OSError] = []
    size = 0
    for picture in pictures:
        try:
            read: bytes | OSError = content(picture)
        except OSError as error:
            read = error
        more = len(read) if isinstance(read, bytes) else 0
        if batch and (len(batch) == MOST or size + more > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(read)
        size += more
    if batch:
        yield batch


def files_in(folder: str) -> Iterator[str]:
    """Paths of the image files in a folder and in those below it, by name; hidden ones are none."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES:
                yield os.path.join(place, name)
