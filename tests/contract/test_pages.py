"""The page's files: found, typed, revalidated, and safe in a browser."""

import pytest

from tests.conftest import PROJECT
from tests.contract.conftest import Api, assert_problem


def test_the_page_is_at_the_root(api: Api) -> None:
    answer = api("GET", "/")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.content == (PROJECT / "web" / "index.html").read_bytes()


def test_every_file_of_the_page_is_served_with_its_type(api: Api) -> None:
    kinds = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
    files = [path for path in (PROJECT / "web").rglob("*") if path.suffix in kinds]
    assert files
    for path in files:
        answer = api("GET", f"/{path.relative_to(PROJECT / 'web').as_posix()}")
        assert answer.headers["Content-Type"] == kinds[path.suffix]
        assert answer.content == path.read_bytes()


@pytest.mark.parametrize("path", ["/", "/docs", "/docs.css", "/openapi.json"])
def test_a_browser_asks_again_and_gets_304(api: Api, path: str) -> None:
    first = api("GET", path)
    assert first.headers["Cache-Control"] == "no-cache"
    again = api("GET", path, headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304 and again.content == b""


@pytest.mark.parametrize("path", ["/", "/docs", "/livez", "/nothing"])
def test_every_answer_has_the_security_headers(api: Api, path: str) -> None:
    headers = api("GET", path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
    assert "img-src 'self' blob: data:" in policy and "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "camera=(self)" in headers["Permissions-Policy"]


def test_answers_about_images_are_not_kept(api: Api, face_jpeg: bytes) -> None:
    assert api.form(face_jpeg).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "path", ["/index.htm", "/../README.md", "/..%2fREADME.md", "/.git/config", "/js"]
)
def test_nothing_else_has_an_address(api: Api, path: str) -> None:
    assert_problem(api("GET", path), 404, "not_found")
