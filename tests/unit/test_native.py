"""A predictor takes Paddle's library alone; all of Paddle may come before or after."""

import subprocess
import sys

import pytest

from tests.conftest import PROJECT

ANSWER = """
from models import bundle
from models.predictor import Predictor
predictor = Predictor(bundle.load("params/emotion"))
(seen,) = predictor.classify([open("web/example.jpg", "rb").read()])
print([round(float(p), 5) for p in seen.probabilities])
"""
ALL = """
from models.framework import paddle
assert float(paddle.nn.Linear(2, 2)(paddle.ones([1, 2])).sum()) != 12345
paddle.nn.Linear(2, 2)(paddle.ones([1, 2])).sum().backward()
"""


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=PROJECT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def alone() -> str:
    return run(ANSWER + "import sys\nassert 'paddle' not in sys.modules\n")


def test_answering_imports_no_python_of_paddles(alone: str) -> None:
    assert alone.startswith("[0.")


@pytest.mark.parametrize("program", [ALL + ANSWER, ANSWER + ALL + ANSWER])
def test_all_of_paddle_before_or_after_gives_the_same(alone: str, program: str) -> None:
    assert set(run(program).splitlines()) == {alone.strip()}


def test_signals_are_left_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ANSWER + "import os\nos.kill(os.getpid(), 15)\n"],
        cwd=PROJECT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == -15, "TERM ends it, as it ends any process"
    assert "paddle" not in done.stderr.lower()


def test_a_missing_package_is_told() -> None:
    hide = "import sys, importlib.util as u\nreal = u.find_spec\n" \
           "u.find_spec = lambda n, *a: None if n == 'paddle' else real(n, *a)\n"  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", f"{hide}from models import native\nnative.library()"],
        cwd=PROJECT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "The package paddlepaddle is missing: pip install" in done.stderr
