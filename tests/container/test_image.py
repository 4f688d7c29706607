"""What the image is and what is in it, before anything is served."""

import json

import pytest

from tests.container.engine import PROJECT, Engine, docker

pytestmark = pytest.mark.container

LARGEST_MB = 1000
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
    assert top <= {"infer.py", "models", "params", "service", "web", "__pycache__"}
    assert engine.once("ls", "params").split() == ["emotion"]
    tools = "pip pytest paddleclas torch sklearn matplotlib".split()
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


def test_its_packages_are_at_the_projects_pins(engine: Engine):
    script = (
        "import importlib.metadata as m, json\n"
        "print(json.dumps({d.name.lower().replace('_', '-'): d.version"
        " for d in m.distributions()}))"
    )
    installed = json.loads(engine.once("python", "-c", script))
    lines = (PROJECT / "requirements.txt").read_text().splitlines()
    pins = dict(line.split("#")[0].strip().lower().split("==") for line in lines if "==" in line)
    wanted = (PROJECT / "docker" / "requirements.txt").read_text().splitlines()
    names = [line for line in wanted if line and not line.startswith("#")]
    assert {name: installed.get(name) for name in names} == {name: pins[name] for name in names}
    assert "opencv-python" not in installed
