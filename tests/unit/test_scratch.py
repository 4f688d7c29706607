"""Folders for sockets and counts: made where it can be done, swept when left behind."""

import subprocess
import sys
from pathlib import Path

import pytest

from service import scratch
from tests.conftest import PROJECT

LEAVE = """
import os, sys
from pathlib import Path
from service import scratch
made = scratch.make("test", [Path(sys.argv[1])])
print(made.path, flush=True)
sys.stdin.read()
os._exit(9)
"""


def test_it_is_its_owners_alone_and_gone_at_the_end(tmp_path: Path) -> None:
    with scratch.make("test", [tmp_path]) as made:
        assert made.path.parent == tmp_path and made.path.stat().st_mode & 0o777 == 0o700
    assert list(tmp_path.iterdir()) == []


def test_one_whose_owner_was_killed_is_swept_and_one_whose_owner_lives_is_not(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", LEAVE, str(tmp_path)]
    with subprocess.Popen(
        command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None and owner.stdin is not None
        left = Path(owner.stdout.readline().strip())
        with scratch.make("test", [tmp_path]):
            assert left.is_dir(), "its owner lives"
        owner.stdin.close()
        owner.wait()
        assert left.is_dir(), "nobody removed it"
        with scratch.make("other", [tmp_path]):
            assert left.is_dir(), "another purpose's"
        with scratch.make("test", [tmp_path]) as made:
            assert [path for path in tmp_path.iterdir()] == [made.path]


def test_the_next_place_is_taken_where_the_first_cannot_be(tmp_path: Path) -> None:
    no_folder = tmp_path / "file"
    no_folder.touch()
    with scratch.make("test", [no_folder, tmp_path]) as made:
        assert made.path.parent == tmp_path
    with scratch.make("test", [tmp_path, Path("/dev/shm")], bytes_free=1 << 60) as made:
        assert made.path.parent == tmp_path, "where no place is roomy the first will do"


def test_where_none_can_be_made_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(scratch.ScratchError, match=r"No folder .* Not a directory.*TMPDIR"):
        scratch.make("test", [tmp_path / "file"])


def test_the_usual_place_follows_tmpdir_where_it_may_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert scratch.temporary_folder() == tmp_path
    monkeypatch.setenv("TMPDIR", str(tmp_path / "absent"))
    assert scratch.temporary_folder() == Path("/tmp")
