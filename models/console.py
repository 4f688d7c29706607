"""What a long run says: a live bar on a terminal, one plain line an event everywhere else."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from tqdm import tqdm


class Steps:
    """Counts the steps of one stretch of work; `tick` moves the bar if there is one."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def tick(self, count: int = 1, **figures: float) -> None:
        """So many more steps are done; figures (loss, accuracy) are shown beside the bar."""
        if self._bar is not None:
            if figures:
                shown = {name: f"{value:.3f}" for name, value in figures.items()}
                self._bar.set_postfix(shown, refresh=False)
            self._bar.update(count)


class Console:
    """Writes to one stream, standard error unless told otherwise.

    Args:
        stream: where lines and bars go.
        live: draw bars; by default only on a terminal.
    """

    def __init__(self, stream: TextIO | None = None, live: bool | None = None) -> None:
        self._stream = stream or sys.stderr
        self.live = self._stream.isatty() if live is None else live
        self._start = time.monotonic()

    @classmethod
    def silent(cls) -> "Console":
        """Says nothing: of processes that train together one speaks."""
        return cls(open(os.devnull, "w", errors="replace"), live=False)

    def say(self, line: str) -> None:
        """One line, above a bar if one is being drawn."""
        if self.live:
            tqdm.write(line, file=self._stream)
        else:
            print(line, file=self._stream, flush=True)

    @property
    def seconds(self) -> float:
        """Since the console was made."""
        return time.monotonic() - self._start

    @contextmanager
    def steps(self, total: int | None, title: str, done: int = 0) -> Iterator[Steps]:
        """A bar for `total` steps with the time left; nothing at all where there is no terminal.

        Args:
            total: None if nobody knows.
            title: before the bar.
            done: steps that were done already.
        """
        if not self.live:
            yield Steps(None)
            return
        with tqdm(
            total=total, desc=title, initial=done, file=self._stream, leave=False,
            dynamic_ncols=True,
        ) as bar:  # fmt: skip
            yield Steps(bar)


def printable(text: str) -> str:
    """A path as text that any file can hold: bytes that are no UTF-8 become escapes."""
    return text.encode(errors="backslashreplace").decode()


def duration(seconds: float) -> str:
    """`48 s`, `3 min 20 s` or `1 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s" if whole >= 10 else f"{seconds:.1f} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
