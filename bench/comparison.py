"""The service and its peers under the same load, in turn."""

from statistics import median
from typing import Any

from bench import harness, load, pictures
from bench.peers import Peer, PeerError, named
from bench.peers.running import started

OURS = "hyojo"
_ONE_MODEL = {"HYOJO_MODELS": "emotion"}
"""What the peers with the same bundle hold, and no more."""


def compare(rounds: int, seconds: float, names: list[str]) -> dict[str, Any]:
    """Requests a second, latency and memory of each.

    Args:
        rounds: of all of them, one after the other.
        seconds: of load for each in a round.
        names: of peers; all if none.

    Returns:
        `rows` by label, and `missing`: why some could not be measured.
    """
    image = pictures.vga()
    rows: dict[str, list[dict[str, float]]] = {}
    missing: dict[str, str] = {}
    for _ in range(rounds):
        rows.setdefault(OURS, []).append(_ours(image, seconds))
        for peer in named(names):
            if peer.label in missing:
                continue
            try:
                rows.setdefault(peer.label, []).append(_theirs(peer, image, seconds))
            except PeerError as error:
                rows.pop(peer.label, None)
                missing[peer.label] = str(error).split("\n")[0]
    return {
        "rows": {
            name: {key: median(row[key] for row in told) for key in told[0]}
            for name, told in rows.items()
        },
        "missing": missing,
    }


def _ours(image: bytes, seconds: float) -> dict[str, float]:
    with harness.service(_ONE_MODEL) as served:
        row = _load(served.port, served.path, image, seconds)
        return row | {"pss_mb": harness.pss_mb(harness.tree(served.pid))}


def _theirs(peer: Peer, image: bytes, seconds: float) -> dict[str, float]:
    with started(peer, image) as running:
        row = _load(running.port, peer.path, image, seconds)
        return row | {"pss_mb": running.pss_mb()}


def _load(port: int, path: str, image: bytes, seconds: float) -> dict[str, float]:
    load.closed(port, path, [image], load.CLIENTS, 1.5)
    told = load.closed(port, path, [image], load.CLIENTS, seconds)
    return {
        "rate": told.rate,
        "p50_ms": told.percentile(50),
        "p99_ms": told.percentile(99),
        "errors": float(told.errors),
    }
