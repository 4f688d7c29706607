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


@dataclass
class Footprint:
    """Measures one process. What it shares with others, by a fork or as a library, is not counted.

    Counting its private pages takes the kernel milliseconds, so that is done once; what it grows by
    afterwards is read from its counters.

    Args:
        pid: its process id; it is warm.
    """

    pid: int

    def __post_init__(self) -> None:
        self._private_kb = sum(_of(self.pid, "smaps_rollup", "Private_"))
        self._anonymous_kb = sum(_of(self.pid, "status", "RssAnon"))

    @property
    def mb(self) -> float:
        """Memory that its end would give back (MiB); 0 once it has ended."""
        anonymous_kb = sum(_of(self.pid, "status", "RssAnon"))
        if not anonymous_kb:
            return 0.0
        return max(0, self._private_kb + anonymous_kb - self._anonymous_kb) / 1024


def _of(pid: int, file: str, field: str) -> list[int]:
    """The values (kB) of a process's fields whose names begin so; none when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except OSError:
        return []
    return [int(line.split()[1]) for line in lines if line.startswith(field)]
