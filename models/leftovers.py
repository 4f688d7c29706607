"""Files of a set that a person should know of: left out, or showing what another shows too."""

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from models import twins
from models.datasets import Dataset, Sample
from models.pictures import Pictures

FILE = "files.csv"  # in a bundle's report
_SHOWN = 10  # told one by one


@dataclass(frozen=True)
class Leftover:
    """One file.

    Attributes:
        file: inside the set's folder.
        what: `unreadable`, `faceless`, `copy` or `contradiction` (a copy under another label).
        detail: why, or of which files.
    """

    file: str
    what: str
    detail: str


def of(held: Pictures) -> list[Leftover]:
    """All of them, by kind and then by name."""
    root = held.dataset.root
    rows = [Leftover(_inside(p.sample, root), "unreadable", p.reason) for p in held.unreadable]
    rows += [Leftover(_inside(p.sample, root), "faceless", p.reason) for p in held.faceless]
    for group in groups(held.dataset):
        first, *others = group
        labels = {sample.label for sample in group}
        what = "copy" if len(labels) == 1 else "contradiction"
        rows.append(Leftover(
            _inside(first, root), what, " = ".join(_inside(other, root) for other in others)
        ))  # fmt: skip
    return rows


def groups(dataset: Dataset) -> list[list[Sample]]:
    """Samples of one photograph, where there are several; by path."""
    found: dict[int, list[Sample]] = defaultdict(list)
    for sample in dataset.samples:
        if sample.twin is not None:
            found[sample.twin].append(sample)
    return [group for group in found.values() if len(group) > 1]


def copies_told(held: Pictures) -> list[str]:
    """Lines about copies, contradictions first; none where there are none."""
    rows = [row for row in of(held) if row.what in ("copy", "contradiction")]
    if not rows:
        return []
    lines = [
        f"{held.dataset.twins} images show a photograph that another shows too; no split that is "
        f"drawn here parts them. {twins.contradicting(held.dataset)} photographs have two labels."
    ]
    for row in sorted(rows, key=lambda row: row.what != "contradiction")[:_SHOWN]:
        mark = " (two labels: which is right?)" if row.what == "contradiction" else ""
        lines.append(f"  {row.file} = {row.detail}{mark}")
    if len(rows) > _SHOWN:
        lines.append(f"  … and {len(rows) - _SHOWN} more; the report's {FILE} has all of them")
    return lines


def write(held: Pictures, path: Path) -> bool:
    """Write the table; returns whether there was anything to write."""
    rows = of(held)
    if rows:
        with path.open("w", newline="", errors="backslashreplace") as file:  # names are any bytes
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["file", "what", "detail"])
            writer.writerows([row.file, row.what, row.detail] for row in rows)
    return bool(rows)


def _inside(sample: Sample, root: Path) -> str:
    return sample.path.relative_to(root).as_posix()
