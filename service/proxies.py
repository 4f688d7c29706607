"""Proxies in front of the gateway: believed only when they are named."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

from werkzeug.middleware.proxy_fix import ProxyFix

from service.lists import Network


class TrustedProxies:
    """What a trusted proxy says of client, scheme and host counts; what others say does not.

    Args:
        app: the WSGI application.
        networks: of the proxies that speak to the gateway itself.
    """

    def __init__(self, app: Any, networks: Iterable[Network]) -> None:
        self._app = app
        self._networks = tuple(networks)
        self._told = ProxyFix(app, x_for=1, x_proto=1, x_host=1)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """As WSGI has it."""
        try:
            address = ipaddress.ip_address(environ.get("REMOTE_ADDR", ""))
        except ValueError:
            return self._app(environ, start_response)  # type: ignore[no-any-return]
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        if any(address in network for network in self._networks):
            return self._told(environ, start_response)
        return self._app(environ, start_response)  # type: ignore[no-any-return]
