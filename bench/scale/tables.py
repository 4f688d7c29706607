"""What docs/SCALE.md shows of the figures, as Markdown tables, and how they get there.

A table stands in the document between `<!-- table NAME -->` and `<!-- end -->`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.scale import assumptions
from bench.scale.comparing import error

Figures = Mapping[str, Any]
_MARKED = re.compile(r"(<!-- table ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def tables(figures: Figures) -> dict[str, str]:
    """Every table that the figures allow, by its name."""
    found = {"assumptions": _assumptions()}
    for name, compared in figures.get("compared", {}).items():
        found[f"costs-{name}"] = _costs(figures["measured"][name], compared)
        found[f"curve-{name}"] = _curve(compared)
        found[f"errors-{name}"] = _errors(compared)
    fleet = figures.get("fleet", {})
    for name, make in _FLEET.items():
        if name in fleet:
            found[name] = make(fleet[name])
    return found


def fill(text: str, found: Mapping[str, str]) -> str:
    """A document with its tables renewed; those that are not known stay as they are."""

    def renewed(match: re.Match[str]) -> str:
        begin, name, end = match.groups()
        return f"{begin}{found[name]}\n{end}" if name in found else match.group()

    return _MARKED.sub(renewed, text)


def page(found: Mapping[str, str]) -> str:
    """All tables, for who has no document to put them into."""
    parts = [f"<!-- table {name} -->\n{table}\n<!-- end -->" for name, table in found.items()]
    return "\n\n".join(parts) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join(lines + [f"| {' | '.join(map(str, row))} |" for row in rows])


def _share(value: float, sign: bool = False) -> str:
    return f"{value * 100:{'+' if sign else ''}.1f} %"


def _off(value: float) -> str:
    return f"{value * 100:+.0f} %"


def _costs(measured: Figures, compared: Figures) -> str:
    costs = compared["costs"]
    told = {
        "work_ms": "a predictor: decode, find the face, classify (mean; its distribution is used)",
        "predictor_ms": "a predictor, beside",
        "predictor_waking_ms": "more after a long sleep",
        "shared_ms": "less for each image more in the same call",
        "gateway_ms": "the gateway, of an answer",
        "gateway_waking_ms": "more after a long sleep (at most twice)",
        "worker_ms": "the worker",
        "worker_waking_ms": "more after a long sleep (at most twice)",
        "client_ms": "the load generator, on the same cores",
        "refusal_ms": "the gateway, of a refusal",
        "client_refusal_ms": "the load generator, of a refusal",
        "wake_ms": "a process that has slept, until it runs (mean, seven times)",
    }
    rows = [[what, f"{costs[key]:.2f} ms"] for key, what in told.items()]
    rows.append(["speed of a core while both are busy", _share(costs["together"])])
    answers = compared["capacity"]
    rows.append([
        "capacity, 16 clients: measured (each round), simulated",
        f"{answers['measured']:.1f}/s "
        f"({', '.join(str(row['rate']) for row in measured['capacity'])}), "
        f"{answers['simulated']:.1f}/s",
    ])  # fmt: skip
    return _table(("a request costs", ""), rows)


def _curve(compared: Figures) -> str:
    head = ("offered", "of capacity", "median ms", "simulated", "off", "p99 ms", "simulated", "off",
            "answered/s", "simulated", "refused", "simulated", "wait for a predictor, ms",
            "simulated", "others")  # fmt: skip
    rows = []
    for row in compared["rows"]:
        there, told = row["measured"], row["simulated"]
        rows.append([
            f"{row['offered']:.0f}/s", f"{row['share']:.0%}",
            f"{there['p50_ms']:.1f}", f"{told['p50_ms']:.1f}", _off(error(row, "p50_ms")),
            f"{there['p99_ms']:.0f}", f"{told['p99_ms']:.0f}", _off(error(row, "p99_ms")),
            f"{there['rate']:.1f}", f"{told['rate']:.1f}",
            _share(there["refused"]), _share(told["refused"]),
            f"{there['queue_ms']:.1f}", f"{told['queue_ms']:.1f}",
            f"{max(0.0, there['others']):.0%}",
        ])  # fmt: skip
    return _table(head, rows)


def _errors(compared: Figures) -> str:
    names = {
        "p50_ms below": "median, below the capacity",
        "p99_ms below": "p99, below the capacity",
        "rate below": "answers a second, below the capacity",
        "p50_ms above": "median, at the capacity and above",
        "p99_ms above": "p99, at the capacity and above",
        "rate above": "answers a second, at the capacity and above",
        "refused": "share refused, all points (difference)",
    }
    rows = [
        [what, _share(off["mean"]), f"{_share(off['worst'], sign=True)} at {off['at']:.0%}"]
        for key, what in names.items()
        if (off := compared["errors"].get(key))
    ]
    return _table(("figure", "off in the mean", "at the worst point"), rows)


def _growing(rows: Sequence[Figures]) -> str:
    shapes = ("defaults", "predictors", "all")
    head = ["cores"]
    for shape in shapes:
        head += [f"{shape}: answers/s", "a core", "gateway", "worker", "cores"]
    cores = sorted({row["cores"] for row in rows})
    lines = []
    for count in cores:
        line: list[object] = [count]
        for shape in shapes:
            row = next(r for r in rows if r["cores"] == count and r["shape"] == shape)
            line += [f"{row['rate']:.0f}", f"{row['a_core']:.0f}", f"{row['gateway']:.0%}",
                     f"{row['worker']:.0%}", f"{row['busy']:.0%}"]  # fmt: skip
        lines.append(line)
    return _table(head, lines)


def _balancing(rows: Sequence[Figures]) -> str:
    head = ("requests/s", "machines", "load", "choice", "balancers", "median ms", "p99 ms",
            "refused")  # fmt: skip
    return _table(head, [
        [f"{row['rate']:,.0f}", f"{row['machines']:,}", f"{row['load']:.0%}", row["policy"],
         row["balancers"], f"{row['p50_ms']:.1f}", f"{row['p99_ms']:.0f}", _share(row["refused"])]
        for row in rows
    ])  # fmt: skip


def _spikes(rows: Sequence[Figures]) -> str:
    head = ("pods before", "rise", "autoscaler's target", "a pod answers after",
            "autoscaler acts after", "last refusal after", "refused, of all since", "p99 ms",
            "pods then")  # fmt: skip
    lines = []
    for row in rows:
        acts = "never" if row["asked_after_s"] is None else f"{row['asked_after_s']:.0f} s"
        calm = "none" if not row["refused"] else f"{row['calm_after_s']:.0f} s"
        lines.append([
            row["machines"], f"{row['factor']:g} x", f"{row['target_s'] * 1e3:g} ms",
            f"{row['start_s']:g} s", acts, calm, _share(row["refused"]), f"{row['p99_ms']:.0f}",
            row["machines_then"],
        ])  # fmt: skip
    return _table(head, lines)


def _plans(rows: Sequence[Figures]) -> str:
    told: dict[str, tuple[str, str]] = {
        "pods": ("pods of two predictors, at 70 % load", "{:,.0f}"),
        "cores_working": ("cores that work, in the mean", "{:,.0f}"),
        "cores_asked": ("cores that the pods ask for", "{:,.0f}"),
        "nodes_4": ("nodes of 4 cores", "{:,.0f}"),
        "nodes_16": ("nodes of 16 cores", "{:,.0f}"),
        "nodes_64": ("nodes of 64 cores", "{:,.0f}"),
        "memory_gb": ("memory of all pods (proportional)", "{:,.0f} GB"),
        "in_gbit": ("pictures in", "{:,.2f} Gbit/s"),
        "out_gbit": ("answers out", "{:,.2f} Gbit/s"),
        "balancers": ("balancers with a 10 Gbit/s card at half load", "{:,.0f}"),
        "under_way": ("requests under way", "{:,.0f}"),
        "log_mb_s": ("log", "{:,.2f} MB/s"),
        "log_gb_day": ("log a day, not compressed", "{:,.0f} GB"),
        "series": ("series of Prometheus", "{:,.0f}"),
        "samples_s": ("samples a second, one scrape in 15 s", "{:,.0f}"),
        "scrape_mbit": ("/metrics, text on the wire", "{:,.1f} Mbit/s"),
        "prometheus_gb": ("Prometheus' memory for them", "{:,.2f} GB"),
        "prometheus_gb_day": ("Prometheus' disk a day", "{:,.2f} GB"),
        "rollout_min": ("a rollout, one pod at a time", "{:,.0f} min"),
        "pull_gb": ("images pulled by fresh nodes of 16 cores", "{:,.0f} GB"),
    }
    head = ["", *(f"{row['rate']:,.0f} requests/s" for row in rows)]
    return _table(head, [
        [what, *(form.format(row[key]) for row in rows)] for key, (what, form) in told.items()
    ])  # fmt: skip


def _assumptions() -> str:
    return _table(("assumed", "what", "source"), [
        [f"{one.value:g} {one.unit}", one.what, one.source] for one in assumptions.ALL.values()
    ])  # fmt: skip


_FLEET: dict[str, Callable[[Any], str]] = {
    "growing": _growing,
    "balancing": _balancing,
    "spikes": _spikes,
    "plans": _plans,
}
