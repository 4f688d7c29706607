"""A saved graph in Paddle Inference, set up the one way that serving, checks and training share."""

from pathlib import Path
from typing import Any

from models.framework import paddle


def opened(graph: Path, parameters: Path) -> Any:
    """A Paddle predictor of one thread, in oneDNN.

    Args:
        graph: the `.json` that `paddle.jit.save` wrote.
        parameters: the `.pdiparams` beside it.

    Raises:
        Exception: of Paddle's own, where the two are no graph or do not fit.
    """
    config = paddle.inference.Config(str(graph), str(parameters))
    config.disable_gpu()
    config.disable_glog_info()
    config.set_cpu_math_library_num_threads(1)
    config.enable_mkldnn()
    config.enable_new_ir(True)
    config.enable_new_executor()
    config.enable_memory_optim()
    return paddle.inference.create_predictor(config)
