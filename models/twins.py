"""Pictures of one set that show the same photograph: a copy, another size, another cut.

Sets collected from the web hold many (FER2013's training part: about one image in seven). Where one
of a pair is learnt from and the other measured on, the figure says how well copies are recognised.
"""

from collections import defaultdict
from dataclasses import replace

import cv2
import numpy as np

from models.datasets import Dataset
from models.pictures import Pictures

SIDE = 24
"""The crop is compared in grey at this many pixels a side, its mean and contrast taken out."""
ALIKE = 0.95
"""Correlation from which two crops count as one photograph.

Of GENKI-4K's 5.1 million pairs of faces 9 lie above 0.95, all of them copies to the eye; the first
pairs of two people lie at 0.94.
"""
ALIKE_WHOLE = 0.995
"""Likewise of whole images, which are not brought into one place first: things photographed on one
background are alike without being one photograph."""
_ROWS = 2000


def marked(held: Pictures) -> Dataset:
    """The set of these pictures, with `twin` set where several show one photograph.

    Pictures of known subjects are left alone: posed series look alike on purpose, and a protocol
    says there who is held out.
    """
    dataset = held.dataset
    if dataset.subjects:
        return dataset
    alike = ALIKE if held.spec.wanted else ALIKE_WHOLE
    group = groups(held.crops(range(len(held))), alike)
    counts = np.bincount(group)
    samples = tuple(
        replace(sample, twin=int(number) if counts[number] > 1 else None)
        for sample, number in zip(dataset.samples, group, strict=True)
    )
    return replace(dataset, samples=samples)


def contradicting(dataset: Dataset) -> int:
    """How many photographs stand in the set under more than one label."""
    labels = defaultdict(set)
    for sample in dataset.samples:
        if sample.twin is not None:
            labels[sample.twin].add(sample.label)
    return sum(len(named) > 1 for named in labels.values())


def groups(crops: list[np.ndarray], alike: float = ALIKE) -> np.ndarray:
    """A number for each crop; crops of one photograph, through others even, have the same.

    Args:
        crops: uint8 (side, side, 3), RGB; at least one.
        alike: correlation from which two count as one photograph, 0 to 1.

    Returns:
        int64 (N,): the place of the group's first crop.
    """
    faces = np.stack([_signature(crop) for crop in crops])
    first = np.arange(len(faces))
    for start in range(0, len(faces), _ROWS):
        pairs = faces[start : start + _ROWS] @ faces[start:].T > alike
        for a, b in np.argwhere(np.triu(pairs, 1)) + start:
            low, high = sorted((first[a], first[b]))
            first[first == high] = low
    return first


def _signature(crop: np.ndarray) -> np.ndarray:
    """float32 (SIDE * SIDE,) of length 1; zeros of an even crop, which is like no other."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    small -= small.mean()
    length = float(np.linalg.norm(small))
    return np.asarray((small / length if length > 1 else small * 0).ravel())
