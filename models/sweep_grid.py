"""What a sweep compares: each combination of the values that were given."""

import argparse
import itertools
import shlex
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import UsageError
from models.wishes import Wishes


@dataclass(frozen=True)
class Setting:
    """One combination.

    Attributes:
        wishes: all options, those that are the same for all too.
        varied: the options that were given several values, with this setting's.
    """

    wishes: Wishes
    varied: dict[str, Any]

    @property
    def told(self) -> str:
        """`lr 0.001, optimizer adam`; of a sweep that varies nothing `as given`."""
        return ", ".join(f"{name} {value}" for name, value in self.varied.items()) or "as given"

    def options(self) -> str:
        """The options of `train.py` that ask for it."""
        words = []
        for name in _SWEPT:
            value = getattr(self.wishes, name)
            if value != getattr(_USUAL, name):
                words += [f"--{name.replace('_', '-')}", str(value)]
        return shlex.join(words)


_USUAL = Wishes()
_UNSWEPT = {"company", "share", "fixed", "distil", "keep", "seed", "face_bundle", "params"}
_SWEPT = tuple(field.name for field in fields(Wishes) if field.name not in _UNSWEPT)


def settings(options: argparse.Namespace, params: Path) -> list[Setting]:
    """The grid, or the part of it that --random draws.

    Args:
        options: of the command line; each swept one a value or a list of them.
        params: the project's folder of bundles.

    Raises:
        UsageError: a value given twice, or nothing to draw.
    """
    lists = {name: _values(name, getattr(options, name)) for name in _SWEPT}
    varied = [name for name, values in lists.items() if len(values) > 1]
    base = Wishes(face_bundle=params / "face", params=params)
    every = []
    for values in itertools.product(*lists.values()):
        chosen = dict(zip(lists, values, strict=True))
        every.append(Setting(replace(base, **chosen), {name: chosen[name] for name in varied}))
    if options.random is None:
        return every
    if options.random < 1:
        raise UsageError(f"--random must be 1 or more, not {options.random}.")
    order = np.random.default_rng(options.seed).permutation(len(every))
    return [every[at] for at in sorted(order[: options.random])]


def _values(name: str, given: Any) -> list[Any]:
    values = given if isinstance(given, list) else [given]
    if len(set(values)) < len(values):
        raise UsageError(f"--{name.replace('_', '-')} names a value twice: give each once.")
    return values
