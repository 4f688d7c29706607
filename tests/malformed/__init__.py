"""Image files that are not what they should be, thousands of them, the same ones in every run."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import gcd

import numpy as np

from tests.malformed.costly import COSTLY
from tests.malformed.damage import DAMAGES
from tests.malformed.foreign import FOREIGN
from tests.malformed.whole import whole


@dataclass(frozen=True)
class Malformed:
    """One input; `name` says how it was made, so that a failure can be made again."""

    name: str
    data: bytes


def inputs(count: int, heavy: bool = False) -> Iterator[Malformed]:
    """That many inputs, spread over all kinds of file and of damage, however few they are.

    Args:
        count: how many; not fewer than there are kinds of file.
        heavy: the files of tens of megapixels too, which take seconds each.
    """
    files = whole()
    makers: list[tuple[str, Callable[[], bytes]]] = [
        *((f"foreign: {name}", make) for name, make in FOREIGN.items()),
        *(
            (f"costly: {name}", item.make)
            for name, item in COSTLY.items()
            if heavy or not item.slow
        ),
        *((f"whole: {name}", lambda data=data: data) for name, data in files.items()),
    ]
    assert count >= len(makers), f"there are {len(makers)} kinds"
    for name, make in makers:
        yield Malformed(name, make())
    yield from damaged(count - len(makers))


def damaged(count: int) -> Iterator[Malformed]:
    """Whole files with something done to them."""
    files, damages = list(whole().items()), list(DAMAGES.items())
    pairs = len(files) * len(damages)
    stride = next(step for step in range(int(pairs * 0.382), pairs) if gcd(step, pairs) == 1)
    for number in range(count):
        place = number * stride % pairs
        (form, data), (how, damage) = files[place % len(files)], damages[place // len(files)]
        random = np.random.default_rng(number)
        yield Malformed(f"damaged {number}: {form}, {how}", damage(data, random))
