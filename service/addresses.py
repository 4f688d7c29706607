"""Which addresses of images may be fetched: public ones, spelt plainly, and nothing near home.

`ssrfguard` holds the table of address ranges (IANA's registries, with what translated addresses
carry inside), and looks a name up once: the addresses it checked are the ones connected to. Here is
what this service refuses on top. Refusals never tell where a name leads: that is nobody's business.
"""

from __future__ import annotations

import dataclasses
import re
from ipaddress import ip_network
from urllib.parse import urlsplit

from ssrfguard import DEFAULT_DENIED, AddressTable, Block, Policy, Reach, SSRFGuardError, Target

from service.errors import ApiError

MOST_CHARACTERS = 2048
MOST_ATTEMPTS = 2
"""Addresses of one name that are tried."""
_PLAIN = re.compile(r"[!-\[\]-~]+")
"""Printable ASCII without a space or a backslash: what a URL is made of (RFC 3986), no more."""
_NUMBER = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)", re.IGNORECASE)
_DOTTED = re.compile(r"(?:(?:0|[1-9][0-9]{0,2})\.){3}(?:0|[1-9][0-9]{0,2})")
_NEVER = frozenset(
    map(ip_network, ("::/96", "::ffff:0:0/96", "2001::/32", "2001:20::/28", "2002::/16"))
)
"""Compatible, mapped, Teredo, overlay and 6to4 addresses: no server has one as its own."""
_NOT_UNICAST = tuple(
    Block(ip_network(network), "not global unicast", "RFC 4291", Reach.DENIED)
    for network in ("::/3", "4000::/2", "8000::/1")
)
"""All of IPv6 but 2000::/3; what the table knows inside of these counts more (NAT64)."""


def policy(http: bool) -> Policy:
    """What may be reached.

    Args:
        http: whether unencrypted HTTP is allowed beside HTTPS.
    """
    blocks = tuple(
        dataclasses.replace(block, reach=Reach.DENIED) if block.network in _NEVER else block
        for block in DEFAULT_DENIED.blocks
    )
    return Policy(
        allowed_schemes=frozenset({"https", "http"} if http else {"https"}),
        allowed_ports=frozenset({443, 80} if http else {443}),
        denied_networks=AddressTable(blocks + _NOT_UNICAST),
        on_partial_block="reject",
        max_connection_attempts=MOST_ATTEMPTS,
        max_url_length=MOST_CHARACTERS,
    )


def checked(url: str, allowed: Policy) -> Target:
    """Where a URL leads, by its text alone.

    Raises:
        ApiError: url_refused.
    """
    if not _PLAIN.fullmatch(url):
        raise refused("it holds spaces, backslashes or characters that are not ASCII")
    try:
        target = allowed.check_url(url)
        host = urlsplit(url).hostname or ""
    except (SSRFGuardError, ValueError):
        schemes = " or ".join(sorted(allowed.allowed_schemes, reverse=True))
        raise refused(
            f"only {schemes} to a public host at its standard port is, without a user's name"
        ) from None
    if _NUMBER.fullmatch(host.rpartition(".")[2]) and not _DOTTED.fullmatch(host):
        raise refused("its host is a number in an odd spelling")
    return target


def refused(why: str) -> ApiError:
    """The error for an address that is not fetched."""
    return ApiError(
        "url_refused", f"This address is not fetched: {why}. Send the image itself instead."
    )
