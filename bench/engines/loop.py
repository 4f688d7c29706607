"""One engine answering questions on standard input, so that several can be timed in turn."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Run = Callable[[np.ndarray], np.ndarray]


def paddle(model: str) -> Run:
    """As `models.predictor` has it."""
    from models.engine import Engine

    return Engine(Path(model) / "inference.json", Path(model) / "inference.pdiparams").run


def onnxruntime(model: str) -> Run:
    """CPU provider, one thread, all graph optimisations (its default)."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name, out = session.get_inputs()[0].name, session.get_outputs()[0].name
    return lambda x: np.asarray(session.run([out], {name: x})[0])


def openvino(model: str) -> Run:
    """CPU plugin, one thread, 32-bit floats, latency hint."""
    import openvino

    settings = {
        "INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }  # fmt: skip
    compiled = openvino.Core().compile_model(model, "CPU", settings)
    request = compiled.create_infer_request()
    return lambda x: np.array(request.infer([x])[compiled.outputs[0]])


def peak() -> float:
    """GFLOP/s of a matrix product in one thread: the best of several."""
    a = np.random.default_rng(0).random((1024, 1024), np.float32)
    best = 1e9
    for _ in range(5):
        began = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - began)
    return 2 * 1024**3 / best / 1e9


def main(name: str, model: str, *shape: str) -> None:
    """Answer a line for a line."""
    run: Run = {"paddle": paddle, "onnxruntime": onnxruntime, "openvino": openvino}[name](model)
    for line in sys.stdin:
        print(json.dumps(_answer(run, json.loads(line), tuple(map(int, shape)))), flush=True)


def _answer(run: Run, asked: dict[str, Any], shape: tuple[int, ...]) -> dict[str, Any]:
    if asked.get("peak"):
        return {"gigaflop_s": peak()}
    x = np.random.default_rng(0).uniform(-120, 120, (asked["batch"], *shape)).astype(np.float32)
    for _ in range(3):
        answer = run(x)
    times = []
    ends = time.perf_counter() + asked["seconds"]
    while time.perf_counter() < ends:
        began = time.perf_counter()
        run(x)
        times.append(time.perf_counter() - began)
    middle = sorted(times)[len(times) // 2] * 1e3 if times else 0.0
    return {"median_ms": middle, "answer": answer.tolist()}


if __name__ == "__main__":
    main(*sys.argv[1:])
