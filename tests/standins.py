"""A model of each kind: the shipped ones, and stand-ins for things and one's own classes.

A stand-in is the expression model under other labels, looking at whole pictures: its answers are a
real network's, only not about what the labels say.
"""

from pathlib import Path

from tests.conftest import PROJECT
from tests.guests import made

THINGS = (
    "espresso",
    "Egyptian cat",
    "tabby cat",
    "coffee mug",
    "golden retriever",
    "teapot",
    "bicycle-built-for-two",
)
CLOTHES = ("blouse", "dress", "hat", "jeans", "shirt", "skirt", "long-sleeved t-shirt")


def every_kind(params: Path) -> None:
    """A folder of bundles with a model of each kind, and three that name things."""
    params.mkdir()
    for name in ("emotion", "smile"):
        (params / name).symlink_to(PROJECT / "params" / name)
    made(params / "imagenet" / "one", THINGS)
    made(params / "imagenet" / "two", THINGS[3:] + THINGS[:3])
    made(params / "imagenet" / "three", THINGS[::-1])
    made(params / "clothes", CLOTHES)
