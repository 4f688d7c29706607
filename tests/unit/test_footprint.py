"""What a process is said to take: what it wrote, not what it looks at in files."""

import mmap
import os
from pathlib import Path

from service.footprint import MEGABYTE, private_mb

SIZE = 32 * MEGABYTE


def test_pages_of_a_file_do_not_count_until_they_are_written(tmp_path: Path) -> None:
    file = tmp_path / "library"
    with open(file, "wb") as written:
        written.write(os.urandom(SIZE))
        written.flush()
        os.fsync(written.fileno())  # until then the file's own pages are dirty
    before = private_mb(os.getpid())
    with open(file, "r+b") as opened, mmap.mmap(
        opened.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE
    ) as area:  # fmt: skip
        looked = sum(area[at] for at in range(0, SIZE, mmap.PAGESIZE))
        assert looked and private_mb(os.getpid()) - before < 4
        for at in range(0, SIZE, mmap.PAGESIZE):
            area[at] = 1
        assert private_mb(os.getpid()) - before > 30
