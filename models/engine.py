"""A saved graph in Paddle Inference, set up the one way that serving, checks and training share."""

from pathlib import Path
from typing import Any

import numpy as np

from models import native


class Engine:
    """One thread, oneDNN, new executor. Not for threads: one caller.

    Args:
        graph: the `.json` that `paddle.jit.save` wrote.
        parameters: the `.pdiparams` beside it.
        bfloat16: multiply in 16 bits, on a processor that can (`bench.precision`); serving does not
            (docs/DESIGN.md, Fast).

    Raises:
        Exception: of Paddle's own, where the two are no graph or do not fit.
        UsageError: Paddle cannot be loaded.
    """

    def __init__(self, graph: Path, parameters: Path, bfloat16: bool = False) -> None:
        paddle = native.library()
        config = paddle.AnalysisConfig(str(graph), str(parameters))
        config.disable_gpu()
        config.disable_glog_info()
        config.set_cpu_math_library_num_threads(1)
        config.enable_mkldnn()
        if bfloat16:
            config.enable_mkldnn_bfloat16()
        config.enable_new_ir(True)
        config.enable_new_executor()
        config.enable_memory_optim()
        self._predictor: Any = paddle.create_predictor(config)
        self._input = self._predictor.get_input_handle(self._predictor.get_input_names()[0])
        names = self._predictor.get_output_names()
        self._outputs = [self._predictor.get_output_handle(name) for name in names]

    @property
    def outputs(self) -> int:
        """How many the graph has."""
        return len(self._outputs)

    def run(self, x: np.ndarray) -> np.ndarray:
        """Compute.

        Args:
            x: float32 (N, C, height, width), contiguous.

        Returns:
            the first output, an array of its own.
        """
        self._input.reshape(x.shape)
        self._input._copy_from_cpu_bind(x)
        self._predictor.run()
        return self.output(0)

    def output(self, number: int) -> np.ndarray:
        """An output of the last run, an array of its own."""
        return np.asarray(self._outputs[number].copy_to_cpu())
