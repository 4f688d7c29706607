"""Which waiting images a predictor looks at together (HYOJO_MAX_BATCH_SIZE).

Nothing waits for company: only what waits already, because every predictor is busy, goes together,
and only where it pays on this machine.
"""

import itertools
from collections.abc import Mapping

from models import batches
from service.crew import Crew
from service.pending import Pending, Waiting
from service.quarantine import Quarantine

WORTH_IT = 0.05
"""Share of its time in the network that a full batch must save an image; those that go together are
answered together, the first as late as the last."""


class Grouping:
    """Chooses them.

    Args:
        most: images at once.
        pending: the requests that are being answered, by ticket.
        quarantine: what it names is no part of any group.
    """

    def __init__(self, most: int, pending: Mapping[int, Pending], quarantine: Quarantine) -> None:
        self._most = most
        self._pending = pending
        self._quarantine = quarantine

    def front(self, crew: Crew) -> tuple[Waiting, ...]:
        """A crew's first image that waits, and those right behind it of which the same is asked.

        No more than a predictor's fair share of all that wait, the busy predictors counted: where
        few wait, one by one is sooner done. And whole batches of the network's: part of one would
        be computed one by one, and answered together for nothing. The queue is left as it is.
        """
        queue = crew.queue
        in_time = int(crew.pool.timeout_s * 1e3 / (2 * crew.image_ms))  # the pool's time is a job's
        most = min(self._most, crew.pool.largest_batch, len(queue) // crew.pool.ready, in_time)
        full = batches.sizes(min(self._most, crew.pool.largest_batch))[-1]
        saves = crew.pool.company_saves.get(queue[0].model, 0.0)
        if full == 1 or most < full or saves < WORTH_IT:
            return (queue[0],)
        asked = self._asked(queue[0])
        alike = itertools.takewhile(lambda one: self._asked(one) == asked, queue)
        group = tuple(itertools.islice(alike, most))
        return group[: len(group) // full * full or 1]

    def _asked(self, waiting: Waiting) -> object:
        """What is asked of an image; unlike any other's where it is to be looked at alone."""
        pending = self._pending.get(waiting.ticket)
        if pending is None or waiting.alone or self._quarantine.refusal(waiting.image):
            return (waiting.ticket, waiting.index)
        return pending.job("", waiting.model)
