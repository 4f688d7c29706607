"""Unpacking published sets, on every Python there is support for."""

import tarfile
from collections.abc import Iterable
from pathlib import Path


def unpack(
    archive: tarfile.TarFile, place: Path, members: Iterable[tarfile.TarInfo] | None = None
) -> None:
    """Unpack without leaving the folder; before Python 3.11.4 (Debian 12's is older) there was no
    filter to ask for."""
    safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    archive.extractall(place, members=members, **safe)  # type: ignore[arg-type]
