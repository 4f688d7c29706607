"""Answers that are late, odd or missing, and choices that change meanwhile.

The answers are made by interception: fakes, for the service gives none like them.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.browser.test_page_pictures import wait_done

FAKE_CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
NOT_READY = {
    "status": 503,
    "headers": {"Retry-After": "1", "Content-Type": "application/problem+json"},
    "body": '{"status": 503, "code": "not_ready", "detail": "It is warming up."}',
}


def answered(with_: object) -> Callable[[Any], None]:
    """A handler that answers so, with status 200."""
    return lambda route: route.fulfill(status=200, json=with_)


def listen(page: Any) -> list[dict[str, list[str]]]:
    """What is asked of /classify from now on: the query of each request."""
    asked: list[dict[str, list[str]]] = []

    def sent(request: Any) -> None:
        if urlsplit(request.url).path.endswith("/classify"):
            asked.append(parse_qs(urlsplit(request.url).query, keep_blank_values=True))

    page.on("request", sent)
    return asked


def test_a_picture_given_before_the_models_are_known_is_read_by_those_of_the_address(
    browser: Any, open_page: Callable[..., Any], example: Path
) -> None:
    def warming(page: Any) -> None:
        for address in ("**/readyz", "**/classify*"):
            page.route(address, lambda route: route.fulfill(**NOT_READY))

    page = open_page(browser, at="#smile?model=smile&beside=emotion", ready=False, before=warming)
    asked = listen(page)
    page.set_input_files("#chooser", example)
    page.wait_for_selector(".card[data-state=busy]")
    page.unroute("**/readyz")
    page.wait_for_selector("#service[data-state=ready]")
    page.unroute("**/classify*")
    page.wait_for_selector(".card[data-state=done]")
    titles = page.locator(".results .column-name").all_inner_texts()
    assert titles == ["smile", "emotion"]
    assert {*(query["model"][0] for query in asked if "model" in query)} == {"smile", "emotion"}


def test_an_answer_that_is_none_fails_each_picture_and_can_be_asked_again(
    page: Any, example: Path
) -> None:
    page.route("**/classify*", answered({}))
    page.set_input_files("#chooser", [example] * 3)
    wait_done(page, 3)
    assert page.locator(".card[data-state=failed]").count() == 3
    assert "not the service" in page.locator(".results .reading-note").first.inner_text()
    page.unroute("**/classify*")
    page.get_by_role("button", name="Try again").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".card[data-state=done]")
    assert page.evaluate("document.activeElement.className") == "column", "focus is not lost"


def test_a_result_that_cannot_be_shown_holds_up_no_other_picture(
    browser: Any, open_page: Callable[..., Any], example: Path
) -> None:
    page = open_page(browser, allow=("uncaught: ", "console: "))
    odd = {"results": [{"label": "happiness", "probability": 1, "error": None}], "timings_ms": {}}
    page.route("**/classify*", answered(odd))
    page.set_input_files("#chooser", [example] * 3)
    wait_done(page, 3)
    assert page.locator(".card[data-state=failed]").count() == 3
    assert "could not show" in page.locator(".results .reading-note").first.inner_text()


def test_something_else_in_the_services_place_is_told_and_asked_again(
    browser: Any, open_page: Callable[..., Any]
) -> None:
    page = open_page(
        browser,
        ready=False,
        before=lambda page: page.route("**/models", answered({"status": "maintenance"})),
    )
    page.wait_for_selector("#service[data-state=away]")
    assert "not the service" in page.locator("#trouble").inner_text()
    page.unroute("**/models")
    page.wait_for_selector("#service[data-state=ready]")
    assert page.locator("#trouble").inner_text() == ""


def test_other_models_take_over_the_pictures_that_are_not_read_yet(
    page: Any, example: Path
) -> None:
    def slowly(route: Any) -> None:
        time.sleep(0.25)
        route.continue_()

    asked = listen(page)
    page.route("**/classify*", slowly)
    page.set_input_files("#chooser", [example] * 8)
    page.wait_for_selector(".card[data-state=done]")
    page.get_by_role("tab", name="Smile").click()
    wait_done(page, 8)
    page.wait_for_timeout(500)
    models = [query["model"][0] for query in asked]
    assert models.count("smile") == 8, "each once"
    assert models.count("emotion") < 8


def refuse(page: Any, after: str) -> None:
    """Have every picture refused for now, with this Retry-After."""
    headers = {"Retry-After": after, "Content-Type": "application/problem+json"}
    body = json.dumps({"code": "rate_limited", "detail": "More requests than allowed."})
    page.route("**/classify*", lambda route: route.fulfill(status=429, headers=headers, body=body))


def test_who_is_to_wait_for_long_is_told_and_decides(page: Any, example: Path) -> None:
    asked = listen(page)
    refuse(page, "3600")
    page.set_input_files("#chooser", example)
    page.wait_for_selector(".card[data-state=failed]")
    assert "More requests" in page.locator(".results .reading-note").inner_text()
    assert page.get_by_role("button", name="Try again").is_visible()
    assert len(asked) == 1


def test_nothing_is_tried_again_at_once(page: Any, example: Path) -> None:
    asked = listen(page)
    refuse(page, "0")
    page.set_input_files("#chooser", example)
    page.wait_for_selector(".card[data-state=busy]")
    page.wait_for_timeout(1500)
    assert 1 <= len(asked) <= 3


def test_going_back_from_the_first_tab_that_was_opened(page: Any) -> None:
    page.get_by_role("tab", name="Smile").click()
    page.wait_for_function("location.hash.startsWith('#smile')")
    page.go_back()
    page.wait_for_selector("[role=tab][aria-selected=true]:has-text('Expression')")
    page.go_forward()
    page.wait_for_selector("[role=tab][aria-selected=true]:has-text('Smile')")


def test_classes_that_are_numbers_stand_in_their_order(page: Any) -> None:
    """JavaScript puts such names first in an object, whatever the service's order was."""
    note = page.evaluate(
        """async () => {
          const { Reading } = await import('/js/reading.js');
          const reading = new Reading(['1', '2', '3'], { sorted: true });
          reading.show('3', 0.4, { 3: 0.4, 2: 0.35, 1: 0.25 });
          return reading.note.textContent;
        }"""
    )
    assert note == "Not sure: 2 is next with 35 %."


def test_where_nothing_may_be_stored_the_page_works(
    browser: Any, open_page: Callable[..., Any]
) -> None:
    forbidden = """Object.defineProperty(window, 'sessionStorage', {
      get() { throw new DOMException('denied', 'SecurityError'); } });"""
    page = open_page(browser, before=lambda page: page.add_init_script(forbidden))
    page.get_by_role("button", name="Try the example").click()
    wait_done(page)
    assert page.locator(".card[data-state=done]").count() == 1


def test_an_example_that_is_missing_is_told(browser: Any, open_page: Callable[..., Any]) -> None:
    page = open_page(browser)
    page.route("**/example.jpg", lambda route: route.fulfill(status=404, body=""))
    page.get_by_role("button", name="Try the example").click()
    page.locator("#notices", has_text="The example could not be fetched").wait_for()


def test_an_example_that_comes_late_replaces_nothing(page: Any, example: Path) -> None:
    held: list[Any] = []
    page.route("**/example.jpg", lambda route: held.append(route))
    page.get_by_role("button", name="Try the example").click()
    page.set_input_files("#chooser", [example] * 2)
    wait_done(page, 2)
    (route,) = held
    route.continue_()
    page.wait_for_timeout(500)
    wait_done(page, 2)


def test_text_can_be_dropped_into_a_field_and_nowhere_else(page: Any) -> None:
    taken = page.evaluate(
        """() => ['#links', 'body'].map((place) => {
          const dataTransfer = new DataTransfer();
          dataTransfer.setData('text/plain', 'https://example.org/a.jpg');
          const event = new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true });
          document.querySelector(place).dispatchEvent(event);
          return event.defaultPrevented;
        })"""
    )
    assert taken == [False, True]


GONE = """
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const lost = window.gone && wanted.video.deviceId;
    if (lost) throw new DOMException('gone', 'OverconstrainedError');
    return real(wanted);
  };
"""


def test_where_the_last_camera_has_gone_another_is_opened(
    chromium: Callable[..., Any], open_page: Callable[..., Any]
) -> None:
    """Pulling a camera out is a fake: the track says so, and asking for it fails."""
    page = open_page(chromium(*FAKE_CAMERA), before=lambda page: page.add_init_script(GONE))
    page.get_by_role("button", name="Use the camera").click()
    page.wait_for_selector("#live[data-state=live]")
    page.evaluate(
        """() => {
          window.gone = true;
          const [track] = document.querySelector('#video').srcObject.getVideoTracks();
          track.dispatchEvent(new Event('ended'));
        }"""
    )
    page.wait_for_selector("#live[data-state=failed]")
    page.get_by_role("button", name="Start again").click()
    page.wait_for_selector("#live[data-state=live]")


def test_pictures_behind_the_camera_are_read_again_when_they_are_seen(
    chromium: Callable[..., Any], open_page: Callable[..., Any], camera_file: Path, example: Path
) -> None:
    camera = chromium(*FAKE_CAMERA, f"--use-file-for-fake-video-capture={camera_file}")
    page = open_page(camera)
    page.set_input_files("#chooser", [example] * 2)
    wait_done(page, 2)
    page.get_by_role("button", name="Use the camera").click()
    page.wait_for_selector("#live[data-state=live] .box")
    pictures: list[str] = []

    def sent(request: Any) -> None:
        if "multipart" in (request.headers.get("content-type") or ""):
            pictures.append(request.url)

    page.on("request", sent)
    page.get_by_role("tab", name="Smile").click()
    page.wait_for_timeout(500)
    assert pictures == []
    page.keyboard.press("Escape")
    wait_done(page, 2)
    assert len(pictures) == 2 and all("model=smile" in url for url in pictures)
