"""The image files below folders, one after the other: none is held in memory, nor a folder's list.

The same files as `models.images.find` tells of one folder, in the order in which the disk has them.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from models.errors import UsageError
from models.images import SUFFIXES

_SUFFIXES = tuple(suffix.encode() for suffix in SUFFIXES)


def images_below(given: Sequence[Path]) -> Iterator[bytes]:
    """Absolute paths of all image files, as the system writes them; a file gives itself.

    Args:
        given: files and folders, none of them inside another.

    Raises:
        UsageError: a path is not there, or a folder cannot be listed: what lies in it would be
            missing from the results without a word.
    """
    for path in given:
        if path.is_dir():
            yield from _below(os.fsencode(os.path.abspath(path)))
        elif path.exists():
            yield os.fsencode(os.path.abspath(path))
        else:
            raise UsageError(f"There is no file or folder {path}. Check the spelling.")


def apart(given: Sequence[Path]) -> list[Path]:
    """Absolute paths, sorted; no image may come twice.

    Raises:
        UsageError: one of them is named twice, or lies inside another.
    """
    paths = sorted({Path(os.path.abspath(path)) for path in given})
    if len(paths) < len(given):
        raise UsageError("A path is named twice. Name each once.")
    named = set(paths)
    for path in paths:
        above = next((parent for parent in path.parents if parent in named), None)
        if above is not None:
            raise UsageError(f"{path} lies inside {above}, which is named too. Name one of them.")
    return paths


def _below(folder: bytes) -> Iterator[bytes]:
    """One folder. As deep as the tree is, so many folders are open at once."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(b"."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    yield from _below(entry.path)
                elif entry.name.lower().endswith(_SUFFIXES) and entry.is_file():
                    yield entry.path
    except OSError as error:
        raise UsageError(
            f"The folder {os.fsdecode(folder)} cannot be listed: {error.strerror or error}. Make "
            "it readable, or name folders that are."
        ) from None
