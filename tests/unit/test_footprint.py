"""What a process is said to take: what it wrote, not what it looks at in files."""

import mmap
import os
from pathlib import Path

import cv2

from service.footprint import MEGABYTE, private_mb

SIZE = 32 * MEGABYTE


def test_pages_of_a_library_do_not_count_until_they_are_written() -> None:
    (library,) = Path(cv2.__file__).parent.glob("cv2*.so")
    before = private_mb(os.getpid())
    rights = mmap.PROT_READ | mmap.PROT_WRITE
    with open(library, "rb") as file:
        area = mmap.mmap(file.fileno(), SIZE, flags=mmap.MAP_PRIVATE, prot=rights)
    with area:
        looked = sum(area[at] for at in range(0, SIZE, mmap.PAGESIZE))
        assert looked and private_mb(os.getpid()) - before < 4
        for at in range(0, SIZE, mmap.PAGESIZE):
            area[at] = 1
        assert private_mb(os.getpid()) - before > 30
