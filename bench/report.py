"""bench/RESULTS.md and its plot from what was measured."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.comparison import OURS

NOISY = 0.15
"""Rounds of the bare loop that differ by more than this share say: do not trust this run."""


def text(found: dict[str, Any]) -> str:
    """Everything measured, as Markdown with a line to pass beside each figure."""
    parts = [_head(found)]
    for name, section in _SECTIONS.items():
        if name in found:
            parts.append(section(found[name]))
    return "\n\n".join(parts) + "\n"


def plot(found: dict[str, Any], path: Path) -> None:
    """Requests a second of the service and its peers, and the engines' times by batch."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), width_ratios=(3, 2))
    rows = sorted(found["peers"]["rows"].items(), key=lambda row: row[1]["rate"])
    colors = ["#0b7a75" if name == OURS else "#9db4b3" for name, _ in rows]
    bars = left.barh([name for name, _ in rows], [row["rate"] for _, row in rows], color=colors)
    left.bar_label(bars, fmt="%.0f", padding=3)
    left.set_xlabel("requests a second, 16 clients, JPEG 640 x 480")
    left.spines[["top", "right"]].set_visible(False)
    for name, times in found["engines"]["ms"].items():
        right.plot(list(map(int, times)), list(times.values()), "o-", label=name)
    right.set_xlabel("images a call")
    right.set_ylabel("ms a call, one thread")
    right.set_ylim(0)
    right.legend(frameon=False)
    right.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)


def _head(found: dict[str, Any]) -> str:
    noise = found["noise"]
    trust = "The machine was calm enough to trust them."
    if noise["spread"] > NOISY or noise["others"] > NOISY:
        trust = "**The machine was too noisy to trust them**: run it again when it is idle."
    return (
        f"# Measured\n\nBy `make bench` on {found['machine']}, {found['date']}, in "
        f"{found['minutes']:.0f} minutes. Medians of interleaved rounds; processor time stands "
        f"beside wall time. Rounds of the same bare loop differed by {noise['spread']:.0%}, and "
        f"others used {noise['others']:.0%} of the machine. {trust}"
    )


def _overhead(found: dict[str, Any]) -> str:
    lines = [
        "## Overhead: one request at a time",
        "",
        "Bare: the same decoding, face and network in a loop. Gateway, worker, predictor: "
        "processor ms a request.",
        "",
        "| JPEG | bare ms | bare CPU ms | gateway | worker | predictor | CPU ratio (goal 1.25) | "
        "round trip less bare, ms (goal 2) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in found.items():
        lines.append(
            f"| {name} | {row['bare_ms']:.2f} | {row['bare_cpu_ms']:.2f} | "
            f"{row['gateway_cpu_ms']:.2f} | {row['worker_cpu_ms']:.2f} | "
            f"{row['predictor_cpu_ms']:.2f} | {row['cpu_ratio']:.2f} | {row['added_ms']:.2f} |"
        )
    return "\n".join(lines)


def _throughput(row: dict[str, Any]) -> str:
    return (
        "## Throughput: 16 clients, JPEG 640 x 480\n\n"
        "| | requests/s | p50 ms | p99 ms | errors |\n|---|---|---|---|---|\n"
        f"| bare loops, one a core | {row['bare_rate']:.1f} | {row['bare_ms']:.1f} | | |\n"
        f"| the service | {row['rate']:.1f} | {row['p50_ms']:.1f} | {row['p99_ms']:.1f} | "
        f"{row['errors']:.0f} |\n"
        f"| open loop at {row['open_rate']:.0f}/s (70 %) | | {row['open_p50_ms']:.1f} | "
        f"{row['open_p99_ms']:.1f} | {row['open_errors']:.0f} |\n\n"
        f"Share of the bare loops' rate, the generator's own {row['generator_cpu_ms']:.2f} ms a "
        f"request allowed for: {row['share']:.0%} (goal 85 %). p99 / p50: "
        f"{row['p99_ms'] / row['p50_ms']:.2f} (goal 3). Open loop's p99 / bare time: "
        f"{row['open_p99_ms'] / row['lone_ms']:.1f} (goal 5)."
    )


def _peers(found: dict[str, Any]) -> str:
    rows = found["rows"]
    lines = [
        "## What one would pick instead: 16 clients, JPEG 640 x 480, all with the same one bundle",
        "",
        "| | requests/s | p50 ms | p99 ms | errors | memory MB (PSS) | the service is |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in sorted(rows.items(), key=lambda item: -item[1]["rate"]):
        times = "" if name == OURS else f"{rows[OURS]['rate'] / row['rate']:.2f} x as fast"
        lines.append(
            f"| {name} | {row['rate']:.1f} | {row['p50_ms']:.1f} | {row['p99_ms']:.1f} | "
            f"{row['errors']:.0f} | {row['pss_mb']:.0f} | {times} |"
        )
    lines += [f"\nNot measured: {name}: {why}" for name, why in found["missing"].items()]
    return "\n".join(lines)


def _engines(found: dict[str, Any]) -> str:
    sizes = list(next(iter(found["ms"].values())))
    lines = [
        "## The network alone: ms a call of n images, one thread, 32-bit floats",
        "",
        f"| engine | {' | '.join(f'n = {size}' for size in sizes)} | share of peak | "
        "largest difference |",
        "|---|" + "---|" * (len(sizes) + 2),
    ]
    for name, times in found["ms"].items():
        away = found["difference"].get(name)
        lines.append(
            f"| {name} | {' | '.join(f'{ms:.2f}' for ms in times.values())} | "
            f"{found['share'][name]:.0%} | {'' if away is None else f'{away:.0e}'} |"
        )
    a, b = found["line"]
    return "\n".join([*lines, "", (
        f"{found['gigaflop']:.3f} GFLOP an image; a matrix product of one thread reaches "
        f"{found['peak']:.0f} GFLOP/s here. Paddle's time is about {a:.2f} n + {b:.2f} ms for n "
        f"images, so of an image's time alone {b / (a + b):.0%} could be saved by company."
    )])  # fmt: skip


def _decoding(row: dict[str, Any]) -> str:
    return (
        "## A photograph of 12 megapixels\n\n"
        f"{row['ms']:.1f} ms in all (goal 60), {row['decode_ms']:.1f} of them decoding; 640 x 480 "
        f"takes {row['small_ms']:.1f}. Memory beyond that of 640 x 480: {row['more_mb']:.0f} MB "
        "(goal 80)."
    )


def _footprint(row: dict[str, Any]) -> str:
    lines = [
        "## Start and memory",
        "",
        f"The gateway answers after {row['answers_s']:.2f} s (goal 1), the service is ready after "
        f"{row['ready_s']:.2f} s (goal 4 for the worker, 5 for `make serve`).",
        "",
        "| process | resident MB | proportional MB | private MB |",
        "|---|---|---|---|",
    ]
    for name, memory in row["memory_mb"].items():
        cells = " | ".join(f"{memory[key]:.0f}" for key in ("rss", "pss", "private"))
        lines.append(f"| {name} | {cells} |")
    return "\n".join(lines)


def _growth(row: dict[str, Any]) -> str:
    return (
        "## Growth\n\n"
        f"One predictor: {row['rate_1']:.1f} requests/s; two: {row['rate_2']:.1f} "
        f"({row['rate_2'] / row['rate_1']:.2f} times). Memory of all processes over "
        f"{row['requests']} requests of 500 sizes: {row['first_mb']:.0f} MB after the first "
        f"20 seconds, {row['last_mb']:.0f} MB at the end, {row['highest_mb']:.0f} MB at most "
        f"({row['last_mb'] / row['first_mb'] - 1:+.1%}; goal 5 %)."
    )


def _live(row: dict[str, Any]) -> str:
    page = row["page"]
    camera_ms = row["camera_alone"]["cpu_ms_a_frame"]["browser"]["all"]
    times, cpu = page["ms_from_camera_to_page"], page["cpu_ms_a_frame"]
    return (
        "## Moving pictures, 640 x 480\n\n"
        f"The camera page, with its browser on the same machine (no graphics card): "
        f"{page['frames_a_second']:.1f} answers a second (goal 25; the camera gives 30), "
        f"{times['p50']:.0f} ms from camera to page (p99 {times['p99']:.0f}). Processor ms an "
        f"answer: browser {cpu['browser']['all']:.1f}, service {cpu['service']['all']:.1f}; "
        f"showing the camera alone takes the browser {camera_ms:.1f} ms a frame.\n\n"
        f"`infer.py --video FILE --out annotated.mp4`: {row['video_rate']:.0f} frames a second "
        f"over {row['frames']} frames, start not counted (goal 60)."
    )


_SECTIONS: dict[str, Callable[[dict[str, Any]], str]] = {
    "overhead": _overhead,
    "throughput": _throughput,
    "peers": _peers,
    "engines": _engines,
    "decoding": _decoding,
    "footprint": _footprint,
    "growth": _growth,
    "live": _live,
}
