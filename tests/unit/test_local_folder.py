"""The folder of the page without a server: what goes in, what is refused, whose runtime it is.

That the page works is shown in Chromium: tests/browser/test_page_local.py.
"""

import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import fields
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from models.bundle import InputSpec
from models.errors import UsageError
from models.face_spec import FaceSpec
from models.local import folder, runtime
from models.local.__main__ import main
from models.local.runtime import RuntimeFetchError
from tests.conftest import PROJECT

CACHE = PROJECT / "build" / "npm"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture(scope="module")
def kept() -> Path:
    """The package's file, as this machine gets it."""
    return runtime.tarball(CACHE)


@pytest.fixture
def registry(tmp_path: Path, kept: Path) -> Iterator[Path]:
    """A registry of files on this machine, as `npm_config_registry` may name one; its folder."""
    home = tmp_path / "registry"
    (home / "onnxruntime-web" / "-").mkdir(parents=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=home))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_address[1]}/")
        patch.setattr(shutil, "which", lambda name: None)  # a machine without npm
        yield home / "onnxruntime-web" / "-" / f"onnxruntime-web-{runtime.VERSION}.tgz"
    server.shutdown()
    server.server_close()


def test_the_folder_holds_all_it_needs_and_says_whose_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "site"
    out.mkdir()
    (out / "models.json").write_text("{}")  # made before
    (out / "old.txt").write_text("of an older version")
    assert main(["--out", str(out)]) == 0
    assert not (out / "old.txt").exists()
    assert f"{out}: " in capsys.readouterr().out
    notices = (out / "NOTICES.txt").read_text()
    for words in ("Shiqi Yu", "Microsoft Corporation", "JAFFE", "The page"):
        assert words in notices
    page = (out / "local.html").read_text()
    assert page == (out / "index.html").read_text()
    index = (PROJECT / "web" / "index.html").read_text()
    ids = re.findall(r' id="([^"]+)"', index)
    assert len(ids) > 30 and re.findall(r' id="([^"]+)"', page) == ids, "the same page"
    assert "js/local/start.js" in page and "js/app.js" not in page
    assert "this server" not in page.split("<footer")[1]
    named = re.findall(r'(?:src|href)="([a-z][^"#:]*)"', page)
    assert len(named) >= 6 and all((out / name).is_file() for name in named)
    sizes = {file.relative_to(out).as_posix(): file.stat().st_size for file in out.rglob("*.*")}
    assert sizes["models/emotion.onnx"] < 8e6 and sizes["models/faces.onnx"] < 3e5
    assert sum(sizes.values()) < 25e6


def test_the_browser_knows_every_word_of_a_bundle_about_crops_and_inputs() -> None:
    """Who adds one teaches it to web/js/local too; else the two would answer differently."""
    known = {FaceSpec: "wanted detector align span centre", InputSpec: "size color mean scale"}
    for kind, words in known.items():
        assert [field.name for field in fields(kind)] == words.split(), kind.__name__
    code = "".join(path.read_text() for path in (PROJECT / "web/js/local").glob("*.js"))
    for word in "wanted align span centre size color mean scale".split():
        assert re.search(rf"\b{word}\b", code), word


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds something else"):
        folder.make(tmp_path, PROJECT / "params", ["emotion"], PROJECT)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("model", "said"), [("nobody", "nobody"), ("face", "only lends its weights"), (",", "No model")]
)
def test_a_model_that_cannot_be_read_there_is_a_sentence(
    model: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--out", str(tmp_path / "site"), "--model", model]) == 2
    told = capsys.readouterr().err
    assert said in told and "Traceback" not in told
    assert not (tmp_path / "site").exists()


def test_without_npm_the_registry_that_is_set_is_asked(
    registry: Path, kept: Path, tmp_path: Path
) -> None:
    shutil.copyfile(kept, registry)
    cache = tmp_path / "cache"
    runtime.unpack(cache, tmp_path / "runtime")
    assert sorted(path.name for path in (tmp_path / "runtime").iterdir()) == sorted(runtime.FILES)
    registry.unlink()
    assert runtime.tarball(cache).is_file(), "fetched once"


def test_another_file_of_that_name_is_refused(registry: Path, kept: Path, tmp_path: Path) -> None:
    data = bytearray(kept.read_bytes())
    data[1000] ^= 1
    registry.write_bytes(data)
    with pytest.raises(RuntimeFetchError, match="not the file that was published"):
        runtime.unpack(tmp_path / "cache", tmp_path / "runtime")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_damaged_copy_is_fetched_anew(registry: Path, kept: Path, tmp_path: Path) -> None:
    shutil.copyfile(kept, registry)
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / registry.name).write_bytes(b"half of it")
    runtime.tarball(cache)
    assert (cache / registry.name).stat().st_size == kept.stat().st_size


def test_a_registry_that_has_it_not_is_a_sentence(registry: Path, tmp_path: Path) -> None:
    with pytest.raises(RuntimeFetchError, match=r"could not be fetched by http.*404"):
        runtime.unpack(tmp_path / "cache", tmp_path / "runtime")
