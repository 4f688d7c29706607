"""The folder report/ of a bundle: plots, tables and figures in one JSON.

Plots are drawn without pyplot, so that no window system and no global state is needed. Nothing
here shows an image of the data set.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.experiment import Outcome

_INK = "#1b2a33"
_FIRST, _SECOND = "#0b6e75", "#c2571a"
_WIDEST = 30.0  # inches of a plot: 43 MB while it is drawn, whatever the number of classes
_MOST_NAMES = 150  # that can be read beside an axis of that length
_TRIED = {"shrinkage": "shrinkage of the covariance", "ridge": "ridge"}


def write(
    folder: Path,
    labels: Sequence[str],
    outcome: Outcome | None,
    history: Sequence[Mapping[str, float]],
    figures: Mapping[str, Any],
) -> None:
    """Write confusion.png, curves.png, calibration.png, per_class.csv, subjects.csv, report.json.

    Args:
        folder: made if missing.
        labels: in the order of the network's outputs.
        outcome: what the protocol measured; without one only curves and JSON are written.
        history: of the shipped model: a row an epoch, or a row a shrinkage tried.
        figures: what report.json says.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if outcome is not None:
        title = f"{outcome.protocol}, {outcome.metrics['images']} images"
        confusion_plot(np.array(outcome.metrics["confusion"]), labels, title,
                       folder / "confusion.png")  # fmt: skip
        calibration_plot(outcome.truth, outcome.probabilities, title, folder / "calibration.png")
        _table(folder / "per_class.csv", "label", outcome.metrics["per_class"])
        if outcome.subjects:
            _table(folder / "subjects.csv", "subject", outcome.subjects)
    curves_plot(history, folder / "curves.png")
    (folder / "report.json").write_text(json.dumps(figures, indent=1) + "\n")


def confusion_plot(counts: np.ndarray, labels: Sequence[str], title: str, path: Path) -> None:
    """Rows: what the image shows; columns: what was answered; shade: share of the row."""
    size = len(labels)
    side = min(max(4.0, 1.8 + 0.62 * size), _WIDEST)
    named = range(0, size, -(-size // _MOST_NAMES))
    names = [labels[at] for at in named]
    drawn, axes = figure(side, side)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="GnBu", vmin=0, vmax=1)
    # A name is no formula, though it may hold two dollar signs.
    axes.set_xticks(named, names, rotation=40, ha="right", parse_math=False)
    axes.set_yticks(named, names, parse_math=False)
    axes.set_xlabel("answered")
    axes.set_ylabel("shown")
    axes.set_title(title, loc="left", fontsize=11, parse_math=False)
    for row, column in np.ndindex(size, size) if size <= 20 else ():
        if counts[row, column]:
            ink = "white" if share[row, column] > 0.6 else _INK
            axes.text(column, row, counts[row, column], ha="center", va="center", color=ink)
    save(drawn, path)


def calibration_plot(truth: np.ndarray, probabilities: np.ndarray, title: str, path: Path) -> None:
    """Accuracy against the probability that was answered, in ten bins."""
    drawn, axes = figure(4.6, 4.4)
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    place = np.minimum((confidence * 10).astype(int), 9)
    filled = [k for k in range(10) if (place == k).any()]
    x = [float(confidence[place == k].mean()) for k in filled]
    y = [float(right[place == k].mean()) for k in filled]
    axes.plot([0, 1], [0, 1], color="#9aa7ad", linewidth=1, label="perfect")
    axes.plot(x, y, "o-", color=_FIRST, label="measured")
    for at, height, k in zip(x, y, filled, strict=True):
        axes.annotate(str((place == k).sum()), (at, height), (4, -11), fontsize=7,
                      textcoords="offset points")  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(0, 1.04), xlabel="probability answered", ylabel="share right")
    axes.set_title(title, loc="left", fontsize=11, parse_math=False)
    axes.legend(frameon=False, loc="upper left")
    save(drawn, path)


def curves_plot(history: Sequence[Mapping[str, float]], path: Path) -> None:
    """Loss and accuracy over epochs, or over the shrinkages or ridges that were tried."""
    told = next((name for name in _TRIED if history and name in history[0]), "")
    if told:  # of the stretch that was chosen
        stretch = next((row.get("stretch") for row in history if row.get("chosen")), None)
        history = [row for row in history if row.get("stretch") == stretch]
    x = [row[told] for row in history] if told else list(range(1, len(history) + 1))
    drawn, (left, right) = figure(9.0, 3.8, 2)
    for axes, name in ((left, "loss"), (right, "accuracy")):
        for column, color, label in (
            (name, _FIRST, "training"), (f"val_{name}", _SECOND, "inner validation"),
        ):  # fmt: skip
            values = [row[column] for row in history if column in row]
            if values:
                axes.plot(x, values, "o-", color=color, label=label, markersize=4)
        if told:
            axes.set_xscale("log")
            axes.set_xticks(x, [f"{value:g}" for value in x])
            axes.minorticks_off()
        axes.set_xlabel(_TRIED.get(told, "epoch"))
        axes.set_title(name, loc="left", fontsize=11)
        if history:
            axes.legend(frameon=False)
    right.set_ylim(0, 1.02)
    save(drawn, path)


def figure(width: float, height: float, columns: int = 1) -> tuple[Any, Any]:
    """An empty figure of this size in inches, and its axes, or an array of them."""
    from matplotlib.figure import Figure  # slow to import, and only reports need it

    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    axes = figure.subplots(1, columns)
    for one in np.atleast_1d(axes):
        one.spines[["top", "right"]].set_visible(False)
        one.tick_params(colors=_INK, labelsize=9)
    return figure, axes


def save(drawn: Any, path: Path) -> None:
    """Write a figure as PNG."""
    drawn.savefig(path, metadata={"Software": None})  # the same figures give the same bytes


def _table(path: Path, first: str, rows: Mapping[str, Mapping[str, Any]]) -> None:
    columns = list(next(iter(rows.values())))
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([first, *columns])
        writer.writerows([name, *row.values()] for name, row in rows.items())
