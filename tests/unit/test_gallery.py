"""Pictures with what was read on them: names that never collide, sizes, faults told."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.errors import UsageError
from service.gallery import LONGEST_PX, SHORTEST_PX, Gallery, drawn
from service.protocol import Explanation, FaceResult, ImageProblem, ImageResult, Size
from tests.pictures import gradient, saved

MOST = 1_000_000
NOTHING = ImageResult(Size(64, 48))


def _grey(width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), 128, np.uint8)


def _read(width: int, height: int) -> ImageResult:
    """One face in the left half whose lower left quarter spoke for its label."""
    corners = ((0.0, 0.0), (width / 2, 0.0), (width / 2, height / 1), (0.0, height / 1))
    told = Explanation("joy", [[0.0, 0.0], [1.0, 0.0]], corners)
    box = (width / 16, height / 8, width / 4, height / 2)
    face = FaceResult(box, 0.9, "joy", 0.75, {"joy": 0.75}, told)
    return ImageResult(Size(width, height), "joy", 0.75, {"joy": 0.75}, [face])


def _sources(folder: Path, *names: str) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(saved(gradient(), "PNG"))
    return paths


def test_pictures_of_the_same_name_or_stem_keep_apart(tmp_path: Path) -> None:
    sources = _sources(tmp_path, "a/x.jpg", "b/x.jpg", "b/x.png", "c/X.JPG")
    gallery = Gallery(tmp_path / "new" / "out", sources, MOST)
    names = [gallery.add(source, NOTHING) for source in sources]
    assert [path.name for path in names if path] == [
        "x.jpg.explain.png", "x.jpg-2.explain.png", "x.png.explain.png", "X.JPG-3.explain.png",
    ]  # fmt: skip
    assert gallery.written == len(list((tmp_path / "new" / "out").iterdir())) == 4


def test_no_picture_that_is_read_is_written_over(tmp_path: Path) -> None:
    """The pictures' own folder is the one to write into; an earlier run's output is in it."""
    sources = _sources(tmp_path, "x.jpg", "x.jpg.explain.png")
    (tmp_path / "x.jpg-2.explain.png").symlink_to(sources[0])
    before = [source.read_bytes() for source in sources]
    gallery = Gallery(tmp_path, sources, MOST)
    written = [gallery.add(source, NOTHING) for source in sources]
    assert [source.read_bytes() for source in sources] == before
    assert len(set(written)) == 2 and not set(written) & set(sources)


def test_a_second_run_replaces_what_the_first_wrote(tmp_path: Path) -> None:
    sources = _sources(tmp_path, "in/x.png")
    for _ in range(2):
        Gallery(tmp_path / "out", sources, MOST).add(sources[0], NOTHING)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["x.png.explain.png"]


def test_a_long_name_and_an_odd_one_are_taken(tmp_path: Path) -> None:
    sources = _sources(tmp_path, "表" * 83 + ".png", "a b%20'\".png")
    gallery = Gallery(tmp_path / "out", sources, MOST)
    assert all(gallery.add(source, NOTHING) for source in sources)


def test_a_picture_that_could_not_be_read_gets_none(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path / "out", [tmp_path / "x"], MOST)
    assert gallery.add(tmp_path / "x", ImageResult(error=ImageProblem("image_broken", "…"))) is None
    assert gallery.written == 0


def test_a_file_in_the_folders_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("not a folder")
    for folder in (tmp_path / "out", tmp_path / "out" / "below"):
        with pytest.raises(UsageError, match=r"cannot be made a folder .*Name another"):
            Gallery(folder, [], MOST)


def test_what_cannot_be_written_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    sources = _sources(tmp_path, "in/x.png")
    (tmp_path / "out" / "x.png.explain.png").mkdir(parents=True)  # a folder where the file goes
    with pytest.raises(UsageError, match=r"x\.png\.explain\.png cannot be written"):
        Gallery(tmp_path / "out", sources, MOST).add(sources[0], NOTHING)
    assert len(list((tmp_path / "out").iterdir())) == 1, "no temporary file is left"


@pytest.mark.parametrize(
    ("width", "height", "longest"),
    [(48, 48, SHORTEST_PX), (800, 600, 800), (3000, 2000, LONGEST_PX), (1, 2000, LONGEST_PX)],
)
def test_the_longer_side_is_bounded_and_the_shape_kept(
    width: int, height: int, longest: int
) -> None:
    shown = drawn(_grey(width, height), _read(width, height))
    assert max(shown.shape[:2]) == longest and shown.dtype == np.uint8
    assert shown.shape[1] / shown.shape[0] == pytest.approx(width / height, abs=0.01)


@pytest.mark.parametrize("side", [100, 600, 2400])
def test_heat_box_and_label_lie_on_the_face_at_any_size(side: int) -> None:
    shown = drawn(_grey(side, side), _read(side, side)).astype(int)
    unit = shown.shape[0] / 16
    spoke = shown[round(12 * unit), round(2 * unit)]
    assert spoke[0] > spoke[2] + 60, "the lower left of the square is warm"
    assert (shown[:, round(9 * unit) :] == 128).all(), "outside the square nothing is drawn"
    frame = shown[round(6 * unit), round(unit) - 3 : round(unit) + 8].min(axis=1)
    assert frame.max() > 240, "the box's left side"
    tag = shown[: round(2 * unit), round(unit) : round(8 * unit)]
    assert (tag.max(axis=2) < 40).any() and (tag.min(axis=2) > 240).any(), "words on a dark ground"


def test_without_a_face_it_says_so(tmp_path: Path) -> None:
    (source,) = _sources(tmp_path, "x.png")
    path = Gallery(tmp_path / "out", [source], MOST).add(source, NOTHING)
    assert path is not None
    shown = np.asarray(Image.open(path)).astype(int)
    plain = drawn(gradient(), ImageResult(Size(64, 48), "hills", 0.5)).astype(int)
    assert shown.shape == plain.shape == (360, 480, 3)
    assert (shown[:16] < 40).all(axis=2).any() and (shown[60:] == plain[60:]).all()
