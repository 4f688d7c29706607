"""`infer.py` for files: images, folders of millions, videos, answered at once by processes of its
own. No worker needs to run.
"""

import argparse
import importlib.util
import os
import sys
import time
from dataclasses import replace

from models.errors import UsageError, unexplained
from models.videos import Sink, Source, see_that_it_can_be_written
from service import catalog, hiring, logs, names, ray_node
from service.batch import Question, classify_files, files_below
from service.choosing import see_that_they_agree
from service.gallery import Gallery
from service.listing import Table, as_json, with_progress
from service.settings import Settings
from service.steadying import Steadier
from service.video import Watch, follow


def answer(options: argparse.Namespace, settings: Settings) -> int:
    """Do what the command line asks for; returns the exit status.

    Args:
        options: of infer.py.
        settings: with what the options override.

    Raises:
        HyojoError, ApiError: it cannot be done.
    """
    if options.ray or options.ray_address or options.part_size:
        return classify_folders(options, settings)
    if options.video or options.out:
        return annotate(options, settings)
    if options.paths:
        return classify(options, settings)
    raise UsageError("--explain needs the images: python infer.py PATH --explain OUT.")


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
