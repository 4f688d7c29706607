"""Large photographs are decoded small: the same faces and answers, a fraction of the memory."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from models import bundle, images
from models.face_spec import FaceSpec
from models.looking import Looker
from models.predictor import Prediction, Predictor
from tests.conftest import PROJECT
from tests.pictures import gradient, saved


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(bundle.load(PROJECT / "params" / "emotion"))


def photograph(face: bytes, width: int, turned: int = 1) -> bytes:
    """12 megapixels with a face about `width` pixels wide, stored as a camera held so does."""
    scene = Image.new("RGB", (4000, 3000), (120, 130, 140))
    side = round(width * 512 / 100)
    scene.paste(Image.open(io.BytesIO(face)).resize((side, side), Image.Resampling.BICUBIC), (0, 0))
    exif = Image.Exif()
    exif[0x0112] = turned
    if turned == 6:
        scene = scene.transpose(Image.Transpose.ROTATE_90)
    return saved(scene, "JPEG", quality=90, exif=exif)


@pytest.mark.parametrize(("enough", "scale"), [(4000, 1), (2001, 1), (2000, 2), (700, 4), (9, 8)])
def test_a_jpeg_is_decoded_no_larger_than_it_takes(enough: int, scale: int) -> None:
    data = saved(Image.fromarray(gradient(400, 301)).resize((4000, 3010)), "JPEG", quality=95)
    picture = images.decode_enough(data, enough)
    assert (picture.width, picture.height, picture.scale) == (4000, 3010, scale)
    assert picture.pixels.shape == (-(-3010 // scale), 4000 // scale, 3)
    whole = images.decode(data)
    centres = whole[scale // 2 :: scale, scale // 2 :: scale]
    rows = min(len(centres), len(picture.pixels))
    assert np.abs(picture.pixels[:rows].astype(int) - centres[:rows]).mean() < 2


@pytest.mark.parametrize("form", ["PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_other_formats_are_decoded_as_they_are(form: str) -> None:
    data = saved(Image.fromarray(gradient(400, 300)), form)
    picture = images.decode_enough(data, 50)
    assert (picture.scale, picture.pixels.shape) == (1, (300, 400, 3))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_cmyk_jpegs_come_reduced_as_rgb(mode: str) -> None:
    data = saved(Image.fromarray(gradient(400, 300)).convert(mode), "JPEG")
    picture = images.decode_enough(data, 100)
    assert (picture.scale, picture.pixels.shape) == (4, (75, 100, 3))
    assert abs(int(picture.pixels.mean()) - int(images.decode(data).mean())) <= 1


@pytest.mark.parametrize("width", [120, 160, 250, 500])
@pytest.mark.parametrize("turned", [1, 6])
def test_a_large_photograph_has_the_faces_and_answers_of_the_full_size(
    predictor: Predictor, face_jpeg: bytes, width: int, turned: int
) -> None:
    data = photograph(face_jpeg, width, turned)
    small, full = (
        _one(predictor.classify([source], "all")[0]) for source in (data, images.decode(data))
    )
    assert (small.width, small.height) == (full.width, full.height)
    assert len(small.faces) == len(full.faces) == 1
    assert np.allclose(small.faces[0].box, full.faces[0].box, atol=0.02 * small.faces[0].box[2] + 7)
    assert small.faces[0].box[2] == pytest.approx(width, rel=0.35), "in pixels of the full picture"
    assert np.abs(small.face_probabilities - full.face_probabilities).max() < 0.05
    assert small.face_probabilities.argmax() == full.face_probabilities.argmax()


def test_where_the_answer_was_seen_is_told_in_full_size(
    predictor: Predictor, face_jpeg: bytes
) -> None:
    data = photograph(face_jpeg, 500)
    small, full = (
        _one(predictor.classify([source], explain=True)[0])
        for source in (data, images.decode(data))
    )
    ours, theirs = small.explanations[0].corners, full.explanations[0].corners
    assert np.allclose(ours, theirs, atol=12)
    x, y, width, height = small.faces[0].box
    centre = np.asarray(ours).mean(axis=0)
    assert x < centre[0] < x + width and y < centre[1] < y + height


def test_a_whole_picture_is_told_in_full_size_too(predictor: Predictor, face_jpeg: bytes) -> None:
    seen = _one(predictor.classify([photograph(face_jpeg, 500)], "whole")[0])
    assert seen.faces[0].box == (0, 0, 4000, 3000)


def test_a_long_whole_picture_is_decoded_fine_enough_for_its_middle() -> None:
    """Its shorter side counts: at a tenth of its size nothing would be left of it."""
    stripes = np.zeros((400, 4000, 3), np.uint8)
    stripes[:, ::8] = stripes[:, 1::8] = stripes[:, 2::8] = stripes[:, 3::8] = 255
    out = io.BytesIO()
    Image.fromarray(stripes).save(out, "JPEG", quality=95)
    seen = Looker(FaceSpec(wanted=False), 224, 50_000_000).look(out.getvalue(), "auto")
    assert (seen.width, seen.height) == (4000, 400)
    assert seen.crops[0].std() > 80, "the stripes are still there"


MEMORY = """
import resource, sys
from models import bundle, images
from models.face_spec import FaceSpec
from models.looking import Looker
from models.predictor import Predictor
predictor = Predictor(bundle.load("params/emotion"))
small, large = (open(path, "rb").read() for path in sys.argv[1:])
predictor.classify([small])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
(seen,) = predictor.classify([large])
assert seen.faces and seen.width == 4000
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_twelve_megapixels_cost_at_most_80_mb(
    face_jpeg: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("photographs")
    for name, data in (("small.jpg", face_jpeg), ("large.jpg", photograph(face_jpeg, 500))):
        (folder / name).write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(folder / "small.jpg"), str(folder / "large.jpg")],
        cwd=PROJECT, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert float(done.stdout.split()[-1]) <= 80


def _one(outcome: object) -> Prediction:
    assert isinstance(outcome, Prediction)
    return outcome
