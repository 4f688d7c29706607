"""The locks hold what the lists ask for, each file known by its hash, and say so with one voice."""

import re
import ssl
from pathlib import Path

import certifi
import pytest

from tests.conftest import LOCKS, PROJECT

_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[a-z,]+\])?==(\S+)", re.M)
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}\b")


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def asked(name: str) -> dict[str, str]:
    """A list's own lines: name to version, "" where it names none."""
    found = {}
    for line in (PROJECT / f"{name}.txt").read_text().splitlines():
        wanted = line.partition("#")[0].strip()
        if wanted and not wanted.startswith("-"):
            package, _, version = wanted.partition("==")
            found[normal(package.partition("[")[0])] = version
    return found


def entries(name: str) -> dict[str, tuple[str, str]]:
    """A lock: name to version and the whole entry."""
    text = (PROJECT / f"{name}.lock").read_text()
    parts = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.M)[1:]
    found = {}
    for part in parts:
        pin = _PIN.match(part)
        assert pin, f"{name}.lock: {part[:80]!r} is no exact version"
        found[normal(pin[1])] = (pin[2], part)
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_what_its_list_asks_for_and_nothing_that_it_no_longer_does(name: str) -> None:
    wanted, locked = asked(name), entries(name)
    assert set(wanted) <= set(locked)
    for package, version in wanted.items():
        assert not version or locked[package][0] == version, f"{package}: run make lock"
    mine = f"-r {name}.txt"
    direct = {package for package, (_, part) in locked.items() if mine in part}
    assert direct == set(wanted), "run make lock"


@pytest.mark.parametrize("name", LOCKS)
def test_every_file_is_known_by_its_hash_and_no_host_is_named(name: str) -> None:
    for package, (_, part) in entries(name).items():
        assert _HASH.search(part), f"{package} in {name}.lock has no hash"
    text = (PROJECT / f"{name}.lock").read_text()
    assert "://" not in text and not re.search(r"^\s*--(?!hash=)", text, re.M)
    assert "/tmp" not in text and str(Path.home()) not in text


@pytest.mark.parametrize("name", ["tests/requirements", "docker/requirements"])
def test_what_is_tested_is_what_is_served(name: str) -> None:
    """The same versions, and the same files, wherever two locks name a package."""
    whole = entries("requirements")
    part = entries(name)
    assert len(set(whole) & set(part)) > 20
    for package in set(whole) & set(part):
        assert part[package][0] == whole[package][0], package
        assert set(_HASH.findall(part[package][1])) == set(_HASH.findall(whole[package][1]))
    if name == "docker/requirements":
        assert set(part) <= set(whole)


def test_the_image_and_make_install_from_the_locks() -> None:
    dockerfile = (PROJECT / "docker" / "Dockerfile").read_text()
    assert "--require-hashes" in dockerfile and "requirements.txt" not in dockerfile
    makefile = (PROJECT / "Makefile").read_text()
    assert ".ci/environment $(VENV) requirements.lock" in makefile
    assert ".ci/environment $(VENV) tests/requirements.lock" in makefile


def test_no_root_is_trusted_whose_keys_were_stolen() -> None:
    """CVE-2026-111943: what `make audit` is told to pass over for certifi 2026.10.18."""
    trusted = ssl.create_default_context(cafile=certifi.where()).get_ca_certs()
    names = [str(one["subject"]) for one in trusted]

    assert len(names) > 100 and any("ISRG" in name for name in names), "the list was read"
    assert not [name for name in names if "emsign" in name.lower()]
