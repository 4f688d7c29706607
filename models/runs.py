"""The folder of one training run: what is finished, and the checkpoint of what is not.

Only JSON and safetensors, each file written beside its place and renamed into it, so that a run
that was killed at any moment can go on.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save_file

from models import locks, ranks
from models.errors import DiskError, UsageError


class Run:
    """A run folder. Of processes that train together the first alone reads and writes it.

    Args:
        folder: `runs/<name>`.
        settings: everything that decides the figures; a resumed run must have the same.
        resume: go on with what is there; else what is there is thrown away.
        guarded: the caller sees to it that no other run is at work in the folder.

    Raises:
        UsageError: nothing to resume, it was started with other settings, or another process is at
            work in the folder.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, Any], resume: bool, guarded: bool = False
    ) -> None:
        self.folder = folder
        if not ranks.first():
            return
        given = json.loads(json.dumps(settings))
        file = folder / "settings.json"
        if not guarded and (folder.is_dir() or not resume):
            self._lock = _alone(folder)
        if resume:
            _same(folder, _read(file), given)
        else:
            _clear(folder)
            folder.mkdir(parents=True, exist_ok=True)
            _write(file, given)

    @classmethod
    def existing(cls, folder: Path) -> "Run":
        """The run of another process that goes on."""
        run = cls.__new__(cls)
        run.folder = folder
        return run

    def done(self, key: str) -> dict[str, Any] | None:
        """What the finished step `key` left, or None when it is not finished."""
        kept = _read(self._file(key, "json")) if ranks.first() else None
        agreed: dict[str, Any] | None = ranks.agreed(kept)
        return agreed

    def finish(self, key: str, result: Mapping[str, Any]) -> None:
        """Keep the result of a step and drop its checkpoint and those of its own steps."""
        if not ranks.first():
            return
        _write(self._file(key, "json"), result)
        for file in self._file(key, "checkpoint").parent.glob(f"{_plain(key)}*.checkpoint"):
            if file.stem == _plain(key) or file.stem.startswith(f"{_plain(key)}-"):
                file.unlink()

    def save(self, key: str, arrays: Mapping[str, np.ndarray], state: Mapping[str, Any]) -> None:
        """Keep where step `key` stands.

        Raises:
            DiskError: there is no room; what was kept before still is.
        """
        if not ranks.first():
            return
        file = self._file(key, "checkpoint")
        whole = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
        with _written(file) as beside:
            save_file(whole, beside, metadata={"state": json.dumps(state)})

    def restore(self, key: str) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
        """What `save` kept, or None."""
        kept = ranks.told(_bytes(self._file(key, "checkpoint")) if ranks.first() else b"")
        if not kept:
            return None
        try:
            return load(kept), json.loads(_metadata(kept)["state"])
        except (SafetensorError, ValueError, KeyError):
            return None  # damaged: the step starts over

    def _file(self, key: str, suffix: str) -> Path:
        return self.folder / "steps" / f"{_plain(key)}.{suffix}"


def _clear(folder: Path) -> None:
    """Throw away what an older run left, so that nothing of it is taken for the new one's.

    It goes at once, by a new name: a removal that was broken off would leave steps without the
    settings they were made with. What is no run of ours stays.
    """
    away = folder.parent / f".{folder.name}.old"
    if away.exists():  # of a removal that was broken off
        shutil.rmtree(away)
    if (folder / "settings.json").exists() or (folder / "steps").is_dir():
        folder.rename(away)
        shutil.rmtree(away)


def _alone(folder: Path) -> locks.Lock:
    """The lock lies beside the folder, which is thrown away when a run starts over."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    return locks.hold(
        folder.parent / f".{folder.name}.lock",
        f"Another training is at work in {folder}. Wait until it ends, or give this one a --name "
        "of its own.",
    )


def _plain(key: str) -> str:
    return key.replace("/", "-")


def _bytes(file: Path) -> bytes:
    """Nothing where there is no such file, or it cannot be read."""
    try:
        return file.read_bytes()
    except OSError:
        return b""


def _metadata(kept: bytes) -> dict[str, str]:
    """safetensors begins with the length of a JSON header that carries the metadata."""
    header = json.loads(kept[8 : 8 + int.from_bytes(kept[:8], "little")])
    return dict(header["__metadata__"])


def _same(folder: Path, old: dict[str, Any] | None, new: dict[str, Any]) -> None:
    if old is None:
        raise UsageError(f"There is no run to resume in {folder}. Leave --resume away.")
    different = sorted(k for k in old.keys() | new.keys() if old.get(k) != new.get(k))
    if different:
        raise UsageError(
            f"The run in {folder} was started with other settings ({', '.join(different)}). "
            "Give the same ones to resume it, or leave --resume away to start over."
        )


def _read(file: Path) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads(file.read_text())
        return content
    except (OSError, ValueError):
        return None


def _write(file: Path, content: Mapping[str, Any]) -> None:
    with _written(file) as beside:
        beside.write_text(json.dumps(content, indent=1))


@contextmanager
def _written(file: Path) -> Iterator[Path]:
    """Where to write `file`: beside its place, which it takes when the block ends well."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_suffix(".new")
    try:
        yield beside
        os.replace(beside, file)
    except (OSError, SafetensorError) as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise DiskError(
            f"{file} cannot be written ({error}). Make room on its disk, then go on with --resume "
            "(a sweep goes on by itself): what is finished is kept."
        ) from error
