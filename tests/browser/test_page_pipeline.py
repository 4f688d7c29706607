"""The camera's frames in flight: the next is sent while one is read, and the newest answer wins.

Requests are held back, and some answered, by the browser's own interception: a real service is
never slow when a test needs it. What the held ones are answered with is the service's own answer,
with another label where a test must tell them apart.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MOST_IN_FLIGHT = 2
HEARD = """() => {
  window.heard = [];
  new PerformanceObserver((list) => {
    for (const { name, startTime, duration } of list.getEntries()) {
      if (name === 'hyojo-frame') window.heard.push([startTime, startTime + duration]);
    }
  }).observe({ type: 'measure' });
}"""


@pytest.fixture(scope="module")
def camera_browser(chromium: Callable[..., Any], camera_file: Path) -> Any:
    fake = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    return chromium(*fake, f"--use-file-for-fake-video-capture={camera_file}")


@pytest.fixture
def page(camera_browser: Any, open_page: Callable[..., Any]) -> Any:
    return open_page(camera_browser, viewport={"width": 1200, "height": 860})


@pytest.fixture
def named(classify: Callable[..., dict[str, Any]], face_jpeg: bytes) -> Callable[[str], Any]:
    """`named(label)`: the service's own answer with this label as the most probable."""
    answer = classify(face_jpeg)

    def with_label(label: str) -> dict[str, Any]:
        changed = json.loads(json.dumps(answer))
        for one in (changed["results"][0], changed["results"][0]["faces"][0]):
            one["label"] = label
        return {"json": changed}

    return with_label


class Holding:
    """Holds every frame that is sent until it is let go."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.held: list[Any] = []
        page.route("**/classify*", lambda route: self.held.append(route))

    def wait(self, count: int) -> None:
        end = time.monotonic() + 20
        while len(self.held) < count:
            assert time.monotonic() < end, f"{len(self.held)} of {count} frames were sent"
            self.page.wait_for_timeout(20)


def start(page: Any) -> None:
    page.get_by_role("button", name="Use the camera").click()
    page.wait_for_selector("#live[data-state=live]")


def word(page: Any, label: str) -> None:
    page.locator("#live .reading-word", has_text=label).wait_for()


def end(holding: Holding) -> None:
    holding.page.get_by_role("button", name="Stop the camera").click()
    holding.page.unroute("**/classify*")


def test_next_frame_is_sent_while_one_is_read_and_never_a_third(page: Any) -> None:
    holding = Holding(page)
    start(page)
    holding.wait(MOST_IN_FLIGHT)
    page.wait_for_timeout(500)
    assert len(holding.held) == MOST_IN_FLIGHT
    holding.held[0].continue_()
    holding.wait(MOST_IN_FLIGHT + 1)
    page.wait_for_timeout(300)
    assert len(holding.held) == MOST_IN_FLIGHT + 1
    end(holding)


def test_answer_that_was_overtaken_is_not_shown(page: Any, named: Callable[[str], Any]) -> None:
    holding = Holding(page)
    start(page)
    holding.wait(2)
    holding.held[1].fulfill(**named("sadness"))
    word(page, "sadness")
    holding.held[0].fulfill(**named("anger"))
    holding.wait(4)  # both places are free again: the late answer has arrived
    assert page.locator("#live .reading-word").inner_text() == "sadness"
    end(holding)


def test_refusal_that_was_overtaken_is_no_reason_to_wait(
    page: Any, named: Callable[[str], Any]
) -> None:
    holding = Holding(page)
    start(page)
    holding.wait(2)
    holding.held[1].fulfill(**named("sadness"))
    word(page, "sadness")
    holding.held[0].fulfill(status=503, json={"code": "overloaded", "detail": "Full."})
    holding.wait(4)
    assert page.locator("#live").get_attribute("data-state") == "live"
    end(holding)


def test_slow_answer_holds_up_nothing(page: Any) -> None:
    """One frame is never answered: the others go on, and its place is taken back."""
    never: list[Any] = []
    lost: list[Any] = []
    page.on("requestfailed", lambda request: lost.append(request))

    def hold_first(route: Any) -> None:
        if never:
            route.continue_()
        else:
            never.append(route)

    page.route("**/classify*", hold_first)
    page.evaluate(HEARD)
    start(page)
    page.wait_for_function("() => window.heard.length >= 15")
    assert len(lost) == 1 and lost[0] == never[0].request, "given up, and no other"
    page.get_by_role("button", name="Stop the camera").click()


def test_answers_are_shown_in_the_order_of_their_frames(page: Any) -> None:
    """Through the real service. The page's own measures: from capture to its answer on the page."""
    page.evaluate(HEARD)
    start(page)
    page.wait_for_function("() => window.heard.length >= 20")
    heard = page.evaluate("() => window.heard")
    captured = [start for start, _ in heard]
    assert captured == sorted(set(captured)), "in order, and no frame twice"
    assert all(0 < end - start < 20_000 for start, end in heard)
    left = page.evaluate("() => performance.getEntriesByName('hyojo-frame').length")
    assert left == 0, "measures do not pile up"
    page.wait_for_selector("#live-timing:has-text('camera to page')")


def test_stopping_leaves_no_frame_behind(page: Any, named: Callable[[str], Any]) -> None:
    """What was in flight is given up; after a new start nothing of before is shown."""
    lost: list[Any] = []
    page.on("requestfailed", lambda request: lost.append(request))
    holding = Holding(page)
    start(page)
    holding.wait(2)
    page.get_by_role("button", name="Stop the camera").click()
    page.wait_for_timeout(300)
    assert len(lost) == 2
    start(page)
    holding.wait(4)
    page.wait_for_timeout(300)
    assert len(holding.held) == 4, "no loop of before is still running"
    holding.held[2].fulfill(**named("surprise"))
    word(page, "surprise")
    end(holding)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(300)
    assert asked == []


def test_unchanged_answers_change_nothing_on_the_page(
    page: Any, named: Callable[[str], Any]
) -> None:
    answer = named("fear")
    page.route("**/classify*", lambda route: route.fulfill(**answer))
    start(page)
    word(page, "fear")
    page.wait_for_timeout(300)
    changes = page.evaluate(
        """async () => {
          const seen = [];
          const watcher = new MutationObserver((list) => {
            for (const { target } of list) seen.push(target.className);
          });
          for (const id of ['live-reading', 'live-boxes', 'stop']) {
            const place = document.getElementById(id);
            watcher.observe(place, { childList: true, characterData: true, subtree: true });
          }
          await new Promise((resolve) => { setTimeout(resolve, 1000); });
          return seen;
        }"""
    )
    assert changes == []
    page.get_by_role("button", name="Stop the camera").click()
