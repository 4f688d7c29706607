"""The web page's files, and the headers that keep a browser safe with them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from flask import Request, Response

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".ico": "image/vnd.microsoft.icon",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
"""Only files of these kinds are served, each with this type and no other."""

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Pages:
    """The files of one folder, found when the gateway starts: a path outside it has no address.

    Args:
        folder: with index.html and what it needs; may be missing.
    """

    def __init__(self, folder: Path) -> None:
        self._files: dict[str, Path] = {}
        for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
            inside = path.relative_to(folder)
            hidden = any(part.startswith(".") for part in inside.parts)
            if path.is_file() and path.suffix in TYPES and not hidden:
                self._files["/" + inside.as_posix()] = path
        if "/index.html" in self._files:
            self._files["/"] = self._files["/index.html"]

    def __contains__(self, address: str) -> bool:
        return address in self._files

    @property
    def addresses(self) -> list[str]:
        """All addresses, `/` among them."""
        return list(self._files)

    def answer(self, address: str, request: Request) -> Response:
        """The file at an address; 304 when the browser has it already."""
        path = self._files[address]
        return revalidated(path.read_bytes(), TYPES[path.suffix], request)


def revalidated(content: bytes, kind: str, request: Request) -> Response:
    """Content that a browser may keep but asks about each time, so that an update is seen."""
    response = Response(content, content_type=kind)
    response.set_etag(hashlib.sha256(content).hexdigest()[:24])
    response.headers["Cache-Control"] = "no-cache"
    response.make_conditional(request)
    return response
