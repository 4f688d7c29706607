"""The house's style and types, as `make lint` checks them."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "check",
    [("ruff", "check", "--no-fix", "--output-format", "concise", "."), ("mypy",)],
    ids=["ruff", "mypy"],
)
def test_nothing_is_found_by(check):
    done = subprocess.run(
        [sys.executable, "-m", *check],
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, "\n" + done.stdout
