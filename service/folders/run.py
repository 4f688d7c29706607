"""What one run over folders is: its list of images, cut into parts, and what was asked of them.

    OUT/_list        every image's path, each with a zero byte behind it
    OUT/_run.json    what was asked; written when the list is whole
    OUT/_lock        held while somebody writes here

Names that begin with an underscore are passed over by what reads a folder of Parquet files.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import msgspec

from models.errors import UsageError

FORMAT = 1
LIST, MANIFEST, LOCK = "_list", "_run.json", "_lock"
PART_SIZE = 1000
_CHUNK_BYTES = 1 << 20


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """_run.json: all that the answers depend on, and how many there will be.

    Attributes:
        paths: what was named, absolute.
        model: as it was asked for.
        version: of its bundle; of an average's, with commas between.
        bundle: sha256 in hex over what decides its answers.
        labels: in the order of the columns.
        faces: which faces were looked for.
        top: how many labels have a probability; None for all.
        max_pixels: larger images were refused.
        part_size: images a part; the last may have fewer.
        images: in all.
    """

    paths: list[str]
    model: str
    version: str
    bundle: str
    labels: list[str]
    faces: str
    top: int | None
    max_pixels: int
    part_size: int
    images: int = 0
    format: int = FORMAT

    @property
    def parts(self) -> int:
        """How many there are."""
        return -(-self.images // self.part_size)

    def size_of(self, number: int) -> int:
        """Images of a part."""
        return min(self.part_size, self.images - number * self.part_size)


@dataclass(frozen=True)
class Part:
    """A stretch of the list.

    Attributes:
        number: from 0.
        start: where it begins, in bytes.
        length: in bytes.
    """

    number: int
    start: int
    length: int


_WORDS = {
    "paths": "the folders",
    "model": "the model",
    "version": "the model's version",
    "bundle": "the model's files",
    "labels": "the model's labels",
    "faces": "--faces",
    "top": "--top",
    "max_pixels": "HYOJO_MAX_PIXELS",
    "part_size": "--part-size",
    "format": "the format",
}


@contextmanager
def holding(out: Path) -> Iterator[None]:
    """Make the folder if need be, and be the only one who writes there.

    Raises:
        UsageError: somebody else does, it holds other files, or it cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        foreign = next((name for name in os.listdir(out) if not _ours(name)), None)
        if foreign is not None:
            raise UsageError(
                f"{out} holds other files ({foreign}). Name a new or an empty folder with --out."
            )
        lock = (out / LOCK).open("w")
    except OSError as error:
        raise UsageError(
            f"{out} cannot be written: {error.strerror or error}. Name another folder with --out."
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(
                f"Another infer.py is writing to {out}. Wait for its end, or name another folder "
                "with --out."
            ) from None
        for left in out.glob("_*.new"):  # by one that was killed
            left.unlink(missing_ok=True)
        yield


def _ours(name: str) -> bool:
    return name.startswith("_") or (name.startswith("part-") and name.endswith(".parquet"))


def begun(out: Path) -> Run | None:
    """The run that was begun in a folder, if there is one.

    Raises:
        UsageError: its manifest is damaged.
    """
    file = out / MANIFEST
    try:
        return msgspec.json.decode(file.read_bytes(), type=Run)
    except FileNotFoundError:
        if next(out.glob("part-*.parquet"), None) is not None:
            raise UsageError(
                f"{out} holds results and no {MANIFEST}, which would tell whose they are. Put it "
                "back, or name another folder with --out."
            ) from None
        return None
    except msgspec.DecodeError as error:
        raise UsageError(
            f"{file} is damaged ({error}). Put it back as it was, or name another folder with "
            "--out."
        ) from None


def begin(out: Path, asked: Run, images: Iterator[bytes]) -> Run:
    """Write the list of images down, then the manifest; nothing counts before both are whole.

    Args:
        out: the folder, held.
        asked: without its number of images.
        images: their paths.

    Raises:
        UsageError: there is no image, or no room for the list.
    """
    count = 0
    with _whole(out / LIST) as file:
        for path in images:
            file.write(path + b"\0")
            count += 1
        if not count:
            raise UsageError(f"There are no image files in {', '.join(asked.paths)}.")
    run = msgspec.structs.replace(asked, images=count)
    with _whole(out / MANIFEST) as file:
        file.write(msgspec.json.format(msgspec.json.encode(run), indent=2) + b"\n")
    return run


@contextmanager
def _whole(place: Path) -> Iterator[IO[bytes]]:
    """A file that takes its place once it is on the disk; of one that is not, nothing stays."""
    new = place.with_name(f"{place.name}.new")
    try:
        with new.open("wb") as file:
            yield file
            _to_disk(file)
        new.rename(place)
    except OSError as error:
        raise UsageError(
            f"{place} cannot be written: {error.strerror or error}. Make room there, or name "
            "another folder with --out."
        ) from None
    finally:
        with suppress(OSError):
            new.unlink(missing_ok=True)


def see_that_it_is_the_same(out: Path, there: Run, asked: Run) -> None:
    """See that what is asked now is what was asked when a run was begun.

    Raises:
        UsageError: names what differs.
    """
    for name, word in _WORDS.items():
        before, now = getattr(there, name), getattr(asked, name)
        if before != now:
            raise UsageError(
                f"{out} holds the results of another run: {word} was {_shown(before)} and is now "
                f"{_shown(now)}. Go on as it was begun, or name another folder with --out."
            )


def parts_of(out: Path, run: Run) -> Iterator[Part]:
    """The list's parts, in order; the list itself is read as a stream.

    Raises:
        UsageError: the list is missing, or not the one that the run was begun with.
    """
    number = count = start = read = 0
    try:
        with (out / LIST).open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                at = -1
                while (at := chunk.find(b"\0", at + 1)) >= 0:
                    count += 1
                    if count % run.part_size == 0 or count == run.images:
                        end = read + at + 1
                        yield Part(number, start, end - start)
                        number, start = number + 1, end
                read += len(chunk)
    except OSError as error:
        raise UsageError(f"{out / LIST} cannot be read: {error.strerror or error}.") from None
    if count != run.images:
        raise UsageError(
            f"{out / LIST} names {count} images and the run was begun with {run.images}. Put it "
            "back as it was, or name another folder with --out."
        )


def paths_of(out: Path, part: Part) -> list[bytes]:
    """The paths of a part."""
    with (out / LIST).open("rb") as file:
        file.seek(part.start)
        return file.read(part.length).split(b"\0")[:-1]


def shown(paths: Sequence[Path]) -> list[str]:
    """Paths as text; bytes that are no UTF-8 are written as \\xNN."""
    return [os.fsencode(path).decode("utf-8", "backslashreplace") for path in paths]


def _to_disk(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _shown(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 100 else f"{text[:97]}…"
