"""What a network is fed: images cut anew each epoch, or features of a frozen trunk."""

import zlib
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from models.bundle import InputSpec
from models.framework import paddle
from models.networks import Classifier
from models.pictures import Pictures

_CHUNK = 32  # images at once where no gradient is needed


class Inputs(Protocol):
    """Rows for a network, by index into the set."""

    def plain(self, indices: np.ndarray) -> np.ndarray:
        """As served: no jitter. float32 (N, …)."""
        ...

    def drawn(self, indices: np.ndarray, key: str) -> np.ndarray:
        """As trained on: jittered, the same for the same key. float32 (N, …)."""
        ...


class ImageInputs:
    """Crops as tensors (N, C, size, size)."""

    def __init__(self, pictures: Pictures, spec: InputSpec) -> None:
        self._pictures = pictures
        self._spec = spec

    def plain(self, indices: np.ndarray) -> np.ndarray:
        """See `Inputs.plain`."""
        return self._spec.tensor(self._pictures.crops(indices.tolist()))

    def drawn(self, indices: np.ndarray, key: str) -> np.ndarray:
        """See `Inputs.drawn`."""
        return self._spec.tensor(self._pictures.crops(indices.tolist(), key))


class FeatureInputs:
    """Pooled features of a frozen trunk.

    Args:
        values: float32 (1 + copies, N, D); row 0 is the image itself, the others jittered copies.
    """

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def plain(self, indices: np.ndarray) -> np.ndarray:
        """See `Inputs.plain`."""
        return np.asarray(self.values[0, indices])

    def drawn(self, indices: np.ndarray, key: str) -> np.ndarray:
        """One of the copies of each, or the image itself."""
        draw = np.random.default_rng(zlib.crc32(key.encode()))
        copy = draw.integers(0, len(self.values), len(indices))
        return np.asarray(self.values[copy, indices])

    def standardised(self, train: np.ndarray) -> tuple["FeatureInputs", np.ndarray, np.ndarray]:
        """The same with mean 0 and deviation 1 over the training part; and these two, (D,)."""
        rows = self.values[:, train].reshape(-1, self.values.shape[-1])
        mean, spread = rows.mean(axis=0), rows.std(axis=0)
        spread = spread + 1e-3 * np.sqrt((spread**2).mean()) + 1e-12
        return FeatureInputs((self.values - mean) / spread), mean, spread


def extract(
    network: Classifier,
    images: ImageInputs,
    count: int,
    copies: int,
    seed: int,
    tick: Callable[[int], None],
) -> FeatureInputs:
    """Run the frozen trunk over every image and `copies` jittered copies of it.

    The copies of a held-out image are made too, but only `plain` rows of it are ever asked for.

    Args:
        tick: called with the number of crops done.
    """
    network.eval()
    views = []
    for copy in range(1 + copies):
        rows = []
        for start in range(0, count, _CHUNK):
            part = np.arange(start, min(start + _CHUNK, count))
            x = images.plain(part) if copy == 0 else images.drawn(part, f"{seed}/copy {copy}")
            with paddle.no_grad():
                rows.append(network.features(paddle.to_tensor(x)).numpy())
            tick(len(part))
        views.append(np.concatenate(rows))
    return FeatureInputs(np.stack(views))


def logits(model: Any, inputs: Inputs, indices: np.ndarray) -> np.ndarray:
    """What a network says of unjittered images; float32 (N, classes)."""
    model.eval()
    rows = []
    for start in range(0, len(indices), _CHUNK):
        with paddle.no_grad():
            x = paddle.to_tensor(inputs.plain(indices[start : start + _CHUNK]))
            rows.append(model(x).numpy())
    return np.concatenate(rows)
