"""A hundred thousand images through `infer.py --ray`, killed on the way: memory, each image once.

    $ python -m bench.folders draw FOLDER --count 100000
    $ python -m bench.folders run FOLDER --out RESULTS --kill-at 40000
    $ python -m bench.folders check FOLDER --out RESULTS

`draw` writes small JPEGs, made from web/example.jpg and from coloured shapes; one in a hundred is
damaged, and its name says so. `run` starts infer.py, ends all of it with SIGKILL once so many
images are answered, starts it again, and looks every few seconds at what all its processes hold:
proportional set sizes, in which a shared page counts once, Ray's object store among them. `check`
reads the results and names what is missing, there twice, or not as drawn.
"""

import argparse
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image, ImageDraw, ImageEnhance

from bench import harness
from bench.harness import PROJECT

SIDE = 160
A_FOLDER = 1000
BAD_EACH = 100
_LOOK_EVERY_S = 3.0


def main(argv: list[str] | None = None) -> int:
    """Run one of the three; returns the exit status."""
    options = _arguments(argv)
    if options.command == "draw":
        draw(options.folder, options.count)
        return 0
    if options.command == "run":
        told = run(options.folder, options.out, options.kill_at, options.more)
    else:
        told = check(options.folder, options.out)
    print(json.dumps(told, indent=2))
    return 0 if told["well"] else 1


def draw(folder: Path, count: int) -> None:
    """Write `count` images, a thousand a folder; the same ones each time."""
    face = Image.open(PROJECT / "web" / "example.jpg").convert("RGB").crop((96, 0, 352, 256))
    for number in range(count):
        below = folder / f"{number // A_FOLDER:04}"
        if number % A_FOLDER == 0:
            below.mkdir(parents=True, exist_ok=True)
        bad = number % BAD_EACH == 0
        data = _picture(face, number)
        if bad:
            data = (data[: len(data) // 2], b"", b"no image")[number // BAD_EACH % 3]
        (below / f"{number:07}{'-bad' if bad else ''}.jpg").write_bytes(data)


def run(folder: Path, out: Path, kill_at: int, more: list[str]) -> dict[str, Any]:
    """Answer a folder, killed once on the way if `kill_at` is not 0."""
    command = [sys.executable, "infer.py", "--ray", str(folder), "--out", str(out), "--json", *more]
    told: dict[str, Any] = {"machine": harness.machine(), "starts": []}
    for limit in [kill_at, 0] if kill_at else [0]:
        began, peak = time.monotonic(), 0.0
        shares: dict[str, float] = {}
        process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE)
        while process.poll() is None:
            time.sleep(_LOOK_EVERY_S)
            now = _memory(process.pid)
            if sum(now.values()) > peak:
                peak, shares = sum(now.values()), now
            if limit and _rows(out) >= limit:
                _kill(process.pid)
        output = process.communicate()[0]
        told["starts"].append(
            {
                "status": process.returncode,
                "seconds": round(time.monotonic() - began, 1),
                "peak_mb": round(peak),
                "of_which_mb": {name: round(mb) for name, mb in shares.items()},
                "rows": _rows(out),
                "said": json.loads(output) if output.strip() else None,
            }
        )
    told["well"] = told["starts"][-1]["said"] is not None
    return told


def check(folder: Path, out: Path) -> dict[str, Any]:
    """Hold the results against the folder: each image once, damage where it was drawn."""
    drawn = {str(file.absolute()) for file in folder.glob("*/*.jpg")}
    seen: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    wrong = 0
    for file in sorted(out.glob("part-*.parquet")):
        table = pq.read_table(file, columns=["path", "error", "label"])
        for path, error, label in zip(*(column.to_pylist() for column in table), strict=True):
            seen[path] += 1
            codes[error or "none"] += 1
            labels[label or "no face"] += not error
            wrong += ("-bad" in path) != bool(error)
    twice = sum(times > 1 for times in seen.values())
    missing, strange = len(drawn - set(seen)), len(set(seen) - drawn)
    return {
        "images": len(drawn),
        "rows": seen.total(),
        "twice": twice,
        "missing": missing,
        "strange": strange,
        "not_as_drawn": wrong,
        "errors": dict(codes),
        "labels": dict(labels),
        "well": not (twice or missing or strange or wrong),
    }


def _picture(face: Image.Image, number: int) -> bytes:
    """One of many: three in four show a face, each elsewhere and in another light."""
    draw_from = np.random.default_rng(number)
    if number % 4:
        side = int(draw_from.integers(170, 256))
        x, y = (int(v) for v in draw_from.integers(0, 257 - side, 2))
        image = face.crop((x, y, x + side, y + side)).resize((SIDE, SIDE))
        image = ImageEnhance.Brightness(image).enhance(float(draw_from.uniform(0.7, 1.3)))
    else:
        colours = draw_from.integers(0, 256, (4, 3))
        image = Image.new("RGB", (SIDE, SIDE), tuple(colours[0]))
        pen = ImageDraw.Draw(image)
        for colour in colours[1:]:
            x, y = (int(v) for v in draw_from.integers(0, 120, 2))
            pen.ellipse((x, y, x + 60, y + 40), fill=tuple(colour))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=85)
    return out.getvalue()


def _rows(out: Path) -> int:
    return sum(pq.read_metadata(file).num_rows for file in out.glob("part-*.parquet"))


def _memory(pid: int) -> dict[str, float]:
    """What the processes hold, by kind (MB of proportional set size)."""
    held: Counter[str] = Counter()
    for one in harness.tree(pid):
        held[_kind(one)] += _pss_mb(one)
    return dict(held)


def _kind(pid: int) -> str:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "ended"
    if name in ("nursery", "predictor"):
        return name
    if "infer.py" in command:
        return "infer.py"
    return "looker" if command.startswith("ray::Looker") else "Ray's own"


def _pss_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _kill(pid: int) -> None:
    """SIGKILL to every process at once, as a machine ends that loses its power."""
    for one in _deepest_first(pid):
        os.kill(one, signal.SIGKILL)


def _deepest_first(pid: int) -> Iterator[int]:
    yield from reversed([*harness.tree(pid)])


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("draw", "run", "check"):
        command = commands.add_parser(name)
        command.add_argument("folder", type=Path)
        if name == "draw":
            command.add_argument("--count", type=int, default=100_000)
        else:
            command.add_argument("--out", type=Path, required=True)
        if name == "run":
            command.add_argument("--kill-at", type=int, default=0, metavar="IMAGES")
            command.add_argument("more", nargs="*", help="options of infer.py, behind --")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
