"""Chromium, pages that watch themselves, and pictures to give to them."""

import io
import json
import os
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from PIL import Image

from tests import standins
from tests.conftest import Running, ready_service
from tests.pictures import two_faces

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = Path(os.environ.get("HYOJO_TEST_CHROMIUM", "/usr/bin/chromium"))
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
ANSWER_MS = 20_000
"""How long a page waits for what a test expects: cores are shared and the first request is slow."""

pytestmark = pytest.mark.browser


def skip_or_fail(reason: str) -> NoReturn:
    """Where nobody would see the skip, a missing tool is a failure."""
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"{reason} (CI is set, so this is not skipped)")
    pytest.skip(reason)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="module")
def playwright() -> Iterator[Any]:
    """Per module, not per session: its event loop must not outlive the browser tests."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        skip_or_fail("Playwright is not installed (tests/requirements.txt).")
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def chromium(playwright: Any) -> Iterator[Callable[..., Any]]:
    """Start Chromium with more flags: `chromium("--flag", …)`."""
    if not CHROMIUM.exists():
        skip_or_fail(f"There is no Chromium at {CHROMIUM}: install Debian's package chromium.")
    browsers: list[Any] = []

    def start(*flags: str) -> Any:
        browsers.append(
            playwright.chromium.launch(executable_path=str(CHROMIUM), args=[*FLAGS, *flags])
        )
        return browsers[-1]

    yield start
    for browser in browsers:
        browser.close()


@pytest.fixture(scope="module")
def browser(chromium: Callable[..., Any]) -> Any:
    return chromium()


@dataclass
class Watch:
    """What a page must never do, collected while it runs."""

    origin: str
    faults: list[str] = field(default_factory=list)
    allowed: set[str] = field(default_factory=set)
    """Beginnings of messages that a test brings about on purpose."""
    under_way: list[Any] = field(default_factory=list)
    """Requests that are not answered."""

    def over(self, page: Any) -> None:
        page.on("pageerror", lambda error: self.faults.append(f"uncaught: {error}"))
        page.on("console", self._heard)
        page.on("request", self._asked)
        page.on("requestfinished", self._ended)
        page.on("requestfailed", self._ended)
        page.add_init_script(
            "addEventListener('securitypolicyviolation', (event) => "
            "console.error('CSP: ' + event.violatedDirective + ' ' + event.blockedURI));"
        )

    def _heard(self, message: Any) -> None:
        # Chromium itself writes this line for every answer with a status of 400 and more.
        expected = message.text.startswith("Failed to load resource: the server responded")
        if message.type in ("error", "warning") and not expected:
            self.faults.append(f"console: {message.text}")

    def _ended(self, request: Any) -> None:
        if request in self.under_way:
            self.under_way.remove(request)

    def _asked(self, request: Any) -> None:
        self.under_way.append(request)
        if not request.url.startswith((self.origin, "blob:", "data:")):
            self.faults.append(f"asked elsewhere: {request.url}")

    def told(self, page: Any) -> str:
        """How it is with a page, for who waits in vain."""
        badge = page.locator("#service")
        state, why = badge.get_attribute("data-state"), badge.get_attribute("title")
        waits = [f"{request.method} {request.url}" for request in self.under_way]
        return f"state {state} ({why}); unanswered: {waits}; faults: {self.faults}"

    def verdict(self) -> list[str]:
        return [fault for fault in self.faults if not fault.startswith(tuple(self.allowed))]


@pytest.fixture
def open_page(service_url: str) -> Iterator[Callable[..., Any]]:
    """`open_page(browser, url=None, ready=True, before=None, **context)`: a new page, watched.

    `at` is the part of its address after the service's own, such as `#smile`.

    At the end no page may have logged an error, broken the content security policy or asked
    anybody but the service.
    """
    contexts: list[Any] = []
    watches: list[Watch] = []

    def opened(
        browser: Any,
        *,
        url: str | None = None,
        at: str = "",
        ready: bool = True,
        before: Callable[[Any], None] | None = None,
        allow: tuple[str, ...] = (),
        **context: Any,
    ) -> Any:
        contexts.append(browser.new_context(**context))
        page = contexts[-1].new_page()
        page.set_default_timeout(ANSWER_MS)
        address = (url or service_url).rstrip("/") + "/"
        watches.append(Watch(address, allowed=set(allow)))
        watches[-1].over(page)
        if before:
            before(page)
        page.goto(address + at)
        if ready:
            from playwright.sync_api import TimeoutError as Late

            try:
                page.wait_for_selector("#service[data-state=ready]")
            except Late:
                pytest.fail(f"The page does not become ready: {watches[-1].told(page)}")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert [fault for watch in watches for fault in watch.verdict()] == []


@pytest.fixture
def page(browser: Any, open_page: Callable[..., Any]) -> Any:
    return open_page(browser, viewport={"width": 1200, "height": 860})


@pytest.fixture(scope="session")
def example() -> Path:
    return ROOT / "web" / "example.jpg"


@pytest.fixture(scope="session")
def several(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service with a model of each kind, three of things, which takes addresses of images."""
    params = tmp_path_factory.mktemp("several") / "params"
    standins.every_kind(params)
    with ready_service(params=params, predictors=2, url_input="https") as running:
        yield running


@pytest.fixture(scope="session")
def shots() -> Path:
    """Where screenshots go, for people to look at."""
    folder = ROOT / "test-output" / "browser"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory, example: Path) -> dict[str, Path]:
    """Drawn or made from the example: nothing here is anybody else's."""
    folder = tmp_path_factory.mktemp("pictures")
    face = Image.open(example)
    hills = np.zeros((300, 400, 3), np.uint8)
    hills[:180] = (150, 190, 230)
    for x in range(400):
        hills[180 - int(30 * np.sin(x / 50)) :, x] = (90, 140 + x % 7, 80)
    two = Image.open(io.BytesIO(two_faces(example.read_bytes()))).convert("RGB")
    made = {
        "no-face.png": Image.fromarray(hills),
        "wide.png": face.crop((0, 0, 512, 300)),
        "tall.jpg": face.crop((120, 0, 350, 512)),
        "two.jpg": two,
    }
    for name, image in made.items():
        image.save(folder / name)
    (folder / "notes.txt").write_text("Not a picture.\n")
    return {path.name: path for path in folder.iterdir()}


@pytest.fixture(scope="session")
def camera_frame(example: Path) -> Image.Image:
    """640 by 480, the face left of the middle: a mirrored view shows it on the right."""
    return (
        Image.open(example).crop((120, 20, 504, 308)).resize((640, 480), Image.Resampling.LANCZOS)
    )


@pytest.fixture(scope="session")
def camera_file(tmp_path_factory: pytest.TempPathFactory, camera_frame: Image.Image) -> Path:
    """The same frame as motion JPEG, for Chromium's fake camera."""
    still = io.BytesIO()
    camera_frame.save(still, "JPEG", quality=92)
    path = tmp_path_factory.mktemp("camera") / "face.mjpeg"
    path.write_bytes(still.getvalue() * 10)
    return path


@pytest.fixture(scope="session")
def classify(service_url: str) -> Callable[..., dict[str, Any]]:
    """`classify(image, faces="auto")`: the service's own answer, to hold the page against."""

    def ask(image: bytes, faces: str = "auto") -> dict[str, Any]:
        request = urllib.request.Request(
            f"{service_url.rstrip('/')}/classify?faces={faces}",
            data=image,
            headers={"Content-Type": "image/jpeg"},
        )
        with urllib.request.urlopen(request, timeout=20) as response:
            return json.load(response)

    return ask


@pytest.fixture(scope="session")
def npx() -> str:
    found = shutil.which("npx")
    if found is None:
        pytest.skip("Node.js (npx) is not installed: the page's types are not checked.")
    return found
