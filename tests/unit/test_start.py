"""What `--init` names is found, or the sentence says how to get it."""

import shutil
from pathlib import Path

import pytest

from models import start
from models.datasets import read
from models.errors import BundleError, UsageError
from models.recipes import faces_wanted, recipe
from models.wishes import Wishes
from tests import shapes
from tests.conftest import PROJECT

FACE = PROJECT / "params" / "face"


def test_a_family_names_a_bundle_inside_params_and_a_folder_itself(tmp_path: Path) -> None:
    shutil.copytree(FACE, tmp_path / "imagenet" / "net")
    assert start.place("imagenet:net", tmp_path) == tmp_path / "imagenet" / "net"
    assert start.bundle_for("imagenet:net", tmp_path).manifest.name == "face"
    assert start.place("some/folder", tmp_path) == Path("some/folder")
    made, _ = recipe(Wishes(init="imagenet:net", params=tmp_path), True, ("a", "b"), 50)
    assert made.init is not None and made.trainable == 0


@pytest.mark.parametrize("init", ["imagenet:mobilenet_v2", "imagenet:", "imagnet:resnet50"])
def test_weights_that_are_not_here_are_told_with_the_command_that_fetches_them(
    init: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"python -m models\.zoo fetch (mobilenet_v2|NAME|resn)"):
        start.bundle_for(init, tmp_path)
    with pytest.raises(UsageError, match="downloads nothing"):
        recipe(Wishes(init=init, params=tmp_path), False, ("a", "b"), 50)


def test_a_folder_that_is_no_bundle_is_told_as_before(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no model bundle"):
        start.bundle_for(str(tmp_path / "nowhere"), tmp_path)


def test_a_bundle_for_faces_named_to_start_from_leaves_the_choice_to_the_images(
    tmp_path: Path,
) -> None:
    dataset = read(shapes.folders(tmp_path / "set", 3))
    assert not start.takes_whole_images(str(FACE), tmp_path)
    assert not start.takes_whole_images("auto", tmp_path)
    assert not faces_wanted(dataset, Wishes(init=str(FACE)))  # shapes are no faces
    assert faces_wanted(dataset, Wishes(init=str(FACE), faces="yes"))
