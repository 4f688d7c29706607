"""How much a test tries: little in `make test`, all of it in `make soak`."""

import os

import pytest

SOAK = os.environ.get("HYOJO_TEST_SOAK", "") not in ("", "0")
"""Whether the long amounts are asked for."""

soak_only = pytest.mark.skipif(not SOAK, reason="takes long; `make soak` runs it")


def amount(usual: int, soak: int) -> int:
    """`usual` in `make test`, `soak` in `make soak`."""
    return soak if SOAK else usual
