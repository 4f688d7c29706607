"""A part's file: every answer in it, whole or not there, and known as this run's."""

import os
import resource
import signal
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest

from models.errors import UsageError
from service.folders import parts
from service.folders.parts import Done
from service.folders.run import Run
from service.protocol import FaceResult, ImageProblem, ImageResult, Size

RUN = Run(
    paths=["/photos"],
    model="mine",
    version="v1",
    bundle="b" * 64,
    labels=["yes", "no way"],
    faces="auto",
    top=None,
    max_pixels=1,
    part_size=3,
    images=4,
)
FACE = FaceResult((1.5, 2.0, 30.0, 40.1), 0.9, "no way", 0.75, {"no way": 0.75, "yes": 0.25})
ANSWERS = [
    (
        b"/photos/a.jpg",
        ImageResult(Size(64, 48), "no way", 0.75, {"no way": 0.75, "yes": 0.25}, [FACE]),
    ),
    (b"/photos/\xff\n.jpg", ImageResult(error=ImageProblem("image_broken", "It is cut."))),
    (b"/photos/hills.png", ImageResult(Size(10, 20))),
]


def test_every_answer_is_a_row(tmp_path: Path) -> None:
    assert parts.write(tmp_path, RUN, 0, ANSWERS) == Done(0, 3, 1)
    table = pq.read_table(tmp_path / "part-000000.parquet")
    assert table.schema.equals(parts.schema(RUN))
    face, broken, hills = table.to_pylist()
    assert face == {
        "path": "/photos/a.jpg",
        "error": None,
        "error_detail": None,
        "width": 64,
        "height": 48,
        "face_count": 1,
        "label": "no way",
        "probability": 0.75,
        "p_yes": 0.25,
        "p_no way": 0.75,
        "faces": [
            {
                "x": 1.5,
                "y": 2.0,
                "width": 30.0,
                "height": 40.1,
                "score": 0.9,
                "label": "no way",
                "probability": 0.75,
                "probabilities": [0.25, 0.75],
            }
        ],
        "model": "mine",
        "version": "v1",
    }
    assert broken["path"] == "/photos/\\xff\n.jpg" and broken["label"] is None
    assert (broken["error"], broken["error_detail"]) == ("image_broken", "It is cut.")
    assert hills["face_count"] == 0 and hills["faces"] == [] and hills["label"] is None
    assert (hills["width"], hills["height"], hills["error"]) == (10, 20, None)


def test_what_is_cut_by_top_is_empty(tmp_path: Path) -> None:
    answer = ImageResult(Size(1, 1), "yes", 0.5, {"yes": 0.5})
    parts.write(tmp_path, RUN, 1, [(b"/a", answer)])
    (row,) = pq.read_table(tmp_path / "part-000001.parquet").to_pylist()
    assert (row["p_yes"], row["p_no way"], row["face_count"]) == (0.5, None, 0)


def test_the_parts_that_are_there_are_known(tmp_path: Path) -> None:
    parts.write(tmp_path, RUN, 0, ANSWERS)
    (tmp_path / "_part-000001.abc.new").write_bytes(b"half")
    assert list(parts.written(tmp_path, RUN)) == [Done(0, 3, 1)]
    parts.write(tmp_path, RUN, 1, ANSWERS[:1])
    parts.write(tmp_path, RUN, 1, ANSWERS[:1])  # by a process that was given it twice
    assert {done.number for done in parts.written(tmp_path, RUN)} == {0, 1}


def test_a_full_disk_leaves_no_half_of_a_part(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            parts.write(tmp_path, RUN, 0, ANSWERS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("other", "number", "answers"),
    [
        (RUN, 1, ANSWERS),  # more rows than the part has images
        (RUN, 7, ANSWERS),  # no such part
        (msgspec.structs.replace(RUN, bundle="c" * 64), 0, ANSWERS),  # another model's
    ],
)
def test_a_file_of_another_run_does_not_count(
    tmp_path: Path, other: Run, number: int, answers: list[tuple[bytes, ImageResult]]
) -> None:
    parts.write(tmp_path, other, number, answers)
    with pytest.raises(UsageError, match="Remove it, and it is made anew"):
        list(parts.written(tmp_path, RUN))


def test_a_damaged_file_does_not_count(tmp_path: Path) -> None:
    parts.write(tmp_path, RUN, 0, ANSWERS)
    file = tmp_path / "part-000000.parquet"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(UsageError, match=r"part-000000.parquet cannot be counted as done"):
        list(parts.written(tmp_path, RUN))
