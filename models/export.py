"""A trained network as Paddle's own inference export, checked against the network it came from."""

import contextlib
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from models.bundle import GRAPH, PARAMETERS, InputSpec
from models.errors import HyojoError
from models.framework import paddle
from models.networks import Classifier, build, fold_batch_norm
from models.weights import set_state, state_of

nn: Any = paddle.nn

TOLERANCE = 1e-4  # largest difference of a probability between the network and its export


class ExportError(HyojoError):
    """The export does not compute what the network computes."""

    code = "export_differs"


class _Probabilities(nn.Layer):  # type: ignore[misc]
    """Logits and softmax in one graph, so that every user of the export gets probabilities."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Any) -> Any:
        return nn.functional.softmax(self.network(x), axis=-1)


def export(network: Classifier, spec: InputSpec, folder: Path) -> float:
    """Write `inference.json` and `inference.pdiparams`.

    Batch norm is folded into the convolutions of our own networks. The files are read back and
    both networks answer the same random pictures.

    Args:
        network: trained; stays as it is.
        spec: its input.
        folder: where the two files go.

    Returns:
        The largest difference between any two probabilities.

    Raises:
        ExportError: it is more than `TOLERANCE`.
    """
    classes = int(network.head.weight.shape[1])
    twin = build(network.spec, classes, spec.channels, spec.size)
    set_state(twin, state_of(network))
    fold_batch_norm(twin)
    wrapped = _Probabilities(twin)
    wrapped.eval()
    shape = paddle.static.InputSpec([None, spec.channels, spec.size, spec.size], "float32", "x")
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        paddle.jit.save(wrapped, str(folder / "inference"), input_spec=[shape])
    return _compare(network, spec, folder)


def _compare(network: Classifier, spec: InputSpec, folder: Path) -> float:
    pictures = np.random.default_rng(0).integers(0, 256, (4, spec.size, spec.size, 3), np.uint8)
    x = spec.tensor(list(pictures))
    network.eval()
    with paddle.no_grad():
        ours = nn.functional.softmax(network(paddle.to_tensor(x)), axis=-1).numpy()
    config = paddle.inference.Config(str(folder / GRAPH), str(folder / PARAMETERS))
    config.disable_glog_info()
    config.set_cpu_math_library_num_threads(1)
    predictor = paddle.inference.create_predictor(config)
    predictor.get_input_handle(predictor.get_input_names()[0]).copy_from_cpu(x)
    predictor.run()
    theirs = predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()
    difference = float(np.abs(ours - theirs).max())
    if not difference <= TOLERANCE:
        raise ExportError(
            f"The exported network differs from the trained one by {difference:.1e} in a "
            f"probability (at most {TOLERANCE:.0e} is right), so nothing was saved. "
            "Train with another --network and report this one."
        )
    return difference
