"""What the image is and what is in it, before anything is served."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.container.engine import PROJECT, Engine, docker

pytestmark = pytest.mark.container

LARGEST_MB = 800
# What may be written to inside: memory, not the image.
WRITABLE = ("/proc/", "/dev/", "/tmp", "/run/hyojo", "/var/tmp", "/run/lock", "/var/lock")


@pytest.fixture(scope="module")
def config(image):
    return json.loads(docker("image", "inspect", image))[0]


def test_it_runs_as_a_fixed_user_under_tini_with_a_health_check(config):
    assert config["Config"]["User"] == "10001:10001"
    assert config["Config"]["Entrypoint"][0] == "/usr/bin/tini"
    assert config["Config"]["Healthcheck"]["Test"] == ["CMD", "python", "-m", "service.health"]
    assert config["Config"]["StopSignal"] == "SIGTERM"
    assert list(config["Config"]["ExposedPorts"]) == ["8000/tcp"]


def test_it_is_no_larger_than_it_has_to_be(config, figures):
    megabytes = config["Size"] / 1e6
    figures["image, MB"] = megabytes
    assert megabytes <= LARGEST_MB


def test_no_file_lends_its_owners_rights(engine: Engine):
    find = ("find", "/", "-xdev", "-type", "f", "-perm", "/6000")
    found = docker("run", "--rm", "--network", "none", "--user", "0", engine.image, *find)
    assert found.strip() == ""


def test_its_user_may_write_nothing_but_memory(engine: Engine):
    script = "find / -xdev -writable -not -type l 2>/dev/null || true"
    docker_run = ("run", "--rm", "--network", "none", engine.image, "sh", "-c", script)
    found = docker(*docker_run).split("\n")
    assert [path for path in found if path and not path.startswith(WRITABLE)] == []


def test_it_holds_the_product_and_nothing_of_its_making(engine: Engine):
    top = set(engine.once("ls", "-A", "/srv/hyojo").split())
    assert {"infer.py", "models", "params", "service", "web"} <= top
    known = {"infer.py", "models", "params", "service", "web", "sbom.cdx.json", "__pycache__"}
    assert top <= known
    assert engine.once("ls", "params").split() == ["emotion", "smile"]
    tools = "pip setuptools pytest paddleclas torch sklearn matplotlib".split()
    script = "import importlib.util as u, sys; print([m for m in sys.argv[1:] if u.find_spec(m)])"
    assert engine.once("python", "-c", script, *tools).strip() == "[]"


def test_every_module_is_compiled(engine: Engine):
    script = (
        "import pathlib, importlib.util as u, sys\n"
        "roots = ['/srv/hyojo', *(p for p in sys.path if p.endswith('site-packages'))]\n"
        "files = [f for r in roots for f in pathlib.Path(r).rglob('*.py')]\n"
        "bare = [f for f in files if not pathlib.Path(u.cache_from_source(f)).exists()]\n"
        "print(len(files), len(bare), *bare[:5])"
    )
    files, bare, *names = engine.once("python", "-c", script).split()
    assert int(files) > 1000
    # Some packages carry templates of modules that do not compile.
    assert int(bare) <= 3, names


def python_packages(engine: Engine) -> dict[str, str]:
    """What Python finds installed in the image."""
    script = (
        "import importlib.metadata as m, json\n"
        "print(json.dumps({d.name.lower().replace('_', '-'): d.version"
        " for d in m.distributions()}))"
    )
    installed: dict[str, str] = json.loads(engine.once("python", "-c", script))
    return installed


def test_its_packages_are_those_of_its_lock_and_no_others(engine: Engine):
    lines = (PROJECT / "docker" / "requirements.lock").read_text().splitlines()
    locked = dict(line.split()[0].split("==") for line in lines if line[:1].isalnum())
    # networkx has left its name alone: paddlepaddle asks for it and serving never imports it.
    assert python_packages(engine) == locked
    assert "opencv-python" not in locked


def test_there_is_nothing_in_it_to_install_or_to_become_someone_else_with(engine: Engine):
    tools = "apt apt-get dpkg pip perl bash su passwd mount chsh gcc curl wget tar ssh".split()
    script = "for tool; do command -v $tool; done; true"
    assert engine.once("sh", "-c", script, "sh", *tools).split() == []


def test_every_library_finds_what_it_is_linked_to(engine: Engine):
    script = (
        "import os, subprocess, sys, sysconfig\n"
        "roots = [sysconfig.get_path('platlib'), '/usr/lib']\n"
        "files = [os.path.join(at, name) for root in roots for at, _, names in os.walk(root)"
        " for name in names if '.so' in name and not name.endswith(('.py', '.pyc', '.conf'))]\n"
        "for file in files:\n"
        "    said = subprocess.run(['/lib64/ld-linux-x86-64.so.2', '--list', file],"
        " capture_output=True, text=True).stdout\n"
        "    if 'not found' in said: print(file, said)\n"
        "print(len(files))"
    )
    *lacking, count = engine.once("python", "-c", script).splitlines()
    assert lacking == [] and int(count) > 150


def test_it_says_what_it_is_made_of(engine: Engine):
    """By `make sbom`: each package of Python's and of Debian's, and the models."""
    done = subprocess.run(
        ["make", "sbom", f"IMAGE={engine.image}"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    bom = json.loads(done.stdout)
    assert (bom["bomFormat"], bom["specVersion"][:2]) == ("CycloneDX", "1.")
    parts = {
        (part["purl"].split("/")[0], part["name"], part["version"])
        for part in bom["components"]
        if "purl" in part
    }
    told = {
        name.lower().replace("_", "-"): version
        for kind, name, version in parts
        if kind == "pkg:pypi"
    }
    assert told == python_packages(engine)
    status = engine.once("cat", "/var/lib/dpkg/status")
    debian = set(re.findall(r"^Package: (.*)$", status, re.M))
    assert {name for kind, name, _ in parts if kind == "pkg:deb"} == debian
    assert {"libc6", "libssl3", "python3.11-minimal"} <= debian
    assert "pkg:deb" in {kind for kind, *_ in parts}
    models = [p for p in bom["components"] if p["type"] == "machine-learning-model"]
    assert [model["name"] for model in models] == ["emotion", "smile"]
    for model in models:
        manifest = json.loads(engine.once("cat", f"params/{model['name']}/model.json"))
        assert model["version"] == manifest["version"]
        assert model["hashes"][0]["content"] == manifest["files"]["inference.pdiparams"]


def test_matrices_are_multiplied_as_mkl_would(engine: Engine):
    """docker/mkl.c, each function against NumPy."""
    script = Path(__file__).with_name("products.py").read_text()
    said = engine.once("python", "-c", script)
    assert said.startswith("all right: 61 functions"), said
