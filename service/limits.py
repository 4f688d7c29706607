"""What a process is held to: no core dumps, no more memory than it may use; and what it keeps."""

import contextlib
import ctypes
import resource
from pathlib import Path

MEGABYTE = 1024 * 1024
_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # mallopt(3)
_KEPT_BYTES = 16 * MEGABYTE
"""Blocks up to here, a decoded picture for one, come from the heap and are used again."""
_OPENCV_NO_MEMORY = -4  # cv2.Error.StsNoMem
OOM_SCORE = 500
"""Of 1,000, at which the kernel takes a process whatever its size."""
LEAST_MB = 128
"""What a predictor needs beyond its models to look at a picture at all."""


def no_core_dumps() -> None:
    """A crash leaves no image behind: neither this process nor its children dump core.

    One byte and not none: too short for a file, and the one value at which Linux does not start
    the program that `core_pattern` may name either (core(5); a limit of 0 does not hold that back).
    """
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    least = 1 if hard == resource.RLIM_INFINITY else min(1, hard)
    resource.setrlimit(resource.RLIMIT_CORE, (least, least))


def limit_memory(megabytes: int, beside: int = 0) -> None:
    """Hold this process to so much memory of its own (MiB): what it asks for beyond is refused.

    Libraries and other mapped files do not count (RLIMIT_DATA).

    Args:
        megabytes: that it may use.
        beside: bytes that do not count.

    Raises:
        MemoryError: what it holds already leaves too little; says how much it takes.
    """
    held = -(-(own_memory_bytes() - beside) // MEGABYTE)
    if held + LEAST_MB > megabytes:
        raise MemoryError(
            f"The models take {held} MiB of a predictor and HYOJO_PREDICTOR_MEMORY_MB is "
            f"{megabytes}: set it to {held + LEAST_MB} at least, or serve fewer models "
            "(HYOJO_MODELS)."
        )
    limit = megabytes * MEGABYTE + beside
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def first_to_go() -> None:
    """Where the machine itself runs out of memory, the kernel is to end this process before others:
    one that can be replaced, and not its parent."""
    score = Path("/proc/self/oom_score_adj")
    with contextlib.suppress(OSError):  # no /proc that can be written
        score.write_text(str(max(OOM_SCORE, int(score.read_text()))))


def keep_heap() -> None:
    """Have the C library use blocks again: mapped anew for each picture they cost a millisecond of
    page faults. It learns to by itself, but from what happens to be freed first."""
    library = ctypes.CDLL(None)
    library.mallopt(_MMAP_THRESHOLD, _KEPT_BYTES)
    library.mallopt(_TRIM_THRESHOLD, 2 * _KEPT_BYTES)


def own_memory_bytes() -> int:
    """What counts against the limit now."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0


def ran_out(error: Exception) -> bool:
    """Whether this is memory that was asked for and refused, of Python's or of OpenCV's."""
    return isinstance(error, MemoryError) or getattr(error, "code", None) == _OPENCV_NO_MEMORY
