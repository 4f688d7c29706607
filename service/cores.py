"""How many cores there are to use."""

import os
from pathlib import Path


def usable_cores() -> int:
    """Cores this process may use: its affinity, cut by the container's CPU quota."""
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return cores if quota == "max" else max(1, min(cores, int(quota) // int(period)))
    except (OSError, ValueError):
        return cores
