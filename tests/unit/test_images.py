"""models/images.py: whatever comes in, upright RGB or a sentence."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models import images
from models.errors import ImageError
from tests.pictures import bomb, gradient, png_of, saved


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_deflate"}),
        ("WEBP", {"lossless": True}),
    ],
)
def test_a_lossless_file_gives_back_its_pixels(form: str, options: dict[str, object]) -> None:
    pixels = gradient()
    decoded = images.decode(saved(pixels, form, **options))
    assert decoded.dtype == np.uint8 and decoded.flags.c_contiguous
    assert np.array_equal(decoded, pixels)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 2}])
def test_a_jpeg_is_close_to_what_was_saved(options: dict[str, object]) -> None:
    decoded = images.decode(saved(gradient(), "JPEG", quality=95, **options))
    assert np.abs(decoded.astype(int) - gradient()).mean() < 4


def test_grey_becomes_three_equal_channels() -> None:
    grey = gradient()[..., 0]
    decoded = images.decode(saved(grey, "PNG"))
    assert all(np.array_equal(decoded[..., channel], grey) for channel in range(3))


def test_a_palette_gives_its_colours_and_not_its_indices() -> None:
    # As 23 of JAFFE's TIFF files: grey values behind shuffled palette indices.
    grey = gradient()[..., 0]
    palette = Image.fromarray(255 - grey).convert("P")
    palette.putdata((255 - grey).flatten().tolist())
    palette.putpalette([value for i in range(256) for value in (255 - i,) * 3])
    decoded = images.decode(saved(palette, "TIFF"))
    assert np.array_equal(decoded, np.repeat(grey[..., None], 3, axis=2))


def test_cmyk_keeps_its_colours() -> None:
    red = Image.new("RGB", (32, 32), (200, 30, 30)).convert("CMYK")
    decoded = images.decode(saved(red, "JPEG", quality=95))
    assert decoded.shape == (32, 32, 3)
    assert np.abs(decoded.mean(axis=(0, 1)) - [200, 30, 30]).max() < 12


def test_sixteen_bits_are_scaled_to_eight() -> None:
    deep = np.linspace(0, 65535, 64, dtype=np.uint16)[None, :].repeat(8, axis=0)
    decoded = images.decode(saved(Image.fromarray(deep), "PNG"))
    assert np.abs(decoded[..., 0].astype(int) - (deep // 257)).max() <= 1
    assert np.array_equal(decoded[..., 0], decoded[..., 2])


@pytest.mark.parametrize(("peak", "shown"), [(1.0, 255), (255.0, 255), (65535.0, 255)])
def test_float_tiffs_are_scaled_by_their_range(peak: float, shown: int) -> None:
    values = np.linspace(0, peak, 64, dtype=np.float32)[None, :].repeat(8, axis=0)
    decoded = images.decode(saved(Image.fromarray(values), "TIFF"))
    assert decoded[0, 0, 0] == 0 and decoded[0, -1, 0] == shown


def test_transparency_lies_over_white() -> None:
    clear = Image.new("RGBA", (10, 10), (0, 0, 0, 0))
    clear.paste((10, 20, 30, 255), (0, 0, 5, 10))
    decoded = images.decode(saved(clear, "PNG"))
    assert decoded[0, 0].tolist() == [10, 20, 30] and decoded[0, 9].tolist() == [255, 255, 255]


def test_a_palette_with_a_transparent_colour_lies_over_white() -> None:
    picture = Image.new("P", (4, 4), 0)
    picture.putpalette([0, 0, 0, 9, 9, 9])
    decoded = images.decode(saved(picture, "PNG", transparency=0))
    assert decoded.min() == 255


def test_of_an_animation_the_first_frame_is_taken() -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "lime", "blue")]
    for form in ("GIF", "PNG", "WEBP"):
        data = saved(frames[0], form, save_all=True, append_images=frames[1:], lossless=True)
        assert images.decode(data)[0, 0].tolist() == [255, 0, 0], form


def test_of_a_file_with_pages_the_first_is_taken() -> None:
    pages = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    data = saved(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    assert images.decode(data)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_camera_held_any_way_gives_an_upright_picture(orientation: int) -> None:
    upright = Image.fromarray(gradient(64, 48))
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = upright if undo is None else upright.transpose(undo)
    decoded = images.decode(saved(stored, "PNG", exif=exif))
    assert np.array_equal(decoded, np.asarray(upright))


def test_damaged_exif_does_not_spoil_the_picture() -> None:
    data = saved(gradient(), "JPEG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff garbage")
    assert images.decode(data).shape == (48, 64, 3)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_image"),
        (b"not an image at all", "unsupported_image"),
        (b"\x00" * 4096, "unsupported_image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unsupported_image"),
        (b"%PDF-1.7 ...", "unsupported_image"),
        (b"PK\x03\x04" + b"\x00" * 100, "unsupported_image"),
        (saved(gradient(), "PPM"), "unsupported_image"),  # Pillow could; it is not on the list
        (saved(gradient(), "ICO"), "unsupported_image"),
        (saved(gradient(), "EPS"), "unsupported_image"),  # would start Ghostscript
        (saved(gradient(), "JPEG")[:400], "image_broken"),
        (saved(gradient(), "PNG")[:-40], "image_broken"),
        (saved(gradient(), "WEBP")[:60], "image_broken"),
        (png_of(0, 0), "image_broken"),
        (png_of(100, 100), "image_broken"),
        (png_of(2**31 - 1, 2**31 - 1), "image_too_large"),
        (png_of(12_000, 12_000), "image_too_large"),
    ],
)
def test_what_cannot_be_read_is_told_by_a_code_and_a_sentence(data: bytes, code: str) -> None:
    with pytest.raises(ImageError) as caught:
        images.decode(data)
    assert caught.value.code == code
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_a_bomb_is_refused_by_its_header_alone() -> None:
    import resource

    data = bomb()
    assert len(data) < 200_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ImageError) as caught:
        images.decode(data)
    assert caught.value.code == "image_too_large" and "12000 x 12000" in str(caught.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000, "KiB"


def test_the_limit_on_pixels_is_the_callers() -> None:
    data = saved(gradient(), "PNG")
    assert images.decode(data, max_pixels=64 * 48).shape == (48, 64, 3)
    with pytest.raises(ImageError, match="64 x 48"):
        images.decode(data, max_pixels=64 * 48 - 1)


def test_every_truncation_is_an_error_or_a_picture_and_nothing_else() -> None:
    for form in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF"):
        data = saved(gradient(24, 16), form)
        for length in range(0, len(data), 7):
            try:
                assert images.decode(data[:length]).shape == (16, 24, 3)
            except ImageError as error:
                assert error.code in ("empty_image", "unsupported_image", "image_broken")


def test_flipped_bytes_are_an_error_or_a_picture_and_nothing_else() -> None:
    random = np.random.default_rng(0)
    for form in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF"):
        whole = saved(gradient(24, 16), form)
        for _ in range(150):
            data = bytearray(whole)
            for position in random.integers(0, len(data), 3):
                data[position] = random.integers(0, 256)
            try:
                assert images.decode(bytes(data), max_pixels=1_000_000).ndim == 3
            except ImageError:
                pass


def test_find_takes_image_files_in_order_and_leaves_hidden_ones(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.jpg", "sub/c.tiff", ".hidden.jpg", "._a.jpg", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = [path.relative_to(tmp_path).as_posix() for path in images.find(tmp_path)]
    assert found == ["a.jpg", "b.PNG", "sub/c.tiff"]
    assert images.find(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]


def test_read_says_when_a_file_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot be read"):
        images.read(tmp_path / "none.jpg")
    file = tmp_path / "one.png"
    file.write_bytes(saved(gradient(), "PNG"))
    assert np.array_equal(images.read(file), gradient())


def test_a_multi_picture_jpeg_of_a_phone_is_read() -> None:
    data = saved(
        Image.fromarray(gradient()), "MPO", save_all=True, append_images=[Image.new("RGB", (9, 9))]
    )
    assert Image.open(io.BytesIO(data)).format == "MPO"
    assert images.decode(data).shape == (48, 64, 3)
