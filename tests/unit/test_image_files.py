"""The files that make the image agree with the rest of the project."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from models import bundle
from service.settings import PREFIX, Settings

PROJECT = Path(__file__).resolve().parents[2]
SETTINGS = {PREFIX + name.upper() for name in Settings.model_fields}


def names(path: str) -> dict[str, str]:
    """Packages of a requirements file by name, with their pins ('' without one)."""
    found = {}
    for line in (PROJECT / path).read_text().splitlines():
        requirement = line.split("#")[0].strip()
        if requirement and not requirement.startswith("-"):
            name, _, pin = requirement.partition("==")
            found[name.lower()] = pin
    return found


def test_the_image_installs_a_part_of_the_projects_list_and_pins_nothing_itself():
    image = names("docker/requirements.txt")
    assert set(image) <= set(names("requirements.txt"))
    assert set(image.values()) == {""}
    assert not {"opencv-python", "paddleclas", "pytest"} & set(image)


def test_every_requirement_of_the_project_and_its_tests_is_pinned():
    for path in ("requirements.txt", "tests/requirements.txt", "tests/fuzzing.txt"):
        assert all(names(path).values()), path


def test_the_image_and_compose_speak_of_settings_that_exist():
    for path in ("docker/Dockerfile", "docker/compose.yaml", "Makefile"):
        spoken = set(re.findall(r"HYOJO_[A-Z_]+", (PROJECT / path).read_text()))
        assert spoken and spoken <= SETTINGS | {"HYOJO_TEST_SOAK"}, path


def test_the_build_sees_only_what_is_named():
    lines = (PROJECT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    for name in let_in:
        assert (PROJECT / name).exists(), name
    assert not let_in & {".", ".git", ".venv", "params", "tests", "docker"}


def test_bundles_in_the_image_are_whole_without_what_only_trainings_read(tmp_path: Path):
    for name in ("emotion", "smile"):
        shutil.copytree(PROJECT / "params" / name, tmp_path / name)
    subprocess.run([sys.executable, PROJECT / "docker" / "bundles.py", tmp_path], check=True)
    for name in ("emotion", "smile"):
        thin, given = bundle.load(tmp_path / name), bundle.load(PROJECT / "params" / name)
        assert not list(thin.path.rglob("*.safetensors"))
        assert thin.manifest.files.items() < given.manifest.files.items()
        assert (thin.manifest.version, thin.manifest.labels) == (
            given.manifest.version,
            given.manifest.labels,
        )
        assert thin.file(bundle.PARAMETERS).is_file()
