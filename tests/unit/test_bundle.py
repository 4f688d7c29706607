"""models/bundle.py: complete or absent, and altered is refused."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models import bundle
from models.bundle import InputSpec, Manifest
from models.errors import BundleError
from models.face_spec import FaceSpec
from tests.conftest import PROJECT

SPEC = InputSpec(8, "rgb", (1.0, 2.0, 3.0), (1.0, 0.5, 2.0))
MANIFEST = Manifest(
    name="toy",
    version="1",
    labels=("a", "b"),
    input=SPEC,
    faces=FaceSpec(wanted=False),
    network={"name": "none"},
    training={},
    protocol={},
    metrics={},
    licence="none",
    files={},
)


def _write(path: Path, graph: str = "{}") -> None:
    with bundle.writing(path) as folder:
        (folder / bundle.GRAPH).write_text(graph)
        (folder / bundle.PARAMETERS).write_bytes(b"\x00" * 64)
        (folder / "report").mkdir()
        (folder / "report" / "card.md").write_text("# Toy\n")
        bundle.seal(folder, replace(MANIFEST, name=path.name))


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    _write(tmp_path / "toy")
    loaded = bundle.load(tmp_path / "toy")
    assert loaded.manifest.labels == ("a", "b") and loaded.manifest.input == SPEC
    assert sorted(loaded.manifest.files) == [bundle.GRAPH, bundle.PARAMETERS, "report/card.md"]
    assert loaded.file("report/card.md").read_text() == "# Toy\n"
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "toy").rglob("*")}
    assert modes == {0o644, 0o755}, "another user, as in a container, can read it"


def test_an_older_bundle_is_replaced_whole(tmp_path: Path) -> None:
    _write(tmp_path / "toy", '{"old": 1}')
    _write(tmp_path / "toy", '{"new": 1}')
    assert (tmp_path / "toy" / bundle.GRAPH).read_text() == '{"new": 1}'
    bundle.load(tmp_path / "toy")
    assert _names(tmp_path) == ["toy"], "nothing is left beside it"


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_while_writing_leaves_all_as_it_was(
    tmp_path: Path, old: bool, error: type[BaseException]
) -> None:
    if old:
        _write(tmp_path / "toy", '{"old": 1}')
    before = _names(tmp_path)
    with pytest.raises(error), bundle.writing(tmp_path / "toy") as folder:
        (folder / bundle.GRAPH).write_text("half")
        raise error
    assert _names(tmp_path) == before
    if old:
        assert bundle.load(tmp_path / "toy").file(bundle.GRAPH).read_text() == '{"old": 1}'


def test_an_interruption_while_the_new_one_takes_its_place_brings_the_old_one_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path / "toy", '{"old": 1}')
    rename = Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        if "-new-" in self.name:
            raise KeyboardInterrupt
        return rename(self, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "rename", interrupted)
        _write(tmp_path / "toy", '{"new": 1}')
    assert bundle.load(tmp_path / "toy").file(bundle.GRAPH).read_text() == '{"old": 1}'
    assert _names(tmp_path) == ["toy"]


@pytest.mark.parametrize("linked", [False, True])
def test_a_read_only_bundle_or_a_link_to_one_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, linked: bool
) -> None:
    rename = Path.rename

    def beside(self: Path, target: Path) -> Path:
        assert self.parent == target.parent, "elsewhere it would take the right to write into it"
        return rename(self, target)

    place = tmp_path / "real" if linked else tmp_path / "toy"
    _write(place, '{"old": 1}')
    for folder in (place / "report", place):
        folder.chmod(0o555)
    if linked:
        (tmp_path / "toy").symlink_to(place)
    monkeypatch.setattr(Path, "rename", beside)
    _write(tmp_path / "toy", '{"new": 1}')
    assert bundle.load(tmp_path / "toy").file(bundle.GRAPH).read_text() == '{"new": 1}'
    assert _names(tmp_path) == (["real", "toy"] if linked else ["toy"])


def _remove_a_file(path: Path) -> str:
    (path / bundle.PARAMETERS).unlink()
    return "bundle_incomplete"


def _cut_a_file(path: Path) -> str:
    (path / bundle.PARAMETERS).write_bytes(b"\x00" * 63)
    return "bundle_altered"


def _flip_a_bit(path: Path) -> str:
    (path / bundle.PARAMETERS).write_bytes(b"\x00" * 63 + b"\x01")
    return "bundle_altered"


def _remove_the_manifest(path: Path) -> str:
    (path / bundle.MANIFEST).unlink()
    return "bundle_missing"


def _remove_all(path: Path) -> str:
    shutil.rmtree(path)
    return "bundle_missing"


def _cut_the_manifest(path: Path) -> str:
    file = path / bundle.MANIFEST
    file.write_text(file.read_text()[:100])
    return "bundle_invalid"


def _edited(**changes: object) -> Callable[[Path], str]:
    def edit(path: Path) -> str:
        file = path / bundle.MANIFEST
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))
        return "bundle_format" if "format" in changes else "bundle_invalid"

    return edit


@pytest.mark.parametrize(
    "spoil",
    [
        _remove_a_file,
        _cut_a_file,
        _flip_a_bit,
        _remove_the_manifest,
        _remove_all,
        _cut_the_manifest,
        _edited(format=2),
        _edited(labels=[]),
        _edited(labels=["a", "a"]),
        _edited(labels="a"),
        _edited(files={}),
        _edited(files={bundle.GRAPH: "", bundle.PARAMETERS: "", "../../etc/passwd": ""}),
        _edited(input={"size": 8, "color": "rgb", "mean": [1.0], "scale": [1.0]}),
        _edited(input={"size": 0, "color": "gray", "mean": [1.0], "scale": [1.0]}),
        _edited(input={"size": 8, "color": "cmyk", "mean": [1.0], "scale": [1.0]}),
    ],
)
def test_a_spoilt_bundle_is_refused_by_name_with_what_to_do(
    tmp_path: Path, spoil: Callable[[Path], str]
) -> None:
    path = tmp_path / "toy"
    _write(path)
    code = spoil(path)
    with pytest.raises(BundleError) as caught:
        bundle.load(path)
    assert caught.value.code == code
    assert str(path) in str(caught.value) and "python train.py" in str(caught.value)


@pytest.mark.parametrize(
    ("color", "expected"),
    [("rgb", [9.0, 9.0, 54.0]), ("bgr", [29.0, 9.0, 14.0])],
)
def test_pixels_become_the_tensor_that_the_manifest_describes(
    color: str, expected: list[float]
) -> None:
    crop = np.zeros((8, 8, 3), np.uint8)
    crop[...] = [10, 20, 30]
    tensor = replace(SPEC, color=color).tensor([crop, crop])  # type: ignore[arg-type]
    assert tensor.shape == (2, 3, 8, 8) and tensor.dtype == np.float32
    assert tensor.flags.c_contiguous and tensor[1, :, 2, 2].tolist() == expected


def test_grey_takes_one_channel() -> None:
    spec = InputSpec(8, "gray", (100.0,), (0.01,))
    tensor = spec.tensor([np.full((8, 8, 3), 200, np.uint8)])
    assert tensor.shape == (1, 1, 8, 8) and tensor.min() == pytest.approx(1.0)


@pytest.mark.parametrize("name", sorted(p.parent.name for p in PROJECT.glob("params/*/model.json")))
def test_a_bundle_in_the_repository_is_whole_small_and_holds_no_pickle(name: str) -> None:
    path = PROJECT / "params" / name
    loaded = bundle.load(path)
    files = [file for file in path.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 16 * 2**20
    listed = {path / file for file in loaded.manifest.files} | {path / bundle.MANIFEST}
    assert set(files) == listed, "every file is under a hash"
    assert all(file.suffix not in (".pdparams", ".pkl", ".pickle") for file in files)
    assert all(not file.read_bytes().startswith(b"\x80\x04") for file in files)
    assert loaded.manifest.licence and loaded.manifest.training
