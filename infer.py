"""Answer with trained models: as a warm worker, or for files and folders at once.

    $ python infer.py                       # the worker that the gateway asks; stays until Ctrl-C
    $ python infer.py photo.jpg holiday/    # classify files and folders, then end
    $ python infer.py --json --top 3 holiday/ > answers.jsonl
    $ python infer.py photo.jpg --explain seen/   # pictures of which part of the face decided
    $ python infer.py --video talk.mp4 --out annotated.mp4   # faces tracked, labels held steady
    $ python infer.py --ray millions/ --out results/   # into Parquet; goes on where it was stopped

The worker is set up by environment variables (`python -m service.settings` lists them). Exit
status: 0 all well, 1 some images or frames failed, 2 wrong use.
"""

import argparse
import importlib.util
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
from models.videos import Sink, Source, see_that_it_can_be_written
from service import catalog, hiring, keys, logs, names, ray_node, scratch
from service.batch import Question, classify_files, files_below
from service.choosing import see_that_they_agree
from service.crew import Crew
from service.crews import Crews
from service.endpoint import EndpointError, bind
from service.errors import ApiError, SettingsError
from service.gallery import Gallery
from service.guests import Guests
from service.hangup import on_hangup
from service.infer_options import parser
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
    options = parser(__doc__ or "").parse_args(argv)
    try:
        settings = load_settings(**_overrides(options))
        if options.ray or options.ray_address or options.part_size:
            return classify_folders(options, settings)
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


def classify_folders(options: argparse.Namespace, settings: Settings) -> int:
    """Classify more files than memory holds, with Ray, into Parquet files."""
    if not options.ray:
        raise UsageError("--ray-address and --part-size are for --ray.")
    if options.video or options.explain:
        raise UsageError("--ray is for images, and explains nothing: leave the other option out.")
    if not (options.paths and options.out):
        raise UsageError("--ray needs both: python infer.py --ray FOLDER --out RESULTS.")
    if not ray_node.installed() or importlib.util.find_spec("pyarrow") is None:
        raise UsageError(
            "--ray needs packages that are not installed here: pip install -r requirements-ray.lock"
        )
    from service.folders import command

    return command.classify(options, settings, *_models(settings))


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
        raise UsageError(
            "--out is for --video and --ray: python infer.py --video FILE --out OUT, or "
            "python infer.py --ray FOLDER --out RESULTS."
        )
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


if __name__ == "__main__":
    sys.exit(main())
