"""Predictors that hold the same models, with the images that wait for them."""

from collections import deque
from dataclasses import dataclass, field

from service.catalog import Catalog
from service.pending import Waiting
from service.pool import Pool


@dataclass(eq=False)
class Crew:
    """What answers a request from its acceptance to its end, whatever takes over meanwhile.

    Attributes:
        catalog: the models.
        pool: the predictors.
        guest: its one model was loaded because it was asked for.
        queue: images that wait for a predictor.
        image_ms: running mean of one image in a predictor, for Retry-After.
    """

    catalog: Catalog
    pool: Pool
    guest: bool = False
    queue: deque[Waiting] = field(default_factory=deque)
    image_ms: float = 20.0

    @property
    def empty(self) -> bool:
        """Whether it has no predictors because no model is to be held all the time."""
        return not self.catalog.folders and not self.catalog.problem

    @property
    def done(self) -> bool:
        """Whether nothing waits and nothing is being looked at."""
        return not self.queue and not self.pool.busy

    @property
    def complete(self) -> bool:
        """Whether all of its predictors are warm."""
        return self.pool.ready == self.pool.size or self.empty

    @property
    def warm(self) -> bool:
        """Whether one of its predictors is, or it has none."""
        return bool(self.pool.ready) or self.empty

    @property
    def predictors(self) -> int:
        """How many there should be."""
        return 0 if self.empty else self.pool.size

    @property
    def why_not_ready(self) -> str:
        """Empty when it can answer."""
        if self.catalog.problem:
            return self.catalog.problem
        if self.warm:
            return ""
        return self.pool.problem or "The predictors are warming up; this takes a few seconds."
