"""The service on a Ray cluster of several nodes: the same answers, and none lost on the way."""

import json
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.amount import SOAK, amount, soak_only
from tests.bundles import untrained
from tests.chaos.load import Load, different_pictures, known_answers
from tests.conftest import PROJECT, Running
from tests.ray.conftest import Cluster, nodes, run_app

JPEG = {"Content-Type": "image/jpeg"}
_CHANGES = re.compile(rb'(?<="timings_ms":){[^}]*}')


def exchange(url: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
    """Status and body of one answer, without what no two answers have alike: its timings."""
    headers = {"X-Request-Id": "the-same", **headers}
    request = urllib.request.Request(f"{url}{path}", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, _CHANGES.sub(b"{}", answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _CHANGES.sub(b"{}", error.read())


def form(*images: bytes) -> tuple[bytes, dict[str, str]]:
    """A multipart body with its header."""
    head = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    body = b"".join(head + image + b"\r\n" for image in images) + b"--b--\r\n"
    return body, {"Content-Type": "multipart/form-data; boundary=b"}


def questions(face: bytes, landscape: bytes) -> list[tuple[str, bytes | None, dict[str, str]]]:
    """Addresses with bodies and headers: what goes well, and what does not."""
    pictures = different_pictures(face, amount(3, 12))
    v2 = json.dumps(
        {"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": ["bm9uZQ=="]}]}
    ).encode()
    return [
        *(
            (f"/classify?top={number % 3 + 1}", image, JPEG)
            for number, image in enumerate(pictures)
        ),
        ("/classify?explain=true&faces=all", face, JPEG),
        ("/classify?model=smile", face, JPEG),
        ("/classify", landscape, {"Content-Type": "image/png"}),
        ("/classify", *form(face, b"no image", landscape)),
        ("/classify", b'{"images": ["bm9uZQ=="]}', {"Content-Type": "application/json"}),
        ("/classify", b"no image", JPEG),
        ("/classify", b"", JPEG),
        ("/classify", face, {"Content-Type": "text/plain"}),
        ("/classify?model=nothing", face, JPEG),
        ("/classify?top=0", face, JPEG),
        ("/classify", bytes(13 << 20), JPEG),
        ("/classify", None, {}),
        ("/nowhere", None, {}),
        ("/v2/models/emotion/infer", v2, {}),
        ("/v2/models/emotion", None, {}),
        ("/v2/nowhere", None, {}),
        ("/models", None, {}),
        ("/openapi.json", None, {}),
        ("/", None, {}),
        ("/livez", None, {}),
    ]


def test_answers_are_those_of_the_service_on_one_machine_byte_for_byte(
    cluster: Cluster, service: Running, face_jpeg: bytes, landscape_png: bytes
) -> None:
    for question in questions(face_jpeg, landscape_png):
        here, there = exchange(service.url, *question), exchange(cluster.url, *question)
        there = there[0], there[1].replace(cluster.url.encode(), service.url.encode())
        assert there == here, question[0]


def test_the_state_told_is_that_of_all_replicas(cluster: Cluster) -> None:
    _, body = exchange(cluster.url, "/readyz", None, {})
    assert json.loads(body)["predictors"] == 2
    told = json.loads(cluster_status(cluster))
    assert told["replicas"] == {"worker": {"RUNNING": 2}, "gateway": {"RUNNING": 1}}
    assert {model["name"] for model in told["models"]} == {"emotion", "smile"}


def cluster_status(cluster: Cluster) -> str:
    done = run_app("--address", cluster.address, "--status", "--json", **cluster.settings)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_node_that_is_killed_under_load_loses_no_request(
    cluster: Cluster, face_jpeg: bytes
) -> None:
    pictures = different_pictures(face_jpeg)
    known = known_answers(cluster.url, pictures)
    with Load(cluster.url, pictures, clients=4) as load:
        for _ in range(amount(1, 3)):
            await_more(load, 20)
            cluster.tell("kill worker")
            wait_for(lambda: not is_whole(cluster))
            await_more(load, 20)
            wait_for(lambda: is_whole(cluster))
            if SOAK:
                cluster.tell("add 1")
    assert set(load.kinds) == {"200"}, load.kinds
    assert all(answer.body["results"] == known[answer.picture] for answer in load.answers)


@soak_only
def test_new_bundles_and_new_settings_come_without_a_lost_request(
    cluster: Cluster, face_jpeg: bytes, tmp_path: Path
) -> None:
    params = tmp_path / "params"
    for name in ("emotion", "smile"):
        shutil.copytree(PROJECT / "params" / name, params / name)
    pictures = different_pictures(face_jpeg)
    known = known_answers(cluster.url, pictures)
    with Load(cluster.url, pictures, clients=2, pause_s=0.05) as load:
        # Another folder and another limit: every process is replaced.
        cluster.deploy("--replicas", "2", "--proxies", "first", params=params, max_images=3)
        untrained(params / "mugs", seed=7)
        # Another bundle: the processes stay, and read the folder again.
        cluster.deploy("--replicas", "2", "--proxies", "first", params=params, max_images=3)
    assert set(load.kinds) == {"200"}, load.kinds
    assert all(answer.body["results"] == known[answer.picture] for answer in load.answers)
    status, body = exchange(cluster.url, "/classify?model=mugs", face_jpeg, JPEG)
    assert status == 200 and json.loads(body)["version"] == "7"
    status, body = exchange(cluster.url, "/classify", *form(*[face_jpeg] * 4))
    assert status == 422 and json.loads(body)["code"] == "too_many_images"


def is_whole(cluster: Cluster) -> bool:
    """Whether both workers are there again."""
    _, body = exchange(cluster.url, "/readyz", None, {})
    told = json.loads(body)
    return told.get("predictors_ready") == 2


def await_more(load: Load, count: int) -> None:
    """Wait until so many more requests have been answered."""
    seen = len(load.answers)
    wait_for(lambda: len(load.answers) >= seen + count)


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not come about"
        time.sleep(0.05)


def test_it_is_taken_away_and_says_so(cluster: Cluster) -> None:
    cluster.deploy("--remove")
    done = run_app("--address", cluster.address, "--status", **cluster.settings)
    assert done.returncode == 2 and "not deployed" in done.stderr


@soak_only
def test_workers_are_added_where_requests_wait(face_jpeg: bytes) -> None:
    pictures = different_pictures(face_jpeg)
    with nodes(0, 1, 1) as cluster:
        cluster.deploy("--replicas", "1:2", "--proxies", "first")
        with Load(cluster.url, pictures, clients=8) as load:
            wait_for(lambda: is_whole(cluster))
        assert set(load.kinds) == {"200"}, load.kinds


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere.invalid:6379", "127.0.0.1:x"])
def test_no_cluster_is_said_at_once(address: str) -> None:
    done = run_app("--address", address)
    assert done.returncode == 2
    assert "No Ray cluster answers" in done.stderr and "ray start --head" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("scale", ["0", "3:2", "many", "-1"])
def test_a_number_of_replicas_that_cannot_be_is_refused(scale: str) -> None:
    done = run_app(f"--replicas={scale}")
    assert done.returncode == 2 and "takes a number, or two such as 2:16" in done.stderr
