"""Forms: every image comes out as it went in, and what is no form is an error that says so."""

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from service.errors import ApiError
from service.forms import images_of_form

BOUNDARY = "b"


def form(*images: bytes, **fields: str) -> tuple[bytes, str]:
    """A form as an HTTP client builds it, and its boundary."""
    made = requests.Request(
        "POST", "http://x", files=[("image", ("a.jpg", image)) for image in images], data=fields
    ).prepare()
    assert isinstance(made.body, bytes)
    return made.body, made.headers["Content-Type"].partition("boundary=")[2]


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=200),
            st.lists(st.sampled_from([b"\r", b"\n", b"--", b"b", b"\r\n--b", b"x"])).map(b"".join),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_images_come_out_as_they_went_in(images: list[bytes]) -> None:
    assert images_of_form(*form(*images)) == images


def test_what_stands_before_and_after_the_parts_is_passed_over() -> None:
    body, boundary = form(b"one", b"")
    assert images_of_form(b"hello\r\n" + body + b"\r\ngoodbye", boundary) == [b"one", b""]


def test_a_name_may_be_in_any_language_and_a_file_without_one_is_a_file() -> None:
    head = '--b\r\nContent-Disposition: form-data; name="image"; filename="%s"\r\n\r\nx\r\n--b--'
    for name in ("笑顔.jpg", "", "a" * 5000):
        assert images_of_form((head % name).encode(), BOUNDARY) == [b"x"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"--b\r\nContent-Disposition: form-data; name=x; filename=a\r\n\r\nxx", "invalid_form"),
        (b"--b\r\nContent-Disposition: form-data; name=image; filename=a\r\n", "invalid_form"),
        (b"--b\r\n\r\nx\r\n--b--", "invalid_form"),
        (b"no form at all", "invalid_form"),
        (b"--b--", "image_missing"),
        (b"--b\r\nContent-Disposition: form-data; name=image\r\n\r\nxx\r\n--b--", "image_missing"),
        (b"--b\r\nContent-Disposition: form-data; name=top\r\n\r\n3\r\n--b--", "invalid_parameter"),
        (b"--b\r\nX: " + b"y" * 20_000 + b"\r\n\r\nxx\r\n--b--", "body_too_large"),
        (b"--b\r\n" + b"X: y\r\n" * 20 + b"\r\nxx\r\n--b--", "body_too_large"),
        (b"--b\r\nContent-Disposition: form-data; name=\xff\xfe\r\n\r\nx\r\n--b--", "invalid_form"),
    ],
    ids=[
        "breaks off", "breaks off early", "no name", "no form", "empty", "text", "parameter",
        "long header", "many headers", "no UTF-8",
    ],
)  # fmt: skip
def test_other_forms_are_errors(body: bytes, code: str) -> None:
    with pytest.raises(ApiError) as caught:
        images_of_form(body, BOUNDARY)
    assert caught.value.code == code


@pytest.mark.parametrize("boundary", ["", "\n", "other"])
def test_without_its_boundary_it_is_no_form(boundary: str) -> None:
    with pytest.raises(ApiError) as caught:
        images_of_form(form(b"x")[0], boundary)
    assert caught.value.code == "invalid_form"


def test_a_form_has_few_parts_and_little_text() -> None:
    assert images_of_form(*form(b"x", **{f"f{n}": "y" * 1000 for n in range(60)})) == [b"x"]
    for fields in ({f"f{n}": "y" for n in range(64)}, {"f": "y" * 70_000}):
        with pytest.raises(ApiError) as caught:
            images_of_form(*form(b"x", **fields))
        assert caught.value.code == "body_too_large"
