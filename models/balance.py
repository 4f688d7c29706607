"""Whether each class counts alike, however many images it has."""

from collections import Counter

from models.datasets import Dataset

CHOICES = ("auto", "yes", "no")
MUCH = 1.5
"""From this many times the images of the smallest class in the largest one, `auto` balances."""


def counts(dataset: Dataset) -> dict[str, int]:
    """Images of each label that may be learnt from."""
    held = Counter(sample.label for sample in dataset.samples if sample.part != "test")
    return {label: held[label] for label in dataset.labels}


def wanted(dataset: Dataset, choice: str) -> bool:
    """Whether to balance: as asked; by itself only sets of one's own whose classes differ much.

    How often each label occurs in a published set is part of what its figures mean.
    """
    if choice != "auto":
        return choice == "yes"
    held = counts(dataset).values()
    return dataset.layout == "folders" and max(held) > MUCH * max(1, min(held))


def told(dataset: Dataset) -> str:
    """A sentence for the person where classes are balanced."""
    held = sorted(counts(dataset).items(), key=lambda item: -item[1])
    shown = held if len(held) <= 6 else [held[0], held[-1]]
    listed = ", ".join(f"{label} {count}" for label, count in shown)
    return (
        f"The classes differ ({listed}): each counts alike in what is learnt, chosen and told as "
        "inner validation, whatever its share of the images (--balance no counts images alike)."
    )
