"""service/shelf.py: copies of bundles in memory, whole or not at all."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from models import bundle
from models.errors import BundleError
from service.shelf import Shelf
from tests.conftest import PROJECT

EMOTION = PROJECT / "params" / "emotion"


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """A limit on files stands for memory that is used up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("room", ["nothing", "the network, not its weights"])
def test_what_does_not_fit_is_told_and_leaves_nothing(tmp_path: Path, room: str) -> None:
    shelf, loaded, before = Shelf(tmp_path), bundle.load(EMOTION), open_files()
    most = 1000 if room == "nothing" else (EMOTION / "inference.json").stat().st_size
    for _ in range(3):
        with (
            files_of_at_most(most),
            pytest.raises(BundleError, match="cannot be kept in memory: File too large"),
        ):
            shelf.keep(loaded)
    assert open_files() == before and list(tmp_path.iterdir()) == []
    folder = shelf.keep(loaded)
    assert len(shelf.files([folder])) == 3
    assert bundle.load(folder).manifest.version == loaded.manifest.version
    shelf.keep_only([])
    assert open_files() == before and list(tmp_path.iterdir()) == []


def test_a_link_without_room_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    shelf, seen = Shelf(tmp_path), bundle.look(EMOTION)
    with files_of_at_most(10), pytest.raises(BundleError, match="cannot be kept in memory"):
        shelf.link(seen)
    assert list(tmp_path.iterdir()) == []
    assert bundle.look(shelf.link(seen)).manifest.version == seen.manifest.version
