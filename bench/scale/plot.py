"""The measured curve as points and the simulated one as lines."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

_NAMES = {"vga": "640 x 480", "mixed": "four sizes, up to 12 megapixels"}
_TICKS_MS = (20, 50, 100, 200, 500, 1000)
_BLUE, _RED, _GREY = "#1f5fa8", "#c0392b", "#777777"


def plot(compared: Mapping[str, Any], file: Path) -> None:
    """Write a picture with a row of three panels for each mix of pictures.

    Args:
        compared: by the mix' name, from `bench.scale.comparing.compare`.
        file: PNG.
    """
    figure, grid = plt.subplots(
        len(compared), 3, figsize=(12, 3.6 * len(compared)), squeeze=False, layout="constrained"
    )
    for axes, (name, one) in zip(grid, compared.items(), strict=True):
        rows, capacity = one["rows"], one["capacity"]["measured"]
        offered = [row["offered"] for row in rows]
        for axis in axes:
            axis.axvline(capacity, color=_GREY, linewidth=0.8, linestyle=":")
            axis.set_xlabel("offered, requests a second")
            axis.grid(alpha=0.25)
        axes[0].set_title(f"{_NAMES.get(name, name)}: latency, ms", fontsize=10)
        axes[0].set_yscale("log")
        axes[0].set_yticks(_TICKS_MS, map(str, _TICKS_MS))
        axes[0].minorticks_off()
        for key, label, colour in (("p50_ms", "median", _BLUE), ("p99_ms", "p99", _RED)):
            _pair(axes[0], offered, rows, key, label, colour)
        axes[1].set_title("answered a second", fontsize=10)
        _pair(axes[1], offered, rows, "rate", "answered", _BLUE)
        axes[2].set_title("refused, share", fontsize=10)
        _pair(axes[2], offered, rows, "refused", "refused", _RED)
        axes[0].legend(fontsize=8)
    figure.suptitle("points: measured; lines: simulated; dotted: capacity", fontsize=10)
    figure.savefig(file, dpi=90)
    plt.close(figure)


def _pair(
    axis: Any, offered: list[float], rows: list[dict[str, Any]], key: str, label: str, colour: str
) -> None:
    measured = [row["measured"][key] for row in rows]
    axis.plot(offered, measured, "o", color=colour, markersize=5, label=f"{label}, measured")
    axis.plot(
        offered, [row["simulated"][key] for row in rows], color=colour, label=f"{label}, simulated"
    )
    axis.fill_between(
        offered,
        [row["least"][key] for row in rows],
        [row["most"][key] for row in rows],
        color=colour,
        alpha=0.15,
        linewidth=0,
    )
