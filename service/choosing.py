"""Which models a name asks for: one, or those that are averaged; and whether they can answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from service import names
from service.errors import ApiError
from service.protocol import ModelInfo


def chosen(asked: str, models: Mapping[str, ModelInfo]) -> list[ModelInfo]:
    """The models of a name; several where it is an average.

    Args:
        asked: a model's name, or `average:A,B`.
        models: all there are, by name, the unfit ones too.

    Raises:
        ApiError: model_not_found, model_unavailable or not_averageable.
    """
    averaged = asked not in models and names.is_average(asked)
    wanted = names.members(asked, models) if averaged else (asked,)
    infos = [_servable(name, models) for name in wanted]
    if averaged:
        see_that_they_agree(infos)
    return infos


def _servable(name: str, models: Mapping[str, ModelInfo]) -> ModelInfo:
    info = models.get(name)
    if info is None:
        served = ", ".join(other.name for other in models.values() if not other.error) or "none"
        detail = f"There is no model {name!r}. Models served: {served}."
        if names.family_of(name) == names.THINGS:
            detail += " Published networks are brought by `python -m models.zoo fetch NAME`."
        raise ApiError("model_not_found", detail)
    if info.error:
        raise ApiError("model_unavailable", info.error)
    return info


def see_that_they_agree(infos: Sequence[ModelInfo]) -> None:
    """See that models can be averaged: only what speaks of the same things has a mean.

    Raises:
        ApiError: not_averageable.
    """
    first, *others = infos
    for other in others:
        if set(other.labels) != set(first.labels):
            odd = sorted(set(other.labels) ^ set(first.labels))[0]
            why = f"their labels differ ({odd!r} is not in both)"
        elif other.faces != first.faces:
            why = "one looks at faces and the other at the whole picture"
        else:
            continue
        raise ApiError(
            "not_averageable",
            f"{first.name} and {other.name} cannot be averaged: {why}. Average models of the same "
            "labels, or ask each by itself.",
        )
