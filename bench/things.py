"""What a bundle costs: ms an image of its network on one core, seconds to load, megabytes held.

    $ python -m bench.things params/imagenet/mobilenet_v2 params/imagenet/efficientnet_lite0

Each bundle runs in a process of its own, held to one core; the bundles take turns, so that other
work on the machine meets them alike. The crop is ready: decoding is not in it. Wall and processor
time are told apart, and the least beside the median, because a busy machine makes both longer.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench import harness


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    options = _arguments().parse_args(argv)
    if options.one:
        print(json.dumps(_one(options.bundles[0], options.images)))
        return 0
    began, busy = time.monotonic(), harness.busy_s()
    runs: dict[str, list[dict[str, float]]] = {str(path): [] for path in options.bundles}
    for _ in range(options.rounds):
        for path in options.bundles:
            words = ["--one", str(path), "--images", str(options.images)]
            done = subprocess.run(
                [sys.executable, "-m", "bench.things", *words],
                cwd=harness.PROJECT, capture_output=True, text=True, check=True,
            )  # fmt: skip
            runs[str(path)].append(json.loads(done.stdout))
    share = (harness.busy_s() - busy) / (time.monotonic() - began) / harness.cores()
    print(f"{harness.machine()}; {share:.0%} of the machine was busy, one core of it with this")
    print(f"{'bundle':<22}{'ms':>8}{'least':>8}{'CPU ms':>8}{'least':>8}{'load s':>8}{'MB':>8}")
    for path, found in runs.items():
        told = {key: median(row[key] for row in found) for key in found[0]}
        least = {key: min(row[key] for row in found) for key in ("least", "cpu_least")}
        print(
            f"{Path(path).name:<22}{told['ms']:>8.2f}{least['least']:>8.2f}{told['cpu_ms']:>8.2f}"
            f"{least['cpu_least']:>8.2f}{told['load_s']:>8.2f}{told['mb']:>8.0f}"
        )
    return 0


def _one(path: Path, images: int) -> dict[str, Any]:
    """One bundle, in this process, on one core."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    from models import bundle
    from models.native import library
    from models.predictor import Predictor

    library()
    before = harness.pss_mb([os.getpid()])
    start = time.perf_counter()
    predictor = Predictor(bundle.load(path), largest_batch=1)
    load_s = time.perf_counter() - start
    side = predictor.bundle.manifest.input.size
    crop = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    wall, cpu = [], []
    for _ in range(images):
        start, used = time.perf_counter(), time.process_time()
        predictor.probabilities([crop])
        wall.append((time.perf_counter() - start) * 1e3)
        cpu.append((time.process_time() - used) * 1e3)
    return {
        "ms": median(wall), "least": min(wall), "cpu_ms": median(cpu), "cpu_least": min(cpu),
        "load_s": load_s, "mb": harness.pss_mb([os.getpid()]) - before,
    }  # fmt: skip


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.things",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bundles", nargs="+", type=lambda word: Path(word).resolve())
    parser.add_argument("--images", type=int, default=200, help="a round (default: 200)")
    parser.add_argument("--rounds", type=int, default=5, help="(default: 5)")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
