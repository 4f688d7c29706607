"""Turn published face-recognition weights into a bundle that training can start from.

    $ npm pack @vladmandic/human@3.3.6 && tar xzf vladmandic-human-3.3.6.tgz
    $ python -m models.convert package/models/faceres.json --out params/face

The package (MIT) carries `faceres.json` and `faceres.bin`: MobileNet v1, width 1.0, trained on
VGGFace2 for faces (HSE-FaceRec by A. Savchenko, Apache-2.0), in TensorFlow.js's format, 16-bit
floats with batch norm folded into the convolutions. They are read as data: a JSON table of names,
shapes and types, and one file of numbers. Nothing is unpickled.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from models import bundle, weights
from models.bundle import InputSpec, Manifest
from models.errors import BundleError, HyojoError
from models.face_spec import FaceSpec
from models.networks import NetworkSpec, advice, build

_PAIRS = 13


def read_tfjs(path: Path) -> dict[str, np.ndarray]:
    """Read every tensor of a TensorFlow.js graph model.

    Args:
        path: the `.json`; the `.bin` files it names lie beside it.

    Returns:
        Name to float32 array, in TensorFlow's axis order (height, width, in, out).

    Raises:
        BundleError: a file is missing or not what it says.
    """
    try:
        (manifest,) = json.loads(path.read_text())["weightsManifest"]
        raw = b"".join((path.parent / name).read_bytes() for name in manifest["paths"])
    except (OSError, ValueError, KeyError) as error:
        raise BundleError(
            f"{path} is no TensorFlow.js model that can be read ({error}). "
            "Unpack the npm package and name its models/faceres.json."
        ) from error
    sizes = [_bytes(entry) for entry in manifest["weights"]]
    if sum(sizes) != len(raw):
        raise BundleError(
            f"{path} describes {sum(sizes)} bytes of weights, and {len(raw)} are there. "
            "Unpack the npm package again."
        )
    tensors: dict[str, np.ndarray] = {}
    at = 0
    for entry in manifest["weights"]:
        kind, count = _stored(entry)
        values = np.frombuffer(raw, kind, count, at)
        tensors[entry["name"]] = values.astype(np.float32).reshape(entry["shape"])
        at += values.nbytes
    return tensors


def _stored(entry: Mapping[str, Any]) -> tuple[np.dtype, int]:
    """How a tensor lies in the file: type of its numbers, and how many."""
    kind = entry.get("quantization", {}).get("dtype", entry["dtype"])
    return np.dtype(kind).newbyteorder("<"), int(np.prod(entry["shape"], dtype=np.int64))


def _bytes(entry: Mapping[str, Any]) -> int:
    kind, count = _stored(entry)
    return kind.itemsize * count


def convolutions(tensors: Mapping[str, np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """The 27 convolutions in order, each as (weight (out, in/groups, h, w), bias (out,)).

    A depthwise convolution is stored as kernel, factor and shift; the factor goes into the kernel.
    """
    out = [_plain(tensors, "conv1")]
    for pair in range(1, _PAIRS + 1):
        norm = f"conv_dw_{pair}_bn/batchnorm_1"
        kernel = tensors[f"conv_dw_{pair}/depthwise_kernel"] * tensors[f"{norm}/mul"][:, None]
        out.append((np.transpose(kernel, (2, 3, 0, 1)), tensors[f"{norm}/sub"]))
        out.append(_plain(tensors, f"conv_pw_{pair}"))
    return out


def _plain(tensors: Mapping[str, np.ndarray], name: str) -> tuple[np.ndarray, np.ndarray]:
    weight = np.transpose(tensors[f"{name}/convolution/merged_input"], (3, 2, 0, 1))
    return weight, tensors[f"{name}_bn/batchnorm_1/sub"]


def trunk_state(tensors: Mapping[str, np.ndarray], pairs: int) -> dict[str, np.ndarray]:
    """State of `mobilenet_face`'s trunk: each bias becomes the shift of an identity batch norm."""
    state: dict[str, np.ndarray] = {}
    for index, (weight, bias) in enumerate(convolutions(tensors)[: 1 + 2 * pairs]):
        unit = "trunk.stages.0" if index == 0 else _unit(index - 1)
        ones = np.ones_like(bias)
        state[f"{unit}.conv.weight"] = np.ascontiguousarray(weight)
        state[f"{unit}.norm.weight"] = ones
        state[f"{unit}.norm.bias"] = bias
        state[f"{unit}.norm._mean"] = np.zeros_like(bias)
        state[f"{unit}.norm._variance"] = ones
    return state


def _unit(index: int) -> str:
    return f"trunk.stages.{1 + index // 2}.{index % 2}"


def convert(source: Path, out: Path, pairs: int) -> Manifest:
    """Write the bundle `out` with the trunk after `pairs` pairs; an older one there is replaced.

    Raises:
        BundleError: the source cannot be read.
    """
    state = trunk_state(read_tfjs(source), pairs)
    spec = NetworkSpec("mobilenet_face", {"pairs": pairs}, (2, 1))
    hint = advice(spec.name)
    network = build(spec, 2, len(hint.mean), hint.size)
    weights.set_state(network, state)  # fails on any name or shape that is not the network's
    manifest = Manifest(
        name=out.name,
        version="faceres-3.3.6",
        task=bundle.FEATURES,
        labels=(),
        input=InputSpec(hint.size, "bgr", hint.mean, hint.scale),
        faces=FaceSpec(wanted=True),
        network={**spec.as_dict(), "parameters": sum(v.size for v in state.values())},
        training={
            "data": "VGGFace2 (face recognition), by the authors of HSE-FaceRec",
            "source": "npm package @vladmandic/human 3.3.6, models/faceres.json and faceres.bin",
            "source_sha256": bundle.sha256(source.with_suffix(".bin")),
            "command": f"python -m models.convert {source.name} --out {out.name}",
        },
        protocol={},
        metrics={},
        licence="Weights: Apache-2.0 (HSE-FaceRec, A. Savchenko), published under MIT in "
        "@vladmandic/human. VGGFace2, which they were trained on, is research data.",
        files={},
    )
    with bundle.writing(out) as folder:
        weights.save(state, folder / bundle.WEIGHTS)
        return bundle.seal(folder, manifest)


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0 when the bundle was written, 2 when it could not be."""
    parser = argparse.ArgumentParser(
        prog="python -m models.convert",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", type=Path, help="faceres.json, with faceres.bin beside it")
    parser.add_argument("--out", type=Path, required=True, help="the bundle to write")
    parser.add_argument(
        "--pairs",
        type=int,
        default=11,
        choices=range(1, _PAIRS + 1),
        metavar="1..13",
        help="cut after this many of the 13 pairs (default: 11, 512 channels)",
    )
    options = parser.parse_args(arguments)
    try:
        manifest = convert(options.source, options.out, options.pairs)
    except HyojoError as error:
        print(error, file=sys.stderr)
        return 2
    size = (options.out / bundle.WEIGHTS).stat().st_size
    print(f"{options.out}: {manifest.network['parameters']:,} weights, {size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
