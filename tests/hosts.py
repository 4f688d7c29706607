"""A real HTTPS server on this machine, with certificates made for it, and a fetcher that trusts it.

Only what a public server has and this one cannot is stood in for: its name's addresses, its port,
and that 127.0.0.1 may be reached at all (by nobody but the tests).
"""

import dataclasses
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from typing import Any, ClassVar
from urllib.parse import unquote

import trustme

from service.addresses import policy
from service.fetching import Fetcher
from tests.conftest import PROJECT

IMAGE = b"\xff\xd8\xff" + bytes(range(256)) * 40
MOST = 20_000


class Handler(BaseHTTPRequestHandler):
    """A host of images, and of much else."""

    seen: ClassVar[list[dict[str, str]]] = []

    def do_GET(self) -> None:
        type(self).seen.append({k.lower(): v for k, v in self.headers.items()})
        what = self.path.lstrip("/").partition("?")[0]
        getattr(self, f"give_{what.partition('-')[0]}", self.give_image)()

    def _head(self, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content_Type": "image/jpeg", **headers}.items():
            if value:
                self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def give_image(self) -> None:
        self._head(Content_Length=str(len(IMAGE)))
        self.wfile.write(IMAGE)

    def give_binary(self) -> None:
        self._head(Content_Type="application/octet-stream")
        self.wfile.write(IMAGE)

    def give_face(self) -> None:
        self._head()
        self.wfile.write((PROJECT / "web" / "example.jpg").read_bytes())

    def give_page(self) -> None:
        self._head(Content_Type="text/html; charset=utf-8")
        self.wfile.write(IMAGE)

    def give_untyped(self) -> None:
        self._head(Content_Type="")
        self.wfile.write(IMAGE)

    def give_zipped(self) -> None:
        self._head(Content_Encoding="gzip")
        self.wfile.write(IMAGE)

    def give_missing(self) -> None:
        self._head(404)

    def give_large(self) -> None:
        self._head(Content_Length=str(MOST + 1))

    def give_endless(self) -> None:
        self._head()
        for _ in range(10_000):
            self.wfile.write(bytes(1000))

    def give_cut(self) -> None:
        self._head(Content_Length=str(len(IMAGE)))
        self.wfile.write(IMAGE[:100])

    def give_trickle(self) -> None:
        self._head()
        for _ in range(200):
            self.wfile.write(b"x")
            time.sleep(0.05)

    def give_headers(self) -> None:
        for _ in range(200):
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            time.sleep(0.05)

    def give_loop(self) -> None:
        self._head(302, Location="/loop")

    def give_moved(self) -> None:
        steps = int(self.path.rpartition("-")[2])
        self._head(302, Location=f"/moved-{steps - 1}" if steps > 1 else "/image")

    def give_to(self) -> None:
        self._head(302, Location=unquote(self.path.partition("?")[2]))

    def log_message(self, *_args: object) -> None:
        """Quiet."""


@dataclasses.dataclass
class Host:
    """The server, and a fetcher that knows the way to it."""

    port: int
    seen: list[dict[str, str]]
    trust: ssl.SSLContext
    looked_up: list[str]
    addresses: Callable[[str], list[str]]

    def fetcher(self, at_once: int = 2, most: int = MOST) -> Fetcher:
        allowed = dataclasses.replace(
            policy(http=False),
            allowed_ports=frozenset({self.port, 443}),
            allowed_networks=(ip_network("127.0.0.1/32"),),
        )
        return Fetcher(allowed, most, 3 * most, at_once, self._lookup, self.trust)

    def get(self, path: str, seconds: float = 10, host: str = "images.example") -> bytes:
        (image,) = self.fetcher().fetch([self.url(path, host)], seconds)
        return image

    def url(self, path: str, host: str = "images.example") -> str:
        return f"https://{host}:{self.port}/{path}"

    def _lookup(self, host: str, port: int, *_rest: object) -> list[Any]:
        self.looked_up.append(host)
        found = self.addresses(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, port)) for text in found]


@contextmanager
def serving() -> Iterator[tuple[int, ssl.SSLContext]]:
    """The server at work: its port, and what trusts it."""
    authority = trustme.CA()
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("images.example", "other.example").configure_cert(theirs)
    ours = ssl.create_default_context()
    authority.configure_trust(ours)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_args: None  # type: ignore[method-assign]
    server.socket = theirs.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port, ours
    finally:
        server.shutdown()
        server.server_close()
