"""The page as it is met: with the keyboard, on a phone, in the dark, without motion, by ear."""

import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Launcher

WEAK_TEXT = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const rgba = (css) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = css;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return rgba('white');
  };
  const weak = [];
  for (const element of document.querySelectorAll('body *')) {
    const text = [...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE);
    const own = text.map((node) => node.textContent.trim()).join('');
    if (!own || !element.checkVisibility()) continue;
    const [a, b] = [light(rgba(getComputedStyle(element).color)), light(ground(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const large = parseFloat(getComputedStyle(element).fontSize) >= 24;
    if (contrast < (large ? 3 : 4.5)) weak.push([element.className, own, contrast]);
  }
  return weak;
}"""
"""Texts whose contrast is below WCAG AA: 4.5, or 3 where letters are large."""


def focused(page: Any) -> str:
    return page.evaluate(
        "() => document.activeElement.id || document.activeElement.textContent.trim()"
    )


def no_sideways(page: Any) -> bool:
    return page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


@pytest.fixture
def page(browser: Any, open_page: Callable[..., Any]) -> Any:
    return open_page(browser, viewport={"width": 1200, "height": 860})


def test_keyboard_alone_goes_from_top_to_result(page: Any, shots: Path) -> None:
    stops = ["skip", "tab-expression", "zone", "camera", "example", "model", "beside"]
    stops += ["Figures of each class", "All figures of the models", "How to call it"]
    where = {
        "tab-expression": "#tabs",
        "model": "#model-field",
        "beside": "#beside-field",
        "Figures of each class": "#classes",
    }  # what is there for several models, or for figures by class
    stops = [stop for stop in stops if page.locator(where.get(stop, "body")).is_visible()]
    order = []
    for _ in range(len(stops)):
        page.keyboard.press("Tab")
        order.append(focused(page))
        outline = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", f"the focus on {order[-1][:40]} after {order[:-1]} can be seen"
    assert order == stops
    page.locator("#example").focus()
    page.keyboard.press("Space")
    page.wait_for_selector(".card[data-state=done]")


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_drop_zone_opens_the_chooser_by_key(page: Any, key: str) -> None:
    opened: list[Any] = []
    page.on("filechooser", lambda chooser: opened.append(chooser))
    page.locator("#zone").focus()
    page.wait_for_timeout(300)  # Chromium learns of the listener aside from the keys
    page.keyboard.press(key)
    page.wait_for_timeout(300)
    assert len(opened) == 1


@pytest.mark.parametrize("width", [320, 390])
def test_phone_width_needs_no_sideways_scrolling(
    browser: Any,
    open_page: Callable[..., Any],
    pictures: dict[str, Path],
    example: Path,
    shots: Path,
    width: int,
) -> None:
    page = open_page(
        browser, viewport={"width": width, "height": 740}, has_touch=True, is_mobile=True
    )
    assert no_sideways(page)
    page.set_input_files(
        "#chooser", [example, pictures["two.jpg"], pictures["no-face.png"], pictures["notes.txt"]]
    )
    page.wait_for_selector(
        ".results[data-count='4']:not(:has([data-state=waiting], [data-state=reading]))"
    )
    assert no_sideways(page)
    heights = [
        control.bounding_box()["height"]
        for control in page.locator("button:visible:not(.box)").all()
    ]
    assert min(heights) >= 40, "large enough for a thumb"
    page.screenshot(path=shots / f"phone-{width}.png", full_page=True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(
    browser: Any, open_page: Callable[..., Any], shots: Path, scheme: str
) -> None:
    page = open_page(browser, viewport={"width": 1200, "height": 860}, color_scheme=scheme)
    page.get_by_role("button", name="Try the example").click()
    page.wait_for_selector(".card[data-state=done]")
    page.screenshot(path=shots / f"{scheme}.png", full_page=True)
    weak = page.evaluate(WEAK_TEXT)
    assert weak == []


def test_dark_mode_is_dark(browser: Any, open_page: Callable[..., Any]) -> None:
    page = open_page(browser, color_scheme="dark")
    ground = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert max(int(part) for part in ground[4:-1].split(",")) < 40


def test_reduced_motion_moves_nothing(browser: Any, open_page: Callable[..., Any]) -> None:
    page = open_page(browser, reduced_motion="reduce")
    page.get_by_role("button", name="Try the example").click()
    page.wait_for_selector(".card[data-state=done]")
    moving = page.evaluate(
        """() => [...document.querySelectorAll('*')]
          .flatMap((element) => getComputedStyle(element).transitionDuration.split(', '))
          .filter((time) => parseFloat(time) > 0).length"""
    )
    assert moving == 0


def test_nothing_jumps_when_the_answer_comes(page: Any) -> None:
    """Cumulative layout shift as Chromium counts it, from the press of the button on."""
    page.evaluate(
        """() => {
          window.shift = 0;
          new PerformanceObserver((list) => {
            for (const { hadRecentInput, value } of list.getEntries()) {
              if (!hadRecentInput) window.shift += value;
            }
          }).observe({ type: 'layout-shift', buffered: true });
        }"""
    )
    page.get_by_role("button", name="Try the example").click()
    page.wait_for_selector(".card[data-state=done]")
    page.wait_for_timeout(700)  # past the half second in which shifts count as the user's own
    assert page.evaluate("() => window.shift") < 0.02


def test_everything_has_a_name_and_ids_are_unique(page: Any) -> None:
    page.get_by_role("button", name="Try the example").click()
    page.wait_for_selector(".card[data-state=done]")
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, select, input, img, a')]
          .filter((element) => element.checkVisibility())
          .filter((element) => !element.getAttribute('aria-label') && !element.textContent.trim()
            && !element.labels?.length && !element.hasAttribute('alt'))
          .map((element) => element.outerHTML)"""
    )
    assert nameless == []
    ids = page.evaluate("() => [...document.querySelectorAll('[id]')].map((element) => element.id)")
    assert len(ids) == len(set(ids))
    assert page.locator("h1").count() == 1 and page.locator("main").count() == 1
    assert page.locator("html").get_attribute("lang") == "en"


def test_model_area_tells_terms_figures_and_limits(page: Any) -> None:
    about = page.get_by_role("region", name="About this model").inner_text()
    for words in ("emotion", "Terms", "Tested on", "Was right", "not what a person feels"):
        assert words in about
    model = page.evaluate("async () => (await (await fetch('models')).json()).models")
    assert page.locator("#model-field").is_visible() == (
        len([m for m in model if not m["error"] and m["kind"] == "expression"]) > 1
    )


def test_chooser_appears_for_two_models_and_reads_again(
    browser: Any, open_page: Callable[..., Any]
) -> None:
    """The second model is the first under another name, put into the list by interception."""
    asked = []

    def two_models(route: Any) -> None:
        response = route.fetch()
        listed = response.json()
        listed["models"].append({**listed["models"][0], "name": "second"})
        route.fulfill(response=response, json=listed)

    def before(page: Any) -> None:
        page.route("**/models", two_models)
        page.on("request", lambda request: asked.append(request.url))

    page = open_page(browser, before=before)
    page.get_by_role("button", name="Try the example").click()
    page.wait_for_selector(".card[data-state=done]")
    page.get_by_label("Model", exact=True).select_option("second")
    page.wait_for_selector(".card[data-code=model_not_found]")
    assert any("model=second" in url for url in asked)


def test_page_waits_for_a_worker_that_starts_later(
    browser: Any, open_page: Callable[..., Any], launch: Launcher, shots: Path
) -> None:
    """A real gateway on its own, then a real worker."""
    serve = ("-c", "python:service.gunicorn_conf", "service.gateway:create_app()")
    gateway = launch("-m", "gunicorn", *serve)
    gateway.wait_for(lambda: answers(f"{gateway.url}/livez"), "the gateway")
    page = open_page(browser, url=gateway.url, ready=False)
    page.locator("#trouble", has_text="tries again by itself").wait_for()
    assert page.locator("#service").inner_text() == "Warming up"
    page.screenshot(path=shots / "no-worker.png")
    launch("infer.py", worker=gateway.endpoint)
    page.wait_for_selector("#service[data-state=ready]")
    assert page.locator("#trouble").inner_text() == ""
    page.get_by_role("button", name="Try the example").click()
    page.wait_for_selector(".card[data-state=done]")
    page.context.close()  # before the service ends


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False
