"""Video files: frames in, frames out. What OpenCV's own FFmpeg can do, with its faults told."""

import math
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# Before the first file is opened: what is wrong with one is told here, in sentences.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import cv2
import numpy as np

from models import images
from models.errors import UsageError, VideoError
from models.video_formats import WRITES

cv2.setLogLevel(2)  # errors: what it warns of is told here too

FASTEST = 240.0  # frames/s; above it is no frame rate but a clock's tick, as in a recorder's WebM
USUAL = 25.0  # where a file tells nothing


@dataclass(frozen=True)
class Frame:
    """One frame of a video.

    Attributes:
        number: from 0.
        time_s: since the first frame.
        pixels: uint8 (height, width, 3), BGR, upright.
    """

    number: int
    time_s: float
    pixels: np.ndarray


class Source:
    """A video file, open.

    Attributes:
        width: of the upright frames, in pixels.
        height: likewise.
        fps: frames a second.
        announced: how many frames the file says it has; None if it does not.
        end_s: time up to which frames have been read.

    Raises:
        VideoError: the file is no video that can be read, has no frame, or too large ones.
    """

    def __init__(self, path: Path, max_pixels: int = images.MAX_PIXELS) -> None:
        _see_that_it_is_a_file(path)
        self.path = path
        self._file = _opened(path)
        wide, high = (self._file.get(p) for p in (3, 4))
        if wide * high > max_pixels:
            raise VideoError(
                f"The frames of {path} are too large: {wide:.0f} x {high:.0f} pixels; the limit is "
                f"{max_pixels / 1e6:g} megapixels. Make the video smaller."
            )
        read, first = self._file.read()
        if not read:
            raise VideoError(
                f"{path} holds no frame that can be decoded: it is empty, damaged or of an unknown "
                "codec. Play it to see, or convert it to MP4."
            )
        self._first: np.ndarray = first
        self.height, self.width = first.shape[:2]
        fps = float(self._file.get(cv2.CAP_PROP_FPS))
        self.fps = fps if 0 < fps <= FASTEST else _measured_fps(path)
        count = self._file.get(cv2.CAP_PROP_FRAME_COUNT)
        self.announced = round(count * self.fps / fps) if count > 0 and fps > 0 else None
        self.end_s = 0.0

    def __iter__(self) -> Iterator[Frame]:
        """The frames, once.

        A frame of another size than the first is brought to that size.
        """
        began_s = self._at_s()
        number, time_s, pixels = 0, 0.0, self._first
        while True:
            self.end_s = time_s + 1 / self.fps
            yield Frame(number, time_s, pixels)
            read, pixels = self._file.read()
            if not read:
                return
            if pixels.shape[:2] != (self.height, self.width):
                pixels = cv2.resize(pixels, (self.width, self.height))
            passed_s = self._at_s() - began_s - time_s
            number, time_s = number + 1, time_s + (passed_s if passed_s > 0 else 1 / self.fps)

    @property
    def missing_s(self) -> float:
        """How much of what the file announces could not be read, once all frames were asked for."""
        return (self.announced or 0) / self.fps - self.end_s

    def close(self) -> None:
        """Close the file."""
        self._file.release()

    def _at_s(self) -> float:
        return float(self._file.get(cv2.CAP_PROP_POS_MSEC)) / 1000


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ctrl-C and TERM wait until what belongs together is done.

    A mask would not do: another thread takes the signal, and Python runs its handler in this one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # no handler runs here
        return
    came: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda n, _: came.append(n)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in came:
            signal.raise_signal(late)


class Sink:
    """A video file in the making: beside its place, and in its place when it is finished.

    Args:
        path: of the finished file; a file that is there is replaced.
        fps: frames a second.
        width: of the frames, in pixels; an odd one is made even by one more column.
        height: likewise.

    Raises:
        UsageError: no video can be written there.
    """

    def __init__(self, path: Path, fps: float, width: int, height: int) -> None:
        self._path = path
        self._fps = fps
        self._odd = height % 2, width % 2
        self._due = 0
        self.written = 0
        try:
            handle, name = tempfile.mkstemp(".part" + path.suffix.lower(), ".", path.parent)
        except OSError as error:
            raise _unwritable(path, error.strerror or str(error)) from None
        os.close(handle)
        self._part = Path(name)
        size = width + width % 2, height + height % 2
        code = cv2.VideoWriter.fourcc(*WRITES[path.suffix.lower()])
        with _quiet():
            self._file = cv2.VideoWriter(
                str(self._part.absolute()), cv2.CAP_FFMPEG, code, fps, size
            )
        if not self._file.isOpened():
            self.discard()
            what = f"the codec takes no frames of {size[0]} x {size[1]} at {fps:g} a second"
            raise _unwritable(path, what)

    def write(self, pixels: np.ndarray, time_s: float) -> None:
        """Write a frame as often as it takes to be there until `time_s` has come.

        The file has an even pace. A source that has not (telephones, recorders of browsers) keeps
        its length this way: a frame that stayed long is written again, one too many is left out.

        Args:
            pixels: uint8 (height, width, 3), BGR.
            time_s: of the frame.
        """
        due = round(time_s * self._fps) + 1
        if due <= self.written:
            return
        if any(self._odd):
            down, right = self._odd
            pixels = cv2.copyMakeBorder(pixels, 0, down, 0, right, cv2.BORDER_REPLICATE)
        while self.written < due:
            with _undisturbed():
                self._file.write(pixels)
                self.written += 1

    def finish(self) -> None:
        """Complete the file and put it in its place.

        Raises:
            UsageError: it is not whole; nothing stands in its place then.
        """
        self._file.release()
        room = shutil.disk_usage(self._part.parent).free
        again = cv2.VideoCapture(str(self._part.absolute()), cv2.CAP_FFMPEG)
        whole = again.get(cv2.CAP_PROP_FRAME_COUNT) >= 0.9 * self.written - 2
        if not again.isOpened() or not whole or room < 2**16:
            self.discard()
            raise _unwritable(self._path, "the file did not become whole; is the disk full?")
        again.release()
        mask = os.umask(0)
        os.umask(mask)
        try:
            os.chmod(self._part, 0o666 & ~mask)
            os.replace(self._part, self._path)
        except OSError as error:
            self.discard()
            raise _unwritable(self._path, error.strerror or str(error)) from None

    def discard(self) -> None:
        """Leave nothing behind."""
        self._file.release()
        self._part.unlink(missing_ok=True)


def see_that_it_can_be_written(path: Path, source: Path) -> None:
    """Before any work: whether a video may be written to `path`.

    Raises:
        UsageError: by its name or place it cannot, or it is the source.
    """
    if path.suffix.lower() not in WRITES:
        raise UsageError(
            f"No video can be written as {path.name!r}: its name must end in one of "
            f"{', '.join(WRITES)}. Take .mp4 if in doubt."
        )
    if path.exists() and source.exists() and path.samefile(source):
        raise UsageError(f"--out {path} is the video that is read. Name another file.")
    if path.exists() and not path.is_file():
        raise _unwritable(path, "it is there already and no file")
    if not path.parent.is_dir():
        raise _unwritable(path, f"there is no folder {path.parent}")


def shrunk(pixels: np.ndarray, longest_px: int) -> np.ndarray:
    """The frame made smaller by a whole number while its longer side stays above `longest_px`."""
    height, width = pixels.shape[:2]
    times = max(1, max(height, width) // longest_px)
    if times == 1:
        return pixels
    size = max(1, width // times), max(1, height // times)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def _see_that_it_is_a_file(path: Path) -> None:
    if not path.exists():
        raise VideoError(f"There is no file {path}. Check the spelling.")
    if not path.is_file():
        raise VideoError(f"{path} is no file. --video takes one video file.")
    try:
        path.open("rb").close()
    except OSError as error:
        raise VideoError(f"{path} cannot be read: {error.strerror or error}.") from None
    if not path.stat().st_size:
        raise VideoError(f"{path} is empty: it has 0 bytes. Take the whole file.")


def _opened(path: Path) -> "cv2.VideoCapture":
    # Absolute: a name such as "http:..." must not be taken for an address.
    file = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG)
    if not file.isOpened():
        raise VideoError(
            f"{path} is no video that can be read: it is of another kind, cut off or damaged. "
            "Play it to see, or convert it to MP4."
        )
    file.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)  # frames come upright
    return file


def _measured_fps(path: Path) -> float:
    """Frames a second by the times of the first ones, for a file that does not tell."""
    file = _opened(path)
    times = [file.get(cv2.CAP_PROP_POS_MSEC) for _ in range(60) if file.grab()]
    file.release()
    gaps = np.diff(times)
    gap_ms = float(np.median(gaps[gaps > 0])) if (gaps > 0).any() else math.inf
    fps = 1000 / gap_ms
    return round(fps, 2) if 1 <= fps <= FASTEST else USUAL


def _unwritable(path: Path, why: str) -> UsageError:
    return UsageError(f"The video {path} cannot be written: {why}. Name another place with --out.")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what OpenCV prints on standard error past every setting."""
    cv2.setLogLevel(0)
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
