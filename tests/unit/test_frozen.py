"""Closed stages run once: their maps and features are those of the network, and reach the tail."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from models import bundle, frozen, graphs, pictures, weights
from models.bundle import InputSpec
from models.errors import DiskError
from models.export import ExportError
from models.face_spec import FaceSpec
from models.framework import paddle
from models.inputs import ImageInputs, Joined, MapInputs
from models.networks import Classifier, NetworkSpec, build
from models.tail import Tail
from tests import shapes
from tests.amount import soak_only

SIZE, COPIES = 64, 1
SPEC = InputSpec(SIZE, "bgr", (103.939, 116.779, 123.68), (1.0, 1.0, 1.0))
PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageInputs:
    dataset = shapes.with_subjects(tmp_path_factory.mktemp("frozen") / "set", 1)
    held = pictures.read(dataset, FaceSpec(wanted=False), SIZE)
    return ImageInputs(held, SPEC)


@pytest.fixture(scope="module")
def network() -> Classifier:
    """The shipped face network, cut after 7 pairs: fresh weights would hardly tell images apart."""
    face = bundle.load(PROJECT / "params" / "face")
    made = build(NetworkSpec("mobilenet_face", {"pairs": 7}, (2, 1)), 3, 3, SIZE)
    own = made.state_dict()
    given = weights.load(face.file(bundle.WEIGHTS))
    trunk = {n: v for n, v in given.items() if n in own and n.startswith("trunk.")}
    weights.set_state(made, trunk)
    made.eval()
    return made


def work(images: ImageInputs) -> frozen.Work:
    return frozen.Work(images, 11, COPIES, seed=5)


def test_features_are_those_of_the_network_for_images_and_copies(
    images: ImageInputs, network: Classifier
) -> None:
    done: list[int] = []
    got = frozen.features(network, work(images), done.append)
    every = np.arange(11)
    with paddle.no_grad():
        plain = network.features(paddle.to_tensor(images.plain(every))).numpy()
        copy = network.features(paddle.to_tensor(images.drawn(every, "5/copy 1"))).numpy()
    assert np.allclose(got.values[0], plain, atol=1e-4)
    assert np.allclose(got.values[1], copy, atol=1e-4)
    assert not np.allclose(plain, copy, atol=1e-2)
    assert sum(done) == work(images).crops == 22


@pytest.mark.parametrize("closed", [4, 6])
def test_maps_and_tail_together_are_the_network(
    images: ImageInputs, network: Classifier, closed: int, tmp_path: Path
) -> None:
    maps = frozen.maps(network, closed, work(images), tmp_path / "maps.npy", lambda count: None)
    assert maps.values.dtype == np.uint8  # these stages end in a rectifier clipped at 6
    tail = Tail(network, closed, maps.size)
    tail.eval()
    every = np.arange(11)
    with paddle.no_grad():
        ours = tail(paddle.to_tensor(maps.plain(every))).numpy()
        whole = network(paddle.to_tensor(images.plain(every))).numpy()
    assert np.abs(ours - whole).max() < 0.02 * np.abs(whole).max()  # what a byte a value costs
    assert {id(p) for p in tail.parameters()} < {id(p) for p in network.parameters()}


@pytest.mark.parametrize(
    "closed", [3, *(pytest.param(count, marks=soak_only) for count in (1, 19))]
)
def test_a_stage_without_a_last_rectifier_keeps_what_is_below_nought(
    images: ImageInputs, closed: int, tmp_path: Path
) -> None:
    network = build(NetworkSpec("mobilenet_v2"), 3, 3, SIZE)
    network.eval()
    maps = frozen.maps(network, closed, work(images), tmp_path / "maps.npy", lambda count: None)
    every = np.arange(11)
    x = paddle.to_tensor(images.plain(every))
    with paddle.no_grad():
        for stage in network.stages()[:closed]:
            x = stage(x)
    wanted = x.numpy()
    assert maps.values.dtype == (np.float16 if closed == 3 else np.uint8)
    assert (wanted.min() < 0) == (closed == 3)
    assert np.abs(maps.plain(every) - wanted).max() <= max(0.013, 1e-3 * np.abs(wanted).max())


def test_an_engine_that_errs_is_told_before_anything_is_trained(
    images: ImageInputs, network: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folded = graphs.folded

    def wrong(network: Classifier, spec: InputSpec) -> Classifier:
        twin = folded(network, spec)
        bias = twin.stages()[0].conv.bias
        bias.set_value(bias + 0.5)
        return twin

    monkeypatch.setattr(graphs, "folded", wrong)
    with pytest.raises(ExportError, match="--freeze none"):
        frozen.maps(network, 4, work(images), tmp_path / "maps.npy", lambda count: None)
    assert not list(tmp_path.iterdir())


def test_maps_that_are_there_are_not_made_again(
    images: ImageInputs, network: Classifier, tmp_path: Path
) -> None:
    file = tmp_path / "maps.npy"
    frozen.maps(network, 4, work(images), file, lambda count: None)
    before = file.stat().st_mtime_ns
    calls: list[int] = []
    frozen.maps(network, 4, work(images), file, calls.append)
    assert not calls and file.stat().st_mtime_ns == before
    assert [f.name for f in tmp_path.iterdir()] == ["maps.npy"]


def test_a_disk_without_room_for_maps_is_told_before_they_are_written(
    images: ImageInputs, network: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []

    def full(descriptor: int, start: int, length: int) -> None:
        asked.append((start, length))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        with pytest.raises(DiskError, match=r"No space left on device.*Make room"):
            frozen.maps(network, 4, work(images), tmp_path / "maps.npy", lambda count: None)
    assert not list(tmp_path.iterdir())

    def unknown(*_: int) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", unknown)
        frozen.maps(network, 4, work(images), tmp_path / "maps.npy", lambda count: None)
    assert asked == [(0, (tmp_path / "maps.npy").stat().st_size)]  # all of it


def test_only_a_trunk_of_stages_in_turn_can_be_cut() -> None:
    assert frozen.in_turn(build(NetworkSpec("face_cnn"), 3, 1, 48))
    assert not frozen.in_turn(build(NetworkSpec("PPLCNet_x0_25"), 3, 3, 48))


def test_two_sets_are_asked_as_one_in_any_order() -> None:
    first, second = (MapInputs(np.full((1, n, 1, 1, 1), n, np.uint8), 0.5) for n in (3, 4))
    first.values[0, :, 0, 0, 0] = [10, 11, 12]
    second.values[0, :, 0, 0, 0] = [20, 21, 22, 23]
    joined = Joined(first, 3, second)
    rows = joined.plain(np.array([5, 0, 3, 2, 6]))
    assert rows.ravel().tolist() == [11.0, 5.0, 10.0, 6.0, 11.5]
    assert joined.drawn(np.array([1]), "key").ravel().tolist() == [5.5]
