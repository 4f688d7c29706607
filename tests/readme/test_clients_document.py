"""Every example of docs/CLIENTS.md, run as it stands against the real service."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright._impl._driver import compute_driver_executable

from tests.conftest import PROJECT

TEXT = (PROJECT / "docs" / "CLIENTS.md").read_text()
BLOCK = re.compile(r"```(sh|python|js)\n(.*?)```(?:\n\n```output\n(.*?)```)?", re.S)
DEFAULT = "http://127.0.0.1:8000"


@dataclass
class Example:
    """What is run, and what it prints."""

    kind: str
    source: str
    output: str


def _examples() -> Iterator[Example]:
    """Those that print; JavaScript without an output is what the next one uses."""
    before = ""
    for kind, source, output in BLOCK.findall(TEXT):
        if kind == "js" and not output:
            before = source
            continue
        yield Example(kind, (before if kind == "js" else "") + source, output)


EXAMPLES = list(_examples())


@pytest.fixture
def folder(tmp_path: Path, face_jpeg: bytes, landscape_png: bytes) -> Path:
    """Where the examples are run: their pictures, and the command `hyojo`."""
    (tmp_path / "photo.jpg").write_bytes(face_jpeg)
    (tmp_path / "hills.png").write_bytes(landscape_png)
    command = tmp_path / "bin" / "hyojo"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m hyojo "$@"\n')
    command.chmod(0o755)
    return tmp_path


def test_there_are_examples_of_each_kind_and_each_says_what_it_prints() -> None:
    assert [example.kind for example in EXAMPLES].count("sh") == 4
    assert {example.kind for example in EXAMPLES} == {"sh", "python", "js"}
    assert all(example.output for example in EXAMPLES)


@pytest.mark.parametrize("example", EXAMPLES, ids=[e.source[:40] for e in EXAMPLES])
def test_an_example_prints_what_it_says(example: Example, folder: Path, service_url: str) -> None:
    node = compute_driver_executable()[0]  # the Node that Playwright brings
    command = {
        "sh": ["bash", "-c", f"set -o pipefail; {_here(example.source, service_url)}"],
        "python": [sys.executable, "-W", "error", "-c", _here(example.source, service_url)],
        "js": [node, "--input-type=module", "-e", _here(example.source, service_url)],
    }[example.kind]
    env = {
        "PATH": f"{folder}/bin:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": str(PROJECT / "client"),
        "HYOJO_URL": service_url,
        "HYOJO_KEY": "a-key-that-this-service-does-not-ask-for",
        "COLUMNS": "100",
    }
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stdout == example.output, done.stdout + done.stderr


def _here(source: str, url: str) -> str:
    return source.replace(DEFAULT, url)
