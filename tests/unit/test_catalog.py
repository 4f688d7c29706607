"""service/catalog.py: which models there are, and of what kind."""

import json
from pathlib import Path

import pytest

from service import catalog
from tests.conftest import PROJECT

EMOTION = PROJECT / "params" / "emotion"


def with_labels(folder: Path, labels: list[str], faces: bool = True) -> Path:
    """The shipped bundle under other labels, its files shared."""
    folder.mkdir(parents=True)
    manifest = json.loads((EMOTION / "model.json").read_text())
    manifest["labels"] = labels
    manifest["faces"]["wanted"] = faces
    (folder / "model.json").write_text(json.dumps(manifest))
    for name in manifest["files"]:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to(EMOTION / name)
    return folder


@pytest.mark.parametrize(
    ("labels", "faces", "kind"),
    [
        (sorted(catalog.EXPRESSIONS), True, "expression"),
        (["happiness", "neutral"], True, "expression"),
        # The same words of whole pictures are somebody's own classes.
        (["happiness", "neutral"], False, "own"),
        (["no smile", "smile"], True, "smile"),
        (["jeans", "skirt"], False, "own"),
    ],
)
def test_kind_is_told_by_labels_and_faces(
    tmp_path: Path, labels: list[str], faces: bool, kind: str
) -> None:
    with_labels(tmp_path / "one", labels, faces)
    found = catalog.read(tmp_path, ["one"], "one").models["one"]
    assert (found.kind, found.error) == (kind, None)
