"""Start each peer, ask it, compare its answer with `Predictor`'s own, stop it.

    $ python -m bench.peers                        # who they are
    $ python -m bench.peers --check                # all of them, one after the other
    $ python -m bench.peers --check litserve fer-flask

The table is a check and no measurement: one picture at a time, on whatever else the machine does.
"""

import argparse
import http.client
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any

from bench.peers import PROJECT, Peer, PeerError, environment, named, running

TOLERANCE = 1e-4
_REQUESTS = 20


def main(argv: list[str] | None = None) -> int:
    """Print the table; returns 1 if a peer cannot be had or answers otherwise."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="start, ask, compare, stop")
    parser.add_argument("names", nargs="*", metavar="NAME", help="peers; all of them unless told")
    options = parser.parse_args(argv)
    try:
        peers = named(options.names)
    except PeerError as error:
        parser.error(str(error))
    if not options.check:
        for peer in peers:
            print(f"{peer.name:16} {peer.label}, {peer.package} {version(peer)}")
        return 0
    jpeg = (PROJECT / "web" / "example.jpg").read_bytes()
    expected = _expected(jpeg)
    print("| peer | version | ready s | processes | PSS MB | one request ms | answer |")
    print("|---|---|---|---|---|---|---|", flush=True)
    well = True
    for peer in peers:
        row, agrees = _row(peer, jpeg, expected)
        print(f"| {peer.label} | {version(peer)} | {row} |", flush=True)
        well &= agrees
    return int(not well)


def version(peer: Peer) -> str:
    """Of the peer's package, as its environment's list has it."""
    return environment.pins(environment.ENVIRONMENTS[peer.environment].requirements)[peer.package]


def difference(told: dict[str, Any], expected: dict[str, Any]) -> str:
    """What is wrong with an answer, or nothing.

    Args:
        told: the peer's answer.
        expected: likewise, of `Predictor` in this process.
    """
    if told.get("label") != expected["label"]:
        return f"says {told.get('label')!r} for {expected['label']!r}"
    given = told.get("probabilities", {})
    if set(given) != set(expected["probabilities"]):
        return f"has probabilities of {', '.join(sorted(given)) or 'nothing'}"
    apart = max(abs(given[name] - share) for name, share in expected["probabilities"].items())
    return f"is {apart:.2g} apart" if apart > TOLERANCE else ""


def _row(peer: Peer, jpeg: bytes, expected: dict[str, Any]) -> tuple[str, bool]:
    try:
        with running.started(peer, jpeg) as started:
            told = started.ask(jpeg)
            spent = statistics.median(_times_ms(started, jpeg))
            pss_mb, count = started.pss_mb(), len(started.processes())
            figures = f"{started.ready_s:.1f} | {count} | {pss_mb:.0f} | {spent:.1f}"
    except PeerError as error:
        print(error, file=sys.stderr)
        return "| | | | none, see above", False
    if peer.own_network:
        return f"{figures} | {told['label']} (its own)", bool(told["label"])
    wrong = difference(told, expected)
    return f"{figures} | {wrong or 'the same'}", not wrong


def _times_ms(started: running.Running, jpeg: bytes) -> Iterator[float]:
    """Requests one after the other over one connection, where the server keeps it open."""
    connection = http.client.HTTPConnection("127.0.0.1", started.port, timeout=30)
    for _ in range(_REQUESTS):
        began = time.perf_counter()
        connection.request("POST", started.peer.path, jpeg, {"Content-Type": "image/jpeg"})
        connection.getresponse().read()
        yield (time.perf_counter() - began) * 1e3
    connection.close()


def _expected(jpeg: bytes) -> dict[str, Any]:
    from bench.peers.classifier import Classifier

    return Classifier()(jpeg)


if __name__ == "__main__":
    sys.exit(main())
