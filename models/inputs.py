"""What a network is fed: images cut anew each epoch, or what frozen stages made of them."""

import zlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from models import ranks
from models.augment import Augmentation
from models.bundle import InputSpec
from models.framework import paddle
from models.pictures import Pictures

_CHUNK = 32  # images at once where no gradient is needed


class Inputs(Protocol):
    """Rows for a network, by index into the set."""

    def plain(self, indices: np.ndarray) -> np.ndarray:
        """As served: no jitter. float32 (N, …)."""
        ...

    def drawn(self, indices: np.ndarray, key: str, places: np.ndarray | None = None) -> np.ndarray:
        """As trained on: jittered, the same for the same key. float32 (N, …).

        With `places`, ascending, only those rows of it.
        """
        ...


class ImageInputs:
    """Crops as tensors (N, C, size, size).

    Args:
        change: how they are varied; see `Pictures.crops`.
    """

    def __init__(
        self, pictures: Pictures, spec: InputSpec, change: Augmentation | None = None
    ) -> None:
        self._pictures = pictures
        self.spec = spec
        self.count = len(pictures)
        self._change = change

    def plain(self, indices: np.ndarray) -> np.ndarray:
        """See `Inputs.plain`."""
        return self.spec.tensor(self._pictures.crops(indices.tolist()))

    def drawn(self, indices: np.ndarray, key: str, places: np.ndarray | None = None) -> np.ndarray:
        """See `Inputs.drawn`."""
        wanted = indices if places is None else indices[places]
        return self.spec.tensor(self._pictures.crops(wanted.tolist(), key, self._change))


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

    def drawn(self, indices: np.ndarray, key: str, places: np.ndarray | None = None) -> np.ndarray:
        """One of the copies of each, or the image itself."""
        return np.asarray(self.values[_copies(self.values, indices, key, places)])

    def standardised(self, train: np.ndarray) -> tuple["FeatureInputs", np.ndarray, np.ndarray]:
        """The same with mean 0 and deviation 1 over the training part; and these two, (D,)."""
        rows = self.values[:, train].reshape(-1, self.values.shape[-1])
        mean, spread = rows.mean(axis=0), rows.std(axis=0)
        spread = spread + 1e-3 * np.sqrt((spread**2).mean()) + 1e-12
        return FeatureInputs((self.values - mean) / spread), mean, spread


class MapInputs:
    """Maps of a trunk's closed stages.

    Args:
        values: (1 + copies, N, C, h, w), uint8 or float16, usually a memory-mapped file; row 0 is
            the image itself, the others jittered copies.
        step: what one unit of a value stands for.
    """

    def __init__(self, values: np.ndarray, step: float) -> None:
        self.values = values
        self._step = np.float32(step)

    @property
    def size(self) -> int:
        """Side of a map."""
        return int(self.values.shape[-1])

    def plain(self, indices: np.ndarray) -> np.ndarray:
        """See `Inputs.plain`."""
        return self._taken(np.zeros(len(indices), int), indices)

    def drawn(self, indices: np.ndarray, key: str, places: np.ndarray | None = None) -> np.ndarray:
        """One of the copies of each, or the image itself."""
        return self._taken(*_copies(self.values, indices, key, places))

    def _taken(self, copies: np.ndarray, indices: np.ndarray) -> np.ndarray:
        rows = [self.values[copy, index] for copy, index in zip(copies, indices, strict=True)]
        return np.asarray(np.stack(rows).astype(np.float32) * self._step)


class Joined:
    """Two sets as one: the second's indices begin where the first's end.

    Args:
        first: of one set.
        count: how many images it has.
        second: of the other; rows of the same shape.
    """

    def __init__(self, first: Inputs, count: int, second: Inputs) -> None:
        self._parts = (first, second)
        self._count = count

    def plain(self, indices: np.ndarray) -> np.ndarray:
        """See `Inputs.plain`."""
        return self._together(indices, lambda part, own, of: part.plain(own[of]))

    def drawn(self, indices: np.ndarray, key: str, places: np.ndarray | None = None) -> np.ndarray:
        """See `Inputs.drawn`."""
        return self._together(indices, lambda part, own, of: part.drawn(own, key, of), places)

    def _together(
        self,
        indices: np.ndarray,
        ask: Callable[[Inputs, np.ndarray, np.ndarray], np.ndarray],
        places: np.ndarray | None = None,
    ) -> np.ndarray:
        """Rows in the order of the indices; `ask` takes a part's indices, and which are wanted."""
        of_second = indices >= self._count
        wanted = np.ones(len(indices), bool) if places is None else np.isin(_range(indices), places)
        rows, came = [], []
        for number, part in enumerate(self._parts):
            own = np.flatnonzero(of_second == bool(number))
            if wanted[own].any():
                of = np.flatnonzero(wanted[own])
                rows.append(ask(part, indices[own] - (self._count if number else 0), of))
                came.append(own[of])
        order = np.argsort(np.concatenate(came), kind="stable")
        return np.asarray(np.concatenate(rows)[order])


def _copies(
    values: np.ndarray, indices: np.ndarray, key: str, places: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Which copy of which image; drawn for all indices, so that a part of them draws the same."""
    draw = np.random.default_rng(zlib.crc32(key.encode()))
    copies = draw.integers(0, len(values), len(indices))
    return (copies, indices) if places is None else (copies[places], indices[places])


def _range(indices: np.ndarray) -> np.ndarray:
    return np.arange(len(indices))


def joined(parts: Sequence[Inputs], count: int) -> Inputs:
    """One set's rows, or two sets' as one; `count` is of the first."""
    return parts[0] if len(parts) == 1 else Joined(parts[0], count, parts[1])


def logits(model: Any, inputs: Inputs, indices: np.ndarray) -> np.ndarray:
    """What a network says of unjittered images; float32 (N, classes).

    Processes that train together ask it together, each about its share.
    """
    model.eval()
    rows = []
    places = ranks.share(len(indices))
    mine = indices[places] if len(places) else indices[:1]
    for start in range(0, len(mine), _CHUNK):
        with paddle.no_grad():
            x = paddle.to_tensor(inputs.plain(mine[start : start + _CHUNK]))
            rows.append(model(x).numpy())
    return ranks.together(np.concatenate(rows), len(indices))
