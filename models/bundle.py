"""What a trained model is on disk: write it whole, read it back, refuse what was altered.

A bundle is complete or absent: it is written beside its place and renamed into it. Nothing in it is
a pickle.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from models.errors import BundleError
from models.face_spec import FaceSpec

if TYPE_CHECKING:
    import numpy as np

FORMAT = 1
MANIFEST = "model.json"
GRAPH = "inference.json"
PARAMETERS = "inference.pdiparams"
WEIGHTS = "weights.safetensors"
STATISTICS = "statistics.safetensors"  # of the features, by class: what a new head can build on
PUBLISHED = "imagenet"  # the folder of bundles that `python -m models.zoo` brings
FEATURES = "features"  # the task of a bundle that training starts from and nobody serves


@dataclass(frozen=True)
class InputSpec:
    """What the network takes: tensor = (pixel - mean) * scale, pixels 0 to 255.

    Attributes:
        size: side of the square crop, in pixels.
        color: order or number of the channels.
        mean: one a channel (of `color`), 0 to 255.
        scale: one a channel.
    """

    size: int
    color: Literal["rgb", "bgr", "gray"]
    mean: tuple[float, ...]
    scale: tuple[float, ...]

    @property
    def channels(self) -> int:
        """1 or 3."""
        return 1 if self.color == "gray" else 3

    def tensor(self, crops: "Sequence[np.ndarray]") -> "np.ndarray":
        """Crops as a batch.

        Args:
            crops: N arrays, uint8 (size, size, 3), RGB.

        Returns:
            float32 (N, channels, size, size), contiguous.
        """
        import cv2  # who reads manifests alone (the worker) never needs the two: 34 MB
        import numpy as np

        batch = np.empty((len(crops), self.channels, self.size, self.size), np.float32)
        for row, image in zip(batch, crops, strict=True):
            if self.color == "gray":
                row[0] = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
            else:
                row[:] = (image if self.color == "rgb" else image[..., ::-1]).transpose(2, 0, 1)
        batch -= np.asarray(self.mean, np.float32).reshape(1, -1, 1, 1)
        batch *= np.asarray(self.scale, np.float32).reshape(1, -1, 1, 1)
        return batch


@dataclass(frozen=True)
class Manifest:
    """model.json.

    Attributes:
        name: of the model, as `model=` asks for it.
        version: tells two trainings of the same name apart.
        labels: in the order of the network's outputs.
        input: what the network takes.
        faces: which crop it is given.
        network: architecture by name, with what is needed to build it again.
        training: what it was trained on and how.
        protocol: how the figures were measured.
        metrics: the figures.
        licence: terms of use, a sentence.
        files: sha256 in hex of each file, by its path inside the bundle.
        task: what kind of answer it gives; `features` has no labels and no inference export.
        explains: the export's second output is each place's part of each label's logit, float32
            (N, labels, h, w); or (N, 1, h, w) of the likeliest alone, less the mean of all.
        format: of this file.
    """

    name: str
    version: str
    labels: tuple[str, ...]
    input: InputSpec
    faces: FaceSpec
    network: dict[str, Any]
    training: dict[str, Any]
    protocol: dict[str, Any]
    metrics: dict[str, Any]
    licence: str
    files: dict[str, str]
    task: str = "classification"
    explains: bool = False
    format: int = FORMAT


@dataclass(frozen=True)
class Bundle:
    """A verified bundle."""

    path: Path
    manifest: Manifest

    def file(self, name: str) -> Path:
        """The path of one of its files."""
        return self.path / name


def load(path: str | Path) -> Bundle:
    """Read a bundle and verify every file's hash.

    Raises:
        BundleError: names the file that is missing or altered, and what to do.
    """
    found = look(path)
    path, manifest = found.path, found.manifest
    for name, expected in manifest.files.items():
        file = path / name
        if sha256(file) != expected:
            raise BundleError(
                f"The model bundle {path} is damaged: {file} is not the file that was saved (its "
                "sha256 differs, "
                f"{file.stat().st_size} bytes). {_mend(manifest)}",
                "bundle_altered",
            )
    return Bundle(path, manifest)


def look(path: str | Path) -> Bundle:
    """Read a bundle's manifest and see that every file is there: quick, and no hash is verified.

    Raises:
        BundleError: names the file that is missing, and what to do.
    """
    path = Path(path)
    manifest = read_manifest(path)
    for name in manifest.files:
        if not (path / name).is_file():
            raise BundleError(
                f"The model bundle {path} is incomplete: {path / name} is missing. "
                f"{_mend(manifest)}",
                "bundle_incomplete",
            )
    return Bundle(path, manifest)


def read_manifest(path: str | Path) -> Manifest:
    """Read and check model.json alone, without hashing the other files.

    Raises:
        BundleError: missing, not JSON, of another format, or of the wrong shape.
    """
    path = Path(path)
    file = path / MANIFEST
    anew = f"train it anew: python train.py --data FOLDER --name {path.name}"
    if path.parent.name == PUBLISHED:
        anew = f"fetch it: python -m models.zoo fetch {path.name}"
    remedy = f"Restore the folder, or {anew}."
    if not file.is_file():
        raise BundleError(
            f"There is no model bundle at {path}: {file} is missing. {remedy}", "bundle_missing"
        )
    try:
        manifest = msgspec.json.decode(file.read_bytes(), type=Manifest)
    except (msgspec.DecodeError, OSError, UnicodeDecodeError) as error:
        raise BundleError(
            f"The model bundle {path} cannot be read: {file} is damaged ({error}). {remedy}",
            "bundle_invalid",
        ) from None
    if manifest.format != FORMAT:
        raise BundleError(
            f"The model bundle {path} has format {manifest.format}, and this Hyojo reads format "
            f"{FORMAT}. {remedy}",
            "bundle_format",
        )
    _check(path, manifest)
    return manifest


@contextmanager
def writing(path: str | Path) -> Iterator[Path]:
    """A fresh folder beside `path` that takes its place when the block ends well and vanishes when
    it does not.

    Call `seal` last inside the block. An older bundle at `path` is replaced only after the new one
    is whole on disk.

    Yields:
        the folder to write into.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}-new-", dir=path.parent))
    # Beside it: to move a folder into another one takes the right to write into itself.
    old = folder.with_name(f".{path.name}-old-{folder.name.rpartition('-')[2]}")
    try:
        yield folder
        folder.chmod(0o755)
        if path.exists():
            path.rename(old)
        folder.rename(path)
    except BaseException:  # Ctrl-C between the two renames, too
        if os.path.lexists(old) and not os.path.lexists(path):
            old.rename(path)
        raise
    finally:
        _remove(folder)
        if os.path.lexists(path):  # else the old one is all there is
            _remove(old)


def _remove(folder: Path) -> None:
    """All of it, read-only folders too; what cannot be removed stays."""
    if folder.is_symlink():
        folder.unlink()
        return
    for place, _, _ in os.walk(folder):
        with suppress(OSError):
            os.chmod(place, 0o755)
    shutil.rmtree(folder, ignore_errors=True)


def seal(folder: Path, manifest: Manifest) -> Manifest:
    """Hash every file of `folder` into its model.json and bring all of it to disk.

    Returns:
        the manifest as written, with `files` filled in.
    """
    for file in folder.rglob("*"):  # some writers make files that only their owner can read
        file.chmod(0o755 if file.is_dir() else 0o644)
    names = sorted(
        p.relative_to(folder).as_posix()
        for p in folder.rglob("*")
        if p.is_file() and p != folder / MANIFEST
    )
    sealed = replace(manifest, files={name: sha256(folder / name) for name in names})
    text = msgspec.json.format(msgspec.json.encode(sealed), indent=2)
    (folder / MANIFEST).write_bytes(text + b"\n")
    for name in [*names, MANIFEST]:
        with (folder / name).open("rb") as stream:
            os.fsync(stream.fileno())
    return sealed


def sha256(file: Path) -> str:
    """Of a file, in hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check(path: Path, manifest: Manifest) -> None:
    """What a decoder of types cannot see."""
    spec = manifest.input
    answers = manifest.task != FEATURES  # else only weights to start a training from
    problems = {
        "labels are missing or repeated": (answers and not manifest.labels)
        or len(set(manifest.labels)) != len(manifest.labels),
        "input.mean and input.scale need one number a channel": {len(spec.mean), len(spec.scale)}
        != {spec.channels},
        "faces.centre is out of range (above 0, at most 1)": not 0 < manifest.faces.centre <= 1,
        "input.size is out of range (8 to 1024 pixels)": not 8 <= spec.size <= 1024,
        f"files must name {GRAPH} and {PARAMETERS}": answers
        and not {GRAPH, PARAMETERS} <= set(manifest.files),
        "files must lie inside the bundle": any(
            Path(n).is_absolute() or ".." in Path(n).parts for n in manifest.files
        ),
    }
    for problem, found in problems.items():
        if found:
            raise BundleError(
                f"The model bundle {path} cannot be used: {path / MANIFEST}: {problem}. "
                f"{_mend(manifest)}",
                "bundle_invalid",
            )


def remedy(manifest: Manifest) -> str:
    """How to get a bundle again, a clause."""
    if "published" in manifest.training:
        return f"fetch it again: {manifest.training['command']}"
    return f"train it anew: python train.py --data FOLDER --name {manifest.name}"


def _mend(manifest: Manifest) -> str:
    return f"Restore the folder from where it came, or {remedy(manifest)}."
