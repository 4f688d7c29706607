"""A video through the pool: read ahead, looked at in jobs of consecutive frames, told in order."""

import math
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import msgspec
import numpy as np

from models.videos import Frame, Sink, Source, shrunk
from service.batch import Question, see_that_it_starts
from service.drawing import draw_face, draw_tag
from service.listing import as_json
from service.pool import Event, Pool
from service.protocol import ImageProblem, ImageResult, Job, JobDone, Size
from service.steadying import FrameResult, Steadier

LOOKED_AT_PX = 960  # longer side; larger frames go to the processes at a half, a third …
NEW_FACES_S = 0.25  # a job is so long at most: only its first frame is searched for new faces
MOST_BYTES = 400_000_000  # of frames in memory
TICK_S = 0.1


@dataclass(frozen=True)
class Followed:
    """What came of a video: frames told, frames that failed, and whether it was stopped."""

    frames: int
    failed: int
    stopped: bool


def follow(
    results: Iterable[tuple[Frame, ImageResult]],
    steadier: Steadier,
    sink: Sink | None,
    lines: bool,
) -> Followed:
    """Tell and write every frame; complete the written video, at Ctrl-C too.

    Args:
        results: see `Watch`.
        steadier: of this video.
        sink: for the frames with boxes and labels.
        lines: print one JSON object a frame; a reader that closes its end stops the work.

    Raises:
        UsageError: the video could not be written; nothing is left of it then.
    """
    frames = failed = 0
    stopped = False
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for frame, result in results:
            told = steadier.add(frame.number, frame.time_s, result)
            if lines:
                print(as_json(told), flush=True)
            if sink:
                draw(frame.pixels, told)
                sink.write(frame.pixels, frame.time_s)
            frames += 1
            failed += told.error is not None
    except BrokenPipeError:  # the reader (`| head`) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        stopped = True
    except KeyboardInterrupt:
        stopped = True
    except BaseException:
        if sink:
            sink.discard()
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
    if sink:
        _complete(sink)
    return Followed(frames, failed, stopped)


def _complete(sink: Sink) -> None:
    """Finish the video, or leave none where no frame came; a second Ctrl-C does not spoil it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        if sink.written:
            sink.finish()
        else:
            sink.discard()
    finally:
        signal.signal(signal.SIGINT, before)


def draw(pixels: np.ndarray, told: FrameResult) -> None:
    """Draw boxes, labels and probabilities on a frame.

    Args:
        pixels: uint8 (height, width, 3), BGR; is drawn on.
        told: of this frame.
    """
    tallest = max(pixels.shape) / 32
    for face in reversed(told.faces):  # the largest last, on top
        words = f"{face.id}  {face.label} {face.probability:.0%}"
        draw_face(pixels, face.box, words, tallest, faint=not face.seen)
    if told.label is not None and not told.faces:
        draw_tag(pixels, 0, 0, f"{told.label} {told.probability:.0%}", tallest)


@dataclass
class _Batch:
    """Consecutive frames, on their way through the pool."""

    frames: list[Frame]
    pixels: list[memoryview]
    size: Size
    waiting: bool = True
    tries: int = 0
    results: list[ImageResult] | None = None


class Watch:
    """What each frame of a video shows by itself: iterate over it, once.

    A few jobs are in memory at any time. A job whose process was lost is tried once more; if it is
    lost again its frames are told as errors. Gives each frame with its result, in order, boxes in
    pixels of the frame, and raises BundleError where the processes cannot start.

    Args:
        pool: freshly made; the caller closes it.
        source: freshly opened.
        question: `top` is not heeded: all labels are told.
        batch_size: frames handed to a process at once, at most.

    Attributes:
        began_s: when the first job was handed out, by `time.monotonic`; 0 before.
    """

    def __init__(self, pool: Pool, source: Source, question: Question, batch_size: int = 8) -> None:
        self.began_s = 0.0
        self._pool = pool
        self._frames = iter(source)
        self._question = question
        self._window: deque[_Batch] = deque()  # in order, the oldest first
        self._out: dict[str, _Batch] = {}
        self._jobs = 0
        self._ticked_s = 0.0
        self._ended = False
        # Jobs: one in each process, one ready for it, and two that are being told.
        self._most = 2 * pool.size + 2
        fit = MOST_BYTES // (3 * source.width * source.height * self._most)
        self._length = max(1, min(batch_size, fit, round(NEW_FACES_S * source.fps)))

    def __iter__(self) -> Iterator[tuple[Frame, ImageResult]]:
        asked_s = time.monotonic()
        while True:
            self._turn()
            batch = self._window[0] if self._window else None
            if batch and batch.results is not None:
                for frame, result in zip(batch.frames, batch.results, strict=True):
                    yield frame, result
                    self._turn()
                self._window.popleft()
            elif self._ended and not batch:
                return
            elif self._ended or len(self._window) == self._most:
                if not self._out:
                    see_that_it_starts(self._pool, math.inf if self.began_s else asked_s)
                self._pool.wait(100)

    def _turn(self) -> None:
        """Take in what has come, hand out what is ready, read a little ahead."""
        events = self._pool.receive()
        now_s = time.monotonic()
        if now_s - self._ticked_s > TICK_S:
            self._ticked_s = now_s
            events += self._pool.tick()
        for event in events:
            self._take(event)
        self._hand_out()
        if not self._ended and len(self._window) < self._most:
            self._read()
            self._hand_out()

    def _read(self) -> None:
        frames = list(islice(self._frames, self._length))
        self._ended = len(frames) < self._length
        if frames:
            small = [shrunk(frame.pixels, LOOKED_AT_PX) for frame in frames]
            height, width = small[0].shape[:2]
            self._window.append(_Batch(frames, [s.data for s in small], Size(width, height)))

    def _hand_out(self) -> None:
        for batch in self._window:
            if not self._pool.idle:
                return
            if not batch.waiting:
                continue
            self._jobs += 1
            asked = self._question
            job = Job(id=str(self._jobs), model=asked.model, faces=asked.faces, video=batch.size)
            if self._pool.submit(job, batch.pixels):
                batch.waiting = False
                batch.tries += 1
                self._out[job.id] = batch
                self.began_s = self.began_s or time.monotonic()

    def _take(self, event: Event) -> None:
        batch = self._out.pop(event.id)
        if isinstance(event, JobDone):
            scale = batch.frames[0].pixels.shape[1] / batch.size.width
            batch.results = [_scaled(result, scale) for result in event.results]
        elif batch.tries < 2:
            batch.waiting = True
        else:
            problem = ImageProblem("worker_lost", event.detail)
            batch.results = [ImageResult(error=problem)] * len(batch.frames)


def _scaled(result: ImageResult, scale: float) -> ImageResult:
    """The boxes in a picture of `scale` times the size."""
    if scale == 1 or not result.faces:
        return result
    faces = []
    for face in result.faces:
        x, y, width, height = (value * scale for value in face.box)
        faces.append(msgspec.structs.replace(face, box=(x, y, width, height)))
    return msgspec.structs.replace(result, faces=faces)
