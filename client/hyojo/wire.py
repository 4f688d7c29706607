"""Requests to one service: connections kept, waits bounded, failures as one kind of error."""

from __future__ import annotations

import email.utils
import ipaddress
import json
import random
import time
import urllib.request
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

import urllib3

from hyojo.errors import PASSING, TIMED_OUT, UNREACHABLE, UNREADABLE_ANSWER, HyojoError

Waiting = Callable[[HyojoError, float], None]
"""Told before each wait: why, and how many seconds it will be."""
_CONNECTIONS = 8
_UNREACHABLE_TRIES = 3
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 4.0
_LONGEST_ANSWER = 64 * 1024 * 1024
_PART = 64 * 1024
_BY_STATUS = {413: "body_too_large", 429: "rate_limited", 502: UNREACHABLE, 503: "overloaded"}
"""Codes for errors of a proxy in front, which knows none."""


class Wire:
    """One service over HTTP. Threads may share it.

    Args:
        url: of the service, http:// or https://, with a path where it stands behind one.
        key: goes along with every request; empty for none.
        timeout_s: seconds one try may take.
        patience_s: seconds within which a try that failed for a passing reason is repeated.
        waiting: told before each wait; None for nobody.

    Raises:
        ValueError: the address or the key cannot be used.
    """

    def __init__(
        self,
        url: str,
        key: str = "",
        timeout_s: float = 30.0,
        patience_s: float = 30.0,
        waiting: Waiting | None = None,
    ) -> None:
        self.url = _checked(url)
        if not all("!" <= letter <= "~" for letter in key):
            raise ValueError("The key holds characters that no key has, such as spaces.")
        if timeout_s <= 0 or patience_s < 0:
            raise ValueError("timeout_s takes seconds above 0, and patience_s 0 or more.")
        self._headers = {"Accept": "application/json", "User-Agent": "hyojo-client"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._timeout_s = timeout_s
        self._patience_s = patience_s
        self._waiting = waiting
        self._pool = _pool_for(self.url)

    def close(self) -> None:
        """Close the connections that are kept."""
        self._pool.clear()

    def ask(
        self, method: str, path: str, body: bytes | None = None, kind: str = "", again: bool = True
    ) -> Any:
        """The JSON that a request is answered with.

        Args:
            method: of HTTP.
            path: with its query, from the service's own address on.
            body: to be sent; None for none.
            kind: its Content-Type.
            again: whether it is repeated after a failure that passes, for `patience_s`.

        Raises:
            HyojoError: there is none.
        """
        began = time.monotonic()
        tries = 0
        while True:
            try:
                return self._once(method, path, body, kind)
            except HyojoError as error:
                tries += 1
                pause_s = self._pause(error, tries, time.monotonic() - began) if again else None
                if pause_s is None:
                    raise
                if self._waiting is not None:
                    self._waiting(error, pause_s)
                time.sleep(pause_s)

    def _pause(self, error: HyojoError, tries: int, gone_s: float) -> float | None:
        """Seconds to wait before the next try; None where there should be none.

        What the service asks for is the least. Pauses double and differ from client to client, so
        that those who were refused together do not come back together.
        """
        if error.code not in PASSING:
            return None
        if error.code == UNREACHABLE and tries >= _UNREACHABLE_TRIES:
            return None
        own_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** (tries - 1)) * random.uniform(
            0.75, 1.25
        )
        pause_s = max(own_s, (error.retry_after_s or 0.0) + random.uniform(0, _FIRST_PAUSE_S))
        return pause_s if gone_s + pause_s <= self._patience_s else None

    def _late(self) -> HyojoError:
        return HyojoError(
            TIMED_OUT,
            f"The service at {self.url} did not answer within {self._timeout_s:g} seconds. It "
            "may be overloaded, or the pictures large for this connection.",
        )

    def _once(self, method: str, path: str, body: bytes | None, kind: str) -> Any:
        end = time.monotonic() + self._timeout_s
        headers = {**self._headers, "Content-Type": kind} if kind else self._headers
        try:
            response = self._pool.request(
                method,
                self.url + path,
                body=body,
                headers=headers,
                timeout=urllib3.Timeout(total=self._timeout_s),
                retries=False,
                redirect=False,
                preload_content=False,
            )
            read = _read(response, end)
        except (TimeoutError, urllib3.exceptions.ReadTimeoutError) as error:
            raise self._late() from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            if any(isinstance(why, TimeoutError) for why in error.args):  # while it was being sent
                raise self._late() from error
            raise HyojoError(
                UNREACHABLE,
                f"The service at {self.url} cannot be reached: {_why(error)}. Check the address "
                "and that the service runs.",
            ) from error
        if response.status != 200:
            raise _problem(response.status, response.headers, read)
        try:
            return json.loads(read)
        except ValueError as error:
            raise HyojoError(
                UNREADABLE_ANSWER,
                f"What answers at {self.url} is no Hyojo service: it does not answer with JSON. "
                "Check the address.",
                response.status,
            ) from error


def retry_after_s(header: str | None, now: datetime | None = None) -> float | None:
    """Seconds from now that a Retry-After header asks for, as a number or as a date."""
    if header is None:
        return None
    try:
        return max(0.0, float(int(header)))
    except (ValueError, OverflowError):
        pass
    try:
        when = email.utils.parsedate_to_datetime(header)
    except (TypeError, ValueError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=timezone.utc)
    return max(0.0, (when - (now or datetime.now(timezone.utc))).total_seconds())


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(
            f"{url!r} is no address of a service. It looks like http://127.0.0.1:8000 or "
            "https://example.org/hyojo."
        )
    return url.rstrip("/")


def _pool_for(url: str) -> urllib3.PoolManager:
    """Connections to the service, through the environment's proxy where there is one for it."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxy = urllib.request.getproxies().get(parts.scheme)
    if not proxy or _is_here(host) or urllib.request.proxy_bypass(parts.netloc):
        return urllib3.PoolManager(maxsize=_CONNECTIONS)
    return urllib3.ProxyManager(
        proxy if "://" in proxy else f"http://{proxy}", maxsize=_CONNECTIONS
    )


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _read(response: urllib3.BaseHTTPResponse, end: float) -> bytes:
    """All of an answer; its connection goes back to be used again.

    Raises:
        TimeoutError: it was not here at `end`, of the monotonic clock.
        ProtocolError: it is larger than any answer is.
    """
    parts, size = [], 0
    try:
        while part := response.read1(_PART):
            parts.append(part)
            size += len(part)
            if size > _LONGEST_ANSWER:
                raise urllib3.exceptions.ProtocolError("its answer does not end")
            if time.monotonic() > end:
                raise TimeoutError
    except BaseException:
        response.close()
        raise
    response.release_conn()
    return b"".join(parts)


def _why(error: Exception) -> str:
    """The system's own words for a failure, without the library's around them."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    text = str(error.args[0]) if error.args else type(error).__name__
    return text.rpartition(": ")[2].rstrip(".") or type(error).__name__


def _problem(status: int, headers: Mapping[str, str], body: bytes) -> HyojoError:
    """The error that an answer tells of; one of a proxy tells less."""
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    told = told if isinstance(told, dict) else {}
    sentence = told.get("detail") or told.get("title")
    if not sentence and 300 <= status < 400:
        sentence = f"The address leads on to {headers.get('Location', 'another')}: ask there."
    return HyojoError(
        code=str(told.get("code") or _BY_STATUS.get(status, "internal")),
        sentence=str(
            sentence
            or f"The service answered with status {status} and no explanation. Check the "
            "address, and what stands in front of the service."
        ),
        status=status,
        request_id=str(told.get("request_id") or headers.get("X-Request-Id") or ""),
        retry_after_s=retry_after_s(headers.get("Retry-After")),
    )
