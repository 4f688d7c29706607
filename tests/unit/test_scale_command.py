"""python -m bench.scale: it measures the real service, simulates it, and says what it needs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import load
from bench.scale import __main__ as command
from bench.scale import measuring
from tests.conftest import PROJECT


def _run(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "bench.scale", *words],
        cwd=PROJECT, capture_output=True, text=True, timeout=480,
    )  # fmt: skip


def test_it_measures_the_service_and_simulates_what_it_measured(tmp_path: Path) -> None:
    done = _run("--quick", "--out", str(tmp_path))

    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "scale.json").read_text())
    measured, compared = figures["measured"]["vga"], figures["compared"]["vga"]
    assert [row["share"] for row in measured["curve"]] == list(measuring.QUICK.shares)
    for row in measured["curve"]:
        asked = row["answers"] + row["refused"] + row["failed"]
        seconds = measuring.QUICK.turn_s(row["share"])
        assert asked == len(load.arrivals(row["offered"], seconds))
        assert row["answers"] > 0 and row["p50_ms"] > 0
    assert measured["capacity"][0]["cpu_ms"]["predictor"] > 0
    assert measured["vitals"]["log_bytes"] > 100
    assert measured["vitals"]["metrics_series"] > 50
    assert 0 < compared["costs"]["work_ms"] < 10_000
    assert (tmp_path / "scale.png").stat().st_size > 10_000
    assert "curve-vga" in (tmp_path / "SCALE.md").read_text()
    assert "median ms" in done.stdout


def test_a_fleet_is_simulated_from_what_was_measured(tmp_path: Path) -> None:
    kept = json.loads((PROJECT / "docs" / "scale.json").read_text())
    del kept["fleet"]
    (tmp_path / "scale.json").write_text(json.dumps(kept))

    done = _run("fleet", "--quick", "--json", "--out", str(tmp_path))

    assert done.returncode == 0, done.stderr
    fleet = json.loads(done.stdout)["fleet"]
    assert {row["rate"] for row in fleet["plans"]} == {1_000, 100_000}
    assert all(row["p99_ms"] >= row["p50_ms"] > 0 for row in fleet["balancing"])


@pytest.mark.parametrize("what", ["again", "fleet", "tables"])
def test_without_a_measurement_it_says_how_to_come_by_one(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main([what, "--out", str(tmp_path)]) == 1
    assert "python -m bench.scale" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_of_figures_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "scale.json").write_text("{")

    assert command.main(["again", "--out", str(tmp_path)]) == 1
    assert "scale.json is no JSON" in capsys.readouterr().err


def test_figures_of_another_version_are_not_guessed_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = json.loads((PROJECT / "docs" / "scale.json").read_text())
    kept["measured"]["vga"]["plan"]["again_s"] = 60.0
    (tmp_path / "scale.json").write_text(json.dumps(kept))

    assert command.main(["again", "--out", str(tmp_path)]) == 1
    assert "Measure again" in capsys.readouterr().err


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["--help"])

    assert ended.value.code == 0
    told = capsys.readouterr().out
    for word in ("fleet", "--pictures", "--quick", "--json", "scale.json"):
        assert word in told
