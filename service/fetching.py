"""Images by address: fetched by the gateway, within bounds of place, size, time and kind.

Only where `HYOJO_URL_INPUT` asks for it is this module imported. Each address is checked
(`service.addresses`), those a redirect leads to as well; the address that was checked is the one
connected to. No proxy, cookie or credential is used. A few threads at most are held by fetching.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from urllib.parse import urljoin, urlsplit

import certifi
from ssrfguard import Address, Policy, Resolver, SSRFGuardError, Target, connect, resolve

from service import __version__
from service.addresses import MOST_ATTEMPTS, checked, refused
from service.body import arrival
from service.errors import ApiError

MOST_REDIRECTS = 3
_SHARE = 0.75
"""Of a request's time, for fetching; the rest is for answering."""
_MOVED = (301, 302, 303, 307, 308)
_READ_BYTES = 64 * 1024
_MEGABYTE = 1024 * 1024


class Fetcher:
    """Fetches images, so many at a time.

    Args:
        allowed: what may be reached.
        image_bytes: most bytes of one image.
        all_bytes: most bytes of all images of a request.
        at_once: most requests whose images are fetched at the same time; more are refused.
        resolver: in place of the system's.
        trust: certificates to trust; the system's and certifi's when None.
    """

    def __init__(
        self,
        allowed: Policy,
        image_bytes: int,
        all_bytes: int,
        at_once: int,
        resolver: Resolver = socket.getaddrinfo,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._allowed = allowed
        self._image_bytes = image_bytes
        self._all_bytes = all_bytes
        self._free = threading.Semaphore(at_once)
        self._resolver = resolver
        self._lookups = ThreadPoolExecutor(2 * at_once, "lookup")
        self._trust = trust or _trusted()

    def fetch(self, urls: list[str], seconds: float) -> list[bytes]:
        """The images at some addresses, in order.

        Args:
            urls: the addresses.
            seconds: for all of them.

        Raises:
            ApiError: url_refused, url_failed, image_too_large, body_too_large or overloaded.
        """
        if not self._free.acquire(blocking=False):
            raise ApiError(
                "overloaded",
                "Other requests are having images fetched, as many as may at once. Try again in a "
                "moment, or send the image itself.",
            )
        try:
            ends = time.monotonic() + seconds
            images: list[bytes] = []
            left = self._all_bytes
            for url in urls:
                images.append(self._image(url, ends, min(left, self._image_bytes)))
                left -= len(images[-1])
            return images
        finally:
            self._free.release()

    def _image(self, url: str, ends: float, most: int) -> bytes:
        for _ in range(MOST_REDIRECTS + 1):
            got = self._get(url, ends, most)
            if isinstance(got, bytes):
                return got
            url = got
        raise failed(f"it leads on more than {MOST_REDIRECTS} times")

    def _get(self, url: str, ends: float, most: int) -> bytes | str:
        """The image at one address, or the address that it leads on to."""
        target = checked(url, self._allowed)
        try:
            with self._connection(target, ends) as connection:
                with closing(_ask(connection, target, url)) as answer:
                    if answer.status in _MOVED:
                        return urljoin(url, answer.headers.get("Location", ""))
                    _check(answer, most)
                    image = _read(answer, most)
            if time.monotonic() >= ends:  # breaking it off looks like its end
                raise TimeoutError
            return image
        except SSRFGuardError:
            raise refused("its host is not a public one") from None
        except ssl.SSLCertVerificationError:
            raise failed("its host's certificate cannot be verified") from None
        except (OSError, http.client.HTTPException, ValueError):
            late = time.monotonic() >= ends
            why = "it took too long" if late else "its host was not reached or broke off"
            raise failed(why) from None

    @contextmanager
    def _connection(self, target: Target, ends: float) -> Iterator[socket.socket]:
        """A connection to a checked address; it breaks off when the time is over."""
        addresses = self._looked_up(target, ends)
        patience = max(0.001, ends - time.monotonic()) / MOST_ATTEMPTS
        sock = connect(addresses, policy=self._allowed, timeout=patience)
        # A time limit on each read would not end a server that sends a byte now and then.
        cut = _Cut(sock)
        alarm = threading.Timer(max(0.0, ends - time.monotonic()), cut)
        alarm.daemon = True
        alarm.start()
        try:
            sock.settimeout(max(0.001, ends - time.monotonic()))
            if target.scheme == "https":
                sock = self._trust.wrap_socket(sock, server_hostname=target.host)
            with closing(sock):
                yield sock
        finally:
            alarm.cancel()
            sock.close()
            cut.close()

    def _looked_up(self, target: Target, ends: float) -> tuple[Address, ...]:
        """The host's addresses, each checked; the system's lookup has no time limit of its own."""
        looking = self._lookups.submit(
            resolve, target, policy=self._allowed, resolver=self._resolver
        )
        try:
            return looking.result(max(0.0, ends - time.monotonic()))
        finally:
            looking.cancel()


class _Cut:
    """Breaks a connection off, whoever reads from it, under whatever wrapping."""

    def __init__(self, sock: socket.socket) -> None:
        self._same = sock.dup()

    def __call__(self) -> None:
        try:
            self._same.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def close(self) -> None:
        self._same.close()


def _trusted() -> ssl.SSLContext:
    """The system's certificates, which a small container has none of, and certifi's."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _ask(sock: socket.socket, target: Target, url: str) -> http.client.HTTPResponse:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(target.host, target.port)
    connection.sock = sock
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
    standard = {"http": 80, "https": 443}[target.scheme] == target.port
    host = f"[{target.host}]" if ":" in target.host else target.host
    connection.putheader("Host", host if standard else f"{host}:{target.port}")
    connection.putheader("User-Agent", f"Hyojo/{__version__}")
    connection.putheader("Accept", "image/*, application/octet-stream")
    connection.putheader("Accept-Encoding", "identity")
    connection.putheader("Connection", "close")
    connection.endheaders()
    return connection.getresponse()


def _check(answer: http.client.HTTPResponse, most: int) -> None:
    if answer.status != 200:
        raise failed(f"its host answers with status {answer.status}")
    kind = answer.headers.get_content_type() if "Content-Type" in answer.headers else "none"
    if not kind.startswith("image/") and kind != "application/octet-stream":
        raise failed(f"what is there is of type {kind[:40]!r} and no image")
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise failed("what is there is compressed once more")
    if answer.length is not None and answer.length > most:
        raise _too_large(most)


def _read(answer: http.client.HTTPResponse, most: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := answer.read1(_READ_BYTES):
        size += len(part)
        if size > most:
            raise _too_large(most)
        parts.append(part)
    if answer.length:
        raise failed("it breaks off")
    return b"".join(parts)


def _too_large(most: int) -> ApiError:
    return ApiError(
        "image_too_large",
        f"What is at the address is larger than {most / _MEGABYTE:.3g} MiB. Use one with fewer "
        "pixels.",
    )


def failed(why: str) -> ApiError:
    """The error for an address that gave no image."""
    return ApiError(
        "url_failed", f"The address gave no image: {why}. Open it in a browser, or send the image."
    )


def within(fetcher: Fetcher, deadline_s: float) -> Callable[[list[str]], list[bytes]]:
    """How a request has its images fetched: in three quarters of the time that it has left.

    What that takes counts as waiting, so that the worker gets the rest and no more.
    """

    def fetch(urls: list[str]) -> list[bytes]:
        started = time.monotonic()
        try:
            return fetcher.fetch(urls, _SHARE * max(0.0, deadline_s - arrival.waited_s))
        finally:
            arrival.waited_s += time.monotonic() - started

    return fetch
