"""What processes that train one network together say to each other.

Each takes its share of every batch; gradients and the statistics of batch norms are averaged, so
that all hold the same network after every step. The first one alone writes and speaks. How they
start and find each other is in `models.joining`; where there is one process, all of this is still.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from models.errors import HyojoError, UsageError
from models.framework import paddle

_FEWEST = 2  # images of a batch a process: one alone would break batch norms
_NEWS = 0.3  # seconds in which a signal that ended the others too reaches this process


class LostRank(HyojoError):  # noqa: N818 - the rank is lost, the error is not
    """Another of the processes is gone."""


@dataclass
class _Place:
    number: int = 0
    count: int = 1


_place = _Place()


def take(number: int, count: int) -> None:
    """Say once, at the start, which of how many processes this one is; the first is 0."""
    _place.number, _place.count = number, count


def number() -> int:
    """Of this process."""
    return _place.number


def count() -> int:
    """How many processes train together; 1 where there are no others."""
    return _place.count


def first() -> bool:
    """Whether this is the process that writes files and speaks."""
    return _place.number == 0


def share(rows: int) -> np.ndarray:
    """Which places of a batch (or of anything that has rows) this process takes, ascending."""
    return np.arange(_place.number, rows, _place.count)


def check(smallest_batch: int) -> None:
    """Refuse shares of less than two images.

    Raises:
        UsageError: with what to do about it.
    """
    if _place.count > 1 and smallest_batch < _FEWEST * _place.count:
        raise UsageError(
            f"{_place.count} processes share each batch, and a batch of {smallest_batch} images "
            f"leaves one of them fewer than {_FEWEST}. Take fewer processes, or a larger "
            "--batch-size where there are images for it."
        )


def together(mine: np.ndarray, rows: int) -> np.ndarray:
    """Put together what each process made of its `share(rows)`.

    Args:
        mine: (>= len(share), ...) float32; what is more than the share is left out.

    Returns:
        (rows, ...), the same in all processes.
    """
    if _place.count == 1:
        return mine[:rows]
    whole = np.zeros((rows, *mine.shape[1:]), np.float32)
    places = share(rows)
    whole[places] = mine[: len(places)]
    return summed(whole)


def summed(values: np.ndarray) -> np.ndarray:
    """The sum of the processes' arrays, of one shape; float32 or float64."""
    if _place.count == 1:
        return values
    tensor = paddle.to_tensor(values)
    _ask(lambda: paddle.distributed.all_reduce(tensor))
    return np.asarray(tensor.numpy())


def gathered(values: np.ndarray) -> list[np.ndarray]:
    """Every process's array, of one shape and kind, in their order."""
    if _place.count == 1:
        return [values]
    given: list[Any] = []
    flat = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    _ask(lambda: paddle.distributed.all_gather(given, paddle.to_tensor(flat)))
    return [one.numpy().view(values.dtype).reshape(values.shape) for one in given]


def told(data: bytes) -> bytes:
    """The first process's bytes, in all of them."""
    if _place.count == 1:
        return data
    length = paddle.to_tensor(np.array([len(data)], np.int64))
    _ask(lambda: paddle.distributed.broadcast(length, 0))
    if int(length) == 0:
        return b""
    held = np.frombuffer(data, np.uint8) if first() else np.zeros(int(length), np.uint8)
    tensor = paddle.to_tensor(held)
    _ask(lambda: paddle.distributed.broadcast(tensor, 0))
    return bytes(tensor.numpy().tobytes())


def agreed(value: Any) -> Any:
    """The first process's value, in all of them; anything that JSON can say."""
    return value if _place.count == 1 else json.loads(told(json.dumps(value).encode()))


def alike(model: Any) -> None:
    """All processes take the first one's weights and statistics."""
    if _place.count > 1:
        for tensor in model.state_dict().values():
            _ask(partial(paddle.distributed.broadcast, tensor, 0))


def weight(mine: int, batch: int) -> float:
    """What the loss over `mine` images counts, so that the gradients' mean is the batch's own."""
    return mine * _place.count / batch


def average(model: Any, parameters: list[Any]) -> None:
    """After a backward pass: all take the mean of the gradients and of batch norms' statistics."""
    if _place.count == 1:
        return
    from paddle.distributed.fleet.utils import hybrid_parallel_util

    fused: Any = hybrid_parallel_util.fused_allreduce_gradients  # the mean, in one exchange
    _ask(partial(fused, parameters, None))
    counted = _statistics(model)
    if counted:
        flat = np.concatenate([tensor.numpy().reshape(-1) for tensor in counted])
        parts = np.split(summed(flat) / np.float32(_place.count), _ends(counted))
        for tensor, values in zip(counted, parts, strict=True):
            tensor.set_value(values.reshape(tensor.shape))


def _statistics(model: Any) -> list[Any]:
    """Running means and variances of the batch norms that are counting."""
    return [
        tensor
        for layer in model.sublayers(include_self=True)
        if layer.training and hasattr(layer, "_variance") and hasattr(layer, "_mean")
        for tensor in (layer._mean, layer._variance)
    ]


def _ends(tensors: list[Any]) -> np.ndarray:
    return np.asarray(np.cumsum([tensor.size for tensor in tensors])[:-1])


def _ask(exchange: Callable[[], Any]) -> None:
    """Run an exchange with the others.

    Raises:
        LostRank: one of them is gone.
        Interrupted: and so is this one to go.
    """
    try:
        exchange()
    except RuntimeError as error:  # gloo's and NCCL's; they name sockets, not reasons
        time.sleep(_NEWS)  # a signal that ended the others is handled here, as what it is
        raise LostRank(
            f"One of the {_place.count} processes that train together was ended from outside, "
            "perhaps for want of memory, and the others end with it. What is finished is kept: "
            "the same command with --resume goes on."
        ) from error
