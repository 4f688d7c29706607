"""Weights go to disk and back unchanged, start other networks, and leave as an equal export."""

import json
from pathlib import Path

import numpy as np
import pytest

from models import bundle, convert, export, weights
from models.bundle import InputSpec, Manifest
from models.errors import BundleError, DiskError, UsageError
from models.face_spec import FaceSpec
from models.framework import paddle
from models.networks import NetworkSpec, build
from tests.disks import nearly_full

PROJECT = Path(__file__).resolve().parents[2]
GREY = InputSpec(32, "gray", (127.5,), (1 / 64,))
LABELS = ("a", "b", "c")


def a_bundle(path: Path, network: object, labels: tuple[str, ...] = LABELS) -> bundle.Bundle:
    manifest = Manifest(
        path.name, "1", labels, GREY, FaceSpec(False), network.spec.as_dict(),
        {}, {}, {}, "", {}, task=bundle.FEATURES,
    )  # fmt: skip
    with bundle.writing(path) as folder:
        weights.save(weights.state_of(network), folder / bundle.WEIGHTS)
        bundle.seal(folder, manifest)
    return bundle.load(path)


def test_weights_come_back_bit_by_bit_and_halves_stay_small(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    exact = draw.normal(size=(1000,)).astype(np.float16).astype(np.float32)
    full = draw.normal(size=(1000,)).astype(np.float32)
    huge = np.array([1e30], np.float32)
    weights.save({"exact": exact, "full": full, "huge": huge}, tmp_path / "w")
    back = weights.load(tmp_path / "w")
    for name, values in (("exact", exact), ("full", full), ("huge", huge)):
        assert back[name].dtype == np.float32
        assert np.array_equal(back[name], values)
    assert 6000 < (tmp_path / "w").stat().st_size < 6500
    assert (tmp_path / "w").stat().st_mode & 0o444 == 0o444  # the service's user may read it


def test_a_file_that_is_no_weights_is_told(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(b"\x80\x04pickle")
    with pytest.raises(BundleError, match="cannot be read"):
        weights.load(tmp_path / "w")


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    with nearly_full(4096), pytest.raises(DiskError, match="Make room on its disk"):
        weights.save({"w": np.full(10_000, 0.1, np.float32)}, tmp_path / "w")
    assert not list(tmp_path.iterdir())


def test_starting_with_the_same_labels_takes_everything(tmp_path: Path) -> None:
    old = build(NetworkSpec("face_cnn"), 3, 1, 32)
    new = build(NetworkSpec("face_cnn"), 3, 1, 32)
    assert weights.start_from(new, a_bundle(tmp_path / "b", old), LABELS) == []
    for name, values in weights.state_of(old).items():
        assert np.array_equal(weights.state_of(new)[name], values)


@pytest.mark.parametrize("labels", [("x", "y", "z"), ("a", "b"), ("c", "b", "a")])
def test_starting_with_other_labels_replaces_the_head(
    labels: tuple[str, ...], tmp_path: Path
) -> None:
    old = build(NetworkSpec("face_cnn"), 3, 1, 32)
    new = build(NetworkSpec("face_cnn"), len(labels), 1, 32)
    head = new.head.weight.numpy()
    kept = weights.start_from(new, a_bundle(tmp_path / "b", old), labels)
    assert kept == ["head.bias", "head.weight"]
    assert np.array_equal(new.head.weight.numpy(), head)
    stem = "trunk.stages.0.0.conv.weight"
    assert np.array_equal(weights.state_of(new)[stem], weights.state_of(old)[stem])


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    old = a_bundle(tmp_path / "b", build(NetworkSpec("face_cnn"), 3, 1, 32))
    with pytest.raises(UsageError, match="not of this network"):
        weights.start_from(build(NetworkSpec("mobilenet_face"), 3, 3, 32), old, LABELS)


@pytest.mark.parametrize(("name", "color"), [("face_cnn", "gray"), ("PPLCNet_x0_25", "rgb")])
def test_the_export_answers_as_the_network_with_probabilities(
    name: str, color: str, tmp_path: Path
) -> None:
    channels = 1 if color == "gray" else 3
    spec = InputSpec(32, color, (127.5,) * channels, (1 / 64,) * channels)
    network = build(NetworkSpec(name), 3, channels, 32)
    made = export.export(network, spec, tmp_path)
    assert made.difference <= export.TOLERANCE
    assert made.explains == (name == "face_cnn"), "PaddleClas's trunks give no map"
    assert {p.name for p in tmp_path.iterdir()} == {bundle.GRAPH, bundle.PARAMETERS}
    loaded = paddle.jit.load(str(tmp_path / "inference"))
    answer = loaded(paddle.ones([5, channels, 32, 32]))
    out = (answer[0] if made.explains else answer).numpy()
    assert out.shape == (5, 3)
    assert np.allclose(out.sum(axis=1), 1, atol=1e-5)


def test_an_export_that_differs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(export.ExportError, match="differs"):
        export.export(build(NetworkSpec("face_cnn"), 3, 1, 32), GREY, tmp_path)


def published(folder: Path) -> Path:
    """A TensorFlow.js model of the published one's names and shapes, with small numbers."""
    from models.networks import _PAIRS

    draw = np.random.default_rng(1)
    shapes = {"conv1/convolution/merged_input": (3, 3, 3, 32), "conv1_bn/batchnorm_1/sub": (32,)}
    for pair, (wide_in, wide_out, _) in enumerate(_PAIRS, 1):
        shapes |= {
            f"conv_dw_{pair}/depthwise_kernel": (3, 3, wide_in, 1),
            f"conv_dw_{pair}_bn/batchnorm_1/mul": (wide_in,),
            f"conv_dw_{pair}_bn/batchnorm_1/sub": (wide_in,),
            f"conv_pw_{pair}/convolution/merged_input": (1, 1, wide_in, wide_out),
            f"conv_pw_{pair}_bn/batchnorm_1/sub": (wide_out,),
        }
    entries, raw = [], b""
    for name, shape in shapes.items():
        raw += draw.normal(0, 0.2, shape).astype("<f2").tobytes()
        entries.append({"name": name, "shape": shape, "dtype": "float32",
                        "quantization": {"dtype": "float16"}})  # fmt: skip
    (folder / "faceres.bin").write_bytes(raw)
    model = {"weightsManifest": [{"paths": ["faceres.bin"], "weights": entries}]}
    (folder / "faceres.json").write_text(json.dumps(model))
    return folder / "faceres.json"


def test_published_weights_become_a_bundle_that_computes_the_same(tmp_path: Path) -> None:
    source = published(tmp_path)
    assert convert.main([str(source), "--out", str(tmp_path / "face"), "--pairs", "2"]) == 0
    made = bundle.load(tmp_path / "face")
    network = build(NetworkSpec.from_dict(made.manifest.network), 2, 3, 32)
    weights.start_from(network, made, ("a", "b"))
    x = np.random.default_rng(2).normal(0, 1, (1, 3, 32, 32)).astype(np.float32)
    network.eval()
    ours = network.trunk(paddle.to_tensor(x)).numpy()
    assert np.allclose(ours, by_hand(convert.read_tfjs(source), x, 2), atol=1e-4)


def by_hand(tensors: dict[str, np.ndarray], x: np.ndarray, pairs: int) -> np.ndarray:
    """The published graph in plain numpy: SAME padding, factor, shift, clip at 6."""
    strides = (1, 2)

    def slide(x: np.ndarray, kernel: np.ndarray, stride: int, deep: bool) -> np.ndarray:
        high = kernel.shape[0]
        total = max(0, (-(-x.shape[2] // stride) - 1) * stride + high - x.shape[2])
        pad = (total // 2, total - total // 2)
        x = np.pad(x, ((0, 0), (0, 0), pad, pad))
        size = (x.shape[2] - high) // stride + 1
        out = 0
        for i in range(high):
            for j in range(high):
                part = x[:, :, i : i + size * stride : stride, j : j + size * stride : stride]
                term = kernel[i, j, :, 0][None, :, None, None] * part if deep else None
                out = out + (term if deep else np.einsum("nchw,co->nohw", part, kernel[i, j]))
        return out

    def clipped(x: np.ndarray, name: str) -> np.ndarray:
        shift = tensors[f"{name}_bn/batchnorm_1/sub"]
        return np.clip(x + shift[None, :, None, None], 0, 6)

    x = clipped(slide(x, tensors["conv1/convolution/merged_input"], 2, False), "conv1")
    for pair in range(1, pairs + 1):
        x = slide(x, tensors[f"conv_dw_{pair}/depthwise_kernel"], strides[pair - 1], True)
        factor = tensors[f"conv_dw_{pair}_bn/batchnorm_1/mul"]
        x = clipped(x * factor[None, :, None, None], f"conv_dw_{pair}")
        name = f"conv_pw_{pair}"
        x = clipped(slide(x, tensors[f"{name}/convolution/merged_input"], 1, False), name)
    return x


@pytest.mark.parametrize("damage", ["missing", "short", "no json"])
def test_damaged_published_weights_are_told(damage: str, tmp_path: Path) -> None:
    source = published(tmp_path)
    if damage == "missing":
        (tmp_path / "faceres.bin").unlink()
    elif damage == "short":
        (tmp_path / "faceres.bin").write_bytes(b"\0" * 1000)
    else:
        source.write_text("<html>")
    assert convert.main([str(source), "--out", str(tmp_path / "face")]) == 2
    assert not (tmp_path / "face").exists()


def test_the_shipped_face_bundle_starts_a_network() -> None:
    made = bundle.load(PROJECT / "params" / "face")
    network = build(NetworkSpec.from_dict(made.manifest.network), 7, 3, 128)
    fresh = weights.start_from(network, made, tuple("abcdefg"))
    assert fresh == ["head.bias", "head.weight"]


def test_a_network_cut_earlier_takes_the_stages_it_has(tmp_path: Path) -> None:
    whole = build(NetworkSpec("mobilenet_face", {"pairs": 4}, (2, 1)), 3, 3, 32)
    given = a_bundle(tmp_path / "whole", whole)
    cut = build(NetworkSpec("mobilenet_face", {"pairs": 3}, (4, 4)), 3, 3, 32)
    left = weights.start_from(cut, given, LABELS)
    assert all(name.startswith("head.weight") for name in left), "its head sees other features"
    whole.eval()
    cut.eval()
    seen = paddle.to_tensor(np.random.default_rng(0).normal(size=(2, 3, 32, 32)).astype("float32"))
    x = seen
    for stage in whole.stages()[:4]:  # the first convolution and three pairs
        x = stage(x)
    assert np.array_equal(cut.trunk(seen).numpy(), x.numpy())
    deeper = build(NetworkSpec("mobilenet_face", {"pairs": 5}, (2, 1)), 3, 3, 32)
    left = weights.start_from(deeper, given, LABELS)
    assert any(name.startswith("trunk.stages.5") for name in left), "those stay fresh, and are told"
