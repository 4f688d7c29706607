"""The same decode, face and network in a bare Python loop: what an answer costs without a service.

$ python -m bench.bare web/example.jpg --seconds 5
"""

import argparse
import json
import sys
import time
from pathlib import Path

from service.limits import keep_heap

PROJECT = Path(__file__).resolve().parent.parent


def main(argv: list[str] | None = None) -> int:
    """Load the bundle, wait for a line on standard input if asked to, loop, print JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("image", type=Path, nargs="+", help="asked about in turn")
    parser.add_argument("--model", type=Path, default=PROJECT / "params" / "emotion")
    parser.add_argument("--seconds", type=float, default=5.0, help="(default: 5)")
    parser.add_argument("--on-word", action="store_true", help="begin when a line comes in")
    options = parser.parse_args(argv)

    import cv2

    from models import bundle
    from models.predictor import Predictor

    cv2.setNumThreads(1)
    keep_heap()  # as a predictor process does
    predictor = Predictor(bundle.load(options.model))
    images = [path.read_bytes() for path in options.image]
    for _ in range(10):
        predictor.classify(images[:1])
    print("ready", flush=True)
    rounds = iter(sys.stdin) if options.on_word else iter([f"{options.seconds}\n"])
    for line in rounds:
        print(json.dumps(_loop(predictor, images, float(line))), flush=True)
    return 0


def _loop(predictor: object, images: list[bytes], seconds: float) -> dict[str, float | list[float]]:
    walls: list[float] = []
    stages: dict[str, float] = {}
    cpu, began = time.process_time(), time.perf_counter()
    while (now := time.perf_counter()) - began < seconds:
        (outcome,) = predictor.classify([images[len(walls) % len(images)]])  # type: ignore[attr-defined]
        for name, spent in outcome.timings_ms.items():
            stages[name] = stages.get(name, 0.0) + spent
        walls.append((time.perf_counter() - now) * 1e3)
    count = len(walls)
    return {
        "images": count,
        "seconds": time.perf_counter() - began,
        "cpu_ms": (time.process_time() - cpu) * 1e3 / count,
        "median_ms": sorted(walls)[count // 2],
        "peak_mb": _peak_mb(),
        **{f"{name}_ms": spent / count for name, spent in stages.items()},
    }


def _peak_mb() -> float:
    """Most resident memory so far. Not getrusage's: that begins with the parent's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


if __name__ == "__main__":
    sys.exit(main())
