"""How the worker starts, and what it says when it cannot."""

import json
import shutil
import signal
import socket
import time
from pathlib import Path

import pytest

from service import keys
from service.protocol import ErrorReply
from tests.conftest import PROJECT, Launcher, Running, children
from tests.worker.conftest import Client, warm

BUNDLE = PROJECT / "params" / "emotion"


def _says_and_ends(running: Running, sentence: str, status: int = 2) -> None:
    assert running.process.wait(20) == status, running.log
    assert sentence in running.log
    assert "Traceback" not in running.log


def test_one_line_says_that_it_is_ready_and_on_what(launch: Launcher) -> None:
    worker = warm(launch, predictors=2)
    (line,) = [line for line in worker.running.log.splitlines() if "ready: " in line]
    assert "emotion" in line and "7 labels" in line and "2 predictors" in line
    assert worker.running.endpoint in line


def test_a_second_worker_on_the_same_socket_is_told_so_in_a_sentence(launch: Launcher) -> None:
    first = warm(launch)
    second = launch("infer.py", worker=first.running.endpoint)
    _says_and_ends(second, "Another worker is already listening on")
    assert first.client.status().ready, "the first one goes on"


def test_a_tcp_port_in_use_is_a_sentence(launch: Launcher, tmp_path: Path) -> None:
    held, _ = keys.make(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        running = launch("infer.py", worker=address, worker_keys=held)
        _says_and_ends(running, "is already listening on")


def test_a_socket_folder_that_cannot_be_made_is_a_sentence(launch: Launcher) -> None:
    running = launch("infer.py", worker="ipc:///proc/hyojo/worker.sock")
    _says_and_ends(running, "socket cannot be made at /proc/hyojo/worker.sock")


def test_a_setting_that_cannot_be_used_is_a_sentence(launch: Launcher) -> None:
    _says_and_ends(launch("infer.py", predictors="many"), "HYOJO_PREDICTORS is 'many'")


def _missing(bundle: Path) -> str:
    shutil.rmtree(bundle)
    return "model.json is missing"


def _without_its_weights(bundle: Path) -> str:
    (bundle / "inference.pdiparams").unlink()
    return "inference.pdiparams is missing"


def _truncated(bundle: Path) -> str:
    file = bundle / "inference.pdiparams"
    file.write_bytes(file.read_bytes()[:-1000])
    return f"{file} is not the file that was saved"


def _altered(bundle: Path) -> str:
    file = bundle / "inference.json"
    file.write_bytes(file.read_bytes().replace(b"1", b"2", 1))
    return f"{file} is not the file that was saved"


def _with_a_broken_manifest(bundle: Path) -> str:
    (bundle / "model.json").write_text('{"name": "emotion", ')
    return "model.json is damaged"


def _of_another_format(bundle: Path) -> str:
    manifest = json.loads((bundle / "model.json").read_text())
    (bundle / "model.json").write_text(json.dumps(manifest | {"format": 99}))
    return "format 99"


SPOILERS = [
    _missing,
    _without_its_weights,
    _truncated,
    _altered,
    _with_a_broken_manifest,
    _of_another_format,
]


@pytest.mark.parametrize("spoil", SPOILERS, ids=lambda spoil: spoil.__name__.strip("_"))
def test_a_spoilt_bundle_is_named_and_the_worker_stays_up_not_ready(
    launch: Launcher, tmp_path: Path, spoil: object, face_jpeg: bytes
) -> None:
    params = tmp_path / "params"
    shutil.copytree(BUNDLE, params / "emotion")
    sentence = spoil(params / "emotion")  # type: ignore[operator]
    running = launch("infer.py", params=params)
    running.wait_for(lambda: "Restore the folder" in running.log, "the sentence")
    assert sentence in running.log and "Traceback" not in running.log
    client = Client(launch, running.endpoint)
    status = client.status()
    assert not status.ready and sentence in status.reason
    reply = client.classify(face_jpeg)
    assert isinstance(reply, ErrorReply) and reply.code == "model_unavailable"
    assert sentence in reply.detail
    assert children(running.process.pid) == [], "no process is started that must fail"
    assert running.stop() == 0


def test_a_network_that_does_not_fit_its_labels_is_told_and_not_restarted_in_a_loop(
    launch: Launcher, tmp_path: Path
) -> None:
    params = tmp_path / "params"
    shutil.copytree(BUNDLE, params / "emotion")
    file = params / "emotion" / "model.json"
    manifest = json.loads(file.read_text())
    file.write_text(json.dumps(manifest | {"labels": [*manifest["labels"], "boredom"]}))
    running = launch("infer.py", params=params)
    running.wait_for(lambda: "8 labels" in running.log, "the sentence")
    client = Client(launch, running.endpoint)
    assert "8 labels" in client.status().reason
    before = client.status().counters["predictors_replaced"]
    time.sleep(3)
    assert client.status().counters["predictors_replaced"] - before <= 3, "pauses grow"
    assert "Traceback" not in running.log
    assert running.stop() == 0


def test_a_default_model_that_is_not_there_is_said_with_what_there_is(launch: Launcher) -> None:
    running = launch("infer.py", model="snarl")
    running.wait_for(lambda: "no model bundle at" in running.log, "the sentence")
    assert not Client(launch, running.endpoint).status().ready


INTERRUPTED = """
import os, signal, sys
import infer
from service import catalog

read, told = catalog.read, []

def interrupted(*args):
    if not told:
        told.append(os.kill(os.getpid(), int(sys.argv[1])))
    return read(*args)

catalog.read = interrupted
sys.exit(infer.main([]))
"""
"""A worker that gets a signal while it reads its models for the first time."""


def test_who_asks_for_newer_models_while_they_are_read_gets_them_read_again(
    launch: Launcher,
) -> None:
    running = launch("-c", INTERRUPTED, str(int(signal.SIGHUP)))
    running.wait_for(lambda: "no model has changed" in running.log, "the other reading", 10)
    assert running.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_told_to_end_while_it_reads_its_models_ends_with_0(
    launch: Launcher, number: int
) -> None:
    running = launch("-c", INTERRUPTED, str(int(number)))
    assert running.process.wait(10) == 0
    assert "ready:" not in running.log and "Traceback" not in running.log
