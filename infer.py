"""Answer with trained models: as a warm worker, or for files and folders at once.

    $ python infer.py                       # the worker that the gateway asks; stays until Ctrl-C
    $ python infer.py photo.jpg holiday/    # classify files and folders, then end
    $ python infer.py --json --top 3 holiday/ > answers.jsonl
    $ python infer.py photo.jpg --explain seen/   # pictures of which part of the face decided
    $ python infer.py --video talk.mp4 --out annotated.mp4   # faces tracked, labels held steady

The worker is set up by environment variables (`python -m service.settings` lists them). Exit
status: 0 all well, 1 some images or frames failed, 2 wrong use.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import zmq

from models.errors import HyojoError, UsageError
from models.explain import unexplained
from models.videos import WRITES, Sink, Source, see_that_it_can_be_written
from service import catalog, hiring, keys, logs, names, scratch
from service.batch import Question, classify_files, files_below
from service.choosing import see_that_they_agree
from service.crew import Crew
from service.crews import Crews
from service.endpoint import EndpointError, bind
from service.errors import ApiError, SettingsError
from service.gallery import Gallery
from service.guests import Guests
from service.hangup import on_hangup
from service.limits import no_core_dumps
from service.listing import Table, as_json, with_progress
from service.nursery import Nursery
from service.pool import Pool
from service.renewal import Renewal
from service.scratch import ScratchError
from service.settings import Settings, load_settings
from service.shelf import Shelf
from service.steadying import Steadier
from service.video import Watch, follow
from service.worker import Worker


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = _parser().parse_args(argv)
    try:
        settings = load_settings(**_overrides(options))
        if options.video or options.out:
            return annotate(options, settings)
        if options.paths:
            return classify(options, settings)
        if options.explain:
            raise UsageError("--explain needs the images: python infer.py PATH --explain OUT.")
        return serve(settings)
    except (HyojoError, SettingsError, EndpointError, ScratchError, ApiError) as error:
        print(f"infer.py: {error}", file=sys.stderr)
        return 2


def serve(settings: Settings) -> int:
    """Be the warm worker until SIGTERM or Ctrl-C; SIGHUP reads the models again."""
    logs.configure(settings.log_level, settings.log_format, "worker")
    no_core_dumps()
    with scratch.make("models", scratch.places()) as folder:
        return _serve(settings, Shelf(folder.path))


def _serve(settings: Settings, shelf: Shelf) -> int:
    """The worker with its bundles on a shelf."""

    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    poller = zmq.Poller()

    def read() -> catalog.Catalog:
        return catalog.read(settings.params, settings.model_names, settings.model, shelf)

    def hire(models: catalog.Catalog) -> Pool:
        return hiring.for_serving(models, settings, shelf)

    def invite(name: str, guest: catalog.Guest, nursery: Callable[[], Nursery]) -> Pool:
        return hiring.for_guest(name, guest, settings, nursery)

    models = read()
    for info in models.models.values():
        if info.error:
            logs.say(f"infer.py: {info.error}", wrong=True)
    endpoint = bind(
        context, settings.worker, keys.for_endpoint(settings.worker, settings.worker_keys)
    )
    renewal = Renewal(read, hire, shelf)
    guests = Guests(settings.model_memory, invite, poller)
    crews = Crews(Crew(models, hire(models)), renewal, guests, poller)
    worker = Worker(settings, endpoint, crews)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stop())
    on_hangup(reload=renewal.ask, end=worker.stop)
    try:
        worker.run()
    finally:
        crews.close()
        endpoint.close()
        context.term()
    return 0


def classify(options: argparse.Namespace, settings: Settings) -> int:
    """Classify files and folders; results go to standard output, progress to standard error."""
    paths = files_below(options.paths)
    models, averaged = _models(settings)
    if options.explain and (averaged or not models.models[settings.model].explains):
        raise unexplained(settings.model)
    gallery = options.explain and Gallery(options.explain, paths, settings.max_pixels)
    size = min(settings.predictors, -(-len(paths) // options.batch_size))
    pool = hiring.for_files(models, settings.model_copy(update={"predictors": size}))
    question = Question(settings.model, options.faces, options.top, bool(gallery), averaged)
    results = classify_files(pool, paths, question, options.batch_size)
    began = time.monotonic()
    table = Table(paths)
    failed = 0
    try:
        for path, result in with_progress(results, len(paths), "image"):
            failed += result.error is not None
            if gallery:
                gallery.add(path, result)
            line = as_json(result, path=str(path)) if options.json else table.line(path, result)
            print(line, flush=True)
    except BrokenPipeError:  # the reader (`| head`) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("infer.py: stopped; what is printed above is complete.", file=sys.stderr)
        return 130
    finally:
        pool.close()
    seconds = time.monotonic() - began
    noun = "image" if len(paths) == 1 else "images"
    pace = f"{len(paths) / seconds:.1f} images/s"
    shown = f"; {gallery.written} explained in {options.explain}" if gallery else ""
    print(f"{len(paths)} {noun}, {failed} failed, {seconds:.1f} s, {pace}{shown}", file=sys.stderr)
    return 1 if failed else 0


def annotate(options: argparse.Namespace, settings: Settings) -> int:
    """Follow the faces of a video: write it with their labels, tell them as JSON, or both."""
    _see_that_it_is_one_video(options)
    if options.out:
        see_that_it_can_be_written(options.out, options.video)
    models, averaged = _models(settings)
    if averaged:
        raise UsageError("--video takes one model; averages are for images.")
    source = Source(options.video, settings.max_pixels)
    sink = options.out and Sink(options.out, source.fps, source.width, source.height)
    pool = hiring.for_files(models, settings)
    watch = Watch(pool, source, Question(settings.model, options.faces), options.batch_size)
    labels = models.models[settings.model].labels
    steadier = Steadier(labels, options.top, options.smooth, 1 / source.fps)
    results = with_progress(watch, source.announced, "frame", options.json)
    try:
        done = follow(results, steadier, sink, options.json)
    finally:
        pool.close()
        source.close()
    seconds = max(1e-9, time.monotonic() - watch.began_s)
    kept = f"; {sink.written} written to {options.out}" if sink and sink.written else ""
    pace = f"{seconds:.1f} s, {done.frames / seconds:.1f} frames/s"
    if done.stopped:
        print(f"infer.py: stopped{kept or '; nothing was written'}.", file=sys.stderr)
    elif source.missing_s > max(1.0, 0.05 * source.end_s):
        print(
            f"infer.py: {options.video} could be read for {source.end_s:.1f} s; it announces "
            f"{source.missing_s:.1f} s more. It may be cut off or damaged.",
            file=sys.stderr,
        )
        done = replace(done, failed=done.failed + 1)
    print(f"{done.frames} frames, {done.failed} failed, {pace}{kept}", file=sys.stderr)
    return 130 if done.stopped else 1 if done.failed else 0


def _see_that_it_is_one_video(options: argparse.Namespace) -> None:
    if not options.video:
        raise UsageError("--out names the video to write: python infer.py --video FILE --out OUT.")
    if options.paths:
        raise UsageError("--video takes one video; classify images in a run of their own.")
    if options.explain:
        raise UsageError("--explain is for images; --video has none of it.")
    if not (options.out or options.json):
        raise UsageError("Say what is to come of the video: --out annotated.mp4, --json, or both.")


def _models(settings: Settings) -> tuple[catalog.Catalog, tuple[str, ...]]:
    """The model that is asked, fit to answer; or several, and their names, to be averaged."""
    logs.configure("error", "console", "infer.py")
    averaged: tuple[str, ...] = ()
    if names.is_average(settings.model):
        averaged = names.members(settings.model, catalog.found(settings.params))
    wanted = averaged or (settings.model,)
    models = catalog.read(settings.params, wanted, wanted[0])
    for info in models.models.values():
        if info.error:
            raise UsageError(info.error)
    if averaged:
        see_that_they_agree(list(models.models.values()))
    return models, averaged


def _overrides(options: argparse.Namespace) -> dict[str, object]:
    """Options that set a setting for this run."""
    overrides: dict[str, object] = {}
    if options.processes is not None:
        overrides["predictors"] = options.processes
    if options.model is not None:
        folder = Path(options.model)
        by_folder = len(folder.parts) > 1 and not names.is_average(options.model)
        overrides["model"] = folder.name if by_folder else options.model
        if by_folder:
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


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 60:
        raise argparse.ArgumentTypeError(f"takes seconds from 0 to 60, not {text!r}")
    return seconds


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
    model.add_argument(
        "--model",
        help="name in params/, FAMILY:NAME in its folder FAMILY, average:A,B of several with the "
        "same labels, or a bundle's folder (default: emotion)",
    )
    model.add_argument(
        "--processes",
        type=_positive,
        metavar="N",
        help="predictor processes (default: the cores, at most 4)",
    )
    question = parser.add_argument_group("what is asked of each image (with PATH or --video)")
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
    output = parser.add_argument_group("output")
    output.add_argument(
        "--json",
        action="store_true",
        help="one JSON object a line in place of the table; with --video, one a frame",
    )
    output.add_argument(
        "--explain",
        type=Path,
        metavar="OUT",
        help="write into the folder OUT, for each image, a PNG with the places of each face that "
        "spoke for its label in warm colours; --json tells them too",
    )
    video = parser.add_argument_group("video (in place of PATH)")
    video.add_argument(
        "--video",
        type=Path,
        metavar="FILE",
        help="follow the faces of a video; new ones are looked for four times a second",
    )
    video.add_argument(
        "--out",
        type=Path,
        metavar="OUT",
        help=f"write it here with boxes, labels and probabilities, at its own frame rate and "
        f"without its sound, replacing what is there. By suffix ({', '.join(WRITES)}): .webm is "
        "VP8, which browsers play and which takes longer; the others are MPEG-4, for players. "
        "H.264 cannot be written",
    )
    video.add_argument(
        "--smooth",
        type=_seconds,
        default=0.5,
        metavar="S",
        help="time constant in seconds of each face's probabilities; 0 takes each frame for itself "
        "(default: 0.5)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
