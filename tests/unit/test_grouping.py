"""Which images are looked at together: those of which the same is asked, and none that may not."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import pytest

from service.grouping import Grouping
from service.pending import Pending, Waiting
from service.protocol import ClassifyRequest
from service.quarantine import Quarantine

PLAIN = ClassifyRequest(id="a")


@dataclass
class Pool:
    """What is asked of a pool: a stand-in, for a real one has processes."""

    ready: int = 1
    largest_batch: int = 8
    timeout_s: float = 10
    company_saves: dict[str, float] = field(default_factory=lambda: {"m": 0.2, "n": 0.2})


@dataclass
class Crew:
    """Likewise."""

    queue: deque[Waiting]
    pool: Pool = field(default_factory=Pool)
    image_ms: float = 20


def pending(request: ClassifyRequest, *models: str) -> Pending:
    return Pending(b"", request, "m", "1", models or ("m",), 0.0, 1.0, [None])


def groups(*asked: ClassifyRequest, most: int = 8, pool: Pool | None = None, **changed: Any) -> int:
    """How many of so many waiting images go together."""
    waiting = deque(Waiting(n, 0, "m", b"%d" % n) for n in range(len(asked)))
    for number, change in changed.items():
        n = int(number.removeprefix("of_"))
        waiting[n] = Waiting(**{"ticket": n, "index": 0, "model": "m", "image": b"x", **change})
    known = {n: pending(request) for n, request in enumerate(asked)}
    crew: Any = Crew(waiting, pool or Pool())
    front = Grouping(most, known, Quarantine(300)).front(crew)
    assert list(front) == list(waiting)[: len(front)], "in order, from the first"
    return len(front)


@pytest.mark.parametrize(
    ("together", "told"),
    [
        (groups(PLAIN), 1),
        (groups(*[PLAIN] * 3), 1),  # a batch that is not full saves nothing
        (groups(*[PLAIN] * 4), 4),
        (groups(*[PLAIN] * 5), 4),
        (groups(*[PLAIN] * 12), 8),
        (groups(*[PLAIN] * 12, most=7), 4),
        (groups(*[PLAIN] * 5, most=3), 1),
        (groups(*[PLAIN] * 5, most=1), 1),
        (groups(*[PLAIN] * 8, pool=Pool(ready=2)), 4),
        (groups(*[PLAIN] * 7, pool=Pool(ready=2)), 1),  # the other predictor's share is as large
        (groups(*[PLAIN] * 5, pool=Pool(largest_batch=2)), 1),
        (groups(*[PLAIN] * 9, pool=Pool(timeout_s=0.2)), 4),  # all of them have the time of a job
        (groups(*[PLAIN] * 9, pool=Pool(timeout_s=0.1)), 1),
        (groups(*[PLAIN] * 5, pool=Pool(company_saves={"m": 0.04})), 1),  # not worth the wait
        (groups(*[PLAIN] * 5, pool=Pool(company_saves={"n": 0.2})), 1),
        (groups(*[PLAIN] * 4, ClassifyRequest(id="b", top=3), *[PLAIN] * 3), 4),
        (groups(*[PLAIN] * 3, ClassifyRequest(id="b", top=3), PLAIN), 1),
        (groups(*[PLAIN] * 3, ClassifyRequest(id="b", explain=True)), 1),
        (groups(*[PLAIN] * 3, ClassifyRequest(id="b", faces="all")), 1),
        (groups(*[PLAIN] * 4, of_1={"model": "n"}), 1),
        (groups(*[PLAIN] * 5, of_0={"alone": True}), 1),
        (groups(*[PLAIN] * 5, of_3={"alone": True}), 1),
        (groups(*[PLAIN] * 5, of_4={"alone": True}), 4),
    ],
)
def test_so_many_go_together(together: int, told: int) -> None:
    assert together == told


def test_an_image_in_quarantine_is_in_no_group() -> None:
    quarantine = Quarantine(300)
    quarantine.lost(b"1", crashed=True)
    waiting = deque(Waiting(n, 0, "m", b"%d" % n) for n in range(4))
    crew: Any = Crew(waiting)
    known = {n: pending(PLAIN) for n in range(4)}
    assert len(Grouping(8, known, Quarantine(300)).front(crew)) == 4
    assert [one.image for one in Grouping(8, known, quarantine).front(crew)] == [b"0"]
