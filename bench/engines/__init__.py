"""The served network in Paddle Inference, ONNX Runtime and OpenVINO: one thread, 32-bit floats.

The other two live in build/peers/engines, an environment of their own (`bench.peers.environment`).
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.harness import PROJECT, BenchError
from bench.peers.environment import ENVIRONMENTS

ENVIRONMENT = ENVIRONMENTS["engines"]
NAMES = ("paddle", "onnxruntime", "openvino")
BATCHES = (1, 2, 4, 8)
_LOOP = Path(__file__).with_name("loop.py")


@dataclass(frozen=True)
class Engines:
    """What was measured.

    Attributes:
        ms: for each engine and batch size the median of the rounds' medians, a call.
        difference: largest of any probability between Paddle and each of the others.
        gigaflop: of the network for one image: two for a multiplication with its addition.
        peak: matrix product of 32-bit floats in one thread, GFLOP/s.
    """

    ms: dict[str, dict[int, float]]
    difference: dict[str, float]
    gigaflop: float
    peak: float

    def share(self, name: str) -> float:
        """Of the peak that an engine reaches with one image."""
        return self.gigaflop / (self.ms[name][1] / 1e3) / self.peak

    def line(self) -> tuple[float, float]:
        """(a, b) in ms: Paddle's time is about a * n + b for n images; least squares."""
        sizes, times = zip(*self.ms["paddle"].items(), strict=True)
        a, b = np.polyfit(sizes, times, 1)
        return float(a), float(b)


def measure(bundle: Path, rounds: int = 5, seconds: float = 0.6) -> Engines:
    """Time the three in turn, `rounds` times over.

    Args:
        bundle: with an export.
        rounds: of every engine and batch size.
        seconds: each.

    Raises:
        BenchError: an engine cannot be had; says how.
    """
    if not ENVIRONMENT.made:
        raise BenchError(
            "The other engines are not installed: python -m bench.peers.environment engines"
        )
    manifest = json.loads((bundle / "model.json").read_text())
    size, color = manifest["input"]["size"], manifest["input"]["color"]
    shape = [1 if color == "gray" else 3, size, size]
    with tempfile.TemporaryDirectory(prefix="hyojo-") as folder, ExitStack() as open_ones:
        onnx = Path(folder) / "network.onnx"
        _convert(bundle, onnx)
        ask = {
            name: open_ones.enter_context(_loop(name, bundle if name == "paddle" else onnx, shape))
            for name in NAMES
        }
        answers = {
            name: np.array(ask[name]({"batch": 1, "seconds": 0})["answer"]) for name in NAMES
        }
        times: dict[str, dict[int, list[float]]] = {n: {b: [] for b in BATCHES} for n in NAMES}
        peaks = []
        for _ in range(rounds):
            for batch in BATCHES:
                for name in NAMES:
                    told = ask[name]({"batch": batch, "seconds": seconds})
                    times[name][batch].append(told["median_ms"])
            peaks.append(ask["onnxruntime"]({"peak": True})["gigaflop_s"])
    ms = {name: {b: median(t) for b, t in rows.items()} for name, rows in times.items()}
    away = {n: float(np.abs(answers[n] - answers["paddle"]).max()) for n in NAMES[1:]}
    return Engines(ms, away, _gigaflop(bundle), max(peaks))


def _convert(bundle: Path, onnx: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "models.export", "--format", "onnx",
         "--model", str(bundle.resolve()), "--out", str(onnx)],
        cwd=PROJECT, env=_environment(), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    if done.returncode:
        raise BenchError(f"The network cannot be converted: {done.stderr.strip()[-300:]}")


def _gigaflop(bundle: Path) -> float:
    """Of the convolutions for one image; what else there is comes to a percent."""
    from models import bundle as bundles
    from models.framework import paddle
    from models.networks import NetworkSpec, build

    given = bundles.load(bundle).manifest
    network = build(NetworkSpec.from_dict(given.network), len(given.labels), given.input.channels,
                    given.input.size)  # fmt: skip
    counted = []

    def count(layer: Any, inputs: Any, out: Any) -> None:
        counted.append(2 * int(layer.weight.size) * int(np.prod(out.shape[2:])))

    for layer in network.sublayers():
        if isinstance(layer, paddle.nn.Conv2D):
            layer.register_forward_post_hook(count)
    network.eval()
    network(paddle.zeros([1, given.input.channels, given.input.size, given.input.size]))
    return sum(counted) / 1e9


@contextmanager
def _loop(name: str, model: Path, shape: Sequence[int]) -> Iterator[Any]:
    python = sys.executable if name == "paddle" else str(ENVIRONMENT.python)
    process = subprocess.Popen(
        [python, str(_LOOP), name, str(model), *map(str, shape)],
        cwd=PROJECT, env=_environment(), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def ask(question: dict[str, Any]) -> dict[str, Any]:
        assert process.stdin and process.stdout
        process.stdin.write(json.dumps(question) + "\n")
        process.stdin.flush()
        while line := process.stdout.readline():
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        raise BenchError(f"The engine {name} ended with status {process.wait()}.")

    try:
        yield ask
    finally:
        process.kill()
        process.wait()


def _environment() -> dict[str, str]:
    """One thread everywhere."""
    own = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return {**os.environ, "PYTHONPATH": str(PROJECT), **own}
