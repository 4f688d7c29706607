"""Families of models for tests: the shipped network under other labels, its files shared."""

import json
from collections.abc import Sequence
from pathlib import Path

from tests.conftest import PROJECT

EMOTION = PROJECT / "params" / "emotion"
LABELS = tuple(json.loads((EMOTION / "model.json").read_text())["labels"])


def made(
    folder: Path, labels: Sequence[str] = LABELS, faces: bool = False, version: str = "1"
) -> Path:
    """A bundle of the shipped network, which answers differently where labels stand elsewhere.

    Args:
        folder: of the bundle; what is there is replaced.
        labels: in the order of the network's outputs.
        faces: it looks at faces, not at the whole picture.
        version: of the bundle.
    """
    folder.mkdir(parents=True, exist_ok=True)
    manifest = json.loads((EMOTION / "model.json").read_text())
    manifest |= {"labels": list(labels), "version": version, "explains": False}
    manifest["faces"]["wanted"] = faces
    needed = ("inference.json", "inference.pdiparams")
    manifest["files"] = {name: manifest["files"][name] for name in needed}
    (folder / "model.json").write_text(json.dumps(manifest))
    for name in needed:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(EMOTION / name)
    return folder


def family(params: Path, *names: str) -> Path:
    """A folder of models: the shipped one, and `imagenet:NAME` for each name, all different."""
    params.mkdir(exist_ok=True)
    if not (params / "emotion").exists():
        (params / "emotion").symlink_to(EMOTION)
    for number, name in enumerate(names, 1):
        made(params / "imagenet" / name, LABELS[number:] + LABELS[:number], version=name)
    return params


def copied(folder: Path) -> Path:
    """A bundle of files of its own, which may be read where the shipped one is not."""
    made(folder)
    for file in folder.iterdir():
        content = file.read_bytes()
        file.unlink()
        file.write_bytes(content)
    return folder


def large(folder: Path, megabytes: int) -> Path:
    """A bundle that is announced as one with so many MiB of weights, and cannot be loaded."""
    made(folder)
    (folder / "inference.pdiparams").unlink()
    with (folder / "inference.pdiparams").open("wb") as file:
        file.truncate(megabytes * 2**20)  # takes no room on the disk
    return folder
