"""What a network's closed stages make of every crop: computed once, in Paddle Inference, and kept.

Stages that are not trained give the same maps in every epoch and every fold. They run in Paddle
Inference, several times as fast as the network that trains does. Maps go to a file (a byte a value
where the last closed stage is clipped at 6, half floats elsewhere), pooled features stay in memory.
"""

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models import graphs, ranks
from models.engine import Engine
from models.errors import DiskError
from models.export import ExportError
from models.framework import paddle
from models.inputs import FeatureInputs, ImageInputs, MapInputs
from models.networks import Classifier
from models.units import ends_clipped

nn: Any = paddle.nn
_BATCH = 8  # images a call: the fastest on one core
_CLIP = 6.0  # of ReLU6
_COMPARED = 4  # crops on which engine and network are compared
_TOLERANCE = 1e-4  # of the largest value
_NO_SUCH_CALL = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)  # of some file systems
_open: Any = np.lib.format.open_memmap  # NumPy gives it no types


class _Closed(nn.Layer):  # type: ignore[misc]
    """The first stages of a trunk alone; all of them with the pooling where `stages` is None."""

    def __init__(self, network: Classifier, stages: int | None) -> None:
        super().__init__()
        self.network = network
        self.count = stages

    def forward(self, x: Any) -> Any:
        if self.count is None:
            return self.network.features(x)
        for stage in self.network.stages()[: self.count]:
            x = stage(x)
        return x


@dataclass(frozen=True)
class Work:
    """What is to be computed.

    Attributes:
        images: crops as tensors, plain and jittered.
        count: of images in the set.
        copies: jittered copies of each beside the image itself.
        seed: names the jitter.
    """

    images: ImageInputs
    count: int
    copies: int
    seed: int

    @property
    def crops(self) -> int:
        """How many in all."""
        return self.count * (1 + self.copies)

    def parts(self) -> list[tuple[int, np.ndarray]]:
        """(view, indices) of every batch; view 0 is the images themselves."""
        return [
            (view, np.arange(start, min(start + _BATCH, self.count)))
            for view in range(1 + self.copies)
            for start in range(0, self.count, _BATCH)
        ]

    def tensor(self, view: int, part: np.ndarray) -> np.ndarray:
        """A batch, (N, C, size, size)."""
        if view == 0:
            return self.images.plain(part)
        return self.images.drawn(part, f"{self.seed}/copy {view}")


def features(network: Classifier, work: Work, tick: Callable[[int], None]) -> FeatureInputs:
    """Pooled features of every image and copy.

    The copies of a held-out image are made too, but only `plain` rows of it are ever asked for.

    Args:
        network: its trunk is taken as it is.
        work: on what.
        tick: called with the number of crops done.
    """
    run = _engine(network, None, work.images)
    values: np.ndarray | None = None
    for view, part, rows in _rows(run, work):
        if values is None:
            values = np.empty((1 + work.copies, work.count, rows.shape[1]), np.float32)
        values[view, part] = rows
        tick(len(part))
    assert values is not None  # a set is never empty
    return FeatureInputs(values)


def maps(
    network: Classifier, stages: int, work: Work, file: Path, tick: Callable[[int], None]
) -> MapInputs:
    """Maps behind the first `stages` of every image and copy.

    Args:
        network: one whose stages run one after the other.
        stages: how many are closed, at least 1.
        work: on what.
        file: where the maps are, or go; whole, or not there at all.
        tick: called with the number of crops done.
    """
    step = _CLIP / 255 if ends_clipped(network.stages()[stages - 1]) else 0.0
    if not ranks.agreed(file.exists()):
        _write_maps(_engine(network, stages, work.images), step, work, file, tick)
        ranks.agreed(True)  # the first has written it
    return MapInputs(np.load(file, mmap_mode="r"), step or 1.0)


def _write_maps(
    run: Callable[[np.ndarray], np.ndarray],
    step: float,
    work: Work,
    file: Path,
    tick: Callable[[int], None],
) -> None:
    def packed(x: np.ndarray) -> np.ndarray:
        rows = run(x)
        return np.rint(rows / step).astype(np.uint8) if step else rows.astype(np.float16)

    beside = file.with_suffix(".new")
    values: Any = None
    for view, part, rows in _rows(packed, work):
        if ranks.first():
            if values is None:
                shape = (1 + work.copies, work.count, *rows.shape[1:])
                values = _room(beside, rows.dtype, shape)
            values[view, part] = rows
        tick(len(part))
    if ranks.first():
        values.flush()
        os.replace(beside, file)


def _room(file: Path, dtype: np.dtype, shape: tuple[int, ...]) -> Any:
    """A new array in a file all of whose blocks are there.

    A mapped file with holes ends the process (SIGBUS) where a disk turns out to be full.

    Raises:
        DiskError: there is no room for it.
    """
    try:
        values = _open(file, "w+", dtype, shape)
        with file.open("r+b") as stream:
            size = os.fstat(stream.fileno()).st_size
            try:
                os.posix_fallocate(stream.fileno(), 0, size)
            except OSError as error:
                if error.errno not in _NO_SUCH_CALL:
                    raise
    except OSError as error:
        file.unlink(missing_ok=True)
        gigabytes = np.prod(shape, dtype=float) * dtype.itemsize / 1e9
        raise DiskError(
            f"What the closed stages give takes {gigabytes:.1f} GB in {file.parent}, and cannot be "
            f"written ({error.strerror}). Make room there, keep the run elsewhere with --runs, or "
            "ask for fewer --copies."
        ) from error
    return values


def _rows(
    run: Callable[[np.ndarray], np.ndarray], work: Work
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """(view, indices, rows) of every batch, in order; processes that train together take turns."""
    parts = work.parts()
    for start in range(0, len(parts), ranks.count()):
        turn = parts[start : start + ranks.count()]
        rows = run(work.tensor(*turn[min(ranks.number(), len(turn) - 1)]))
        if ranks.count() > 1:
            rows = np.concatenate([rows, np.repeat(rows[-1:], _BATCH - len(rows), axis=0)])
        for (view, part), given in zip(turn, ranks.gathered(rows), strict=False):
            yield view, part, given[: len(part)]


def in_turn(network: Classifier) -> bool:
    """Whether the trunk is nothing but its stages, one after the other."""
    return isinstance(getattr(network.trunk, "stages", None), nn.LayerList)


def _engine(
    network: Classifier, stages: int | None, images: ImageInputs
) -> Callable[[np.ndarray], np.ndarray]:
    """The closed stages as a function of a batch of at most `_BATCH` tensors."""
    closed = _Closed(graphs.folded(network, images.spec), stages)
    closed.eval()
    with tempfile.TemporaryDirectory(prefix="hyojo-") as folder:
        path = Path(folder) / "closed"
        graphs.save(closed, images.spec, path)
        engine = Engine(path.with_suffix(".json"), path.with_suffix(".pdiparams"))

    def run(x: np.ndarray) -> np.ndarray:
        whole = np.concatenate([x, np.repeat(x[-1:], _BATCH - len(x), axis=0)])
        return engine.run(whole)[: len(x)]

    _compare(_Closed(network, stages), run, images)
    return run


def _compare(closed: Any, run: Callable[[np.ndarray], np.ndarray], images: ImageInputs) -> None:
    """A fused operator of the engine's may err; a few crops of the set show it.

    Raises:
        ExportError: the engine gives other maps than the network.
    """
    x = images.plain(np.arange(min(_COMPARED, images.count)))
    closed.eval()
    with paddle.no_grad():
        ours = closed(paddle.to_tensor(x)).numpy()
    difference = float(np.abs(ours - run(x)).max() / max(1.0, float(np.abs(ours).max())))
    if not difference <= _TOLERANCE:
        raise ExportError(
            f"The closed stages give other values in Paddle Inference than in training (by "
            f"{difference:.1e} of the largest; at most {_TOLERANCE:.0e} is right), so nothing was "
            "trained. Train with --freeze none, or another --network, and report this one."
        )
