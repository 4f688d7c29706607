"""The bundles that are served, held in memory as they were when they were verified.

A bundle may be replaced, damaged or removed on disk while it is served. A predictor that is started
later must still get what the others have, so the worker keeps a copy of what predictors read and
hands them open files: no disk needs room for it. Of models that are loaded when they are asked for
it keeps the manifest alone, so that what is loaded is what was announced, or refused.
"""

import hashlib
import itertools
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from models.bundle import GRAPH, MANIFEST, PARAMETERS, Bundle
from models.errors import BundleError

_READ = (GRAPH, PARAMETERS)
"""What a predictor opens; a bundle's other files are for training and for people."""


@dataclass(frozen=True)
class _Copy:
    """One bundle in memory.

    Attributes:
        manifest: model.json as it was read, to know it again.
        source: where it is on disk, if it is only linked to.
        folder: links to the files, as a bundle.
        files: numbers of the open files.
    """

    manifest: bytes
    source: Path | None
    folder: Path
    files: tuple[int, ...]


@dataclass
class Shelf:
    """Copies of bundles. Predictors read them through links to the files that they inherit.

    Args:
        folder: of this process alone, for the links; who made it removes it.
    """

    folder: Path
    _copies: list[_Copy] = field(default_factory=list)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def files(self, folders: Iterable[Path]) -> tuple[int, ...]:
        """Open files that a predictor of these copies must inherit, under the same numbers."""
        named = set(folders)
        return tuple(n for copy in self._copies if copy.folder in named for n in copy.files)

    def keep(self, bundle: Bundle) -> Path:
        """Copy a verified bundle, unless it is here already.

        Returns:
            where a predictor that inherits its `files` loads it.

        Raises:
            BundleError: its files changed while they were read, or there is no memory for them.
        """
        manifest = msgspec.json.encode(bundle.manifest)
        if (known := self._known(manifest, None, bundle.path.name)) is not None:
            return known
        contents = {name: _read(bundle, name) for name in _READ}
        contents[MANIFEST] = _shortened(bundle)
        files = []
        with self._new(bundle) as (folder, undo):
            for name, content in contents.items():
                files.append(_in_memory(name, content))
                undo.callback(os.close, files[-1])
                (folder / name).symlink_to(f"/proc/self/fd/{files[-1]}")
        self._copies.append(_Copy(manifest, None, folder, tuple(files)))
        return folder

    def link(self, bundle: Bundle) -> Path:
        """Keep a bundle's manifest, and links to its other files, unless they are here already.

        Returns:
            where any predictor loads it, as long as its files are those of that manifest.

        Raises:
            BundleError: there is no room for the manifest.
        """
        manifest, source = msgspec.json.encode(bundle.manifest), bundle.path.absolute()
        if (known := self._known(manifest, source, bundle.path.name)) is not None:
            return known
        with self._new(bundle) as (folder, _):
            (folder / MANIFEST).write_bytes(_shortened(bundle))
            for name in _READ:
                (folder / name).symlink_to(source / name)
        self._copies.append(_Copy(manifest, source, folder, ()))
        return folder

    def _known(self, manifest: bytes, source: Path | None, name: str) -> Path | None:
        wanted = manifest, source, name
        for copy in self._copies:
            if (copy.manifest, copy.source, copy.folder.name) == wanted:
                return copy.folder
        return None

    @contextmanager
    def _new(self, bundle: Bundle) -> Iterator[tuple[Path, ExitStack]]:
        """A folder to fill for a bundle. Where that fails nothing of it stays: every other try
        would keep weights that nobody reads.

        Yields:
            the folder, and what else is to be undone.

        Raises:
            BundleError: no memory or no open file was to be had.
        """
        folder = self.folder / str(next(self._numbers)) / bundle.path.name
        with ExitStack() as undo:
            undo.callback(shutil.rmtree, folder.parent, ignore_errors=True)
            try:
                folder.mkdir(parents=True)
                yield folder, undo
            except OSError as error:
                raise BundleError(
                    f"The model bundle {bundle.path} cannot be kept in memory: {error.strerror}. "
                    "Give the worker more, then send it SIGHUP or start it again."
                ) from None
            undo.pop_all()

    def keep_only(self, folders: Iterable[Path]) -> None:
        """Give back what no catalogue names any more."""
        named = set(folders)
        for copy in [copy for copy in self._copies if copy.folder not in named]:
            self._copies.remove(copy)
            shutil.rmtree(copy.folder.parent, ignore_errors=True)
            for number in copy.files:
                os.close(number)


def _shortened(bundle: Bundle) -> bytes:
    """A bundle's manifest with the hashes of what predictors read alone."""
    hashes = {name: bundle.manifest.files[name] for name in _READ}
    return msgspec.json.encode(replace(bundle.manifest, files=hashes))


def _read(bundle: Bundle, name: str) -> bytes:
    try:
        content = bundle.file(name).read_bytes()
    except OSError as error:
        content, why = b"", f"{error.strerror}"
    else:
        why = "it is being replaced just now"
    if hashlib.sha256(content).hexdigest() != bundle.manifest.files[name]:
        raise BundleError(
            f"The model bundle {bundle.path} cannot be read: {bundle.file(name)}: {why}. "
            "Try again when it is whole.",
            "bundle_altered",
        )
    return content


def _in_memory(name: str, content: bytes) -> int:
    """A file that is on no disk; returns its number."""
    number = os.memfd_create(name)
    try:
        with open(number, "wb", closefd=False) as file:
            file.write(content)
    except BaseException:
        os.close(number)
        raise
    return number
