"""Paddle's inference library alone, without the thousand Python modules around it.

`import paddle` takes a second and 80 MB a process, nearly all of it for building and training
networks. A predictor needs one extension module of it. Where all of Paddle is imported already,
its own is taken; and where it is imported later, it finds this one.
"""

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

from models.errors import UsageError

_NAME = "paddle.base.libpaddle"

# Read when the library is loaded. On AMD processors MKL takes its slow path without the first.
os.environ.setdefault("MKL_DEBUG_CPU_TYPE", "5")
os.environ.setdefault("GLOG_minloglevel", "2")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # more would stall each other on busy cores


def library() -> ModuleType:
    """The extension module.

    Raises:
        UsageError: the package is not installed, or its library cannot be loaded.
    """
    known = sys.modules.get(_NAME)
    if known is not None:
        return known
    found = importlib.util.find_spec("paddle")
    if found is None or not found.submodule_search_locations:
        raise UsageError("The package paddlepaddle is missing: pip install -r requirements.txt.")
    file = Path(found.submodule_search_locations[0]) / "base" / "libpaddle.so"
    spec = importlib.util.spec_from_file_location(_NAME, file)
    assert spec is not None and spec.loader is not None  # the suffix is an extension's
    try:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except ImportError as error:
        raise UsageError(
            f"Paddle's library cannot be loaded ({error}). Install the version that "
            "requirements.txt names."
        ) from None
    # What `import paddle` would have read from the environment; keeping tensors between operators
    # saves a third of a small network's time.
    module.globals()["FLAGS_eager_delete_tensor_gb"] = -1.0
    sys.modules[_NAME] = module
    return module
