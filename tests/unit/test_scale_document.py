"""docs/SCALE.md says what docs/scale.json holds, and that is what the simulation says today."""

import json
import re
from typing import Any

import pytest
import yaml

from bench.scale import assumptions, calibrating, comparing, simulation, sizing, tables
from tests.conftest import PROJECT

FIGURES: dict[str, Any] = json.loads((PROJECT / "docs" / "scale.json").read_text())
DOCUMENT = (PROJECT / "docs" / "SCALE.md").read_text()
KUBERNETES = PROJECT / "docker" / "kubernetes"


def _file(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((KUBERNETES / name).read_text())
    return found


def test_the_tables_are_those_of_the_figures() -> None:
    assert tables.fill(DOCUMENT, tables.tables(FIGURES)) == DOCUMENT


def test_every_table_has_its_place() -> None:
    marked = re.findall(r"<!-- table ([\w-]+) -->", DOCUMENT)

    assert sorted(marked) == sorted(tables.tables(FIGURES))
    assert DOCUMENT.count("<!-- end -->") == len(marked)


def test_a_changed_figure_changes_the_document() -> None:
    other = json.loads(json.dumps(FIGURES))
    other["compared"]["vga"]["rows"][0]["measured"]["p50_ms"] += 1

    assert tables.fill(DOCUMENT, tables.tables(other)) != DOCUMENT


@pytest.mark.parametrize("mix", sorted(FIGURES["compared"]))
def test_the_simulation_still_says_what_stands_in_the_figures(mix: str) -> None:
    measured = FIGURES["measured"][mix]
    row = next(row for row in FIGURES["compared"][mix]["rows"] if row["share"] == 0.7)
    costs, shape = calibrating.costs_of(measured), calibrating.shape_of(measured)
    turns = calibrating.arrivals(measured, row["share"])
    each = calibrating.by_round(costs, measured)
    runs = [simulation.in_turns(each, shape, turns, n).row() for n in range(comparing.SEEDS)]

    for key in ("p50_ms", "p99_ms", "rate"):
        mean = sum(run[key] for run in runs) / len(runs)
        assert mean == pytest.approx(row["simulated"][key], abs=0.006)


def test_the_plans_follow_from_what_was_measured() -> None:
    measured, fleet = FIGURES["measured"]["vga"], FIGURES["fleet"]
    likely = next(row for row in fleet["balancing"] if row["policy"] == "two choices")
    again = [
        sizing.plan(measured, fleet["pod_rate"], likely["mean_ms"], likely["busy"], rate)
        for rate in sizing.RATES
    ]

    assert again == fleet["plans"]


def test_assumptions_about_kubernetes_are_what_its_files_say() -> None:
    scaler, deployment = _file("autoscaler.yaml")["spec"], _file("deployment.yaml")["spec"]
    pod = deployment["template"]["spec"]
    gateway, worker = pod["containers"][0], pod["initContainers"][0]
    asked = [one["resources"]["requests"]["cpu"] for one in (gateway, worker)]
    cores = sum(int(c[:-1]) / 1e3 if c.endswith("m") else float(c) for c in asked)

    assert assumptions.MOST_PODS.value == scaler["maxReplicas"]
    assert assumptions.SURGE.value == deployment["strategy"]["rollingUpdate"]["maxSurge"]
    assert assumptions.READY_PROBE.value == gateway["readinessProbe"]["periodSeconds"]
    assert assumptions.POD_CORES.value == cores
    sleeps = gateway["lifecycle"]["preStop"]["exec"]["command"][-1]
    assert f"sleep({assumptions.PRE_STOP.value:g})" in sleeps


def test_the_document_names_no_command_that_is_not_there() -> None:
    for words in re.findall(r"python -m bench\.scale([^`\n]*)", DOCUMENT):
        what = [word for word in words.split() if not word.startswith("-")]
        assert not what or what[0] in ("again", "fleet", "tables", "mixed", "docs"), words
