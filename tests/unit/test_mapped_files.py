"""Memory of mapped files is given back, and nothing that was written is lost."""

import mmap
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service import mapped_files
from service.mapped_files import PAGE

PAGES = 300


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"".join(bytes([n % 251]) * PAGE for n in range(PAGES)))
    return path


def mapped(path: Path, flags: int) -> Iterator[mmap.mmap]:
    rights = mmap.PROT_READ | mmap.PROT_WRITE
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0, flags=flags, prot=rights) as area:
        yield area


def resident_kb(path: Path) -> int:
    """Of this file's mapping in this process."""
    lines = Path("/proc/self/smaps").read_text().splitlines()
    (at,) = (n for n, line in enumerate(lines) if line.endswith(str(path)))
    return next(int(line.split()[1]) for line in lines[at:] if line.startswith("Rss:"))


def test_what_was_only_read_goes_and_what_was_written_stays(file: Path) -> None:
    for area in mapped(file, mmap.MAP_PRIVATE):
        before = bytes(area)
        written = (0, 1, 100, PAGES - 1)
        for page in written:
            area[page * PAGE : page * PAGE + 4] = b"mine"
        assert bytes(area) != before, "all of it has been looked at"
        assert resident_kb(file) == PAGES * PAGE // 1024
        assert mapped_files.release() > 0
        assert resident_kb(file) == len(written) * PAGE // 1024
        for page in range(PAGES):
            now = area[page * PAGE : (page + 1) * PAGE]
            first = b"mine" if page in written else before[page * PAGE : page * PAGE + 4]
            assert now == first + before[page * PAGE + 4 : (page + 1) * PAGE]
    assert file.read_bytes() == before


def test_what_is_shared_with_the_file_is_left_alone(file: Path) -> None:
    for area in mapped(file, mmap.MAP_SHARED):
        area[:4] = b"ours"
        before = resident_kb(file)
        mapped_files.release()
        assert resident_kb(file) == before > 0
        assert area[:4] == b"ours"


def test_where_the_system_tells_nothing_nothing_happens(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError("pagemap")

    for area in mapped(file, mmap.MAP_PRIVATE):
        assert len(bytes(area)) == PAGES * PAGE
        before = resident_kb(file)
        monkeypatch.setattr("builtins.open", refused)
        mapped_files.release()
        assert resident_kb(file) == before > 0


def test_libraries_work_as_before() -> None:
    """In a process of its own, which has Paddle's libraries in memory, as a nursery has."""
    code = """
import numpy, paddle
from service import mapped_files
assert mapped_files.release() > 100e6
print(float(paddle.matmul(paddle.ones([64, 64]), paddle.ones([64, 64])).sum()))
assert mapped_files.release() > 0
print(numpy.linalg.inv(numpy.eye(9)).sum())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["262144.0", "9.0"]
