"""A part's answers as a Parquet file: written aside and renamed, so that it is whole or not there.

docs/FOLDERS.md describes the columns.
"""

import os
import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from models.errors import UsageError
from service.folders.run import Run
from service.protocol import FaceResult, ImageResult

_NAME = re.compile(r"part-(\d{6,})\.parquet")
_KEY = b"hyojo"


@dataclass(frozen=True)
class Done:
    """A part that is written.

    Attributes:
        number: from 0.
        images: rows.
        failed: those with an error.
    """

    number: int
    images: int
    failed: int


class _Told(msgspec.Struct, frozen=True):
    """What a part says of itself."""

    bundle: str
    part: int
    failed: int


def schema(run: Run) -> pa.Schema:
    """The columns."""
    face = pa.struct(
        [(name, pa.float64()) for name in ("x", "y", "width", "height", "score")]
        + [("label", pa.string()), ("probability", pa.float64())]
        + [("probabilities", pa.list_(pa.float64()))]
    )
    return pa.schema(
        [
            pa.field("path", pa.string(), nullable=False),
            ("error", pa.string()),
            ("error_detail", pa.string()),
            ("width", pa.int32()),
            ("height", pa.int32()),
            ("face_count", pa.int32()),
            ("label", pa.string()),
            ("probability", pa.float64()),
            *((f"p_{label}", pa.float64()) for label in run.labels),
            ("faces", pa.list_(face)),
            pa.field("model", pa.string(), nullable=False),
            pa.field("version", pa.string(), nullable=False),
        ]
    )


def write(out: Path, run: Run, number: int, told: Sequence[tuple[bytes, ImageResult]]) -> Done:
    """Write a part.

    Args:
        out: the folder.
        run: that it is of.
        number: of the part.
        told: each image's path and what it shows.

    Raises:
        OSError: there is no room, say.
    """
    rows = [_row(run, path, result) for path, result in told]
    failed = sum(result.error is not None for _, result in told)
    said = msgspec.json.encode(_Told(run.bundle, number, failed))
    table = pa.Table.from_pylist(rows, schema(run).with_metadata({_KEY: said}))
    new = out / f"_part-{number:06}.{uuid.uuid4().hex}.new"
    try:
        with new.open("wb") as file:
            pq.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        new.rename(out / f"part-{number:06}.parquet")
    finally:
        new.unlink(missing_ok=True)
    return Done(number, len(rows), failed)


def written(out: Path, run: Run) -> Iterator[Done]:
    """The parts that are there, by their own word; only their ends are read.

    Raises:
        UsageError: a file is damaged or of another run.
    """
    with os.scandir(out) as entries:
        for entry in entries:
            if match := _NAME.fullmatch(entry.name):
                yield _known(entry.path, run, int(match[1]))


def _known(file: str, run: Run, number: int) -> Done:
    try:
        footer = pq.read_metadata(file)
        told = msgspec.json.decode((footer.metadata or {}).get(_KEY, b""), type=_Told)
    except (OSError, pa.ArrowException, msgspec.DecodeError) as error:
        raise _foreign(file, str(error).split("\n")[0][:100]) from None
    whole = number < run.parts and footer.num_rows == run.size_of(number)
    if not whole or (told.bundle, told.part) != (run.bundle, number):
        raise _foreign(file, "it belongs to another run")
    return Done(number, footer.num_rows, told.failed)


def _foreign(path: str, why: str) -> UsageError:
    return UsageError(f"{path} cannot be counted as done: {why}. Remove it, and it is made anew.")


def _row(run: Run, path: bytes, result: ImageResult) -> dict[str, object]:
    row: dict[str, object] = {
        "path": path.decode("utf-8", "backslashreplace"),
        "model": run.model,
        "version": run.version,
    }
    if result.error is not None:
        return {**row, "error": result.error.code, "error_detail": result.error.detail}
    if result.size is not None:
        row |= {"width": result.size.width, "height": result.size.height}
    row |= {"label": result.label, "probability": result.probability}
    row |= {f"p_{label}": value for label, value in result.probabilities.items()}
    return {
        **row,
        "face_count": len(result.faces),
        "faces": [_face(run.labels, face) for face in result.faces],
    }


def _face(labels: Sequence[str], face: FaceResult) -> dict[str, object]:
    x, y, width, height = face.box
    return {
        "x": x,
        "y": y,
        "width": width,
        "height": height,
        "score": face.score,
        "label": face.label,
        "probability": face.probability,
        "probabilities": [face.probabilities.get(label) for label in labels],
    }
