"""One predictor process: holds the models warm and answers jobs. `service.nursery` forks it.

Its own process, because a picture may crash the decoder and because Paddle holds Python's lock
while it runs. It ends when its parent does.
"""

import argparse
import os
import signal
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from service import protocol
from service.footprint import private_mb
from service.kinship import end_with_parent
from service.limits import first_to_go, keep_heap, limit_memory, own_memory_bytes, ran_out
from service.protocol import (
    Explanation,
    FaceResult,
    ImageProblem,
    ImageResult,
    Job,
    Size,
    Timings,
)
from service.wire import Wire

if TYPE_CHECKING:
    import numpy as np

    from models import explain
    from models.predictor import Prediction, Predictor


def preload() -> None:
    """Load the libraries and their codecs, no more: what a fork may share (`service.nursery`).

    Raises:
        Exception: one cannot be loaded.
    """
    from models import images, native
    from models.predictor import Predictor  # noqa: F401

    native.library()
    images.rehearse()


def main(wire: Wire, argv: list[str]) -> int:
    """Load the bundles, say hello, answer jobs until the parent is gone.

    Args:
        wire: to the worker.
        argv: its options.

    Returns:
        The exit status.
    """
    options = _arguments(argv)
    end_with_parent(signal.SIGKILL)
    first_to_go()
    keep_heap()
    if os.getppid() != options.parent:  # it ended before we asked
        return 1
    began = time.monotonic()
    try:
        before = own_memory_bytes()
        predictors = _load(options.bundles, options.max_pixels, options.largest_batch)
        _spare_the_cores()
        limit_memory(options.memory_mb, own_memory_bytes() - before if options.beside else 0)
    except Exception as error:  # whatever it is, the parent must hear why
        detail = str(error) or type(error).__name__
        wire.send([protocol.encode(protocol.Failed(id=options.name, detail=detail))])
        return 1
    own_mb = private_mb(os.getpid()) if options.beside else 0.0
    hello = protocol.Hello(
        id=options.name,
        private_mb=own_mb,
        company_saves={name: one.company_saves() for name, one in predictors.items()},
        seconds=time.monotonic() - began,
    )
    wire.send([protocol.encode(hello)])
    _serve(wire, predictors)
    return 0


def answer(predictor: "Predictor", job: Job, images: list[bytes]) -> protocol.JobDone:
    """Classify a job's images together; each gets its result or its own error."""
    began = time.perf_counter()
    if job.video is None:
        outcomes = predictor.classify(images, job.faces, job.explain)
    else:
        outcomes = predictor.follow(_frames(images, job.video), job.faces)
    total = (time.perf_counter() - began) * 1e3
    results, timings = [], []
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            problem = ImageProblem(getattr(outcome, "code", "internal"), str(outcome))
            results.append(ImageResult(error=problem))
            timings.append(Timings(total=total))
        else:
            results.append(result_of(outcome, predictor.labels, job.top))
            timings.append(Timings(**outcome.timings_ms, total=total))
    return protocol.JobDone(id=job.id, results=results, timings_ms=timings)


def result_of(prediction: "Prediction", labels: tuple[str, ...], top: int | None) -> ImageResult:
    """A prediction as it goes over the wire: names for numbers, rounded, cut to `top`."""
    found, rows = prediction.faces, prediction.face_probabilities
    told: list[Explanation | msgspec.UnsetType] = list(map(_explained, prediction.explanations))
    told = told or [msgspec.UNSET] * max(1, len(found))  # one a face, or one of the whole picture
    faces = []
    for face, row, why in zip(found, rows, told, strict=False):
        ranked = _ranked(row, labels, top)
        label, probability = next(iter(ranked.items()))
        x, y, width, height = (round(value, 1) for value in face.box)
        box = (x, y, width, height)
        faces.append(FaceResult(box, round(face.score, 3), label, probability, ranked, why))
    size = Size(prediction.width, prediction.height)
    if prediction.probabilities is None:
        return ImageResult(size)
    ranked = _ranked(prediction.probabilities, labels, top)
    label, probability = next(iter(ranked.items()))
    whole = msgspec.UNSET if faces else told[0]
    return ImageResult(size, label, probability, ranked, faces, explanation=whole)


def _frames(raw: list[bytes], size: Size) -> "list[np.ndarray]":
    """Raw frames as RGB pictures."""
    import cv2
    import numpy as np

    shape = size.height, size.width, 3
    frames = (np.frombuffer(pixels, np.uint8).reshape(shape) for pixels in raw)
    return [cv2.cvtColor(frame, cv2.COLOR_BGR2RGB) for frame in frames]


def _explained(told: "explain.Explanation") -> Explanation:
    rows = [[round(float(share), 5) for share in row] for row in told.map]
    a, b, c, d = ((round(float(x), 1), round(float(y), 1)) for x, y in told.corners)
    return Explanation(told.label, rows, (a, b, c, d))


def _ranked(row: "np.ndarray", labels: tuple[str, ...], top: int | None) -> dict[str, float]:
    order = sorted(range(len(labels)), key=lambda i: -row[i])[:top]
    return {labels[i]: round(float(row[i]), 5) for i in order}


def _serve(wire: Wire, predictors: dict[str, "Predictor"]) -> None:
    while message := wire.receive():
        header, *images = message
        job = protocol.decode(header)
        if not isinstance(job, Job):
            continue
        try:
            done = answer(predictors[job.model], job, images)
        except Exception as error:  # a fault of ours: the image is answered, the process lives on
            problem = ImageResult(error=_problem(error))
            done = protocol.JobDone(
                id=job.id, results=[problem] * len(images), timings_ms=[Timings()] * len(images)
            )
        wire.send([protocol.encode(done)])


def _problem(error: Exception) -> ImageProblem:
    if ran_out(error):
        return ImageProblem(
            "image_too_large",
            "The image is too large: looking at it takes more memory than a predictor may use "
            "(HYOJO_PREDICTOR_MEMORY_MB). Make it smaller and try again.",
        )
    # Its own words may quote the image, and this sentence is logged: told is where it happened.
    *_, last = traceback.extract_tb(error.__traceback__)
    place = f"{Path(last.filename).name}, line {last.lineno}"
    detail = f"The predictor made a mistake ({type(error).__name__} in {place}). Report it."
    return ImageProblem("internal", detail)


def _load(bundles: list[str], max_pixels: int, largest_batch: int) -> dict[str, "Predictor"]:
    from models import bundle
    from models.predictor import Predictor

    # By the catalogue's names; a copied bundle still says its old one.
    return {
        name: Predictor(bundle.load(Path(folder)), max_pixels, largest_batch)
        for name, folder in zip(bundles[::2], bundles[1::2], strict=True)
    }


def _spare_the_cores() -> None:
    """OpenCV's own threads would fight with the other predictor processes."""
    import cv2

    cv2.setNumThreads(1)


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="One predictor process.")
    parser.add_argument("--name", required=True, help="of this process, towards the pool")
    parser.add_argument("--parent", type=int, required=True, help="process id to end with")
    parser.add_argument("--max-pixels", type=int, required=True, help="refuse larger pictures")
    parser.add_argument("--memory-mb", type=int, required=True, help="of its own, at most (MiB)")
    parser.add_argument("--beside", action="store_true", help="not counting what its models take")
    parser.add_argument("--largest-batch", type=int, required=True, help="crops at once, at most")
    parser.add_argument("bundles", nargs="+", help="what to hold warm: a name, its folder, a name…")
    return parser.parse_args(argv)
