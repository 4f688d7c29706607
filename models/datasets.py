"""Published layouts and plain folders, read as samples: path, label, subject, part."""

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from models import images
from models.console import printable
from models.errors import DataError

LAYOUTS = ("auto", "jaffe", "folders", "fer2013", "genki4k")

EXPRESSIONS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
SMILE = ("no smile", "smile")
_JAFFE_NAME = re.compile(r"([A-Z]{2})[.-](AN|DI|FE|HA|NE|SA|SU)(\d+)[.-](\d+)\.tiff?$", re.I)
_JAFFE_LABELS = dict(zip(("AN", "DI", "FE", "HA", "NE", "SA", "SU"), EXPRESSIONS, strict=True))
_FER_LABELS = dict(
    zip(("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"), EXPRESSIONS,
        strict=True)
)  # fmt: skip
_PARTS = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test", "test_public": "test",
}  # fmt: skip
_DEPTH = 4  # an unpacked archive rarely wraps a set in more folders than this

_TERMS = {
    "jaffe": "JAFFE may be used for non-commercial research with this citation: M. J. Lyons, "
    "S. Akamatsu, M. Kamachi, J. Gyoba, Coding Facial Expressions with Gabor Wavelets, 3rd IEEE "
    "International Conference on Automatic Face and Gesture Recognition, pp. 200-205 (1998).",
    "fer2013": "FER2013 is for research; cite I. Goodfellow et al., Challenges in Representation "
    "Learning (2013).",
    "genki4k": 'GENKI-4K is for research; cite "http://mplab.ucsd.edu, The MPLab GENKI-4K '
    'Dataset".',
    "folders": "The terms of the images it was trained on, which are the trainer's own.",
}


@dataclass(frozen=True)
class Sample:
    """One labelled image.

    Attributes:
        path: the file.
        label: a name.
        subject: the person on it, where the set tells.
        part: `train`, `val` or `test` where the set is split already, else empty.
        twin: a number that samples of one photograph share (`models.twins`); None for one alone.
    """

    path: Path
    label: str
    subject: str | None = None
    part: str = ""
    twin: int | None = None


@dataclass(frozen=True)
class Dataset:
    """Samples in a fixed order.

    Attributes:
        name: of the set, for people.
        layout: one of `LAYOUTS`.
        root: the folder that holds it.
        samples: sorted by path.
        labels: sorted, as the network's outputs are ordered.
        terms: a sentence.
    """

    name: str
    layout: str
    root: Path
    samples: tuple[Sample, ...]
    labels: tuple[str, ...]
    terms: str

    @property
    def subjects(self) -> tuple[str, ...]:
        """Sorted; empty where the set does not tell them."""
        return tuple(sorted({s.subject for s in self.samples if s.subject is not None}))

    @property
    def twins(self) -> int:
        """How many samples show a photograph that another shows too."""
        return sum(sample.twin is not None for sample in self.samples)

    def keep(self, samples: tuple[Sample, ...]) -> "Dataset":
        """The same set with fewer samples, checked again.

        Raises:
            DataError: too little is left.
        """
        return checked(replace(self, samples=samples))


def read(folder: str | Path, layout: str = "auto") -> Dataset:
    """Find the set in a folder or somewhere inside it.

    Args:
        folder: a set as published or unpacked, or one folder a class.
        layout: one of `LAYOUTS`.

    Raises:
        DataError: no such folder, no images, fewer than two classes, a class with one image, or a
            class whose name no file could hold.
    """
    folder = Path(folder)
    if not folder.exists():
        raise DataError(f"There is no folder {folder}. Check the path given with --data.")
    if not folder.is_dir():
        raise DataError(f"{folder} is a file. Unpack it and give the folder with --data.")
    wanted = ("jaffe", "fer2013", "genki4k", "folders") if layout == "auto" else (layout,)
    for kind in wanted:
        for place in _places(folder):
            samples = _READERS[kind](place)
            if samples:
                labels = tuple(sorted({sample.label for sample in samples}))
                _refuse_unwritable(place, labels)
                name = printable(place.resolve().name) if kind == "folders" else kind
                ordered = tuple(sorted(samples, key=lambda sample: sample.path))
                return checked(Dataset(name, kind, place, ordered, labels, _TERMS[kind]))
    raise DataError(_nothing(folder, layout))


def company(folder: str | Path, of: Dataset) -> tuple[Dataset, Dataset | None]:
    """Another set to be trained with: what may be learnt from, and the test part it may name.

    Raises:
        DataError: it cannot be read, or its labels are others.
    """
    other = read(folder)
    if other.labels != of.labels:
        raise DataError(
            f"{other.root} tells {', '.join(other.labels)} apart and {of.root} "
            f"{', '.join(of.labels)}: sets that are trained together need the same labels."
        )
    learnt = tuple(sample for sample in other.samples if sample.part != "test")
    test = tuple(replace(s, part="") for s in other.samples if s.part == "test")
    return replace(other, samples=learnt), replace(other, samples=test) if test else None


def checked(dataset: Dataset) -> Dataset:
    """The set itself if something can be learned from it.

    Raises:
        DataError: fewer than two classes, a class with one image, a label only the test part has.
    """
    learned = Counter(s.label for s in dataset.samples if s.part in ("", "train"))
    every = sorted({sample.label for sample in dataset.samples} | set(dataset.labels))
    if len(every) < 2:
        raise DataError(
            f"{dataset.root} has images of one class only ({', '.join(every) or 'none'}). "
            "At least two are needed: one folder a class."
        )
    for label in every:
        if learned[label] < 2:
            count = "no usable image" if not learned[label] else "only one usable image"
            raise DataError(
                f"Class {label!r} in {dataset.root} has {count} to train on. "
                "Add at least two, or take the class away."
            )
    return dataset


def _refuse_unwritable(place: Path, labels: tuple[str, ...]) -> None:
    """Labels are answered as JSON, which is UTF-8; names of files may be any bytes."""
    for label in labels:
        if printable(label) != label:
            raise DataError(
                f"The class folder {label!r} in {place} has a name that is not UTF-8, so no answer "
                "could tell it. Rename the folder."
            )


def _nothing(folder: Path, layout: str) -> str:
    count = len(images.find(folder))
    if not count:
        return f"There are no images in {folder}. Give a folder of images with --data."
    what = "a set that is known" if layout == "auto" else f"the layout {layout!r}"
    return (
        f"{folder} has {count} image{'s' if count > 1 else ''} but not in {what}. Make one folder "
        "a class, with the images of that class inside, or see --layout."
    )


def _places(folder: Path) -> Iterator[Path]:
    """The folder and what lies inside, nearest first."""
    level = [folder]
    for _ in range(_DEPTH):
        yield from level
        level = [child for place in level for child in _folders(place)]


def _folders(place: Path) -> list[Path]:
    try:
        children = sorted(place.iterdir())
    except OSError as error:
        raise DataError(f"{place} cannot be read ({error.strerror}). Check its rights.") from error
    return [c for c in children if c.is_dir() and not c.name.startswith((".", "__MACOSX"))]


def _jaffe(place: Path) -> list[Sample]:
    """`KA.AN1.39.tiff`: subject, expression and its number, number of the picture."""
    matches = [(path, _JAFFE_NAME.match(path.name)) for path in sorted(place.iterdir())]
    return [
        Sample(path, _JAFFE_LABELS[match[2].upper()], match[1].upper())
        for path, match in matches
        if match
    ]


def _fer2013(place: Path) -> list[Sample]:
    """`train/angry/*.png`, `test_public/angry/*.png`; all seven class names must be there."""
    train = place / "train"
    if not train.is_dir() or {child.name for child in _folders(train)} != set(_FER_LABELS):
        return []
    return [replace(sample, label=_FER_LABELS[sample.label]) for sample in _parted(place)]


def _genki4k(place: Path) -> list[Sample]:
    """`files/file0001.jpg` and `labels.csv` with the columns file and smile (1 or 0)."""
    table = place / "labels.csv"
    if not table.is_file() or not (place / "files").is_dir():
        return []
    with table.open(newline="") as file:
        rows = [(row.get("file"), row.get("smile")) for row in csv.DictReader(file)]
    known = [(place / "files" / name, smile) for name, smile in rows if name and smile]
    return [Sample(path, SMILE[smile == "1"]) for path, smile in known if path.is_file()]


def _plain(place: Path) -> list[Sample]:
    """One folder a class, or train/, val/ and test/ with one folder a class in each."""
    classes = [(child.name, images.find(child)) for child in _folders(place)]
    names = {name.lower() for name, _ in classes}
    filled = [(name, paths) for name, paths in classes if paths]
    parts = {name.lower() for name, _ in filled}  # annotations/ beside them holds no images
    if "train" in {_PARTS.get(part) for part in parts} and parts <= set(_PARTS):
        parted = _parted(place)
        if parted:
            return parted
    if len(filled) == 1 and len(names) == 1 and not _flat(place / filled[0][0]):
        return []  # a wrapping folder: look inside
    return [Sample(path, name) for name, paths in filled for path in paths]


def _flat(place: Path) -> bool:
    return any(path.is_file() for path in images.find(place) if path.parent == place)


def _parted(place: Path) -> list[Sample]:
    return [
        Sample(path, child.name, None, _PARTS[part.name.lower()])
        for part in _folders(place)
        if part.name.lower() in _PARTS
        for child in _folders(part)
        for path in images.find(child)
    ]


_READERS: dict[str, Callable[[Path], list[Sample]]] = {
    "jaffe": _jaffe,
    "fer2013": _fer2013,
    "genki4k": _genki4k,
    "folders": _plain,
}
