"""The camera page at work: frames a second, from camera to page, and whose CPU time it takes.

    $ python bench/live.py                        # a table; about a minute
    $ python bench/live.py --json > live.json
    $ python bench/live.py --against ../before --rounds 3     # two checkouts, in turn
    $ python bench/live.py --at '#smile?beside=emotion'       # both models read each frame

Starts `python -m service` on a free port and Chromium (Playwright drives it, without a window and
without a graphics card) beside it. The camera is web/example.jpg, moved a little from frame to
frame: motion JPEG of 640x480 at 30 frames a second, so 30 is the most that can be shown. The page
says itself (User Timing, `hyojo-frame`) when each frame was captured and when its answer was on
the page. The floor is the same page with the camera on and no answer to anything: what showing
the camera costs the browser by itself.

Run it on an idle machine: what others used of it is printed too. CPU time a frame holds better
than times do where others work.
"""

import argparse
import io
import itertools
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

PROJECT = Path(__file__).resolve().parent.parent
CHROMIUM = Path(os.environ.get("HYOJO_TEST_CHROMIUM", "/usr/bin/chromium"))
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --use-fake-ui-for-media-stream "
    "--use-fake-device-for-media-stream"
).split()
WIDTH, HEIGHT = 640, 480
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
PATIENCE_S = 60.0
PARTS = {
    "service": (
        ("gateway", "gunicorn"),
        ("worker", r"infer\.py"),
        ("predictors", r"\(predictor\)"),
    ),
    "browser": (("page", "type=renderer"), ("drawing", "type=gpu"), ("video and net", "type=util")),
}
"""Whose a process is, by its command line; what matches none is `rest`."""
WATCH = """() => {
  window.heard = [];
  new PerformanceObserver((list) => {
    window.heard.push(...list.getEntries().map((entry) => [entry.startTime, entry.duration]));
  }).observe({ type: 'measure' });
}"""
DEAF = "() => { window.fetch = () => new Promise(() => {}); }"


def main(argv: list[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    options = _arguments(argv)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        sys.exit("bench/live.py: Playwright is missing: pip install -r tests/requirements.txt")
    if not CHROMIUM.exists():
        sys.exit(
            f"bench/live.py: no Chromium at {CHROMIUM}: install it, or set HYOJO_TEST_CHROMIUM."
        )
    trees = [PROJECT, *(path.resolve() for path in options.against)]
    legs = []
    with tempfile.TemporaryDirectory(prefix="hyojo-") as folder, sync_playwright() as playwright:
        camera = Path(folder) / "face.mjpeg"
        camera.write_bytes(moving(options.image))
        for _ in range(options.rounds):
            for tree in trees:
                with service(tree, Path(folder)) as (process, url):
                    for floor in (False, True):
                        browser = playwright.chromium.launch(
                            executable_path=str(CHROMIUM),
                            args=[*FLAGS, f"--use-file-for-fake-video-capture={camera}"],
                        )
                        page = url + options.at
                        figures = _watch(browser, page, process.pid, options.seconds, floor)
                        browser.close()
                        legs.append({"tree": str(tree), "floor": floor, **figures})
    found = {"cores": len(os.sched_getaffinity(0)), "seconds": options.seconds, "legs": legs}
    print(json.dumps(found, indent=2) if options.json else _table(found, trees))
    return 0


def moving(image: Path, frames: int = 60) -> bytes:
    """Motion JPEG: a face that moves to and fro by 24 pixels of the picture, without a jump."""
    face = Image.open(image).convert("RGB")
    across = face.width * 3 // 4
    down = across * HEIGHT // WIDTH
    out = io.BytesIO()
    for number in range(frames):
        away = abs(number - frames // 2) * 24 // (frames // 2)
        left, top = (face.width - across) // 2 + away - 12, face.height // 20 + away // 2
        crop = face.crop((left, top, left + across, top + down))
        crop.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).save(out, "JPEG", quality=92)
    return out.getvalue()


def _watch(browser: Any, url: str, service_pid: int, seconds: float, floor: bool) -> dict[str, Any]:
    """One page with the camera on, over `seconds`; with `floor` nothing is ever answered."""
    page = browser.new_page(viewport={"width": 1200, "height": 860})
    page.set_default_timeout(PATIENCE_S * 1e3)
    page.goto(url)
    page.wait_for_selector("#service[data-state=ready]")
    page.evaluate(DEAF if floor else WATCH)
    page.click("#camera")
    page.wait_for_selector("#live[data-state=live]" + ("" if floor else " .box"))
    time.sleep(3)  # the first frames are warm-up
    quality = "() => document.querySelector('#video').getVideoPlaybackQuality().totalVideoFrames"
    page.evaluate("() => { if (window.heard) window.heard.length = 0; }")
    before, began, camera = _processes(), time.perf_counter(), page.evaluate(quality)
    time.sleep(seconds)
    heard = page.evaluate("() => window.heard ?? []")
    after, spent_s = _processes(), time.perf_counter() - began
    frames = page.evaluate(quality) - camera if floor else len(heard)
    if not frames:
        sys.exit(
            "bench/live.py: no frame was shown: see the service's log, or wait for a calmer time."
        )
    pids = {"service": _under(service_pid, after), "browser": _browser(after)}
    cpu_s = {name: _spent(name, pids[name], before, after) for name in PARTS}
    ours = sum(sum(parts.values()) for parts in cpu_s.values())
    return {
        "frames_a_second": round(frames / spent_s, 1),
        "ms_from_camera_to_page": _spread([duration for _, duration in heard]),
        "in_order": all(a[0] < b[0] for a, b in itertools.pairwise(heard)),
        "cpu_ms_a_frame": {
            name: {part: round(s / frames * 1e3, 2) for part, s in parts.items()}
            | {"all": round(sum(parts.values()) / frames * 1e3, 2)}
            for name, parts in cpu_s.items()
        },
        "cores_used": {
            "here": round(ours / spent_s, 2),
            "by others": _others(before, after, ours, spent_s),
        },
    }


Processes = dict[int, tuple[int, float, str]]
"""By id: the parent's id, CPU seconds, the command line. Under 0: CPU seconds of the machine."""


def _processes() -> Processes:
    busy = [int(part) for part in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    found: Processes = {0: (0, (sum(busy) - busy[3] - busy[4]) * TICK_S, "")}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
                # A forked predictor has its nursery's command line, and a name of its own.
                command = (folder / "cmdline").read_text().replace("\0", " ")
                command += f" ({(folder / 'comm').read_text().strip()})"
            except OSError:
                continue  # it has just ended
            found[int(folder.name)] = (
                int(fields[1]),
                (int(fields[11]) + int(fields[12])) * TICK_S,
                command,
            )
    return found


def _under(root: int, processes: Processes) -> set[int]:
    """The process and all that descend from it."""
    found = {root}
    while more := {p for p, (parent, *_) in processes.items() if parent in found and p} - found:
        found |= more
    return found


def _browser(processes: Processes) -> set[int]:
    return {p for p in _under(os.getpid(), processes) if "chromium" in processes[p][2]}


def _spent(name: str, pids: set[int], before: Processes, after: Processes) -> dict[str, float]:
    parts = {part: 0.0 for part, _ in PARTS[name]} | {"rest": 0.0}
    for pid in pids:
        command = after[pid][2]
        part = next((part for part, sign in PARTS[name] if re.search(sign, command)), "rest")
        parts[part] += after[pid][1] - (before[pid][1] if pid in before else 0.0)
    return parts


def _others(before: Processes, after: Processes, ours: float, spent_s: float) -> float:
    return round(max(0.0, after[0][1] - before[0][1] - ours) / spent_s, 2)


def _spread(values: list[float]) -> dict[str, float] | None:
    if not values:
        return None
    ordered = sorted(values)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return {"p50": round(statistics.median(ordered), 1), "p99": round(p99, 1)}


@contextmanager
def service(tree: Path, folder: Path) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    """The service of a checkout, ready, with its defaults, on a port of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    own = {"HYOJO_PORT": str(port), "HYOJO_WORKER": f"ipc://{folder}/{port}.sock"}
    process = subprocess.Popen(
        [sys.executable, "-m", "service"],
        cwd=tree,
        env={**os.environ, **own, "HYOJO_LOG_LEVEL": "error"},
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}/"
    try:
        end = time.monotonic() + PATIENCE_S
        while not _ready(url):
            if process.poll() is not None or time.monotonic() > end:
                sys.exit(f"bench/live.py: the service of {tree} does not start.")
            time.sleep(0.1)
        yield process, url
    finally:
        process.terminate()
        process.wait()


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}readyz", timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


def _table(found: dict[str, Any], trees: list[Path]) -> str:
    lines = [f"{found['cores']} cores, {found['seconds']:g} s a run, medians", ""]
    lines += [
        "| checkout | frames/s | p50 ms | p99 ms | browser CPU | reading | service CPU | others |"
    ]
    lines += ["|---" * 8 + "|"]
    details = []
    for tree in trees:
        name = tree.name
        legs = [leg for leg in found["legs"] if leg["tree"] == str(tree)]
        live = [leg for leg in legs if not leg["floor"]]
        floor = [leg for leg in legs if leg["floor"]]
        lines += [_row(name, live, floor), _row(f"{name}, camera only", floor, floor)]
        for who in PARTS:
            parts = [leg["cpu_ms_a_frame"][who] for leg in live]
            said = ", ".join(f"{part} {_median(p[part] for p in parts)}" for part in parts[0])
            details.append(f"{name}, {who}, CPU ms a frame: {said}")
    lines += [
        "",
        "CPU in ms a frame. reading: the browser's, without what the camera alone takes of it",
    ]
    return "\n".join([*lines, *details])


def _row(name: str, legs: list[dict[str, Any]], floor: list[dict[str, Any]]) -> str:
    rate = _median(leg["frames_a_second"] for leg in legs)
    browser, service = (
        _median(leg["cpu_ms_a_frame"][who]["all"] for leg in legs) for who in ("browser", "service")
    )
    spread = [leg["ms_from_camera_to_page"] for leg in legs if leg["ms_from_camera_to_page"]]
    p50, p99 = (_median(row[key] for row in spread) if spread else "" for key in ("p50", "p99"))
    alone = _median(
        leg["cpu_ms_a_frame"]["browser"]["all"] * leg["frames_a_second"] for leg in floor
    )
    others = _median(leg["cores_used"]["by others"] for leg in legs)
    cells = [name, rate, p50, p99, browser, round(browser - alone / rate, 1), service]
    return f"| {' | '.join(map(str, cells))} | {others} cores |"


def _median(values: Any) -> float:
    return round(statistics.median(values), 1)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="a run (default: 20)")
    parser.add_argument("--rounds", type=int, default=1, help="runs of each (default: 1)")
    parser.add_argument(
        "--against",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="another checkout, measured in turn with this one",
    )
    parser.add_argument(
        "--image",
        type=Path,
        default=PROJECT / "web" / "example.jpg",
        help="the face before the camera (default: web/example.jpg)",
    )
    parser.add_argument("--at", default="", help="tab and models, as in the page's address")
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
