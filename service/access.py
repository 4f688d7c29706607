"""Who may ask: keys, other sites' pages, and how often.

Nothing of it costs a request more than a look at two headers unless a setting asks for it. Pages of
other sites may not post here, with or without keys.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Flask, Request, Response

from service.errors import ApiError
from service.hooks import course, present
from service.probes import LIVE

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Inference-Header-Content-Length, "
    "X-API-Key, X-Request-Id",
    "Access-Control-Max-Age": "600",
}
_TOLD = "Inference-Header-Content-Length, Retry-After, Server-Timing, X-Request-Id"


@dataclass(frozen=True)
class Access:
    """The rules.

    Attributes:
        keys: key by name; empty lets everybody in.
        origins: of other sites whose pages may ask, as browsers spell them.
        rate_limit: as flask-limiter reads it; empty for none.
        files: addresses of the page's own files, which need no key and are not counted.
    """

    keys: Mapping[str, str]
    origins: frozenset[str]
    rate_limit: str
    files: frozenset[str]


def install(app: Flask, access: Access) -> None:
    """Check every request that comes; call after the hooks that make its course."""
    learn_name = _learn_name(access)

    def check() -> Response | None:
        came = present()
        origin = came.environ.get("HTTP_ORIGIN", "")
        if came.method not in _SAFE and not _from_here(came, origin, access.origins):
            raise ApiError(
                "cross_site",
                "A page of another site may not post here. Name its origin in HYOJO_CORS_ORIGINS "
                "if it should.",
            )
        if origin in access.origins and _is_preflight(came):
            return Response(status=204, headers=_PREFLIGHT)
        learn_name(came)
        return None

    app.before_request(check)
    if access.origins:
        app.after_request(_tell_origins(access.origins))
    if access.rate_limit:
        from service.rate import limit_rate

        limit_rate(app, access.rate_limit, access.files)
    if access.keys:
        app.before_request(_refuse)  # after the limit: who tries keys is counted by address


def _refuse() -> None:
    if refusal := course().refusal:
        raise refusal


def _learn_name(access: Access) -> Callable[[Request], None]:
    """What notes the name of a request's key, or that it needs one."""
    name_of = _name_of(access.keys)

    def learn_name(came: Request) -> None:
        if not access.keys or came.path in LIVE or came.path in access.files:
            return
        try:
            course().key = name_of(came)
        except ApiError as error:
            course().refusal = error

    return learn_name


def _from_here(came: Request, origin: str, allowed: frozenset[str]) -> bool:
    """Whether a request comes from our own page, from an allowed one, or from no page at all.

    Browsers say so: the newer ones in Sec-Fetch-Site, all in Origin. Programs say neither.
    """
    if origin in allowed:
        return True
    site = came.environ.get("HTTP_SEC_FETCH_SITE")
    if site is not None:
        return site in ("same-origin", "none")
    return not origin or urlsplit(origin).netloc == came.host


def _is_preflight(came: Request) -> bool:
    return came.method == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in came.environ


def _tell_origins(allowed: frozenset[str]) -> Callable[[Response], Response]:
    def tell(response: Response) -> Response:
        response.headers.add("Vary", "Origin")
        origin = present().environ.get("HTTP_ORIGIN", "")
        if origin in allowed:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = _TOLD
        return response

    return tell


def _name_of(keys: Mapping[str, str]) -> Callable[[Request], str]:
    """What finds the name of a request's key, in a time that tells nothing of any key."""
    known = [(name, _digest(key)) for name, key in keys.items()]

    def name_of(came: Request) -> str:
        given = _given(came)
        digest = _digest(given)
        found = ""
        for name, of_key in known:  # all of them, whichever it is
            if hmac.compare_digest(digest, of_key):
                found = name
        if found:
            return found
        raise ApiError(
            "unauthorized",
            ("The key is not one of this service's. " if given else "A key is needed. ")
            + "Send it as `Authorization: Bearer KEY`; who runs the service gives keys out.",
            headers={"WWW-Authenticate": 'Bearer realm="Hyojo"'},
        )

    return name_of


def _given(came: Request) -> str:
    scheme, _, key = came.environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() == "bearer":
        return str(key).strip()
    return str(came.environ.get("HTTP_X_API_KEY", "")).strip()


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
