"""Small data sets that tests draw: shapes by class, with subjects where a layout tells them."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from models.datasets import Dataset, Sample

KINDS = ("disc", "square", "stripes")
SUBJECTS = ("AA", "BB", "CC", "DD", "EE", "FF")


def drawn(kind: str, number: int, side: int = 48) -> Image.Image:
    """A grey-scale shape with its own place, size and noise."""
    draw = np.random.default_rng([KINDS.index(kind), number])
    noise = draw.normal(90, 12, (side, side)).clip(0, 255).astype(np.uint8)
    image = Image.fromarray(noise, "L")
    pen = ImageDraw.Draw(image)
    radius = int(draw.integers(side // 5, side // 3))
    x, y = (int(v) for v in draw.integers(side // 3, side - side // 3, 2))
    box = (x - radius, y - radius, x + radius, y + radius)
    if kind == "disc":
        pen.ellipse(box, fill=210)
    elif kind == "square":
        pen.rectangle(box, fill=210)
    else:
        for row in range(box[1], box[3], 4):
            pen.line((box[0], row, box[2], row), fill=210, width=2)
    return image


def folders(root: Path, count: int = 12, kinds: tuple[str, ...] = KINDS) -> Path:
    """One folder a class with `count` PNGs each."""
    for kind in kinds:
        (root / kind).mkdir(parents=True)
        for number in range(count):
            drawn(kind, number).save(root / kind / f"{number:03d}.png")
    return root


def with_subjects(root: Path, each: int = 4) -> Dataset:
    """A set whose samples carry subjects, as JAFFE's do; `each` images a subject and class."""
    folders(root, each * len(SUBJECTS))
    samples = tuple(
        Sample(root / kind / f"{number:03d}.png", kind, SUBJECTS[number % len(SUBJECTS)])
        for kind in KINDS
        for number in range(each * len(SUBJECTS))
    )
    return Dataset("shapes", "folders", root, samples, KINDS, "Drawn by a test.")


def jaffe_like(root: Path) -> Path:
    """Files named as JAFFE's are; half of them palette images whose indices are not grey values."""
    root.mkdir(parents=True)
    number = 0
    for subject in ("KA", "KL", "KM"):
        for code in ("AN", "DI", "FE", "HA", "NE", "SA", "SU"):
            for turn in (1, 2):
                number += 1
                image = drawn(KINDS[number % 3], number)
                if turn == 2:
                    image = image.convert("P")
                    image.putpalette([255 - i // 3 for i in range(768)])
                image.save(root / f"{subject}.{code}{turn}.{number}.tiff")
    return root
