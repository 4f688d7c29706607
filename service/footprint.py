"""What a model takes of the machine: expected from its files, measured once it is warm."""

from dataclasses import dataclass
from pathlib import Path

MEGABYTE = 1024 * 1024
OWN_MB = 150
"""Of a predictor process beside its weights: activations, code, and what one picture leaves."""
COPIES = 2
"""Of the weights: Paddle keeps those it read beside those that oneDNN has laid out anew."""


def expected_mb(parameters_bytes: int) -> float:
    """What a predictor process of one network will take (MiB), from the size of its weights."""
    return COPIES * parameters_bytes / MEGABYTE + OWN_MB


def private_mb(pid: int) -> float:
    """What a process has to itself (MiB); what it shares by a fork or has of a file is not counted:
    a library's pages are the file's, whether or not another process has them just now.

    The kernel looks at every page for it: tens of milliseconds for a large one.
    """
    return sum(_of(pid, "smaps_rollup", "Private_Dirty")) / 1024


@dataclass
class Footprint:
    """Follows one process: what it had to itself once, and what its counters say it grew by.

    Args:
        pid: its process id.
        private_mb: what it has to itself now, as it counted itself (MiB).
    """

    pid: int
    private_mb: float

    def __post_init__(self) -> None:
        self._first_mb = self._anonymous_mb()

    @property
    def mb(self) -> float:
        """Memory that its end would give back (MiB); 0 once it has ended."""
        now_mb = self._anonymous_mb()
        return max(0.0, self.private_mb + now_mb - self._first_mb) if now_mb else 0.0

    def _anonymous_mb(self) -> float:
        return sum(_of(self.pid, "status", "RssAnon")) / 1024


def _of(pid: int, file: str, field: str) -> list[int]:
    """The values (kB) of a process's fields whose names begin so; none when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except OSError:
        return []
    return [int(line.split()[1]) for line in lines if line.startswith(field)]
