"""The page without a server: a built folder, a plain file server, and the service's own answers.

No request may go anywhere but to the file server, which knows nothing but files; the service runs
for comparison alone.
"""

import base64
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from models import images
from tests.amount import amount
from tests.browser.conftest import Watch
from tests.browser.static_host import Host, serve
from tests.libfacedetection import LibFaceDetection
from tests.pictures import two_faces

ROOT = Path(__file__).resolve().parents[2]
LOAD_MS = 60_000
NOBODY = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
FRAMES_A_SECOND_AT_LEAST = 1
"""A floor for a shared and loaded machine, not an aim: what was measured is printed."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `make local` makes it, deep inside a host's root."""
    made = tmp_path_factory.mktemp("root") / "some" / "where"
    done = subprocess.run(
        [sys.executable, "-m", "models.local", "--out", str(made)],
        cwd=ROOT, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture(scope="module")
def host(folder: Path) -> Iterator[Host]:
    yield from serve(folder.parent.parent)


@pytest.fixture(scope="module")
def local_browser(chromium: Callable[..., Any], camera_file: Path) -> Any:
    return chromium(NOBODY, *CAMERA, f"--use-file-for-fake-video-capture={camera_file}")


@pytest.fixture(scope="module")
def page(local_browser: Any, host: Host) -> Iterator[Any]:
    """One page for all tests: a browser loads the model once."""
    context = local_browser.new_context(viewport={"width": 1200, "height": 860})
    page = context.new_page()
    page.set_default_timeout(LOAD_MS)
    watch = Watch(f"{host.url}some/where/")
    watch.over(page)
    page.goto(f"{host.url}some/where/local.html")
    page.wait_for_selector("#service[data-state=ready]")
    yield page
    context.close()
    assert watch.verdict() == []


@pytest.fixture
def answer(page: Any) -> Callable[..., dict[str, Any]]:
    """`answer(image, **asked)`: what the page's own request brings, as the service would say it."""

    def ask(image: bytes, **asked: Any) -> dict[str, Any]:
        return page.evaluate(
            """async ([data, asked]) => {
              const { classifyFile } = await import('./js/api.js');
              const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
              return classifyFile(new Blob([bytes]), asked);
            }""",
            [base64.b64encode(image).decode(), {"faces": "auto", **asked}],
        )

    return ask


def near(ours: dict[str, Any], theirs: dict[str, Any], pixels: float = 2) -> None:
    """The same faces in their order, the same words, probabilities within two hundredths."""
    assert ours["version"] == theirs["version"]
    (mine,), (told,) = ours["results"], theirs["results"]
    assert mine["size"] == told["size"] and mine["label"] == told["label"]
    assert len(mine["faces"]) == len(told["faces"])
    for a, b in zip(mine["faces"], told["faces"], strict=True):
        assert a["box"] == pytest.approx(b["box"], abs=pixels)
        assert a["score"] == pytest.approx(b["score"], abs=0.02)
        assert a["label"] == b["label"]
        assert a["probabilities"] == pytest.approx(b["probabilities"], abs=0.02)
    assert mine["probabilities"] == pytest.approx(told["probabilities"], abs=0.02)


def give(page: Any, *files: Path) -> None:
    page.set_input_files("#chooser", list(files))
    page.wait_for_selector(".results .card[data-state]:not([data-state=waiting])")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.results .card')].every("
        "(card) => ['done', 'no-face', 'failed'].includes(card.dataset.state))"
    )


def test_the_example_is_read_without_a_server(
    page: Any, host: Host, example: Path, classify: Callable[..., Any], shots: Path
) -> None:
    page.get_by_role("button", name="Try the example").click()
    page.wait_for_selector(".results .card[data-state=done]")
    card = page.locator(".results .card")
    assert card.locator(".reading-word").inner_text() == "happiness"
    told = classify(example.read_bytes())["results"][0]
    shown = int(re.sub(r"\D", "", card.locator(".reading-sure").inner_text()))
    assert shown == pytest.approx(100 * told["probability"], abs=2.5)
    assert card.locator(".bar").count() == 7 and card.locator(".box").count() == 1
    assert "this device" in page.locator("footer").inner_text()
    assert page.locator("#trouble").inner_text() == ""
    page.screenshot(path=shots / "local.png")
    assert all(path.startswith("/some/where/") for path in host.asked)
    assert not any("classify" in path or "readyz" in path for path in host.asked)


@pytest.mark.parametrize("how", ["auto", "all", "largest", "whole"])
def test_answers_are_the_services(
    how: str, answer: Callable[..., Any], classify: Callable[..., Any], face_jpeg: bytes
) -> None:
    near(answer(face_jpeg, faces=how), classify(face_jpeg, how))


def test_two_faces_small_faces_and_none(
    answer: Callable[..., Any],
    classify: Callable[..., Any],
    face_jpeg: bytes,
    landscape_png: bytes,
) -> None:
    two = two_faces(face_jpeg)
    near(answer(two), classify(two))
    assert len(answer(two)["results"][0]["faces"]) == 2
    crowd = crowd_of(face_jpeg)
    near(answer(crowd, faces="all"), classify(crowd, "all"))
    assert len(answer(crowd, faces="all")["results"][0]["faces"]) >= 4
    nobody = answer(landscape_png)["results"][0]
    assert nobody == classify(landscape_png)["results"][0] and nobody["faces"] == []


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "BMP"])
def test_other_formats_sizes_and_turned_pictures(
    kind: str, answer: Callable[..., Any], classify: Callable[..., Any], face_jpeg: bytes
) -> None:
    whole = Image.open(io.BytesIO(face_jpeg))
    changed = {
        "PNG": whole.convert("LA").rotate(12, expand=True),  # grey, and clear at the corners
        "WEBP": whole.crop((100, 0, 420, 300)).resize((1280, 1200)),  # crops are averaged first
        "GIF": whole.resize((200, 200)),
        "BMP": whole.crop((150, 30, 300, 180)).resize((96, 96)),
    }[kind]
    out = io.BytesIO()
    changed.save(out, kind)
    near(answer(out.getvalue()), classify(out.getvalue()), pixels=4)


def test_a_camera_s_turned_jpeg_is_upright(
    answer: Callable[..., Any], classify: Callable[..., Any], face_jpeg: bytes
) -> None:
    lying = Image.open(io.BytesIO(face_jpeg)).crop((60, 0, 460, 300)).rotate(90, expand=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    lying.save(out, "JPEG", quality=95, exif=exif)
    told = answer(out.getvalue())
    assert told["results"][0]["size"] == {"width": 400, "height": 300}
    near(told, classify(out.getvalue()))


def test_the_page_says_what_it_cannot_read(
    page: Any, pictures: dict[str, Path], shots: Path
) -> None:
    give(page, pictures["two.jpg"], pictures["no-face.png"], pictures["notes.txt"])
    two, none, notes = (page.locator(".results .card").nth(n) for n in range(3))
    assert two.get_attribute("data-state") == "done" and two.locator(".box").count() == 2
    assert none.get_attribute("data-state") == "no-face"
    assert notes.get_attribute("data-code") == "unsupported_image"
    said = notes.locator(".reading-note").inner_text()
    assert "not a picture that this browser can read" in said and "JPEG or PNG" in said
    page.screenshot(path=shots / "local-three.png")
    none.get_by_role("button", name="Read the whole picture").click()
    page.wait_for_selector(".results .card:nth-child(2)[data-state=done]")


def test_what_decided_is_the_services_too(
    page: Any, face_jpeg: bytes, service_url: str, answer: Callable[..., Any], shots: Path
) -> None:
    request = urllib.request.Request(
        f"{service_url}/classify?explain=true", face_jpeg, {"Content-Type": "image/jpeg"}
    )
    with urllib.request.urlopen(request, timeout=20) as told:
        theirs = json.load(told)["results"][0]["faces"][0]["explanation"]
    ours = answer(face_jpeg, explain=True)["results"][0]["faces"][0]["explanation"]
    assert ours["label"] == theirs["label"]
    assert np.array(ours["corners"]) == pytest.approx(np.array(theirs["corners"]), abs=2)
    assert np.array(ours["map"]) == pytest.approx(np.array(theirs["map"]), abs=0.01)
    page.get_by_role("button", name="Try the example").click()
    page.wait_for_selector(".results .card[data-state=done]")
    page.get_by_role("switch", name="Show what decided").check()
    page.wait_for_selector(".results .heat:visible")
    page.screenshot(path=shots / "local-why.png")
    page.get_by_role("switch", name="Show what decided").uncheck()


def test_the_camera_is_read_on_the_device(
    page: Any, host: Host, camera_frame: Any, classify: Callable[..., Any], shots: Path
) -> None:
    still = io.BytesIO()
    camera_frame.save(still, "JPEG", quality=92)
    told = classify(still.getvalue())["results"][0]
    page.get_by_role("button", name="Use the camera").click()
    page.wait_for_selector("#live[data-state=live] .box")
    before = len(host.asked)
    page.evaluate(
        """() => {
          window.frames_read = 0;
          new PerformanceObserver((list) => { window.frames_read += list.getEntries().length; })
            .observe({ type: 'measure' });
        }"""
    )
    began = time.monotonic()
    page.wait_for_timeout(3_000)
    read = page.evaluate("() => window.frames_read") / (time.monotonic() - began)
    print(f"camera without a server: {read:.1f} frames a second")
    print(page.locator("#live-timing").inner_text())
    assert read >= FRAMES_A_SECOND_AT_LEAST
    assert page.locator("#live .reading-word").inner_text() == told["label"]
    page.screenshot(path=shots / "local-camera.png")
    assert host.asked[before:] == [], "frames go nowhere"
    page.get_by_role("button", name="Stop the camera").click()
    page.wait_for_selector("#live", state="hidden")
    assert page.evaluate("() => document.querySelector('#video').srcObject === null")


@pytest.mark.parametrize("side", [96, 160, 320])
def test_faces_stand_where_the_library_finds_them(page: Any, face_jpeg: bytes, side: int) -> None:
    """On the very same pixels: the same rows, for every score that is told at all."""
    crowd = images.decode(crowd_of(face_jpeg))
    small = cv2.resize(crowd, (side, side * 3 // 4), interpolation=cv2.INTER_AREA)
    theirs = LibFaceDetection()(np.ascontiguousarray(small[..., ::-1]))
    ours = page.evaluate(
        """async ([data, width, height]) => {
          const { Finder } = await import('./js/local/finder.js');
          const { Runtime } = await import('./js/local/runtime.js');
          const { finder } = await (await fetch('models.json')).json();
          window.faces_run ??= await new Runtime(new URL('./', location.href)).network(finder.file);
          const bytes = Uint8ClampedArray.from(atob(data), (letter) => letter.charCodeAt(0));
          const rows = await new Finder(window.faces_run, finder.search).rows(
            { data: bytes, width, height });
          return rows.map(({ score, places }) => [score, ...places]);
        }""",
        [
            base64.b64encode(
                np.dstack([small, np.full(small.shape[:2], 255, np.uint8)]).tobytes()
            ).decode(),
            side,
            side * 3 // 4,
        ],
    )
    assert len(theirs) >= 1 and len(ours) == len(theirs)
    # Sums in another order: a number on the edge between two whole ones may fall either way.
    assert np.abs(np.array(ours) - theirs).max() <= 1


def test_the_folder_itself_opens_the_page_and_a_missing_model_is_said(
    local_browser: Any, folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "site")
    (tmp_path / "site" / "models" / "emotion.onnx").unlink()
    for host in serve(tmp_path / "site"):
        page = local_browser.new_page()
        page.set_default_timeout(LOAD_MS)
        page.goto(host.url)
        page.wait_for_selector("#service[data-state=away]")
        said = page.locator("#trouble").inner_text()
        assert "The model could not be loaded" in said and "tries again" in said
        shutil.copyfile(
            folder / "models" / "emotion.onnx", tmp_path / "site" / "models" / "emotion.onnx"
        )
        page.wait_for_selector("#service[data-state=ready]")
        page.close()


def test_the_service_says_that_this_page_is_made_not_served(browser: Any, service_url: str) -> None:
    page = browser.new_page()
    watch = Watch(service_url)
    watch.over(page)
    page.goto(f"{service_url}/local.html")
    assert "make local" in page.locator("main").inner_text()
    assert watch.verdict() == []
    page.close()


@pytest.mark.data
def test_published_faces_get_the_services_answers(
    answer: Callable[..., Any], classify: Callable[..., Any], data_folder: Path
) -> None:
    archive = data_folder / "jaffe.tar.gz"
    if not archive.is_file():
        pytest.skip(f"{archive} is not there: JAFFE is requested from Zenodo, record 3451524")
    count, same, most = amount(12, 213), 0, 0.0
    with tarfile.open(archive) as tar:
        members = [m for m in tar if m.name.endswith(".tiff")]
        chosen = members[:: max(1, len(members) // count)][:count]
        for member in chosen:
            out = io.BytesIO()  # browsers read no TIFF
            Image.open(io.BytesIO(tar.extractfile(member).read())).convert("RGB").save(out, "PNG")  # type: ignore[union-attr]
            ours = answer(out.getvalue())["results"][0]
            theirs = classify(out.getvalue())["results"][0]
            same += ours["label"] == theirs["label"]
            away = [abs(ours["probabilities"][k] - v) for k, v in theirs["probabilities"].items()]
            most = max(most, *away)
    print(f"{same} of {len(chosen)} labels the same; probabilities at most {most:.4f} apart")
    assert same == len(chosen) and most <= 0.02


def crowd_of(face: bytes) -> bytes:
    """A PNG of 800 x 600 pixels: one face in several sizes, from 60 to 200 pixels wide."""
    one = Image.open(io.BytesIO(face)).crop((150, 30, 300, 200))
    scene = Image.new("RGB", (800, 600), (120, 130, 110))
    for x, y, side in (
        (20, 20, 200),
        (300, 60, 140),
        (560, 40, 110),
        (100, 350, 90),
        (420, 380, 70),
    ):
        scene.paste(one.resize((side, side * 17 // 15), Image.Resampling.LANCZOS), (x, y))
    out = io.BytesIO()
    scene.save(out, "PNG")
    return out.getvalue()
