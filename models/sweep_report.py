"""A sweep as tables, plots and JSON; sorted by inner validation, never by what was held out."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models import report
from models.sweep import Compared, Row, as_dict

_MOST_SHOWN = 40  # rows of a plot
_INK, _FIRST, _SECOND = "#1b2a33", "#0b6e75", "#c2571a"
_HOW = (
    "Sorted by the mean accuracy on inner validation parts of the training images, and by nothing "
    "else. Settings whose means lie within a deviation of each other are not told apart."
)
_FIGURES = ("val_accuracy", "val_loss", "epochs", "seconds")


def write(compared: Compared) -> list[Path]:
    """Write settings.csv, trainings.csv, sweep.json, sweep.md, ranking.png and options.png.

    Returns:
        the files.
    """
    folder = compared.folder
    files = [folder / name for name in (
        "settings.csv", "trainings.csv", "sweep.json", "sweep.md", "ranking.png",
    )]  # fmt: skip
    _settings_csv(compared, files[0])
    _trainings_csv(compared, files[1])
    files[2].write_text(json.dumps(as_dict(compared), indent=1) + "\n")
    files[3].write_text(markdown(compared))
    ranking_plot(compared.rows, files[4])
    if compared.rows[0].setting.varied:
        files.append(folder / "options.png")
        options_plot(compared.rows, files[5])
    return files


def table(compared: Compared) -> str:
    """For a terminal: the settings, best first, and what the chosen one did."""
    names = list(compared.rows[0].setting.varied)
    lines = [[*names, "validation", "spread", "loss", "epochs", "seconds"]]
    for row in compared.rows:
        lines.append([*map(str, row.setting.varied.values()), *_cells(row)])
    wide = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    shown = [
        "  ".join(c.ljust(w) for c, w in zip(line, wide, strict=True)).rstrip() for line in lines
    ]
    failed = [f"failed ({row.setting.told}): {row.error}" for row in compared.rows if row.error]
    return "\n".join([
        *shown, *failed, _HOW, f"Chosen: {compared.rows[0].setting.told}. {_held_out(compared)}",
        f"To train it: {compared.command}", f"Tables and plots are in {compared.folder}",
    ])  # fmt: skip


def markdown(compared: Compared) -> str:
    """The report as people read it."""
    told, names = compared.told, list(compared.rows[0].setting.varied)
    head = [*names, "inner validation", "deviation", "loss", "epochs", "seconds"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in compared.rows:
        cells = [*map(str, row.setting.varied.values()), *_cells(row)]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    failed = [f"- {row.setting.told}: {row.error}" for row in compared.rows if row.error]
    plots = "![ranking](ranking.png)" + (" ![options](options.png)" if names else "")
    parts = [
        f"# Sweep on {told['data']}",
        f"{told['learnt_from']} images to learn and choose from, {told['held_out']} held out; "
        f"{len(compared.rows)} settings, seeds {', '.join(map(str, told['seeds']))}. {_HOW}"
        + (" Each class counts alike." if told["balanced"] else ""),
        "\n".join(lines),
        *(["Could not be trained:\n\n" + "\n".join(failed)] if failed else []),
        f"Chosen: **{compared.rows[0].setting.told}**. {_held_out(compared)}",
        f"    {compared.command}",
        plots,
    ]
    return "\n\n".join(parts) + "\n"


def ranking_plot(rows: Sequence[Row], path: Path) -> None:
    """Each setting's seeds as dots, its mean and deviation as a bar; the best at the top."""
    shown = [row for row in rows if row][:_MOST_SHOWN]
    figure, axes = report.figure(9.0, 1.6 + 0.28 * len(shown))
    for at, row in enumerate(shown):
        values = [result["val_accuracy"] for result in row.results]
        axes.plot(values, [at] * len(values), "o", color=_FIRST, alpha=0.45, markersize=4)
        spread = row.deviation("val_accuracy") or 0.0
        axes.errorbar(row.mean("val_accuracy"), at, xerr=spread, fmt="|", color=_SECOND,
                      markersize=11, capsize=3)  # fmt: skip
    told = [row.setting.told for row in shown]
    axes.set_yticks(range(len(shown)), told, fontsize=8, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlabel("accuracy on inner validation: seeds, mean and deviation")
    title = f"the best {len(shown)} of {len(rows)} settings" if len(shown) < len(rows) else (
        f"{len(rows)} settings"
    )  # fmt: skip
    axes.set_title(title, loc="left", fontsize=11)
    axes.grid(axis="x", color="#e3e8ea")
    axes.set_axisbelow(True)
    report.save(figure, path)


def options_plot(rows: Sequence[Row], path: Path) -> None:
    """For each option that was varied: the settings' means by its value, and their mean."""
    sound = [row for row in rows if row]
    names = list(rows[0].setting.varied)
    figure, every = report.figure(max(4.6, 3.6 * len(names)), 4.0, len(names))
    for axes, name in zip(np.atleast_1d(every), names, strict=True):
        groups = _by_value(sound, name)
        for at, values in enumerate(groups.values()):
            offsets = np.linspace(-0.12, 0.12, len(values)) if len(values) > 1 else [0.0]
            axes.plot([at + o for o in offsets], values, "o", color=_FIRST, alpha=0.45,
                      markersize=4)  # fmt: skip
            axes.plot([at - 0.25, at + 0.25], [np.mean(values)] * 2, color=_SECOND, linewidth=2)
        axes.set_xticks(range(len(groups)), list(groups), rotation=30, ha="right", fontsize=8,
                        parse_math=False)  # fmt: skip
        axes.set_xlim(-0.6, len(groups) - 0.4)
        axes.set_title(name, loc="left", fontsize=11)
        axes.grid(axis="y", color="#e3e8ea")
        axes.set_axisbelow(True)
    np.atleast_1d(every)[0].set_ylabel("mean inner validation accuracy")
    report.save(figure, path)


def _by_value(rows: Sequence[Row], name: str) -> dict[str, list[float]]:
    groups: dict[str, list[float]] = {}
    for row in sorted(rows, key=lambda row: _order(row.setting.varied[name])):
        groups.setdefault(str(row.setting.varied[name]), []).append(row.mean("val_accuracy"))
    return groups


def _order(value: Any) -> tuple[bool, float, str]:
    """Numbers by size, words by the alphabet."""
    number = isinstance(value, int | float)
    return (not number, float(value) if number else 0.0, str(value))


def _cells(row: Row) -> list[str]:
    if not row:
        return ["failed", "", "", "", ""]
    spread = row.deviation("val_accuracy")
    return [
        f"{row.mean('val_accuracy'):.4f}", "" if spread is None else f"{spread:.4f}",
        f"{row.mean('val_loss'):.4f}", f"{row.mean('epochs'):.1f}", f"{row.mean('seconds'):.1f}",
    ]  # fmt: skip


def _held_out(compared: Compared) -> str:
    if not compared.held_out:
        return "Nothing was held out (--protocol none), so it is not measured on unseen images."
    figures = {name: _spread(compared.held_out, name) for name in ("accuracy", "macro_f1", "ece")}
    return (
        f"On the {compared.told['held_out']} images held out, which chose nothing and which no "
        f"other setting answered: accuracy {figures['accuracy']}, macro-F1 {figures['macro_f1']}, "
        f"calibration error {figures['ece']}."
    )


def _spread(results: Sequence[Mapping[str, Any]], name: str) -> str:
    values = np.array([result[name] for result in results])
    if len(values) == 1:
        return f"{values[0]:.4f}"
    return f"{values.mean():.4f} (deviation {values.std(ddof=1):.4f} over {len(values)} seeds)"


def _settings_csv(compared: Compared, path: Path) -> None:
    names = list(compared.rows[0].setting.varied)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        columns = [f"{figure}_{part}" for figure in _FIGURES for part in ("mean", "deviation")]
        writer.writerow(["place", *names, *columns, "seeds", "parameters", "error"])
        for place, row in enumerate(compared.rows, 1):
            figures = [
                part for name in _FIGURES for part in (row.mean(name), row.deviation(name))
            ] if row else [""] * len(columns)  # fmt: skip
            tail = [len(row.results), row.results[0].get("parameters", ""), row.error]
            writer.writerow([place, *row.setting.varied.values(), *figures, *tail])


def _trainings_csv(compared: Compared, path: Path) -> None:
    names = list(compared.rows[0].setting.varied)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["place", *names, "seed", *_FIGURES, "error"])
        for place, row in enumerate(compared.rows, 1):
            for seed, result in zip(compared.told["seeds"], row.results, strict=True):
                figures = [result.get(name, "") for name in _FIGURES]
                writer.writerow([
                    place, *row.setting.varied.values(), seed, *figures, result.get("error", ""),
                ])  # fmt: skip
