"""Video files: what is read of them, what is written, and their faults in sentences."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.errors import UsageError, VideoError
from models.video_formats import WRITES
from models.videos import Sink, Source, see_that_it_can_be_written, shrunk
from tests.pictures import gradient, saved


def made(path: Path, frames: int = 12, fps: float = 25, size: tuple[int, int] = (64, 48)) -> Path:
    """A video that grows brighter from frame to frame."""
    sink = Sink(path, fps, *size)
    for number in range(frames):
        sink.write(np.full((size[1], size[0], 3), 40 + 10 * number, np.uint8), number / fps)
    sink.finish()
    return path


def _turned(path: Path) -> None:
    """Note in an MP4's track header that it is to be shown turned by 90 degrees clockwise."""
    data = path.read_bytes()
    straight = b"".join(n.to_bytes(4, "big") for n in (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30))
    turned = b"".join(
        n.to_bytes(4, "big", signed=True) for n in (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
    )
    track = data.index(straight, data.index(b"tkhd"))
    path.write_bytes(data[:track] + turned + data[track + len(turned) :])


@pytest.mark.parametrize("suffix", WRITES)
def test_what_is_written_can_be_read_again(tmp_path: Path, suffix: str) -> None:
    source = Source(made(tmp_path / f"a{suffix}"))
    frames = list(source)
    assert (source.width, source.height, source.fps) == (64, 48, 25)
    assert [frame.number for frame in frames] == list(range(12))
    assert [frame.time_s for frame in frames] == pytest.approx(
        [n / 25 for n in range(12)], abs=2e-3
    )
    brightness = [frame.pixels.mean() for frame in frames]
    assert brightness == pytest.approx([40 + 10 * n for n in range(12)], abs=4)
    assert abs(source.missing_s) < 0.1
    assert os.listdir(tmp_path) == [f"a{suffix}"]


@pytest.mark.parametrize("fps", [12.5, 23.976, 29.97, 59.94, 120])
def test_the_frame_rate_is_kept(tmp_path: Path, fps: float) -> None:
    source = Source(made(tmp_path / "a.mp4", 30, fps))
    assert source.fps == pytest.approx(fps)
    assert len(list(source)) == 30


@pytest.mark.parametrize("size", [(65, 49), (1, 1), (33, 16)])
def test_odd_sizes_lose_no_column(tmp_path: Path, size: tuple[int, int]) -> None:
    source = Source(made(tmp_path / "a.mp4", size=size))
    assert (source.width, source.height) == (size[0] + size[0] % 2, size[1] + size[1] % 2)


def test_a_turned_video_is_read_upright(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    sink = Sink(path, 25, 64, 48)
    frame = np.zeros((48, 64, 3), np.uint8)
    frame[:24, :32] = 200  # top left as it is stored: top right once turned clockwise
    for number in range(5):
        sink.write(frame, number / 25)
    sink.finish()
    _turned(path)
    source = Source(path)
    assert (source.width, source.height) == (48, 64)
    pixels = next(iter(source)).pixels
    assert pixels.shape == (64, 48, 3)
    assert pixels[:32, 24:].mean() > 150 > 50 > pixels[:32, :24].mean()
    assert pixels[32:].mean() < 50


def test_an_uneven_source_keeps_its_length(tmp_path: Path) -> None:
    """Frames that stay are written again, and those that come too fast are left out."""
    sink = Sink(tmp_path / "a.mp4", 10, 64, 48)
    for time_s in (0.0, 0.01, 0.1, 0.5, 0.6, 2.0):
        sink.write(np.full((48, 64, 3), round(100 * time_s), np.uint8), time_s)
    sink.finish()
    shown = [frame.pixels.mean() for frame in Source(tmp_path / "a.mp4")]
    assert len(shown) == sink.written == 21
    assert shown[0] == pytest.approx(0, abs=3) and shown[-1] == pytest.approx(200, abs=3)
    assert shown[6] == pytest.approx(60, abs=5) and shown[5] == pytest.approx(50, abs=5)


def test_nothing_stands_in_its_place_before_it_is_whole(tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    out.write_bytes(b"older")
    sink = Sink(out, 25, 64, 48)
    sink.write(np.zeros((48, 64, 3), np.uint8), 0)
    assert out.read_bytes() == b"older"
    sink.discard()
    assert out.read_bytes() == b"older" and os.listdir(tmp_path) == ["out.mp4"]
    made(out)
    assert len(list(Source(out))) == 12 and os.listdir(tmp_path) == ["out.mp4"]
    assert out.stat().st_mode & 0o777 == 0o666 & ~_mask()


def _mask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_file_that_did_not_become_whole_is_told(tmp_path: Path) -> None:
    sink = Sink(tmp_path / "out.mp4", 25, 64, 48)
    for number in range(50):
        sink.write(np.zeros((48, 64, 3), np.uint8), number / 25)
    sink._file.release()
    sink._part.write_bytes(sink._part.read_bytes()[:-300])
    with pytest.raises(UsageError, match=r"did not become whole; is the disk full\?"):
        sink.finish()
    assert os.listdir(tmp_path) == []


def test_what_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    whole = made(tmp_path / "whole.mp4").read_bytes()
    for name, data, sentence in (
        ("text.mp4", b"not a video\n" * 50, "is no video that can be read"),
        ("empty.mp4", b"", "is empty: it has 0 bytes"),
        ("cut.mp4", whole[: len(whole) // 2], "cut off or damaged"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(VideoError, match=sentence):
            Source(tmp_path / name)
    with pytest.raises(VideoError, match="There is no file"):
        Source(tmp_path / "none.mp4")
    with pytest.raises(VideoError, match="is no file"):
        Source(tmp_path)


def test_no_frame_at_all_is_a_sentence(tmp_path: Path) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "a.avi"), cv2.VideoWriter.fourcc(*"mp4v"), 25, (64, 48))
    writer.release()
    with pytest.raises(VideoError, match=r"no frame that can be decoded|no video that can be read"):
        Source(tmp_path / "a.avi")


def test_frames_that_are_too_large_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    path = made(tmp_path / "a.mp4")
    with pytest.raises(VideoError, match=r"too large: 64 x 48 pixels; the limit is 0\.002"):
        Source(path, 2000)


def test_a_cut_off_file_says_how_much_is_missing(tmp_path: Path) -> None:
    path = made(tmp_path / "a.avi", 100)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    source = Source(path)
    assert 0 < len(list(source)) < 60
    assert source.missing_s > 1.5


def test_a_picture_is_a_video_of_one_frame(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(saved(gradient(), "JPEG"))
    assert len(list(Source(tmp_path / "a.jpg"))) == 1


def test_a_name_like_an_address_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path / "a.mp4").rename(tmp_path / "concat:b%03d.mp4")
    monkeypatch.chdir(tmp_path)
    assert len(list(Source(Path("concat:b%03d.mp4")))) == 12


def test_where_it_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    source = made(tmp_path / "a.mp4")
    (tmp_path / "link.mp4").symlink_to(source)
    (tmp_path / "folder.mp4").mkdir()
    for out, sentence in (
        (tmp_path / "out", "must end in one of .mp4"),
        (tmp_path / "out.gif", "Take .mp4 if in doubt"),
        (source, "is the video that is read"),
        (tmp_path / "link.mp4", "is the video that is read"),
        (tmp_path / "folder.mp4", "there already and no file"),
        (tmp_path / "none" / "out.mp4", "there is no folder"),
    ):
        with pytest.raises(UsageError, match=sentence):
            see_that_it_can_be_written(out, source)
    see_that_it_can_be_written(tmp_path / "OUT.MP4", source)


@pytest.mark.parametrize(
    ("size", "becomes"), [((640, 480), (640, 480)), ((1919, 1080), (1919, 1080)),
                          ((1920, 1080), (960, 540)), ((2160, 3840), (540, 960))]
)  # fmt: skip
def test_large_frames_are_shrunk_by_whole_numbers(
    size: tuple[int, int], becomes: tuple[int, int]
) -> None:
    small = shrunk(np.full((size[1], size[0], 3), 77, np.uint8), 960)
    assert (small.shape[1], small.shape[0]) == becomes and (small == 77).all()
    assert small.flags.c_contiguous
