"""Whatever is sent, the answer is documented, and the service is as healthy as before."""

import base64
from collections.abc import Callable, Iterator

import pytest
import requests

from tests.contract.conftest import Api, assert_problem, png, without_times

KIND = "application/octet-stream"


@pytest.fixture(autouse=True)
def as_healthy_as_before(api: Api, face_jpeg: bytes) -> Iterator[None]:
    """The same good image gets the same answer before and after each bad one."""
    before = without_times(api.form(face_jpeg))
    yield
    assert api("GET", "/readyz").status_code == 200
    assert without_times(api.form(face_jpeg)) == before


Send = Callable[[Api, bytes], requests.Response]


def _json(body: object) -> Send:
    return lambda api, face: api("POST", "/classify", json=body)


def _text(body: bytes) -> Send:
    headers = {"Content-Type": "application/json"}
    return lambda api, face: api("POST", "/classify", data=body, headers=headers)


def _typed(kind: str | None) -> Send:
    return lambda api, face: api("POST", "/classify", data=face, headers={"Content-Type": kind})


def _files(name: str) -> Send:
    return lambda api, face: api("POST", "/classify", files={name: ("a.jpg", face)})


def _multipart(body: bytes, boundary: str = "; boundary=b") -> Send:
    headers = {"Content-Type": f"multipart/form-data{boundary}"}
    return lambda api, face: api("POST", "/classify", data=body, headers=headers)


BAD: dict[str, tuple[Send, int, str]] = {
    # The body as a whole.
    "no body at all": (lambda api, face: api("POST", "/classify"), 400, "empty_body"),
    "an empty raw body": (lambda api, face: api.raw(b""), 400, "empty_body"),
    "an empty chunked body": (
        lambda api, face: api(
            "POST", "/classify", data=iter([b""]), headers={"Content-Type": KIND}
        ),
        400,
        "empty_body",
    ),
    "no content type": (_typed(None), 415, "unsupported_content_type"),
    "curl's own content type": (
        _typed("application/x-www-form-urlencoded"),
        415,
        "unsupported_content_type",
    ),
    "text": (_typed("text/plain"), 415, "unsupported_content_type"),
    "a body over the limit": (lambda api, face: api.raw(bytes(33 << 20)), 413, "body_too_large"),
    "a chunked body over the limit": (
        lambda api, face: api(
            "POST",
            "/classify",
            data=(bytes(1 << 20) for _ in range(40)),
            headers={"Content-Type": "application/json"},
        ),
        413,
        "body_too_large",
    ),
    # Forms.
    "a form without the field": (_files("photo"), 400, "image_missing"),
    "a form with text for the image": (
        lambda api, face: api("POST", "/classify", files={"image": (None, "hello")}),
        400,
        "image_missing",
    ),
    "a form that breaks off": (
        _multipart(b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\nxx'),
        400,
        "invalid_form",
    ),
    "a form without boundary": (_multipart(b"--b--", ""), 400, "invalid_form"),
    "an empty form": (_multipart(b"--b--\r\n"), 400, "image_missing"),
    "a form with a huge field": (
        lambda api, face: api("POST", "/classify", files={"image": (None, "x" * 300_000)}),
        413,
        "body_too_large",
    ),
    "a form with a thousand parts": (
        lambda api, face: api("POST", "/classify", files=[("x", (None, "y"))] * 1000),
        413,
        "body_too_large",
    ),
    "a parameter in the form": (
        lambda api, face: api("POST", "/classify", files={"image": face}, data={"top": "3"}),
        422,
        "invalid_parameter",
    ),
    "nine images": (lambda api, face: api.form(*[face] * 9), 422, "too_many_images"),
    # JSON.
    "broken JSON": (_text(b'{"images": ['), 400, "invalid_json"),
    "JSON that is not UTF-8": (_text(b'{"images": ["\xff\xfe"]}'), 400, "invalid_json"),
    "JSON nested without end": (_text(b"[" * 100_000), 422, "invalid_request"),
    "a list in JSON": (_json([]), 422, "invalid_request"),
    "no images in JSON": (_json({}), 422, "invalid_request"),
    "an empty list of images": (_json({"images": []}), 422, "invalid_request"),
    "a number for an image": (_json({"images": [3]}), 422, "invalid_request"),
    "null for an image": (_json({"images": [None]}), 422, "invalid_request"),
    "an unknown field in JSON": (_json({"image": "eA=="}), 422, "invalid_request"),
    "bad base64": (_json({"images": ["*not base64*"]}), 422, "invalid_request"),
    "base64 cut short": (_json({"images": ["eHh4e"]}), 422, "invalid_request"),
    "base64 that is not ASCII": (_json({"images": ["ééé"]}), 422, "invalid_request"),
    "a data URL without base64": (_json({"images": ["data:,hello"]}), 422, "invalid_request"),
    "an empty image in JSON": (_json({"images": [""]}), 400, "empty_image"),
    "nine images in JSON": (_json({"images": ["eA=="] * 9}), 422, "too_many_images"),
    "an address": (_json({"url": "https://example.com/a.jpg"}), 403, "url_input_disabled"),
    "addresses": (_json({"urls": ["https://example.com/a.jpg"]}), 403, "url_input_disabled"),
    # Parameters.
    "an unknown model": (lambda a, f: a.form(f, query="?model=nope"), 404, "model_not_found"),
    "a path for a model": (
        lambda a, f: a.form(f, query="?model=../../etc/passwd"),
        404,
        "model_not_found",
    ),
    "no name for a model": (lambda a, f: a.form(f, query="?model="), 422, "invalid_parameter"),
    "top=0": (lambda a, f: a.form(f, query="?top=0"), 422, "invalid_parameter"),
    "top=-1": (lambda a, f: a.form(f, query="?top=-1"), 422, "invalid_parameter"),
    "top=x": (lambda a, f: a.form(f, query="?top=x"), 422, "invalid_parameter"),
    "top in other digits": (lambda a, f: a.form(f, query="?top=٣"), 422, "invalid_parameter"),
    "top twice": (lambda a, f: a.form(f, query="?top=1&top=2"), 422, "invalid_parameter"),
    "a huge top": (lambda a, f: a.form(f, query="?top=" + "9" * 500), 422, "invalid_parameter"),
    "explain=yes": (lambda a, f: a.form(f, query="?explain=yes"), 422, "invalid_parameter"),
    "explain=True": (lambda a, f: a.form(f, query="?explain=True"), 422, "invalid_parameter"),
    "explain without a value": (
        lambda a, f: a.form(f, query="?explain="),
        422,
        "invalid_parameter",
    ),
    "explain twice": (
        lambda a, f: a.form(f, query="?explain=true&explain=true"),
        422,
        "invalid_parameter",
    ),
    "explain in the form": (
        lambda api, face: api("POST", "/classify", files={"image": face}, data={"explain": "true"}),
        422,
        "invalid_parameter",
    ),
    "explain in JSON": (_json({"images": ["eA=="], "explain": True}), 422, "invalid_request"),
    "faces=foo": (lambda a, f: a.form(f, query="?faces=foo"), 422, "invalid_parameter"),
    "a misspelt parameter": (lambda a, f: a.form(f, query="?modle=x"), 422, "invalid_parameter"),
    # Images.
    "an empty file": (lambda api, face: api.form(b""), 400, "empty_image"),
    "text for an image": (lambda api, face: api.form(b"hello"), 415, "unsupported_image"),
    "an SVG": (
        lambda api, face: api.raw(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
        415,
        "unsupported_image",
    ),
    "a PDF": (lambda api, face: api.raw(b"%PDF-1.7\n" + bytes(999)), 415, "unsupported_image"),
    "a truncated JPEG": (lambda api, face: api.form(face[: len(face) // 2]), 422, "image_broken"),
    "a JPEG's first bytes": (lambda api, face: api.form(face[:20]), 422, "image_broken"),
    "a truncated PNG": (lambda api, face: api.raw(png(900, 900)[:60]), 422, "image_broken"),
    "a 12,000 x 12,000 bomb": (lambda a, f: a.raw(png(12_000, 12_000)), 413, "image_too_large"),
    "a PNG of zero pixels": (lambda api, face: api.raw(png(0, 0)), 422, "image_broken"),
    "an image of too many bytes": (
        lambda api, face: api.raw(face + bytes(13 << 20)),
        413,
        "image_too_large",
    ),
    "a file of too many bytes in a form": (
        lambda api, face: api.form(face + bytes(13 << 20)),
        413,
        "image_too_large",
    ),
    "too many bytes in JSON": (
        _json({"images": [base64.b64encode(bytes(13 << 20)).decode()]}),
        413,
        "image_too_large",
    ),
    # Addresses and methods.
    "an unknown address": (lambda api, face: api("GET", "/nothing"), 404, "not_found"),
    "a slash too many": (lambda api, face: api("GET", "/models/"), 404, "not_found"),
    "a path upwards": (lambda a, f: a("GET", "/%2e%2e/README.md"), 404, "not_found"),
    "a large body to nowhere": (
        lambda api, face: api("POST", "/clasify", data=bytes(2 << 20)),
        404,
        "not_found",
    ),
    "GET of /classify": (lambda api, face: api("GET", "/classify"), 405, "method_not_allowed"),
    "DELETE of /models": (lambda api, face: api("DELETE", "/models"), 405, "method_not_allowed"),
    "PUT of the page": (lambda api, face: api("PUT", "/"), 405, "method_not_allowed"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gets_its_documented_answer(api: Api, face_jpeg: bytes, name: str) -> None:
    send, status, code = BAD[name]
    assert_problem(send(api, face_jpeg), status, code)


def test_misspellings_are_guessed(api: Api, face_jpeg: bytes) -> None:
    assert "'model'" in api.form(face_jpeg, query="?modle=x").json()["detail"]
    assert "/classify" in api("POST", "/clasify").json()["detail"]


def test_a_wrong_form_field_is_named(api: Api, face_jpeg: bytes) -> None:
    detail = api("POST", "/classify", files={"photo": ("a.jpg", face_jpeg)}).json()["detail"]
    assert "'photo'" in detail and "'image'" in detail


def test_405_says_what_is_allowed(api: Api) -> None:
    assert "POST" in api("GET", "/classify").headers["Allow"]


def test_head_and_options_answer_too(api: Api) -> None:
    assert api("HEAD", "/livez").status_code == 200
    assert api("HEAD", "/nothing").status_code == 404
    assert api("HEAD", "/nothing").headers["Content-Type"] == "application/problem+json"
    assert "POST" in api("OPTIONS", "/classify").headers["Allow"]
