"""The client as others get it: a wheel, built, laid into a fresh environment, and used there."""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import PROJECT

NEEDS = "urllib3"
TYPED = """
from hyojo import Face, Hyojo, Result

def one(hyojo: Hyojo) -> Result:
    return hyojo.classify("a.jpg", top=2)

def many(hyojo: Hyojo) -> list[Result]:
    return hyojo.classify(["a.jpg", b""], faces="all")

def box(face: Face) -> tuple[float, float, float, float]:
    return face.box
"""
WRONG = 'from hyojo import Hyojo\nx: int = Hyojo().classify("a.jpg").label\n'


def _run(*command: object, **env: str) -> str:
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "MYPYPATH")}
    done = subprocess.run(
        list(map(str, command)), env={**kept, **env}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by pip from the folder as it stands, with the builder that is installed here."""
    folder = tmp_path_factory.mktemp("wheel")
    quiet = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-index")
    pip = (sys.executable, "-m", "pip", "wheel", *quiet, "--no-build-isolation")
    _run(*pip, "-w", folder, PROJECT / "client")
    (built,) = folder.glob("hyojo-*-py3-none-any.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment's Python with the wheel, and what it needs as it is installed here.

    So that nothing is fetched; `pip check` says whether it is all that the wheel asks for.
    """
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    uv = Path(sys.executable).with_name("uv")
    _run(uv, "venv", "--quiet", "--offline", "--python", sys.executable, folder)
    fresh = folder / "bin" / "python"
    (site,) = folder.glob("lib/python3*/site-packages")
    distribution = importlib.metadata.distribution(NEEDS)
    shutil.copytree(str(distribution.locate_file(NEEDS)), site / NEEDS)
    meta = f"{NEEDS}-{distribution.version}.dist-info"
    shutil.copytree(str(distribution.locate_file(meta)), site / meta)
    _run(uv, "pip", "install", "--quiet", "--offline", "--no-index", "--python", fresh, wheel)
    _run(uv, "pip", "check", "--quiet", "--python", fresh)
    return fresh


def test_the_wheel_holds_the_package_its_types_and_its_terms(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info" not in name}
        sources = {p.name for p in (PROJECT / "client" / "hyojo").iterdir() if p.is_file()}
        assert names == {f"hyojo/{name}" for name in sources} and "hyojo/py.typed" in names
        (terms,) = (name for name in archive.namelist() if name.endswith("LICENSE"))
        assert archive.read(terms) == (PROJECT / "LICENSE").read_bytes()


def test_command_and_module_answer_where_nothing_else_is_installed(
    python: Path, service_url: str, tmp_path: Path
) -> None:
    picture = PROJECT / "web" / "example.jpg"
    command = python.with_name("hyojo")
    told = _run(command, "classify", "--json", picture, HYOJO_URL=service_url)
    assert json.loads(told)["label"] == "happiness"
    version = importlib.metadata.Distribution.discover(
        name="hyojo", path=[str(p) for p in python.parents[1].glob("lib/*/site-packages")]
    )
    assert _run(command, "--version").split() == ["hyojo", next(iter(version)).version]
    script = f"import hyojo; print(hyojo.Hyojo({service_url!r}).classify({str(picture)!r}).label)"
    assert _run(python, "-W", "error", "-c", script).strip() == "happiness"


def test_its_types_are_seen_by_those_who_use_it(python: Path, tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text(TYPED)
    (tmp_path / "wrong.py").write_text(WRONG)
    (tmp_path / "mypy.ini").write_text("[mypy]\nstrict = true\n")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--cache-dir", "cache",
         "--python-executable", python, "good.py", "wrong.py"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    line, total = done.stdout.splitlines()
    assert line.startswith("wrong.py:2: ") and "Incompatible types in assignment" in line, line
    assert total.startswith("Found 1 error in 1 file"), total
