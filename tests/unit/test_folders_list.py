"""The list of a run over folders: every image once, as a stream, and never of another run."""

import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from models import images
from models.errors import UsageError
from service.folders import run, walk
from service.folders.run import Part, Run
from tests.amount import amount
from tests.disks import nearly_full

ASKED = Run(
    paths=["/photos"],
    model="emotion",
    version="1",
    bundle="0" * 64,
    labels=["yes", "no"],
    faces="auto",
    top=None,
    max_pixels=40_000_000,
    part_size=3,
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Images in folders, and what is none: hidden, a text, a folder with an image's name."""
    root = tmp_path / "photos"
    for name in ("a.jpg", "b/c.PNG", "b/d/e.tiff", ".hidden.jpg", "b/.thumbs/x.jpg", "b/note.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    (root / "folder.jpg").mkdir()
    (root / "link.jpg").symlink_to(root / "a.jpg")
    (root / "loop").symlink_to(root)
    (root / "dangling.jpg").symlink_to(root / "nothing")
    return root


def test_it_lists_what_a_plain_run_finds(tree: Path) -> None:
    found = sorted(os.fsdecode(path) for path in walk.images_below([tree]))
    assert found == [str(path) for path in images.find(tree)]
    assert len(found) == 4


def test_a_file_gives_itself_and_what_is_not_there_is_told(tree: Path) -> None:
    (only,) = walk.images_below([tree / "b" / "note.txt"])
    assert only == os.fsencode(tree / "b" / "note.txt")
    with pytest.raises(UsageError, match="Check the spelling"):
        list(walk.images_below([tree / "nowhere"]))


def test_a_folder_that_goes_away_is_no_silent_hole(tree: Path) -> None:
    listing = walk.images_below([tree / "b" / "d", tree / "gone"])
    (tree / "gone").mkdir()
    next(listing)
    (tree / "gone").rmdir()
    with pytest.raises(UsageError, match="gone"):
        next(listing)


@pytest.mark.parametrize(
    ("named", "sentence"),
    [((".", "b"), "lies inside"), (("b", "b"), "twice"), (("b/d/e.tiff", "b"), "lies inside")],
)
def test_no_image_comes_twice(tree: Path, named: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        walk.apart([tree / name for name in named])
    assert walk.apart([tree / "b" / "d", tree / "a.jpg"]) == [tree / "a.jpg", tree / "b" / "d"]


def test_a_long_list_takes_no_memory(tmp_path: Path) -> None:
    count = amount(3000, 300_000)
    for number in range(count):
        os.close(os.open(tmp_path / f"{number:07}.jpg", os.O_CREAT))
    out = tmp_path / "_out"
    out.mkdir()
    tracemalloc.start()
    whole = run.begin(out, ASKED, walk.images_below([tmp_path]))
    parts = sum(1 for _ in run.parts_of(out, whole))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert whole.images == count and parts == whole.parts == count // 3
    assert peak < 3_000_000, f"{peak / 1e6:.1f} MB"


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 9, 300])
@pytest.mark.parametrize("chunk", [5, 64, 1 << 20])
def test_parts_cover_the_list_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, chunk: int
) -> None:
    monkeypatch.setattr(run, "_CHUNK_BYTES", chunk)
    names = [f"/photos/{n}\n é".encode() + b"\xff.jpg" for n in range(count)]
    whole = run.begin(tmp_path, ASKED, iter(names))
    parts = list(run.parts_of(tmp_path, whole))
    told = [run.paths_of(tmp_path, part) for part in parts]
    assert [path for paths in told for path in paths] == names
    assert [len(paths) for paths in told] == [whole.size_of(part.number) for part in parts]
    assert [part.number for part in parts] == list(range(whole.parts))


def test_nothing_counts_before_the_list_is_whole(tmp_path: Path) -> None:
    def cut() -> "list[bytes]":
        raise KeyboardInterrupt

    def some() -> "object":
        yield b"/photos/a.jpg"
        yield from cut()

    with pytest.raises(KeyboardInterrupt):
        run.begin(tmp_path, ASKED, some())  # type: ignore[arg-type]
    assert run.begun(tmp_path) is None
    with run.holding(tmp_path):
        assert sorted(os.listdir(tmp_path)) == ["_lock"], "what was left is swept"
    with pytest.raises(UsageError, match="no image files in /photos"):
        run.begin(tmp_path, ASKED, iter(()))


def test_a_full_disk_is_a_sentence_and_keeps_nothing(tmp_path: Path) -> None:
    names = (b"/photos/%060d.jpg" % number for number in range(5000))
    with nearly_full(100_000), pytest.raises(UsageError, match=r"cannot be written: .*Make room"):
        run.begin(tmp_path, ASKED, names)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("paths", ["/others"], "the folders was /photos and is now /others"),
        ("model", "smile", "the model was emotion and is now smile"),
        ("bundle", "1" * 64, "the model's files"),
        ("faces", "whole", "--faces was auto and is now whole"),
        ("top", 1, "--top was None and is now 1"),
        ("part_size", 4, "--part-size was 3 and is now 4"),
        ("max_pixels", 1, "HYOJO_MAX_PIXELS"),
    ],
)
def test_another_question_is_refused(tmp_path: Path, name: str, value: object, word: str) -> None:
    whole = run.begin(tmp_path, ASKED, iter([b"/photos/a.jpg"]))
    there = run.begun(tmp_path)
    assert there == whole
    run.see_that_it_is_the_same(tmp_path, whole, ASKED)
    with pytest.raises(UsageError, match=word):
        run.see_that_it_is_the_same(
            tmp_path, whole, msgspec.structs.replace(ASKED, **{name: value})
        )


def test_only_one_writes_to_a_folder_and_only_to_its_own(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    with run.holding(out):
        with pytest.raises(UsageError, match="Another infer"), run.holding(out):
            pass
    (out / "thesis.txt").write_text("")
    with pytest.raises(UsageError, match=r"other files \(thesis.txt\)"), run.holding(out):
        pass
    with pytest.raises(UsageError, match="cannot be written"), run.holding(Path("/proc/none")):
        pass


def _cut(out: Path) -> None:
    (out / run.LIST).write_bytes((out / run.LIST).read_bytes()[:-14])


def _gone(out: Path) -> None:
    (out / run.LIST).unlink()


@pytest.mark.parametrize("harm", [_cut, _gone])
def test_a_list_that_was_harmed_is_told(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    whole = run.begin(tmp_path, ASKED, (b"/photos/%d.jpg" % n for n in range(5)))
    harm(tmp_path)
    with pytest.raises(UsageError, match="_list"):
        list(run.parts_of(tmp_path, whole))


def test_a_manifest_that_was_harmed_is_told(tmp_path: Path) -> None:
    run.begin(tmp_path, ASKED, iter([b"/photos/a.jpg"]))
    (tmp_path / run.MANIFEST).write_text('{"paths":')
    with pytest.raises(UsageError, match="damaged"):
        run.begun(tmp_path)
    (tmp_path / run.MANIFEST).unlink()
    (tmp_path / "part-000000.parquet").write_bytes(b"")
    with pytest.raises(UsageError, match="whose they are"):
        run.begun(tmp_path)


def test_a_part_is_a_stretch_of_the_list(tmp_path: Path) -> None:
    run.begin(tmp_path, ASKED, iter([b"/a.jpg", b"/bb.jpg"]))
    assert run.paths_of(tmp_path, Part(0, 7, 8)) == [b"/bb.jpg"]
