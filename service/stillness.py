"""Whether a process that has work stands still: stopped from outside, or locked up.

A predictor computes from the first byte of an image to the last and waits for nobody. One that is
neither running nor waiting for the processor, and uses none, does not come back by itself; to wait
until its time is over would hold the image, and all that queue behind it, for nothing.
"""

from dataclasses import dataclass
from pathlib import Path

_LONGEST_LOOK_S = 0.25
"""A longer pause between two looks counts as this: then this process was held up itself."""
_STOPPED = ("T", "t")
_WAITING = ("S", *_STOPPED)


@dataclass
class Stillness:
    """Watches one process by looking at it again and again.

    Args:
        pid: its process id.
    """

    pid: int
    still_s: float = 0.0
    _looked: float = 0.0
    _used: int = -1

    def look(self, now: float, has_work: bool) -> float:
        """Look at it; returns for how many seconds it has been seen standing still.

        Args:
            now: by `time.monotonic`.
            has_work: it should be computing. Else it may well wait, and counts as still only
                while it is stopped.
        """
        state, used = _state_and_use(self.pid)
        still = state in (_WAITING if has_work else _STOPPED) and used == self._used
        passed = min(now - self._looked, _LONGEST_LOOK_S)
        self.still_s = self.still_s + passed if still else 0.0
        self._looked, self._used = now, used
        return self.still_s


def _state_and_use(pid: int) -> tuple[str, int]:
    """State letter and clock ticks of processor time, as in proc(5); ("", 0) when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return "", 0
    return fields[0].decode(), int(fields[11]) + int(fields[12])
