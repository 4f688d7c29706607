"""Kinds of values that the command lines take."""

import argparse


def positive(text: str, most: int | None = None) -> int:
    """A whole number from 1, up to `most` if that is told.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1 or (most is not None and number > most):
        limits = "from 1" if most is None else f"from 1 to {most}"
        raise argparse.ArgumentTypeError(f"takes a whole number {limits}, not {text!r}")
    return number
