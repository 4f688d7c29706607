"""models/headers.py: formats and sizes by content, and what is refused before a decoder sees it."""

import time

import pytest

from models import headers, images
from models.errors import ImageError
from tests.malformed.costly import COSTLY
from tests.malformed.foreign import FOREIGN
from tests.malformed.whole import SIZE, whole

LARGER = {"JPEG larger than looked at": (2400, 1120)}
TURNED = ("EXIF 5", "EXIF 6", "EXIF 7", "EXIF 8")


@pytest.mark.parametrize("name", whole())
def test_the_header_of_a_whole_file_is_read(name: str) -> None:
    header = headers.read(whole()[name])
    form = "WEBP" if name.startswith("WebP") else name.split()[0].strip(",")
    assert header == headers.Header(form, *LARGER.get(name, SIZE))


@pytest.mark.parametrize("name", whole())
def test_a_whole_file_is_decoded_and_upright(name: str) -> None:
    if name == "JPEG, lossless process":  # no decoder here knows it
        with pytest.raises(ImageError, match="damaged"):
            images.decode(whole()[name])
        return
    width, height = LARGER.get(name, SIZE)
    picture = images.decode_enough(whole()[name], None)
    if name.endswith(TURNED):
        width, height = height, width
    assert picture.pixels.shape == (height, width, 3)
    assert (picture.width, picture.height) == (width, height)


QUICK = [name for name, item in COSTLY.items() if not item.slow]


@pytest.mark.parametrize("name", QUICK)
def test_a_file_that_would_cost_too_much_is_refused_at_once(name: str) -> None:
    data, code = COSTLY[name].make(), COSTLY[name].code
    began = time.process_time()
    try:
        images.decode_enough(data, 1000)
        told = ""
    except ImageError as error:
        told = error.code
        assert str(error).endswith("again.") or str(error).endswith("editor.")
    assert told == code
    # The least of what they took before they were counted was two seconds.
    assert time.process_time() - began < 1.5


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_no_image_is_said_to_be_none(name: str) -> None:
    data = FOREIGN[name]()
    header = headers.read(data)
    try:
        images.decode(data)
    except ImageError as error:
        expected = ("image_broken",) if header or data[:4] == b"\x89PNG" else ("unsupported_image",)
        assert error.code in expected
    else:
        assert header is not None


def test_a_progressive_photograph_with_a_film_behind_it_is_read() -> None:
    data = FOREIGN["JPEG and a video"]()
    assert data.count(b"\xff\xda") > 1000 * headers.MAX_SCANS
    assert images.decode(data).shape == (SIZE[1], SIZE[0], 3)


def test_reading_a_header_costs_little(face_jpeg: bytes) -> None:
    began = time.process_time()
    for _ in range(200):
        headers.read(face_jpeg)
    reading = time.process_time() - began
    began = time.process_time()
    for _ in range(20):
        images.decode(face_jpeg)
    assert reading / 200 < 0.2 * (time.process_time() - began) / 20
