"""The switch "Show what decided": heat over the face, words beside it, and away again at once."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from models import explain

WARM = """() => {
  const canvas = document.querySelector('.heat:not([hidden])');
  const { data, width, height } = canvas.getContext('2d')
    .getImageData(0, 0, canvas.width, canvas.height);
  let [sum, across, down] = [0, 0, 0];
  for (let place = 0; place < width * height; place += 1) {
    const weight = data[place * 4 + 3];
    sum += weight;
    across += weight * (place % width + 0.5);
    down += weight * (Math.floor(place / width) + 0.5);
  }
  return [across / sum / width, down / sum / height];
}"""
"""Where the heat's middle lies, as shares of the picture."""


@pytest.fixture
def read(page: Any) -> Any:
    """The page with its example read."""
    page.get_by_role("button", name="Try the example").click()
    page.wait_for_selector(".card[data-state=done]")
    return page


def picture(page: Any) -> np.ndarray:
    """The picture as it is seen, its box and heat over it: int (height, width, 3)."""
    page.mouse.move(0, 0)
    shot = page.locator(".card:visible .picture").screenshot()
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)


def switch(page: Any) -> Any:
    return page.get_by_role("switch", name="Show what decided")


def test_switch_shows_the_heat_on_the_face_and_takes_it_away(
    read: Any, classify: Callable[..., Any], example: Path, shots: Path
) -> None:
    before = picture(read)
    assert not switch(read).is_checked() and read.locator(".heat:visible").count() == 0
    switch(read).check()
    read.wait_for_selector(".heat:visible")
    assert read.locator("#legend").inner_text().startswith("Spoke for it")
    shown = picture(read)
    read.screenshot(path=shots / "explain.png")
    read.evaluate("() => { document.querySelector('.heat').style.visibility = 'hidden'; }")
    changed = np.abs(shown - picture(read)).sum(axis=2) > 24
    rows, columns = np.nonzero(changed)
    face = classify(example.read_bytes())["results"][0]["faces"][0]
    x, y, w, h = np.array(face["box"]) * before.shape[1] / 512
    assert x - w / 4 < columns.min() and columns.max() < x + w * 1.25, "on the face"
    assert y < rows.min() and rows.max() < y + h * 1.25
    assert rows.mean() > y + h / 2, "a smile is in its lower half"
    assert read.locator(".reading-word:visible").inner_text() == "happiness"
    switch(read).uncheck()
    assert read.locator(".heat:visible").count() == 0, "at once"
    assert np.array_equal(picture(read), before)
    assert not read.locator("#legend").is_visible()


def test_what_decided_is_told_in_words_and_spoken(read: Any) -> None:
    assert not read.locator(".why:visible").count()
    switch(read).check()
    sentence = "What spoke for happiness lies mostly in the lower half of the face"
    read.locator(".card .why", has_text=sentence).wait_for()
    read.locator("#status", has_text=sentence).wait_for(state="attached")
    switch(read).uncheck()
    assert not read.locator(".why:visible").count()


def test_the_switch_works_by_key_and_its_focus_can_be_seen(read: Any) -> None:
    switch(read).focus()
    read.keyboard.press("Space")
    assert switch(read).is_checked()
    read.wait_for_selector(".heat:visible")
    style = "() => getComputedStyle(document.activeElement).outlineStyle"
    assert read.evaluate(style) != "none"
    box = read.locator("#explain-switch").bounding_box()
    assert box["height"] >= 40, "large enough for a thumb"


def test_pictures_given_later_are_asked_with_it_once(page: Any, example: Path) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.set_input_files("#chooser", example)
    page.wait_for_selector(".card[data-state=done]")
    switch(page).check()
    page.wait_for_selector(".heat:visible")
    switch(page).uncheck()
    switch(page).check()  # it is known already
    page.wait_for_selector(".heat:visible")
    page.set_input_files("#chooser", [example, example])
    page.wait_for_selector(".results[data-count='2']:not(:has(.card:not([data-state=done])))")
    assert page.locator(".heat:visible").count() == 2
    switch(page).uncheck()
    page.set_input_files("#chooser", example)
    page.wait_for_selector(".results[data-count='1'] .card[data-state=done]")
    explained = ["explain=true" in url for url in asked if "/classify" in url]
    assert explained == [False, True, True, True, False]


def test_the_switch_turned_while_a_picture_is_read_counts(page: Any) -> None:
    page.evaluate(
        """() => {
          document.querySelector('#example').click();
          document.querySelector('#explain').click();
        }"""
    )
    page.wait_for_selector(".heat:visible")
    assert "happiness" in page.locator(".why:visible").inner_text()


def test_each_of_two_faces_has_its_heat_and_its_words(
    page: Any, pictures: dict[str, Path], shots: Path
) -> None:
    page.set_input_files("#chooser", pictures["two.jpg"])
    page.wait_for_selector(".card[data-state=done]")
    before = picture(page)
    switch(page).check()
    page.wait_for_selector(".heat:visible")
    columns = np.nonzero((np.abs(picture(page) - before).sum(axis=2) > 24).any(axis=0))[0]
    half = before.shape[1] / 2
    assert (columns < half).any() and (columns > half).any()
    for index in (1, 0):
        page.locator("button.box").nth(index).click()
        word = page.locator(".reading-word:visible").inner_text()
        assert f" for {word} " in page.locator(".why:visible").inner_text()
    page.screenshot(path=shots / "explain-two.png")


def test_the_camera_shows_it_on_the_mirrored_face(
    chromium: Callable[..., Any], open_page: Callable[..., Any], camera_file: Path, shots: Path
) -> None:
    fake = "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"
    page = open_page(
        chromium(*fake, f"--use-file-for-fake-video-capture={camera_file}"),
        viewport={"width": 1200, "height": 860},
    )
    page.get_by_role("button", name="Use the camera").click()
    page.wait_for_selector("#live[data-state=live] .box")
    switch(page).check()
    page.wait_for_selector("#live .heat:visible")
    page.locator("#live-why", has_text="What spoke for").wait_for()
    across, down = page.evaluate(WARM)
    video = page.locator("#video").bounding_box()
    box = page.locator("#live-boxes .box").bounding_box()
    heat = page.locator("#live .heat").evaluate("c => getComputedStyle(c).transform")
    assert heat == "matrix(-1, 0, 0, 1, 0, 0)", "flipped as the picture is"
    x, y = video["x"] + (1 - across) * video["width"], video["y"] + down * video["height"]
    assert box["x"] < x < box["x"] + box["width"]
    assert box["y"] + box["height"] / 3 < y < box["y"] + box["height"]
    page.screenshot(path=shots / "explain-camera.png")
    switch(page).uncheck()
    assert page.locator("#live .heat:visible").count() == 0
    page.wait_for_timeout(500)  # a frame in flight brings nothing back
    assert page.locator("#live .heat:visible").count() == 0
    assert page.locator("#live-why").inner_text() == ""
    page.keyboard.press("Escape")


def test_a_model_that_cannot_explain_has_no_switch(
    browser: Any, open_page: Callable[..., Any]
) -> None:
    """The list of models says so by interception: the shipped model can."""

    def unable(route: Any) -> None:
        response = route.fetch()
        listed = response.json()
        listed["models"] = [{**model, "explains": False} for model in listed["models"]]
        route.fulfill(response=response, json=listed)

    page = open_page(browser, before=lambda page: page.route("**/models", unable))
    page.get_by_role("button", name="Try the example").click()
    page.wait_for_selector(".card[data-state=done]")
    assert not switch(page).is_visible()


def test_a_failure_says_so_and_leaves_the_reading(read: Any) -> None:
    """The 422 is made by interception."""
    body = '{"status": 422, "code": "not_explainable", "detail": "It cannot."}'
    problem = {"status": 422, "body": body, "content_type": "application/problem+json"}
    read.route("**/classify*", lambda route: route.fulfill(**problem))
    switch(read).check()
    read.locator(".why", has_text="What decided cannot be shown. It cannot.").wait_for()
    assert read.locator(".card[data-state=done] .reading-word").inner_text() == "happiness"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_without_sideways_scrolling(
    browser: Any, open_page: Callable[..., Any], shots: Path, scheme: str
) -> None:
    page = open_page(browser, viewport={"width": 320, "height": 740}, color_scheme=scheme)
    page.get_by_role("button", name="Try the example").click()
    page.wait_for_selector(".card[data-state=done]")
    switch(page).check()
    page.wait_for_selector(".heat:visible")
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    page.screenshot(path=shots / f"explain-phone-{scheme}.png", full_page=True)


def test_the_page_and_the_command_line_draw_the_same(page: Any) -> None:
    shares = np.random.default_rng(3).normal(0.002, 0.02, (8, 6)).round(5)
    code = """async (map) => {
      const { strength } = await import('/js/heat.js');
      return [...strength(map)];
    }"""
    drawn = np.array(page.evaluate(code, shares.tolist())).reshape(64, 64)
    finer = explain._smooth(shares.astype(np.float32)).reshape(64, 2, 64, 2).mean(axis=(1, 3))
    assert np.abs(drawn - finer).max() < 0.02
