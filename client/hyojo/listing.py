"""Results as lines: a table for people, JSON for programs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from hyojo.answers import Model, Result

LIKELIEST = 3
"""Labels on a line for people."""


def as_json(name: str, result: Result) -> str:
    """A result as one object on one line; what there is nothing of is left out."""
    told = asdict(result)
    if not result.ok:
        told = {"error": told["error"], "model": result.model, "request_id": result.request_id}
    else:
        told["faces"] = [_given(face) for face in told["faces"]]
        del told["error"]
        told = {key: told[key] for key in told if key != "explanation" or told[key]}
    return json.dumps({"path": name, **told}, ensure_ascii=False)


def _given(face: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in face.items() if key != "explanation" or value}


class Table:
    """One line a picture and model: its name, the model where there are several, what it shows.

    Args:
        names: of all pictures, where they are known; they set the width.
        models: that are asked.
    """

    def __init__(self, names: Sequence[str], models: Sequence[str | None]) -> None:
        room = max(20, shutil.get_terminal_size().columns // 2)
        self._name = min(room, max((len(name) for name in names), default=room))
        self._model = max(len(model or "") for model in models) if len(models) > 1 else 0

    def line(self, name: str, model: str | None, result: Result) -> str:
        """What one picture was read as."""
        name = printable(name)
        if len(name) > self._name:
            name = "…" + name[-(self._name - 1) :]
        asked = f"{model or '':<{self._model}}  " if self._model else ""
        return f"{name:<{self._name}}  {asked}{says(result)}"


def says(result: Result) -> str:
    """A result in words."""
    if result.error is not None:
        return f"FAILED  {result.error.sentence}"
    if result.label is None:
        return "no face found"
    ranked = list(result.probabilities.items())[:LIKELIEST]
    shown = "  ".join(f"{f'{label} {chance:6.1%}':<18}" for label, chance in ranked).rstrip()
    more = f"  ({len(result.faces)} faces, the largest shown)" if len(result.faces) > 1 else ""
    return shown + more


def printable(name: str) -> str:
    """A file's name as it can be shown on one line, whatever it is made of."""
    shown = name.encode("utf-8", "replace").decode()
    return "".join(letter if letter.isprintable() else "?" for letter in shown)


def of_models(models: Sequence[Model]) -> list[str]:
    """One line a model: its name, `*` at the default, its kind, state and labels."""
    width = max((len(model.name) for model in models), default=0)
    return [
        f"{'*' if model.default else ' '} {model.name:<{width}}  {model.kind:<10}  "
        f"{model.state:<7}  {_about(model)}"
        for model in models
    ]


def _about(model: Model) -> str:
    if model.error:
        return f"FAILED  {model.error}"
    shown = ", ".join(model.labels[:8])
    more = f", … ({len(model.labels)} labels)" if len(model.labels) > 8 else ""
    return shown + more
