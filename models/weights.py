"""Weights on disk without a pickle: into a bundle, out of it, and into another network.

A tensor is stored as 16-bit floats only where that loses nothing (the published face weights are
16-bit already); everything else stays 32-bit.
"""

import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from models.bundle import WEIGHTS, Bundle
from models.errors import BundleError, DiskError, UsageError
from models.framework import paddle


def state_of(layer: Any) -> dict[str, np.ndarray]:
    """Weights and statistics of a layer as arrays, by their path in the network."""
    return {name: np.array(value) for name, value in layer.state_dict().items()}


def set_state(layer: Any, state: Mapping[str, np.ndarray]) -> None:
    """Put arrays back where `state_of` found them; what `state` lacks stays as it is."""
    own = layer.state_dict()
    for name, values in state.items():
        own[name].set_value(values.astype(np.float32))


def save(state: Mapping[str, np.ndarray], path: Path) -> None:
    """Write a state as safetensors, each tensor as small as it goes without loss.

    Raises:
        DiskError: there is no room for it.
    """
    try:
        save_file({name: _smallest(values) for name, values in state.items()}, path)
        path.chmod(0o644)  # the library makes it readable for its owner alone
    except (OSError, SafetensorError) as error:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        raise DiskError(
            f"The weights cannot be written to {path} ({error}). Make room on its disk and give "
            "the same command again."
        ) from error


def load(path: Path) -> dict[str, np.ndarray]:
    """Read what `save` wrote, as float32.

    Raises:
        BundleError: not a safetensors file.
    """
    try:
        return {name: values.astype(np.float32) for name, values in load_file(path).items()}
    except (OSError, SafetensorError, ValueError) as error:
        raise BundleError(
            f"The weights in {path} cannot be read ({error}). Restore the file or train it anew."
        ) from error


def start_from(network: Any, bundle: Bundle, labels: tuple[str, ...]) -> list[str]:
    """Take a bundle's weights into a new network; the head only where the labels are the same.

    Args:
        network: a `Classifier` with fresh weights.
        bundle: verified; holds weights to start from.
        labels: what the new network tells apart.

    Returns:
        Names of the tensors that were not taken and keep their fresh values.

    Raises:
        BundleError: the bundle holds no weights.
        UsageError: they are of another network.
    """
    path = bundle.file(WEIGHTS)
    if WEIGHTS not in bundle.manifest.files:
        raise BundleError(
            f"{bundle.path} holds no {WEIGHTS} to start from. Name another bundle with --init."
        )
    given = load(path)
    own = network.state_dict()
    given = {name: v for name, v in given.items() if not _beyond(name, network, bundle)}
    if bundle.manifest.labels != labels:
        given = {name: values for name, values in given.items() if not name.startswith("head.")}
    wrong = [
        name
        for name, values in given.items()
        if not name.startswith("head.")
        and (name not in own or tuple(own[name].shape) != values.shape)
    ]
    if wrong:
        raise UsageError(
            f"The weights of {bundle.path} are not of this network ({wrong[0]} differs). "
            "Leave --network away, or start from nothing with --init none."
        )
    fitting = {name: v for name, v in given.items() if tuple(own[name].shape) == v.shape}
    set_state(network, fitting)
    return sorted(set(own) - set(fitting))


def _beyond(name: str, network: Any, bundle: Bundle) -> bool:
    """Whether a tensor is of a stage that this network, the bundle's cut earlier, has not."""
    theirs = bundle.manifest.network
    cut, whole = network.spec.options.get("pairs"), theirs.get("options", {}).get("pairs")
    if theirs["name"] != network.spec.name or cut is None or whole is None or cut >= whole:
        return False
    kind, _, rest = name.partition(".stages.")
    return kind == "trunk" and int(rest.split(".")[0]) >= len(network.stages())


def _smallest(values: np.ndarray) -> np.ndarray:
    values = np.ascontiguousarray(values, np.float32)
    with np.errstate(over="ignore"):
        half = values.astype(np.float16)
    return half if np.array_equal(half.astype(np.float32), values) else values


def seeded(text: str) -> int:
    """A generator seed for a named step, the same on every machine; seeds Paddle with it."""
    seed = zlib.crc32(text.encode())
    paddle.seed(seed)
    return seed
