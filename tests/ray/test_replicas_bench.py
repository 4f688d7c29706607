"""python -m bench.replicas measures a real cluster of this machine, as `make ray` starts it."""

import json
import subprocess
import sys

import pytest

from tests.conftest import PROJECT
from tests.ray.conftest import PATIENCE_S


def _run(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "bench.replicas", *words],
        cwd=PROJECT, capture_output=True, text=True, timeout=PATIENCE_S,
    )  # fmt: skip


def test_it_measures_the_service_and_its_replicas_on_ray() -> None:
    done = _run("--workers", "1", "--rounds", "1", "--seconds", "1", "--images", "2", "--json")

    assert done.returncode == 0, done.stderr
    services = json.loads(done.stdout)["services"]
    assert [row["workers"] for row in services] == [None, 1]
    for row in services:
        assert row["rate"] > 1 and row["errors"] == 0
        assert row["images_s"] == pytest.approx(2 * row["rate"], abs=0.02)
        assert 0 < row["p50_ms"] <= row["p99_ms"]
        assert row["cpu_ms"] > 1, "the processes that work are counted"


def test_a_number_of_workers_that_cannot_be_is_refused() -> None:
    done = _run("--workers", "0")

    assert done.returncode == 2 and "takes a whole number from 1" in done.stderr
