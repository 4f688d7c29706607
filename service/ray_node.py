"""Ray, before it is imported: quiet, and a node of this machine alone that nobody else commands."""

from __future__ import annotations

import importlib.util
import os
import secrets
from typing import Any

_QUIET = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else a warning about graphics cards
    "RAY_raylet_start_wait_time_s": "120",  # its own 30 s are little on busy cores
    "RAY_agent_register_timeout_ms": "120000",  # likewise 15 s
}
_LOOPBACK = "127.0.0.1"
ALONE: dict[str, Any] = {"include_dashboard": False, "_node_ip_address": _LOOPBACK}
"""What `ray.init` is told for a node of one's own, after `keep_to_itself`."""


def installed() -> bool:
    """Whether it is here; it is not imported."""
    return importlib.util.find_spec("ray") is not None


def quieten() -> None:
    """Before Ray is imported: it tells nobody of itself, and is patient."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # else it tells its makers over the internet
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)


def on_loopback() -> None:
    """Before Ray is imported: a cluster that listens to this machine alone is taken for that.

    It then binds to 127.0.0.1, all but a replica's one port.
    """
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"


def keep_to_itself() -> None:
    """Before Ray is imported: the node that it starts listens to this machine, and to a token."""
    on_loopback()
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
