"""Pictures good and bad, and a client that speaks to the shared service."""

import io
import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from PIL import Image

from tests.conftest import PROJECT


@dataclass
class Api:
    """One service over HTTP."""

    url: str
    session: requests.Session

    def __call__(self, method: str, path: str, **what: Any) -> requests.Response:
        """One request; never waits longer than a test may."""
        return self.session.request(method, self.url + path, timeout=30, **what)

    def form(self, *images: bytes, query: str = "") -> requests.Response:
        """Images as a form."""
        files = [("image", (f"{n}.jpg", image, "image/jpeg")) for n, image in enumerate(images)]
        return self("POST", f"/classify{query}", files=files)

    def raw(
        self, image: bytes, kind: str = "application/octet-stream", query: str = ""
    ) -> requests.Response:
        """One image as the body."""
        return self("POST", f"/classify{query}", data=image, headers={"Content-Type": kind})


@pytest.fixture(scope="session")
def api(service_url: str) -> Iterator[Api]:
    """The shared service."""
    with requests.Session() as session:
        yield Api(service_url, session)


def assert_problem(answer: requests.Response, status: int, code: str) -> dict[str, Any]:
    """The answer is a whole problem document with this status and code; returns it."""
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code), (
        problem
    )
    assert set(problem) == {"type", "title", "status", "detail", "code", "request_id"}
    assert problem["type"] == f"/docs#{code}"
    assert problem["request_id"] == answer.headers["X-Request-Id"]
    assert problem["detail"].endswith((".", "?", "…")) or "," in problem["detail"]
    assert "Traceback" not in answer.text
    return problem


def without_times(answer: requests.Response) -> dict[str, Any]:
    """A good answer's parts that depend only on what was sent."""
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return {key: body[key] for key in body if key not in ("timings_ms", "request_id")}


def png(width: int, height: int) -> bytes:
    """A black one-bit PNG of any size in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    pixels = zlib.compress(bytes((1 + (width + 7) // 8) * height))
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


@pytest.fixture(scope="session")
def saved(face_jpeg: bytes) -> Callable[..., bytes]:
    """Saves the face in another format: `saved("TIFF", mode="CMYK")`."""

    def save(form: str, mode: str = "RGB", change: Any = None, **options: Any) -> bytes:
        image = Image.open(io.BytesIO(face_jpeg))
        image = change(image) if change else image
        out = io.BytesIO()
        image.convert(mode).save(out, form, **options)
        return out.getvalue()

    return save


def imported_by_gateway(*modules: str) -> list[str]:
    """Which of some modules a process has imported once it has made the gateway's application."""
    code = (
        "import json, sys; from service.gateway import create_app; create_app();"
        f"print(json.dumps([name for name in {modules!r} if name in sys.modules]))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    found: list[str] = json.loads(run.stdout)
    return found
