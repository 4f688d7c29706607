"""Bundles that stand in for trained ones: the shipped expression model under other labels.

Its answers are a real network's, only not about what the labels say.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from tests.conftest import PROJECT

EMOTION = PROJECT / "params" / "emotion"
THINGS = (
    "espresso",
    "Egyptian cat",
    "tabby cat",
    "coffee mug",
    "golden retriever",
    "teapot",
    "bicycle-built-for-two",
)
CLOTHES = ("blouse", "dress", "hat", "jeans", "shirt", "skirt", "long-sleeved t-shirt")


def relabelled(folder: Path, labels: Sequence[str]) -> Path:
    """The expression model's network with other labels, looking at whole pictures.

    Args:
        folder: of the new bundle.
        labels: seven.
    """
    folder.mkdir(parents=True)
    manifest = json.loads((EMOTION / "model.json").read_text())
    manifest |= {"name": folder.name, "labels": list(labels), "protocol": {}, "metrics": {}}
    manifest["faces"]["wanted"] = False
    (folder / "model.json").write_text(json.dumps(manifest))
    for name in manifest["files"]:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to(EMOTION / name)
    return folder


def every_kind(params: Path) -> None:
    """A folder of bundles with a model of each kind, and three that name things."""
    params.mkdir()
    for name in ("emotion", "smile"):
        (params / name).symlink_to(PROJECT / "params" / name)
    relabelled(params / "imagenet" / "one", THINGS)
    relabelled(params / "imagenet" / "two", THINGS[3:] + THINGS[:3])
    relabelled(params / "imagenet" / "three", THINGS[::-1])
    relabelled(params / "clothes", CLOTHES)
