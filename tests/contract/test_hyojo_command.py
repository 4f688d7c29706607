"""The command `hyojo` as a person runs it against the real service."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from service.settings import load_settings
from tests.conftest import PROJECT, Launcher, free_port

HYOJO = [sys.executable, "-m", "hyojo"]


def _environment(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HYOJO_")}
    return {**kept, "PYTHONPATH": str(PROJECT / "client"), "COLUMNS": "120", **more}


@pytest.fixture
def album(tmp_path: Path, face_jpeg: bytes, landscape_png: bytes) -> Path:
    """A folder: a face, hills below, a hidden picture, a text, and a picture cut short."""
    folder = tmp_path / "album"
    (folder / "more").mkdir(parents=True)
    (folder / "face.jpg").write_bytes(face_jpeg)
    (folder / "more" / "hills.PNG").write_bytes(landscape_png)
    (folder / "more" / "short.jpg").write_bytes(face_jpeg[:3000])
    (folder / ".hidden.jpg").write_bytes(face_jpeg)
    (folder / "notes.txt").write_text("no picture")
    return folder


def _run(
    *arguments: object, url: str = "", stdin: bytes | None = None, **environment: str
) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        [*HYOJO, *map(str, arguments)],
        env=_environment(**({"HYOJO_URL": url} if url else {}), **environment),
        input=stdin or b"",
        capture_output=True,
        timeout=60,
    )
    text = subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )
    assert "Traceback" not in text.stderr, text.stderr
    return text


def test_files_and_folders_are_lines_and_one_that_failed_is_status_1(
    album: Path, service_url: str
) -> None:
    done = _run("classify", album / "face.jpg", album, album / "none.jpg", url=service_url)
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 5 and "happiness" in lines[0] and "%" in lines[0]
    assert lines[2].endswith("no face found")
    assert "FAILED" in lines[3] and "truncated or damaged" in lines[3]
    assert "FAILED" in lines[4] and "No such file" in lines[4]


def test_json_is_one_object_a_picture_and_model(album: Path, service_url: str) -> None:
    many = [album / "face.jpg"] * 9  # one more than a request takes
    done = _run("classify", "--json", "--top", 2, "--model", "emotion", "--model", "smile",
                "--explain", *many, url=service_url)  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [t["model"] for t in told] == ["emotion", "smile"] * 9
    assert {t["label"] for t in told} == {"happiness", "smile"}
    assert len(told[0]["probabilities"]) == 2 and told[0]["path"] == str(album / "face.jpg")
    assert told[0]["faces"][0]["explanation"]["label"] == "happiness"
    done = _run("classify", "--json", album / "more" / "short.jpg", url=service_url)
    assert json.loads(done.stdout)["error"]["code"] == "image_broken" and done.returncode == 1


def test_a_picture_comes_on_standard_input(service_url: str, face_jpeg: bytes) -> None:
    done = _run("classify", "--url", service_url, "-", stdin=face_jpeg)
    assert done.returncode == 0 and done.stdout.startswith("-") and "happiness" in done.stdout


def test_a_name_that_is_no_text_and_a_reader_that_goes_do_no_harm(
    album: Path, service_url: str, face_jpeg: bytes
) -> None:
    odd = os.fsencode(album) + b"/\xff\n.jpg"
    Path(os.fsdecode(odd)).write_bytes(face_jpeg)
    for form in ((), ("--json",)):
        done = _run("classify", *form, os.fsdecode(odd), url=service_url)
        assert done.returncode == 0 and len(done.stdout.splitlines()) == 1
    piped = subprocess.run(
        ["bash", "-c", f"{' '.join(HYOJO)} classify {album}/face.jpg {album} | true; exit 0"],
        env=_environment(HYOJO_URL=service_url), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert piped.stderr == ""


def test_models_and_readiness(service_url: str) -> None:
    done = _run("models", url=service_url)
    assert done.returncode == 0 and "* emotion" in done.stdout and "  smile" in done.stdout
    told = _run("models", "--json", url=service_url).stdout.splitlines()
    assert {"emotion", "smile"} <= {json.loads(line)["name"] for line in told}
    assert _run("ready", url=service_url).returncode == 0
    nobody = _run("ready", "--url", f"http://127.0.0.1:{free_port()}")
    assert (nobody.returncode, nobody.stdout) == (1, "not ready\n")


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["classify", "--model", "nope", "{face}"], 1, "There is no model 'nope'"),
        (["classify", "--top", "0", "{face}"], 1, "from 1 to 1000"),
        (["classify", "--url", "here", "{face}"], 2, "is no address of a service"),
        (["classify", "--url", "http://127.0.0.1:1", "{face}"], 1, "cannot be reached"),
        (["classify", "--explain", "{face}"], 2, "--json"),
        (["classify", "--key", "a b", "{face}"], 2, "The key"),
        (["classify", "{empty}"], 2, "holds no image files"),
        (["classify", "-", "-"], 2, "name - once"),
        (["classify", "--timeout", "0", "{face}"], 2, "above 0"),
        (["classify"], 2, "required: PICTURE"),
        (["watch", "{face}"], 2, "There is no folder"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(
    arguments: list[str], status: int, says: str, album: Path, service_url: str
) -> None:
    (album / "empty").mkdir()
    places = {"face": album / "face.jpg", "empty": album / "empty"}
    done = _run(*(a.format(**places) for a in arguments), url=service_url)
    assert done.returncode == status and says in done.stderr and done.stdout == ""


def test_its_variables_are_none_of_the_services(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell that holds both starts the service all the same."""
    monkeypatch.setenv("HYOJO_URL", "http://127.0.0.1:8000")
    monkeypatch.setenv("HYOJO_KEY", "s3cret")
    load_settings()


@dataclass
class Watching:
    """`hyojo watch` at work, what it says going to files."""

    process: "subprocess.Popen[bytes]"
    out: Path
    err: Path
    more: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """What it has printed until now."""
        return self.out.read_text().splitlines()

    def wait_for(self, number: int, seconds: float = 40) -> list[str]:
        """Its lines once there are so many."""
        end = time.monotonic() + seconds
        while len(self.lines()) < number:
            assert time.monotonic() < end and self.process.poll() is None, self.err.read_text()
            time.sleep(0.05)
        return self.lines()

    def wait_to_say(self, words: str, seconds: float = 40) -> None:
        """Wait for words on standard error."""
        end = time.monotonic() + seconds
        while words not in self.err.read_text():
            assert time.monotonic() < end, self.err.read_text()
            time.sleep(0.05)


@pytest.fixture
def watch(tmp_path: Path) -> Iterator["type[Watching]"]:
    started: list[Watching] = []

    def start(folder: Path, url: str, *arguments: str) -> Watching:
        number = len(started)
        out, err = tmp_path / f"out-{number}", tmp_path / f"err-{number}"
        command = [*HYOJO, "watch", str(folder), "--every", "0.1", *arguments]
        with out.open("wb") as a, err.open("wb") as b:
            process = subprocess.Popen(command, env=_environment(HYOJO_URL=url), stdout=a, stderr=b)
        started.append(Watching(process, out, err))
        started[-1].wait_to_say("Watching")
        return started[-1]

    yield start  # type: ignore[misc]
    for watching in started:
        watching.process.kill()
        watching.process.wait()


def test_watch_tells_each_new_picture_once_it_is_whole(
    album: Path, service_url: str, face_jpeg: bytes, watch
) -> None:
    watching = watch(album, service_url)
    with (album / "slow.jpg").open("wb") as slow:  # as a camera writes it
        for part in range(0, len(face_jpeg), len(face_jpeg) // 5):
            slow.write(face_jpeg[part : part + len(face_jpeg) // 5])
            slow.flush()
            time.sleep(0.06)
    (line,) = watching.wait_for(1)
    assert "slow.jpg" in line and "happiness" in line
    (album / "day").mkdir()
    shutil.copy(album / "face.jpg", album / "day" / "new.jpg")
    (album / "day" / "broken.jpg").write_bytes(face_jpeg[:3000])
    assert any("new.jpg" in line and "happiness" in line for line in watching.wait_for(3))
    assert any("broken.jpg" in line and "FAILED" in line for line in watching.lines())
    shutil.copy(album / "more" / "hills.PNG", album / "slow.jpg")  # another picture, same name
    assert watching.wait_for(4)[3].endswith("no face found")
    time.sleep(0.5)
    assert len(watching.lines()) == 4, "each once"
    watching.process.send_signal(signal.SIGINT)
    assert watching.process.wait(20) == 0
    assert "Traceback" not in watching.err.read_text()


def test_watch_waits_for_a_service_that_is_away_and_loses_no_picture(
    album: Path, launch: Launcher, watch
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    watching = watch(album, url, "--existing", "--json", "--patience", "0")
    watching.wait_to_say("Waiting: ")
    launch("-m", "service", port=port)
    told = [json.loads(line) for line in watching.wait_for(3, 60)]
    labels = {Path(t["path"]).name: t.get("label") for t in told}
    assert labels == {"face.jpg": "happiness", "hills.PNG": None, "short.jpg": None}
    assert watching.err.read_text().count("cannot be reached") == 1, "said once"
    watching.process.terminate()
    assert watching.process.wait(20) == 0


def test_watch_ends_when_the_question_itself_is_wrong(album: Path, service_url: str, watch) -> None:
    watching = watch(album, service_url, "--existing", "--model", "nope")
    assert watching.process.wait(40) == 1
    assert "There is no model 'nope'" in watching.err.read_text()
