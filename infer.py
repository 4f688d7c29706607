"""Answer with trained models: as a warm worker, or for files and folders at once.

    $ python infer.py                       # the worker that the gateway asks; stays until Ctrl-C
    $ python infer.py photo.jpg holiday/    # classify files and folders, then end
    $ python infer.py --json --top 3 holiday/ > answers.jsonl
    $ python infer.py photo.jpg --explain seen/   # pictures of which part of the face decided

The worker is set up by environment variables (`python -m service.settings` lists them). Exit
status: 0 all well, 1 some images failed, 2 wrong use.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import zmq
from tqdm import tqdm

from models import images
from models.errors import HyojoError, UsageError
from models.explain import unexplained
from service import catalog, logs
from service.batch import Question, classify_files
from service.endpoint import EndpointError, bind
from service.errors import SettingsError
from service.gallery import Gallery
from service.pool import Pool
from service.protocol import ImageResult
from service.settings import Settings, load_settings
from service.worker import Worker


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = _parser().parse_args(argv)
    try:
        settings = load_settings(**_overrides(options))
        if options.paths:
            return classify(options, settings)
        if options.explain:
            raise UsageError("--explain needs the images: python infer.py PATH --explain OUT.")
        return serve(settings)
    except (HyojoError, SettingsError, EndpointError) as error:
        print(f"infer.py: {error}", file=sys.stderr)
        return 2


def serve(settings: Settings) -> int:
    """Be the warm worker until SIGTERM or Ctrl-C."""
    logs.configure(settings.log_level, settings.log_format, "worker")
    models = catalog.read(settings.params, settings.model_names, settings.model)
    for info in models.models.values():
        if info.error:
            print(f"infer.py: {info.error}", file=sys.stderr, flush=True)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    endpoint = bind(context, settings.worker)
    pool = _pool(context, models, settings)
    worker = Worker(settings, models, endpoint, pool)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stop())
    try:
        worker.run()
    finally:
        pool.close()
        endpoint.close()
        context.term()
    return 0


def classify(options: argparse.Namespace, settings: Settings) -> int:
    """Classify files and folders; results go to standard output, progress to standard error."""
    paths = _files(options.paths)
    logs.configure("error", "console", "infer.py")
    models = catalog.read(settings.params, [settings.model], settings.model)
    if models.problem:
        raise UsageError(models.problem)
    if options.explain and not models.models[settings.model].explains:
        raise unexplained(settings.model)
    gallery = options.explain and Gallery(options.explain, paths, settings.max_pixels)
    size = min(settings.predictors, -(-len(paths) // options.batch_size))
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    pool = _pool(context, models, settings.model_copy(update={"predictors": size}))
    question = Question(settings.model, options.faces, options.top, bool(gallery))
    results = classify_files(pool, paths, question, options.batch_size)
    began = time.monotonic()
    show = _show_json if options.json else _table(paths)
    failed = 0
    try:
        for path, result in _with_progress(results, len(paths)):
            failed += result.error is not None
            if gallery:
                gallery.add(path, result)
            print(show(path, result), flush=True)
    except BrokenPipeError:  # the reader (`| head`) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("infer.py: stopped; what is printed above is complete.", file=sys.stderr)
        return 130
    finally:
        pool.close()
        context.term()
    seconds = time.monotonic() - began
    noun = "image" if len(paths) == 1 else "images"
    pace = f"{len(paths) / seconds:.1f} images/s"
    shown = f"; {gallery.written} explained in {options.explain}" if gallery else ""
    print(f"{len(paths)} {noun}, {failed} failed, {seconds:.1f} s, {pace}{shown}", file=sys.stderr)
    return 1 if failed else 0


def _pool(
    context: "zmq.Context[zmq.Socket[bytes]]", models: catalog.Catalog, settings: Settings
) -> Pool:
    return Pool(
        context,
        list(models.folders.values()),
        settings.predictors,
        settings.max_pixels,
        settings.predictor_timeout_s,
    )


def _files(given: Iterable[Path]) -> list[Path]:
    """Every image file below the paths, in the order given."""
    files: list[Path] = []
    for path in given:
        if not path.exists():
            raise UsageError(f"There is no file or folder {path}. Check the spelling.")
        found = images.find(path)
        if not found:
            raise UsageError(
                f"The folder {path} holds no image files ({', '.join(sorted(images.SUFFIXES))})."
            )
        files += found
    return files


def _with_progress(
    results: Iterator[tuple[Path, ImageResult]], total: int
) -> Iterable[tuple[Path, ImageResult]]:
    """A bar on standard error where a person looks at it and the results go elsewhere."""
    hidden = not sys.stderr.isatty() or sys.stdout.isatty() or total < 2
    return tqdm(results, total=total, unit="image", disable=hidden, file=sys.stderr)


def _show_json(path: Path, result: ImageResult) -> str:
    return json.dumps({"path": str(path), **msgspec.to_builtins(result)}, ensure_ascii=False)


class _table:  # noqa: N801 - a function with a memory of its widths
    """One line a file: path, the likeliest labels, the number of faces."""

    def __init__(self, paths: list[Path]) -> None:
        room = max(20, shutil.get_terminal_size().columns // 2)
        self._width = min(room, max(len(str(path)) for path in paths))

    def __call__(self, path: Path, result: ImageResult) -> str:
        name = str(path)
        if len(name) > self._width:
            name = "…" + name[-(self._width - 1) :]
        return f"{name:<{self._width}}  {_says(result)}"


def _says(result: ImageResult) -> str:
    if result.error is not None:
        return f"FAILED  {result.error.detail}"
    if result.label is None:
        return "no face found"
    ranked = list(result.probabilities.items())
    shown = [f"{label} {probability:6.1%}" for label, probability in ranked[:3]]
    faces = f"  ({len(result.faces)} faces, the largest shown)" if len(result.faces) > 1 else ""
    return "  ".join(f"{text:<18}" for text in shown).rstrip() + faces


def _overrides(options: argparse.Namespace) -> dict[str, object]:
    """Options that set a setting for this run."""
    overrides: dict[str, object] = {}
    if options.processes is not None:
        overrides["predictors"] = options.processes
    if options.model is not None:
        folder = Path(options.model)
        overrides["model"] = folder.name
        if len(folder.parts) > 1:
            overrides["params"] = folder.parent
    return overrides


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"takes a whole number from 1, not {text!r}")
    return number


def _parser() -> argparse.ArgumentParser:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        prog="infer.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "paths", metavar="PATH", type=Path, nargs="*", help="images and folders of images"
    )
    model = parser.add_argument_group("model")
    model.add_argument("--model", help="name in params/, or a bundle's folder (default: emotion)")
    model.add_argument(
        "--processes",
        type=_positive,
        metavar="N",
        help="predictor processes (default: the cores, at most 4)",
    )
    question = parser.add_argument_group("what is asked of each image (with PATH)")
    question.add_argument(
        "--faces",
        choices=("auto", "all", "largest", "whole"),
        default="auto",
        help="auto: as the model wants; all: search finely, small faces too; largest: one face; "
        "whole: the image is the face (default: auto)",
    )
    question.add_argument(
        "--top",
        type=_positive,
        metavar="K",
        help="how many labels each answer holds (default: all; the table shows three)",
    )
    question.add_argument(
        "--batch-size",
        type=_positive,
        default=8,
        metavar="N",
        help="images handed to a process at once (default: 8)",
    )
    output = parser.add_argument_group("output (with PATH)")
    output.add_argument(
        "--json", action="store_true", help="one JSON object a line in place of the table"
    )
    output.add_argument(
        "--explain",
        type=Path,
        metavar="OUT",
        help="write into the folder OUT, for each image, a PNG with the places of each face that "
        "spoke for its label in warm colours; --json tells them too",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
