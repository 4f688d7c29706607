"""A place in a pool, and the predictor process that has it now."""

from dataclasses import dataclass
from typing import Literal

from service.nursery import Child
from service.stillness import Stillness
from service.wire import Wire

FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 30.0


@dataclass
class Slot:
    """A place for one process, and the process that has it now."""

    index: int
    state: Literal["waiting", "starting", "idle", "busy"] = "waiting"
    process: Child | None = None  # none yet while the nursery has not borne it
    wire: Wire | None = None  # until one of both ends closes it
    name: str = ""
    job: str | None = None
    images: int = 0  # of the job
    since: float = 0.0  # when the state began, or when a waiting slot may start
    failures: int = 0  # starts that led nowhere, one after another
    watch: Stillness | None = None

    @property
    def pause_s(self) -> float:
        """Before its next start: the longer, the more failed."""
        return min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(self.failures, 10))
