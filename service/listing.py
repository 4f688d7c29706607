"""Answers as lines: a table for people, JSON for programs, and a bar while it takes."""

import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
from tqdm import tqdm

from service.protocol import ImageResult

T = TypeVar("T")


def with_progress(
    results: Iterable[T], total: int | None, unit: str, lines: bool = True
) -> Iterable[T]:
    """A bar on standard error where a person looks at it.

    Args:
        results: what takes time.
        total: how many there will be; None if nobody knows.
        unit: what one is called.
        lines: results are printed meanwhile; where they go to a terminal too there is no bar.
    """
    hidden = not sys.stderr.isatty() or (lines and sys.stdout.isatty()) or total == 1
    return tqdm(results, total=total, unit=unit, disable=hidden, file=sys.stderr)  # type: ignore[no-any-return]


def as_json(result: msgspec.Struct, **more: object) -> str:
    """One object on one line."""
    return json.dumps({**more, **msgspec.to_builtins(result)}, ensure_ascii=False)


class Table:
    """One line a file: path, the likeliest labels, the number of faces.

    Args:
        paths: of all files; they set the width.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        room = max(20, shutil.get_terminal_size().columns // 2)
        self._width = min(room, max(len(str(path)) for path in paths))

    def line(self, path: Path, result: ImageResult) -> str:
        """What one file was read as."""
        name = str(path)
        if len(name) > self._width:
            name = "…" + name[-(self._width - 1) :]
        return f"{name:<{self._width}}  {_says(result)}"


def _says(result: ImageResult) -> str:
    if result.error is not None:
        return f"FAILED  {result.error.detail}"
    if result.label is None:
        return "no face found"
    ranked = list(result.probabilities.items())
    shown = [f"{label} {probability:6.1%}" for label, probability in ranked[:3]]
    faces = f"  ({len(result.faces)} faces, the largest shown)" if len(result.faces) > 1 else ""
    return "  ".join(f"{text:<18}" for text in shown).rstrip() + faces
