"""The command `hyojo`: classify files, watch a folder, list the models."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any

from hyojo import listing
from hyojo.answers import Problem, Result
from hyojo.client import Hyojo
from hyojo.errors import HyojoError
from hyojo.options import parser
from hyojo.pictures import MOST, Picture, files_in
from hyojo.watching import Folder

OK, FAILED, MISUSED = 0, 1, 2
_STDIN = "-"
_ENDS = frozenset({401, 403, 404, 422})
"""Statuses of a question that is wrong in itself: no other picture would be answered better."""


class UsageError(Exception):
    """What was typed cannot be done; the message says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    asked = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a file's name may be no text at all
    try:
        if getattr(asked, "explain", False) and not asked.json:
            raise UsageError("--explain needs --json: a table has no room for what decided.")
        return int(_VERBS[asked.verb](asked))
    except KeyboardInterrupt:
        return OK if asked.verb == "watch" else 128 + signal.SIGINT
    except BrokenPipeError:  # `hyojo … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except HyojoError as error:
        number = f" (request {error.request_id})" if error.request_id else ""
        _tell(f"hyojo: {error}{number}")
        return FAILED
    except (UsageError, ValueError) as error:
        _tell(f"hyojo: {error}")
        return MISUSED


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _classify(asked: Namespace) -> int:
    names = _names(asked.pictures)
    models: list[str | None] = asked.model or [None]
    table = listing.Table(names, models)
    failed = 0
    with _service(asked) as hyojo:
        rest = iter(names)
        while batch := list(islice(rest, MOST)):
            pictures = [_picture(name) for name in batch]
            for name, model, result in _answers(hyojo, batch, pictures, models, asked):
                _print(
                    listing.as_json(name, result) if asked.json else table.line(name, model, result)
                )
                failed += not result.ok
    return FAILED if failed else OK


def _answers(
    hyojo: Hyojo,
    names: Sequence[str],
    pictures: Sequence[Picture],
    models: Sequence[str | None],
    asked: Namespace,
) -> Iterator[tuple[str, str | None, Result]]:
    """What each model says of each picture, picture by picture."""
    told = [
        hyojo.classify(
            pictures, model=model, top=asked.top, faces=asked.faces, explain=asked.explain
        )
        for model in models
    ]
    for place, name in enumerate(names):
        for model, results in zip(models, told, strict=True):
            yield name, model, results[place]


def _names(given: Sequence[str]) -> list[str]:
    """Every picture that the arguments name, folders by what is in them.

    Raises:
        UsageError: a folder holds none, or standard input is named twice.
    """
    names: list[str] = []
    for name in given:
        found = list(files_in(name)) if os.path.isdir(name) else [name]
        if not found:
            raise UsageError(f"The folder {name} holds no image files.")
        names += found
    if names.count(_STDIN) > 1:
        raise UsageError("Standard input holds one picture: name - once.")
    return names


def _picture(name: str) -> Picture:
    return sys.stdin.buffer.read() if name == _STDIN else name


def _watch(asked: Namespace) -> int:
    try:
        folder = Folder(asked.folder, known=not asked.existing)
    except NotADirectoryError:
        raise UsageError(f"There is no folder {asked.folder} to watch.") from None
    models: list[str | None] = asked.model or [None]
    table = listing.Table([], models)
    waiting: list[str] = []
    told = ""
    with _service(asked) as hyojo:
        _tell(f"Watching {asked.folder}; Ctrl-C ends it.")
        while True:
            waiting += [path for path in folder.new() if path not in waiting]
            batch = waiting[:MOST]
            if not batch:
                time.sleep(asked.every)
                continue
            try:
                answers = list(_answers(hyojo, batch, batch, models, asked))
            except HyojoError as error:
                if error.passing:
                    told = _tell_once(f"Waiting: {error}", told)
                    time.sleep(max(asked.every, error.retry_after_s or 0.0))
                    continue
                if error.status in _ENDS:
                    raise
                lost = Result(error=Problem(error.code, str(error)), request_id=error.request_id)
                answers = [(path, model, lost) for path in batch for model in models]
            told = ""
            del waiting[: len(batch)]
            for path, model, result in answers:
                line = (
                    listing.as_json(path, result) if asked.json else table.line(path, model, result)
                )
                _print(line)


def _models(asked: Namespace) -> int:
    with _service(asked) as hyojo:
        models = hyojo.models()
    for line in (
        [json.dumps(asdict(model), ensure_ascii=False) for model in models]
        if asked.json
        else listing.of_models(models)
    ):
        _print(line)
    return FAILED if any(model.error for model in models) else OK


def _ready(asked: Namespace) -> int:
    with _service(asked) as hyojo:
        ready = hyojo.ready()
    _print("ready" if ready else "not ready")
    return OK if ready else FAILED


def _service(asked: Namespace) -> Hyojo:
    return Hyojo(
        asked.url,
        key=asked.key,
        timeout_s=asked.timeout,
        patience_s=asked.patience,
        waiting=_say_why if sys.stderr.isatty() else None,
    )


def _say_why(error: HyojoError, seconds: float) -> None:
    _tell(f"{error} Trying again in {seconds:.1f} s.")


def _tell_once(sentence: str, last: str) -> str:
    if sentence != last:
        _tell(sentence)
    return sentence


def _tell(sentence: str) -> None:
    print(listing.printable(sentence), file=sys.stderr, flush=True)


def _print(line: str) -> None:
    print(line, flush=True)


_VERBS: dict[str, Any] = {
    "classify": _classify,
    "watch": _watch,
    "models": _models,
    "ready": _ready,
}
