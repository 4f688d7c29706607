"""Settings that hold several things with commas between, taken apart.

Each function raises ValueError with a sentence that begins with "takes".
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from pydantic import AfterValidator

_NAME = re.compile(r"[A-Za-z0-9._-]{1,32}")
_KEY = re.compile(r"[!-+\-.-~]{16,256}")
"""Printable ASCII without a comma and a space."""
_RATE = re.compile(r"[1-9][0-9]{0,8}/(second|minute|hour|day)")
_ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def read_by(read: Callable[[str], object]) -> AfterValidator:
    """Checks a setting that one of these functions will read; the text itself is kept."""

    def check(text: str) -> str:
        read(text)
        return text

    return AfterValidator(check)


def parts(text: str) -> list[str]:
    """What stands between the commas."""
    return [part for piece in text.split(",") if (part := piece.strip())]


def api_keys(text: str) -> dict[str, str]:
    """Keys by name."""
    keys: dict[str, str] = {}
    for part in parts(text):
        name, _, key = part.partition(":")
        if not _NAME.fullmatch(name) or not _KEY.fullmatch(key):
            raise ValueError(
                "takes name:key with commas between; a name of 1 to 32 letters, digits, . _ or -, "
                "a key of 16 to 256 printable characters without commas and spaces"
            )
        if name in keys or key in keys.values():
            raise ValueError("takes each name and each key once")
        keys[name] = key
    return keys


def rate_limit(text: str) -> str:
    """Limits as flask-limiter reads them."""
    limits = parts(text)
    if not all(_RATE.fullmatch(limit) for limit in limits):
        raise ValueError("takes a number and second, minute, hour or day, such as 100/minute")
    return "; ".join(limits)


def origins(text: str) -> frozenset[str]:
    """Origins as browsers spell them."""
    found = parts(text)
    if not all(_ORIGIN.fullmatch(origin) for origin in found):
        raise ValueError("takes origins such as https://example.com, in small letters, no path")
    return frozenset(found)


def networks(text: str) -> list[Network]:
    """Networks; an address is one of its own."""
    try:
        return [ipaddress.ip_network(part) for part in parts(text)]
    except ValueError:
        raise ValueError("takes addresses or networks such as 10.0.0.2 or 10.0.0.0/24") from None
