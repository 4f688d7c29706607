"""The benchmark's peers: what can be known of them without their environments, and one for real."""

import ast
import sys
from pathlib import Path

import pytest

from bench import peers
from bench.peers import __main__ as command
from bench.peers import environment, running

FOLDER = Path(peers.__file__).parent
LISTS = {made.name: made.requirements for made in environment.ENVIRONMENTS.values()}


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.py")), ids=lambda file: file.name)
def test_every_file_compiles_and_says_what_it_is(file: Path) -> None:
    tree = ast.parse(file.read_text(), file.name)
    compile(tree, file.name, "exec")
    assert ast.get_docstring(tree)


def test_names_and_labels_are_unique() -> None:
    for told in ("name", "label"):
        values = [getattr(peer, told) for peer in peers.PEERS]
        assert len(values) == len(set(values))


@pytest.mark.parametrize("peer", peers.PEERS, ids=lambda peer: peer.name)
def test_a_peer_is_one_file_and_a_command_for_an_environment(peer: peers.Peer) -> None:
    assert peer.environment in environment.ENVIRONMENTS
    assert command.version(peer)
    place = Path("/scratch")
    filled = [peer.filled(part, Path("/bin/python"), 4711, place) for part in peer.command]
    assert filled[0] == "/bin/python"
    assert any("4711" in part for part in filled[1:])
    settings = [peer.filled(text, Path("p"), 1, place) for text in peer.settings.values()]
    assert not any("{" in text for text in [*filled, *settings])
    modules = [part.split(":")[0] for part in filled if part.startswith("bench.peers.")]
    assert len(modules) == 1
    assert (FOLDER / f"{modules[0].rpartition('.')[2]}.py").is_file()


@pytest.mark.parametrize("name", LISTS)
def test_every_requirement_is_pinned(name: str) -> None:
    found = environment.pins(LISTS[name])
    assert found
    mine = {peer.package for peer in peers.PEERS if peer.environment == name}
    assert mine <= set(found)


def test_the_model_stands_on_the_versions_that_serve_it() -> None:
    theirs, ours = environment.pins(LISTS["web"]), _project_pins()
    for package in ("paddlepaddle", "numpy", "opencv-python-headless", "pillow"):
        assert theirs[package] == ours[package]


def test_what_is_no_pin_is_refused(tmp_path: Path) -> None:
    loose = tmp_path / "loose.txt"
    loose.write_text("# a list\nflask==3.1.3\nray>=2\n")
    with pytest.raises(peers.PeerError, match=r"loose\.txt:3: 'ray>=2' is no pin"):
        environment.pins(loose)


def test_an_environment_that_is_not_there_says_how_to_make_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(environment, "HOME", tmp_path)
    with pytest.raises(peers.PeerError, match=r"python -m bench\.peers\.environment web"):
        environment.python("web")


def test_unknown_names_are_refused() -> None:
    with pytest.raises(peers.PeerError, match="no peer 'flsk'"):
        peers.named(["flsk"])
    assert [peer.name for peer in peers.named(["ray-serve", "litserve"])] == [
        "ray-serve",
        "litserve",
    ]
    assert peers.named([]) == list(peers.PEERS)


def test_flask_with_gunicorn_answers_as_the_predictor_does_and_leaves_nothing(
    face_jpeg: bytes,
) -> None:
    """Its packages are the project's own too, so this one starts for real everywhere."""
    from bench.peers.classifier import Classifier

    expected = Classifier()(face_jpeg)
    (peer,) = peers.named(["flask-gunicorn"])
    with running.started(peer, face_jpeg, python=Path(sys.executable)) as started:
        told = started.ask(face_jpeg)
        assert command.difference(told, expected) == ""
        assert told["process"] in started.processes()
        assert len(started.processes()) == peer.processes + 1
        assert started.pss_mb() > 100
        assert started.cpu_s() > 0
        family, folder = started.processes(), started.folder
    assert not [pid for pid in family if _alive(pid)]
    assert not folder.exists()
    with pytest.raises(OSError):
        started.ask(face_jpeg)


def test_a_peer_that_ends_at_once_says_what_it_said(face_jpeg: bytes) -> None:
    peer = peers.Peer("dud", "Dud", ("{python}", "-c", "exit('no such luck')"), "web", "flask", 1)
    with (
        pytest.raises(peers.PeerError, match=r"(?s)dud ended with status 1 .*no such luck"),
        running.started(peer, face_jpeg, python=Path(sys.executable)),
    ):
        pass


def test_a_process_that_left_the_family_is_ended_too(tmp_path: Path, face_jpeg: bytes) -> None:
    """A daemon in a session of its own, whose parent has gone."""
    script = tmp_path / "stray.py"
    script.write_text(_STRAY)
    words = ("{python}", str(script), "{port}", "{folder}")
    peer = peers.Peer("stray", "Stray", words, "web", "flask", 1)
    with running.started(peer, face_jpeg, python=Path(sys.executable)) as started:
        daemon = int((started.folder / "daemon").read_text())
        assert daemon in started.processes()
    assert not _alive(daemon)


def test_differences_are_told() -> None:
    expected = {"label": "fear", "probabilities": {"fear": 0.7, "anger": 0.3}}
    near = {"label": "fear", "probabilities": {"fear": 0.70005, "anger": 0.29995}}
    far = {"label": "fear", "probabilities": {"fear": 0.71, "anger": 0.29}}
    assert command.difference(near, expected) == ""
    assert command.difference(far, expected) == "is 0.01 apart"
    assert "says 'anger'" in command.difference({**near, "label": "anger"}, expected)
    assert "probabilities of nothing" in command.difference({"label": "fear"}, expected)


def _alive(pid: int) -> bool:
    """Not gone, and more than a name that nobody has asked after yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _project_pins() -> dict[str, str]:
    lines = (peers.PROJECT / "requirements.txt").read_text().splitlines()
    pairs = (line.split("#")[0].strip().split("==") for line in lines)
    return {pair[0].lower(): pair[1] for pair in pairs if len(pair) == 2}


_STRAY = """
import http.server, os, pathlib, sys, time

if not os.fork():
    os.setsid()
    daemon = os.fork()
    if daemon:
        pathlib.Path(sys.argv[2], "daemon").write_text(str(daemon))
    else:
        time.sleep(60)
    os._exit(0)
os.wait()

class Answer(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""
