"""A folder of models that are not in the image, mounted into its container."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.container.engine import PROJECT, Engine, compose_command, environment
from tests.guests import copied

pytestmark = pytest.mark.container

PICTURE = (PROJECT / "web" / "example.jpg").read_bytes()
WITHIN = "/srv/hyojo/params/imagenet"


def test_a_mounted_family_is_announced_and_answers(engine: Engine, tmp_path: Path):
    for name in ("a", "b"):
        copied(tmp_path / "imagenet" / name)
    container = engine.start(options=("-v", f"{tmp_path / 'imagenet'}:{WITHIN}:ro"))
    container.wait_ready()
    answer = container.classify(PICTURE, query="?model=average:a,b&top=2")
    assert (answer["status"], answer["model"]) == (200, "average:a,b")
    states = {m["name"]: m["state"] for m in json.loads(container.get("/models")[1])["models"]}
    assert states["imagenet:a"] == states["imagenet:b"] == states["emotion"] == "warm"
    assert "Traceback" not in container.logs


def test_compose_has_a_file_for_it(image: str):
    command = compose_command()
    if command is None:
        pytest.skip("neither `docker compose` nor docker-compose is here")
    files = ("-f", "docker/compose.yaml", "-f", "docker/imagenet.yaml")
    told = subprocess.run(
        [*command, *files, "config"],
        cwd=PROJECT,
        env=environment(IMAGE=image),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert told.count(WITHIN) == 1 and told.count("/run/hyojo:") == 2, "beside the socket's"
