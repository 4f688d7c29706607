"""How often one key, or one address without keys, may ask: flask-limiter, with a moving window.

Counted in the memory of each gateway process: with several of them a client may come to as many
times the limit as there are processes, since each takes its share of the connections.
"""

from __future__ import annotations

import ipaddress
import time

from flask import Flask, Response, request
from flask_limiter import Limiter, RequestLimit

from service.errors import ApiError
from service.hooks import course
from service.probes import PROBES


def limit_rate(app: Flask, limit: str, files: frozenset[str]) -> None:
    """Refuse what comes too often.

    Args:
        app: takes the check, after those it has.
        limit: such as `10/second; 100/minute`.
        files: addresses that are not counted.
    """

    def refuse(breached: RequestLimit) -> Response | None:
        seconds = max(0.0, breached.reset_at - time.time())
        raise ApiError(
            "rate_limited",
            f"More requests than {limit} came from here. Wait {seconds:.0f} s and try again.",
            retry_after=seconds,
        )

    limiter = Limiter(
        _who,
        app=app,
        application_limits=[limit],
        strategy="moving-window",
        storage_uri="memory://",
        on_breach=refuse,
    )
    limiter.request_filter(lambda: request.path in PROBES or request.path in files)


def _who() -> str:
    """The key's name, or the address; of IPv6 its /64, which is what one customer has."""
    if name := course().key:
        return f"key {name}"
    try:
        address = ipaddress.ip_address(request.remote_addr or "")
    except ValueError:
        return "somewhere"
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((address, 64), strict=False))
