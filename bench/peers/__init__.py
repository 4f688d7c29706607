"""What somebody would pick instead of this service, each as its own documentation would have it.

    $ python -m bench.peers.environment      # their packages, into build/peers/
    $ python -m bench.peers --check          # start each, ask it, compare it, stop it

Every peer but one serves params/emotion through `models.predictor.Predictor`: what differs is what
stands around it. `fer` brings a network of its own. All answer `POST /classify`, a JPEG as the
body, with `{"label": …, "probabilities": {…}, "process": …}`; the last is the number of the process
that ran the network, by which one sees that all of them take part.

This module is imported in the peers' own environments too: nothing but the standard library here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

PROJECT = Path(__file__).resolve().parent.parent.parent
CORES = 2
"""The lines to pass are drawn for two cores: two processes with the model, where there may be."""


class PeerError(Exception):
    """A peer or its environment is not as it must be; says what, why and what to do."""


@dataclass(frozen=True)
class Peer:
    """One way to serve a model.

    Attributes:
        name: for the command line.
        label: for tables.
        command: starts it in the foreground; `{python}`, `{port}` and `{folder}` (a scratch folder
            of its own, removed when it is stopped) are put in.
        environment: whose Python runs it, see `bench.peers.environment`.
        package: whose version stands for the peer's.
        processes: how many hold the model.
        settings: environment variables of its own, filled in like the command.
        own_network: it answers with a network of its own and not with params/emotion.
        path: where it takes pictures.
        patience_s: after this many seconds without being ready it is given up.
    """

    name: str
    label: str
    command: tuple[str, ...]
    environment: str
    package: str
    processes: int
    settings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    own_network: bool = False
    path: str = "/classify"
    patience_s: float = 180.0

    def filled(self, text: str, python: Path, port: int, folder: Path) -> str:
        """A part of the command, or a setting, with what is known only at the start put in."""
        return text.format(python=python, port=port, folder=folder)


def _uvicorn(processes: int) -> tuple[str, ...]:
    app = "bench.peers.fastapi_peer:app"
    where = ("--host", "127.0.0.1", "--port", "{port}")
    quiet = ("--no-access-log", "--log-level", "warning")
    return ("{python}", "-m", "uvicorn", app, *where, "--workers", str(processes), *quiet)


def _gunicorn(app: str, processes: int) -> tuple[str, ...]:
    workers = ("--workers", str(processes), "--worker-class", "sync")
    return ("{python}", "-m", "gunicorn", app, "--bind", "127.0.0.1:{port}", *workers)


_BENTOML = ("{python}", "-m", "bentoml", "serve", "bench.peers.bentoml_peer:Emotion")

PEERS: tuple[Peer, ...] = (
    Peer(
        "litserve",
        f"LitServe, {CORES} workers",
        ("{python}", "-m", "bench.peers.litserve_peer", "{port}"),
        "web",
        "litserve",
        CORES,
    ),
    Peer(
        "bentoml",
        f"BentoML, {CORES} workers",
        (*_BENTOML, "--host", "127.0.0.1", "--port", "{port}"),
        "web",
        "bentoml",
        CORES,
        MappingProxyType({"BENTOML_HOME": "{folder}/bentoml", "BENTOML_DO_NOT_TRACK": "True"}),
    ),
    Peer(
        "fastapi-lock",
        "FastAPI + uvicorn, in process, one lock",
        _uvicorn(1),
        "web",
        "fastapi",
        1,
    ),
    Peer(
        "fastapi-workers",
        f"FastAPI + uvicorn, {CORES} workers",
        _uvicorn(CORES),
        "web",
        "fastapi",
        CORES,
    ),
    Peer(
        "flask-gunicorn",
        f"Flask + gunicorn, {CORES} sync workers",
        _gunicorn("bench.peers.flask_peer:create_app()", CORES),
        "web",
        "flask",
        CORES,
    ),
    Peer(
        "ray-serve",
        f"Ray Serve, {CORES} replicas",
        ("{python}", "-m", "bench.peers.ray_peer", "{port}", "{folder}/ray"),
        "web",
        "ray",
        CORES,
        MappingProxyType(
            {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": "{folder}/token"},
        ),
        patience_s=300.0,
    ),
    Peer(
        "fer-flask",
        f"fer (its own network), Flask + gunicorn, {CORES} sync workers",
        _gunicorn("bench.peers.fer_peer:create_app()", CORES),
        "fer",
        "fer",
        CORES,
        MappingProxyType({"TF_CPP_MIN_LOG_LEVEL": "2"}),
        own_network=True,
    ),
)


def named(names: list[str]) -> list[Peer]:
    """Peers by name, in the order asked; all of them if none is named.

    Raises:
        PeerError: there is no peer of that name.
    """
    known = {peer.name: peer for peer in PEERS}
    for name in names:
        if name not in known:
            raise PeerError(f"There is no peer {name!r}. Use one of {', '.join(known)}.")
    return [known[name] for name in names] or list(PEERS)
