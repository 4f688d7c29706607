"""Networks written down: `3x64 3x32 2x16 1x8` is three blocks at 64 pixels, three at 32, and so on.

A block is a 3x3 convolution with batch norm and a rectifier; the last block of each size halves it.
Channels begin at a base width and double with each size.
"""

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from models.errors import UsageError
from models.framework import paddle
from models.units import Unit

nn: Any = paddle.nn

NAME = "blocks"
PLAN = "2x64 2x32 2x16 1x8"  # of `--network blocks`
WIDTH = 16
SIDES_PX = (32, 512)  # of the first size
_MOST_BLOCKS = 20  # of one size
_WORD = re.compile(r"(\d+)[x×](\d+)", re.I)  # noqa: RUF001 - people paste the sign too
_EXAMPLE = 'Write blocks x pixels, each size half of the one before: "3x64 3x32 2x16 1x8".'


@dataclass(frozen=True)
class Row:
    """Blocks of one size.

    Attributes:
        count: of blocks.
        side: of the map they look at, in pixels.
    """

    count: int
    side: int


def is_plan(network: str) -> bool:
    """Whether a network is written down rather than named."""
    return network[:1].isdigit()


def rows(plan: str) -> tuple[Row, ...]:
    """Read a plan.

    Raises:
        UsageError: it is none, and why.
    """
    words = plan.replace(",", " ").split()
    found = [_WORD.fullmatch(word) for word in words]
    for word, match in zip(words, found, strict=True):
        if match is None:
            raise UsageError(f"--network {plan!r}: {word!r} is not understood. {_EXAMPLE}")
    made = tuple(Row(int(match[1]), int(match[2])) for match in found if match)
    if not made:
        raise UsageError(f"--network {plan!r} names no block. {_EXAMPLE}")
    for row in made:
        if not 1 <= row.count <= _MOST_BLOCKS:
            raise UsageError(
                f"--network {plan!r}: {row.count} blocks at {row.side} pixels; 1 to "
                f"{_MOST_BLOCKS} are possible. {_EXAMPLE}"
            )
    if not SIDES_PX[0] <= made[0].side <= SIDES_PX[1]:
        raise UsageError(
            f"--network {plan!r} begins at {made[0].side} pixels; the input may be "
            f"{SIDES_PX[0]} to {SIDES_PX[1]} pixels a side."
        )
    for before, after in pairwise(made):
        if after.side * 2 != before.side:
            raise UsageError(
                f"--network {plan!r}: {after.side} is not half of {before.side}. The last block of "
                f"each size halves it. {_EXAMPLE}"
            )
    if made[-1].side < 2 or made[-1].side % 2:
        raise UsageError(
            f"--network {plan!r}: a map of {made[-1].side} pixels cannot be halved. {_EXAMPLE}"
        )
    return made


def written(plan: str) -> str:
    """The plan in one spelling: `3x64 3x32`."""
    return " ".join(f"{row.count}x{row.side}" for row in rows(plan))


def side(plan: str) -> int:
    """Of the network's input, in pixels: the first number."""
    return rows(plan)[0].side


class Blocks(nn.Layer):  # type: ignore[misc]
    """The trunk: images (N, channels, side, side) to a map of half the last size.

    Args:
        channels: 1 for grey input, 3 for colour.
        plan: see the module.
        width: channels of the first size; each size has twice as many as the one before.
    """

    def __init__(self, channels: int = 3, plan: str = PLAN, width: int = WIDTH) -> None:
        super().__init__()
        stages = []
        wide_in, wide_out = channels, width
        for row in rows(plan):
            units = []
            for number in range(row.count):
                units.append(Unit(wide_in, wide_out, stride=2 if number == row.count - 1 else 1))
                wide_in = wide_out
            stages.append(nn.Sequential(*units))
            wide_out *= 2
        self.stages = nn.LayerList(stages)
        self.width = wide_in

    def forward(self, x: Any) -> Any:
        for stage in self.stages:
            x = stage(x)
        return x
