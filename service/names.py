"""What a model may be called: `NAME`, `FAMILY:NAME`, or `average:A,B,C` of several.

`NAME` is the folder `params/NAME`, `FAMILY:NAME` is `params/FAMILY/NAME`.
"""

from collections.abc import Container
from pathlib import Path

from service.errors import ApiError

THINGS = "imagenet"
"""The family of models that name things in a picture; inside an average it may be left out."""
AVERAGE = "average"
FEWEST, MOST = 2, 8
"""Models in one average."""
_BETWEEN = ":"


def family_of(name: str) -> str:
    """The family that a model's name tells; empty for one that stands alone."""
    return name.partition(_BETWEEN)[0] if _BETWEEN in name else ""


def folder_of(params: Path, name: str) -> Path:
    """Where a model's bundle lies."""
    return params.joinpath(*name.split(_BETWEEN, 1))


def full(family: str, name: str) -> str:
    """The name of a family's model."""
    return f"{family}{_BETWEEN}{name}"


def is_average(asked: str) -> bool:
    """Whether several models are asked for in one name."""
    return asked.startswith(AVERAGE + _BETWEEN)


def members(asked: str, known: Container[str]) -> tuple[str, ...]:
    """The models that an average is of, by their full names.

    Args:
        asked: what `is_average`.
        known: names of all models.

    Raises:
        ApiError: not_averageable where there are too few, too many or one twice; model_not_found.
    """
    given = [name.strip() for name in asked.partition(_BETWEEN)[2].split(",")]
    found = [_known(name, known) for name in given]
    if not FEWEST <= len(found) <= MOST or len(set(found)) < len(found):
        raise ApiError(
            "not_averageable",
            f"An average takes {FEWEST} to {MOST} different models, and {asked[:200]!r} names "
            f"{len(set(found))}. Write them with commas between: {AVERAGE}:A,B.",
        )
    return tuple(found)


def _known(name: str, known: Container[str]) -> str:
    """A name in full; one that stands alone comes before one of the family."""
    for candidate in (name, full(THINGS, name)):
        if candidate in known:
            return candidate
    raise ApiError(
        "model_not_found",
        f"There is no model {name[:100]!r} to be averaged. GET /models lists those there are.",
    )
