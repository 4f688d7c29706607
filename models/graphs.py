"""From a network in training to a graph on disk for Paddle Inference."""

import contextlib
import errno
import io
import warnings
from pathlib import Path
from typing import Any

from models.bundle import InputSpec
from models.framework import paddle
from models.networks import Classifier, build, fold_batch_norm
from models.weights import set_state, state_of


def folded(network: Classifier, spec: InputSpec) -> Classifier:
    """A copy in evaluation mode, the batch norms of our own networks folded in."""
    classes = int(network.head.weight.shape[1])
    twin = build(network.spec, classes, spec.channels, spec.size)
    set_state(twin, state_of(network))
    fold_batch_norm(twin)
    twin.eval()
    return twin


def save(layer: Any, spec: InputSpec, path: Path) -> None:
    """Write `path`.json and `path`.pdiparams, of any batch size.

    Args:
        layer: in evaluation mode, from images (N, C, size, size) float32.
        spec: its input.
        path: without a suffix.

    Raises:
        OSError: it cannot be written.
    """
    shape = paddle.static.InputSpec([None, spec.channels, spec.size, spec.size], "float32", "x")
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            paddle.jit.save(layer, str(path), input_spec=[shape])
        except RuntimeError as error:  # Paddle's own kinds, whatever the system said
            raise unwritten(path) from error


def unwritten(path: Path) -> OSError:
    """The error for a graph that is not whole on disk; Paddle does not say why, or not at all."""
    return OSError(errno.EIO, "Paddle could not write its graph (the disk may be full)", str(path))
