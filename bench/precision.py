"""What 16-bit multiplication (bfloat16) would save a bundle's network, and cost its accuracy.

    $ python -m bench.precision --data ~/sets/fer2013         # its test part, the emotion model
    $ python -m bench.precision --data ~/sets/genki4k --model smile
    $ python -m bench.precision --data ~/sets/fer2013 --json

Every image is asked about in both precisions: its largest face, or all of it where none is found.
A set that names a test part is judged on that alone; of another every image counts, those that the
model learnt from too. Only processors with bfloat16 (AVX-512 BF16 or AMX) can do it.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from bench.harness import PROJECT, machine
from models import bundle as bundles
from models import datasets
from models.bundle import GRAPH, PARAMETERS, Bundle
from models.engine import Engine
from models.errors import HyojoError, ImageError, UsageError
from models.images import MAX_PIXELS
from models.looking import Looker

FEATURES = frozenset({"avx512_bf16", "amx_bf16"})
"""Any of these in /proc/cpuinfo: oneDNN multiplies bfloat16 natively."""
BATCH = 8
CALLS = 300


def main(argv: list[str] | None = None) -> int:
    """The command line; 0 done, 1 this processor cannot, 2 wrong use, 130 Ctrl-C."""
    options = _arguments(argv)
    if not able():
        print(
            "bench.precision: this processor has no bfloat16 (AVX-512 BF16 or AMX). Run it on one "
            "that has: lscpu shows avx512_bf16 or amx_bf16.",
            file=sys.stderr,
        )
        return 1
    try:
        found = compare(bundles.load(options.params / options.model), _judged(options.data))
    except HyojoError as error:
        print(f"bench.precision: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print(json.dumps(found, indent=1) if options.json else _told(found))
    return 0


def able(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor multiplies bfloat16."""
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    flags = next((line for line in lines if line.startswith("flags")), "")
    return not FEATURES.isdisjoint(flags.split())


def compare(bundle: Bundle, samples: Sequence[datasets.Sample]) -> dict[str, Any]:
    """Accuracy and milliseconds in both precisions.

    Args:
        bundle: whose network is asked.
        samples: labelled images; labels that the bundle does not know are wrong in both.

    Returns:
        for JSON: accuracies as shares, medians in ms of calls of one crop, interleaved.

    Raises:
        UsageError: no image can be read.
    """
    files = bundle.file(GRAPH), bundle.file(PARAMETERS)
    engines = {"float32": Engine(*files), "bfloat16": Engine(*files, bfloat16=True)}
    spec, labels = bundle.manifest.input, bundle.manifest.labels
    right = dict.fromkeys(engines, 0)
    images = other = 0
    largest = 0.0
    for crops, wanted in _crops(bundle, samples):
        rows = {name: engine.run(spec.tensor(crops)) for name, engine in engines.items()}
        for name, row in rows.items():
            right[name] += sum(
                labels[best] == label for best, label in zip(row.argmax(1), wanted, strict=True)
            )
        exact, rough = rows.values()
        images += len(wanted)
        other += int((exact.argmax(1) != rough.argmax(1)).sum())
        largest = max(largest, float(np.abs(exact - rough).max()))
    if not images:
        raise UsageError("There is no image that can be read to compare on.")
    return {
        "machine": machine(),
        "model": bundle.manifest.name,
        "version": bundle.manifest.version,
        "images": images,
        "accuracy": {name: round(count / images, 5) for name, count in right.items()},
        "other_answers": other,
        "largest_difference": round(largest, 4),
        "ms": _ms(engines, bundle),
    }


def _judged(folder: Path) -> tuple[datasets.Sample, ...]:
    """The set's own test part, or all of it."""
    samples = datasets.read(folder).samples
    return tuple(sample for sample in samples if sample.part == "test") or samples


def _crops(
    bundle: Bundle, samples: Sequence[datasets.Sample]
) -> Iterator[tuple[list[np.ndarray], list[str]]]:
    """Crops and their labels, a batch at a time."""
    given = bundle.manifest
    looker = Looker(given.faces, given.input.size, MAX_PIXELS)
    crops: list[np.ndarray] = []
    wanted: list[str] = []
    for sample in tqdm(samples, desc="images", unit="image", file=sys.stderr):
        try:
            data = sample.path.read_bytes()
            seen = looker.look(data, "auto").crops or looker.look(data, "whole").crops
        except (ImageError, OSError) as error:
            tqdm.write(f"{sample.path}: {error}", file=sys.stderr)
            continue
        crops.append(seen[0])
        wanted.append(sample.label)
        if len(crops) == BATCH:
            yield crops, wanted
            crops, wanted = [], []
    if crops:
        yield crops, wanted


def _ms(engines: dict[str, Engine], bundle: Bundle) -> dict[str, float]:
    spec = bundle.manifest.input
    crop = np.random.default_rng(0).integers(0, 256, (spec.size, spec.size, 3), np.uint8)
    tensor = spec.tensor([crop])
    took: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(CALLS):
        for name, engine in engines.items():
            began = time.perf_counter()
            engine.run(tensor)
            took[name].append((time.perf_counter() - began) * 1e3)
    return {name: round(float(np.median(ms)), 3) for name, ms in took.items()}


def _told(found: dict[str, Any]) -> str:
    lines = [
        f"{found['model']} {found['version']}, {found['images']} images, {found['machine']}",
        "",
        "| | accuracy | ms, one image |",
        "|---|---|---|",
    ]
    lines += [
        f"| {name} | {found['accuracy'][name]:.2%} | {found['ms'][name]:.2f} |"
        for name in found["accuracy"]
    ]
    gap = (found["accuracy"]["bfloat16"] - found["accuracy"]["float32"]) * 100
    lines += [
        "",
        f"bfloat16: {gap:+.2f} points; another answer on {found['other_answers']} images; a "
        f"probability differs by {found['largest_difference']:.3f} at most.",
    ]
    return "\n".join(lines)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.precision",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="a labelled set")
    parser.add_argument("--model", default="emotion", help="(default: emotion)")
    parser.add_argument(
        "--params", type=Path, default=PROJECT / "params", metavar="DIR",
        help="folder of bundles (default: params)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
