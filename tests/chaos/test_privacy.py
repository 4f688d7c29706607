"""Nothing of an image stays behind: not in logs, metrics, files or core dumps. A marker is sent in
every place an image has, the service is made to fail over it too, and then it is looked for."""

import base64
import ctypes
import io
import json
import os
import re
import resource
import signal
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from PIL import Image, PngImagePlugin

from service.nursery import PREDICTOR
from tests.conftest import PROJECT, Launcher, Running, children, is_ready, name_of
from tests.malformed.whole import chunk, png, whole
from tests.pictures import gradient, saved
from tests.worker.conftest import wait_until

MARKER = "s3cretAuntMarker"
LARGEST_FILE = 256 * 1024
"""Once it is ready, all but the worker can write no larger file: the kernel refuses it."""
LABELS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
_IN_CREATE_MODIFY_MOVE = 0x100 | 0x2 | 0x80


class Watched:
    """What is created or written in a folder (inotify)."""

    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_NONBLOCK)
        assert self._fd >= 0
        mask = _IN_CREATE_MODIFY_MOVE
        for place in (folder, *(p for p in folder.rglob("*") if p.is_dir())):
            assert libc.inotify_add_watch(self._fd, os.fsencode(place), mask) >= 0, place

    def names(self) -> list[str]:
        """Of the files that were touched since the last call."""
        found: list[str] = []
        try:
            data = os.read(self._fd, 1 << 20)
        except BlockingIOError:
            return found
        at = 0
        while at < len(data):
            _, _, _, length = struct.unpack_from("iIII", data, at)
            found.append(data[at + 16 : at + 16 + length].rstrip(b"\0").decode())
            at += 16 + length
        return found


@dataclass
class Confined:
    """A service whose temporary files all go to one folder, and its log."""

    running: Running
    temporary: Path

    @property
    def tree(self) -> list[int]:
        """Process ids of all of it."""
        found = [self.running.process.pid]
        for pid in found:
            found += children(pid)
        return found


@pytest.fixture(scope="module")
def confined(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Confined]:
    folder = tmp_path_factory.mktemp("p")
    temporary = folder / "t"
    temporary.mkdir()
    launcher = Launcher(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(temporary))
        running = launcher(
            "-m",
            "service",
            gateway_processes=2,
            log_level="debug",
            log_format="json",
            predictor_stuck_s=30,  # a test holds the process for a moment
        )
    try:
        running.wait_for(lambda: is_ready(running.url), "readiness", 60)
        found = Confined(running, temporary)
        for pid in found.tree:
            if b"infer.py" in Path(f"/proc/{pid}/cmdline").read_bytes():
                continue  # hands large images on in memory without a name, which counts as a file
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
        yield found
    finally:
        launcher.end_all()


def marked_images() -> dict[str, bytes]:
    """Good and bad images with the marker wherever bytes may stand."""
    text, mark = PngImagePlugin.PngInfo(), MARKER.encode()
    text.add_text(MARKER, MARKER * 10)
    exif = Image.Exif()
    exif[0x010E] = MARKER
    picture = Image.fromarray(gradient())
    jpeg = saved(picture, "JPEG", comment=mark, exif=exif)
    return {
        "text": saved(picture, "PNG", pnginfo=text),
        "comment and EXIF": jpeg,
        "damaged": jpeg[:-100],
        "a damaged header": jpeg[:3] + mark + jpeg[3:],
        "a chunk of its own": png(2, 8, False, chunk(b"s3cR", mark))[:-30],
        "in a damaged palette": whole()["GIF"][:13] + mark,
        "no image": mark * 5,
        "too large": saved(Image.new("1", (12_000, 12_000)), "PNG", pnginfo=text),
        "too complicated": jpeg[:2] + (b"\xff\xee\0\x12" + mark) * 20_000 + jpeg[2:],
    }


def send_all(url: str, face: bytes) -> None:
    """Every image in every form, with the marker as its name, its field and in the address."""
    with requests.Session() as session:
        for image in [*marked_images().values(), face]:
            name = {"image": (f"{MARKER}.png", image, f"image/{MARKER}")}
            text = base64.b64encode(image).decode()
            answers = [
                session.post(f"{url}/classify", files=name, timeout=60),
                session.post(f"{url}/classify?explain=true", data=image, timeout=60,
                             headers={"Content-Type": f"image/{MARKER}"}),
                session.post(f"{url}/classify", json={"images": [text, text]}, timeout=60),
            ]  # fmt: skip
            assert all(answer.status_code < 500 for answer in answers), answers
        session.post(f"{url}/classify?model={MARKER}", files={MARKER: face}, timeout=60)
        session.post(f"{url}/classify", files={MARKER: (MARKER, face)}, timeout=60)
        session.post(f"{url}/classify", data=f'{{"images": ["{MARKER}!"]}}', timeout=60,
                     headers={"Content-Type": "application/json"})  # fmt: skip


def large(size: int) -> bytes:
    """A good image of so many bytes."""
    out = io.BytesIO(saved(gradient(), "JPEG", comment=MARKER.encode()))
    return out.getvalue() + MARKER.encode() * ((size - len(out.getvalue())) // len(MARKER))


def images_sent(url: str) -> float:
    """How many images the gateways have handed on."""
    text = requests.get(f"{url}/metrics", timeout=10).text
    found = re.search(r"^hyojo_images_total (\S+)", text, re.M)
    return float(found[1]) if found else 0.0


def files_below(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path, path.read_bytes()


def open_files(pid: int) -> Iterator[tuple[str, bytes]]:
    """What a process has open that can be read, deleted files among it, and the beginning of it."""
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target, kind = os.readlink(link), os.stat(link).st_mode
            if kind & 0o170000 == 0o100000:
                yield target, link.read_bytes()
        except OSError:
            continue


def test_nothing_of_an_image_is_logged_counted_or_kept(
    confined: Confined, face_jpeg: bytes
) -> None:
    url = confined.running.url
    send_all(url, face_jpeg)
    confined.running.wait_for(lambda: confined.running.log.count("/classify") > 30, "the log")
    log, metrics = confined.running.log, requests.get(f"{url}/metrics", timeout=10).text
    encoded = base64.b64encode(MARKER.encode()).decode()[:-4]
    for text, where in ((log, "the log"), (metrics, "the metrics")):
        for secret in (MARKER, MARKER[:8], encoded, MARKER.encode().hex()):
            assert secret not in text, where
        spoken = [line for line in text.splitlines() if '"ready: ' not in line]
        found = re.findall(rf"\b(?:{'|'.join(LABELS)})\b", "\n".join(spoken))
        assert not found, f"a result in {where}"
        assert "probabilit" not in text and '"box"' not in text
    for line in log.splitlines():
        if line.startswith("{"):
            assert "detail" not in json.loads(line) or json.loads(line)["level"] == "error", line
    for path, data in files_below(confined.temporary):
        assert MARKER.encode() not in data, path
    for pid in confined.tree:
        for target, data in open_files(pid):
            assert MARKER.encode() not in data, target


def test_an_upload_of_any_size_is_written_nowhere(confined: Confined) -> None:
    watched = Watched(confined.temporary)
    url = f"{confined.running.url}/classify"
    before = confined.tree
    for size in (1_000, 100_000, 499_000, 501_000, 2_000_000, 11 << 20):
        image = large(size)
        text = base64.b64encode(image).decode()
        sent = [
            requests.post(url, files={"image": (MARKER, image)}, timeout=60),
            requests.post(url, data=image, headers={"Content-Type": "image/jpeg"}, timeout=60),
            requests.post(url, data=iter([image]), headers={"Content-Type": "image/jpeg"},
                          timeout=60),
            requests.post(url, json={"images": [text]}, timeout=60),
            requests.post(url, files=[("image", (MARKER, image))] * 2, timeout=60),
        ]  # fmt: skip
        assert [answer.status_code for answer in sent] == [200] * 5, (size, sent[0].text)
    assert watched.names() == []
    (confined.temporary / "seen").write_bytes(b"")
    assert watched.names() == ["seen"], "the watch works"
    assert confined.tree == before, "nobody died of it"


def test_a_crash_over_an_image_leaves_none_of_it(confined: Confined) -> None:
    """The crash is the test's: SIGSEGV while the process holds the image."""
    for pid in confined.tree:
        limits = Path(f"/proc/{pid}/limits").read_text()
        core = re.search(r"Max core file size +(\d+) +(\d+)", limits)
        assert core and int(core[1]) <= 1 and int(core[2]) <= 1, limits
    predictor = next(pid for pid in confined.tree if name_of(pid) == PREDICTOR)
    folders = [confined.temporary, PROJECT, Path(f"/proc/{predictor}/cwd").resolve()]
    before = {path for folder in folders for path in folder.iterdir()}
    sent = images_sent(confined.running.url)
    os.kill(predictor, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as client:
        answer = client.submit(
            requests.post,
            f"{confined.running.url}/classify",
            files={"image": (MARKER, marked_images()["comment and EXIF"])},
            timeout=60,
        )
        wait_until(lambda: images_sent(confined.running.url) > sent, "the image to be on its way")
        time.sleep(0.3)
        os.kill(predictor, signal.SIGSEGV)
        os.kill(predictor, signal.SIGCONT)
        assert answer.result().json()["code"] == "worker_lost"
    wait_until(lambda: is_ready(confined.running.url), "a new predictor", 30)
    again = requests.post(
        f"{confined.running.url}/classify",
        files={"image": (MARKER, marked_images()["comment and EXIF"])},
        timeout=60,
    )
    assert (again.status_code, again.json()["code"]) == (422, "image_quarantined")
    after = {path for folder in folders for path in folder.iterdir()}
    assert not {path.name for path in after - before if path.name.startswith("core")}
    assert MARKER not in confined.running.log
    for path, data in files_below(confined.temporary):
        assert MARKER.encode() not in data, path
