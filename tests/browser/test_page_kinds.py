"""A tab for each kind of model, the choice within it, and what each kind's answer looks like."""

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.browser.test_page_looks import WEAK_TEXT, no_sideways
from tests.browser.test_page_pictures import wait_done
from tests.conftest import PROJECT, Running

THINGS_JPG = PROJECT / "web" / "things.jpg"
QUESTIONS = {
    "Expression": "What does this face show?",
    "Smile": "Does this face smile?",
    "Things": "What is in this picture?",
    "Your own": "Which of your classes is this?",
}


@pytest.fixture
def opened(browser: Any, open_page: Callable[..., Any], several: Running) -> Callable[..., Any]:
    """`opened("#things", **context)`: a page of the service with every kind of model."""

    def at(place: str = "", **context: Any) -> Any:
        context.setdefault("viewport", {"width": 1200, "height": 860})
        return open_page(browser, url=several.url, at=place, **context)

    return at


def asked(several: Running, model: str, image: bytes) -> dict[str, float]:
    """The service's own five likeliest labels of a picture."""
    request = urllib.request.Request(
        f"{several.url}/classify?top=5&model={quote(model)}",
        data=image,
        headers={"Content-Type": "image/jpeg"},
    )
    with urllib.request.urlopen(request, timeout=20) as response:
        probabilities: dict[str, float] = json.load(response)["results"][0]["probabilities"]
    return probabilities


def bars(page: Any, place: str = ".results") -> dict[str, str]:
    """What stands at the bars: percentages by name, from the top."""
    names = page.locator(f"{place} .bar-name:visible").all_inner_texts()
    return dict(
        zip(names, page.locator(f"{place} .bar-value:visible").all_inner_texts(), strict=True)
    )


def percent(probability: float) -> str:
    return "<1 %" if 0 < probability < 0.01 else f"{probability * 100 + 1e-9:.0f} %"


def chosen_tab(page: Any) -> str:
    tab = page.locator("[role=tab][aria-selected=true]")
    assert tab.count() == 1 and tab.get_attribute("tabindex") == "0"
    panel = page.get_by_role("tabpanel")
    assert panel.get_attribute("aria-labelledby") == tab.get_attribute("id")
    text: str = tab.inner_text()
    assert page.locator("h1").inner_text() == QUESTIONS[text]
    assert page.title() == f"Hyojo: {QUESTIONS[text][0].lower()}{QUESTIONS[text][1:]}"
    return text


def test_a_tab_for_each_kind_by_click_key_and_address(opened: Callable[..., Any]) -> None:
    page = opened()
    assert page.get_by_role("tab").all_inner_texts() == list(QUESTIONS)
    assert chosen_tab(page) == "Expression" and "#" not in page.url
    page.get_by_role("tab", name="Smile").click()
    assert chosen_tab(page) == "Smile" and "#smile" in page.url
    for key, expected in (
        ("ArrowRight", "Things"),
        ("End", "Your own"),
        ("ArrowRight", "Expression"),
        ("ArrowLeft", "Your own"),
        ("Home", "Expression"),
        ("ArrowRight", "Smile"),
    ):
        page.keyboard.press(key)
        assert chosen_tab(page) == expected, key
        assert page.evaluate("document.activeElement.textContent") == expected, "the focus follows"
    page.reload()
    page.wait_for_selector("#service[data-state=ready]")
    assert chosen_tab(page) == "Smile"
    page.go_back()
    page.wait_for_selector("#tab-expression[aria-selected=true]")
    page.keyboard.press("Tab")
    page.locator("#skip").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "stage"
    assert chosen_tab(page) == "Expression" and "#stage" not in page.url


def test_one_kind_has_no_tabs(browser: Any, open_page: Callable[..., Any]) -> None:
    """The other kinds are taken out of the list by interception."""

    def expressions_only(route: Any) -> None:
        response = route.fetch()
        listed = response.json()
        listed["models"] = [m for m in listed["models"] if m["kind"] == "expression"]
        route.fulfill(response=response, json=listed)

    page = open_page(browser, before=lambda page: page.route("**/models", expressions_only))
    page.wait_for_selector("#facts dd")
    assert page.locator("#tabs").is_hidden() and page.get_by_role("tabpanel").count() == 0
    assert page.locator("#beside-field").is_hidden() and page.locator("#partner").is_hidden()


def test_an_address_that_names_what_is_not_there_says_so(opened: Callable[..., Any]) -> None:
    page = opened("#things?model=imagenet:none")
    assert "no model imagenet:none" in page.locator("#notices").inner_text()
    assert chosen_tab(page) == "Things"
    page.get_by_label("Model", exact=True).select_option("imagenet:two")
    assert page.locator("#notices").inner_text() == ""


def test_things_are_five_bars_beside_the_whole_picture(
    opened: Callable[..., Any], several: Running, shots: Path
) -> None:
    page = opened("#things?model=imagenet:one")
    assert "espresso" in page.locator("#masks").inner_text()
    page.get_by_role("button", name="Try the example").click()
    wait_done(page)
    truth = asked(several, "imagenet:one", THINGS_JPG.read_bytes())
    assert bars(page) == {name: percent(value) for name, value in truth.items()}
    assert len(truth) == 5
    assert page.locator(".results .reading-word").inner_text() == next(iter(truth))
    assert page.locator(".box").count() == 0
    assert next(iter(truth)) in page.locator("#status").inner_text(), "it is spoken too"
    page.screenshot(path=shots / "things.png", full_page=True)


def test_a_network_that_sleeps_is_asked_and_its_loading_told(
    opened: Callable[..., Any], several: Running
) -> None:
    """The request is held back by interception, so that there is time to look."""
    page = opened("#things?model=imagenet:three")
    option = page.locator("#model option[value='imagenet:three']")
    assert option.inner_text() == "three, asleep"
    held: list[Any] = []
    page.route("**/classify*", lambda route: held.append(route))
    page.get_by_role("button", name="Try the example").click()
    page.locator(".results").get_by_text("The network is being loaded first").wait_for()
    for _ in range(250):  # the page shows it before it asks
        if held:
            break
        page.wait_for_timeout(20)
    held[0].continue_()
    page.unroute("**/classify*")
    wait_done(page)
    assert len(bars(page)) == 5
    assert option.inner_text() == "three"


def test_networks_are_chosen_and_averaged(opened: Callable[..., Any], several: Running) -> None:
    page = opened("#things?model=imagenet:one")
    image = THINGS_JPG.read_bytes()
    page.get_by_role("button", name="Try the example").click()
    wait_done(page)
    page.get_by_label("Model", exact=True).select_option("imagenet:two")
    two = asked(several, "imagenet:two", image)
    page.locator(".reading-word", has_text=next(iter(two))).wait_for()
    wait_done(page)
    assert bars(page) == {name: percent(value) for name, value in two.items()}
    page.get_by_label("Model", exact=True).select_option("average")
    boxes = page.get_by_role("group", name="Average of").get_by_role("checkbox")
    wait_done(page)
    for name, wanted in (("one", True), ("two", True), ("three", False)):
        page.get_by_role("checkbox", name=name).set_checked(wanted)
    wait_done(page)
    mean = asked(several, "average:imagenet:one,imagenet:two", image)
    assert "#things?model=average:imagenet:one,imagenet:two" in page.url
    assert bars(page) == {name: percent(value) for name, value in mean.items()}
    boxes.first.focus()
    page.keyboard.press("Space")
    assert "two or more" in page.locator("#notices").inner_text()
    page.keyboard.press("Space")
    assert page.locator("#notices").inner_text() == "" and boxes.first.is_checked()
    assert page.evaluate("document.activeElement.value") == "imagenet:one", "the focus stays"
    page.reload()
    wait_ready = page.wait_for_selector("#average input:checked")
    assert wait_ready and page.get_by_label("Model", exact=True).input_value() == "average"


def test_own_classes_have_a_bar_each_and_tabs_keep_their_choice(
    opened: Callable[..., Any],
) -> None:
    page = opened("#things?model=imagenet:two")
    page.get_by_role("tab", name="Your own").click()
    assert page.locator("#model-field").is_hidden(), "one model needs no choice"
    page.get_by_role("button", name="Try the example").click()
    wait_done(page)
    assert len(bars(page)) == 7 and "jeans" in bars(page)
    page.get_by_role("tab", name="Things").click()
    assert page.get_by_label("Model", exact=True).input_value() == "imagenet:two"
    wait_done(page)
    assert len(bars(page)) == 5, "the same picture, read anew"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("width", "at"),
    [(320, "#smile?beside=emotion"), (1200, "#things?model=average:imagenet:one,imagenet:two")],
)
def test_tabs_and_columns_hold_on_any_screen(
    opened: Callable[..., Any], shots: Path, scheme: str, width: int, at: str
) -> None:
    page = opened(at, viewport={"width": width, "height": 740}, color_scheme=scheme)
    page.get_by_role("button", name="Try the example").click()
    wait_done(page)
    assert no_sideways(page)
    assert page.evaluate(WEAK_TEXT) == []
    small = page.locator("button:visible:not(.box), select:visible, .check:visible").all()
    assert min(control.bounding_box()["height"] for control in small) >= 40
    page.screenshot(path=shots / f"{at[1:6]}-{width}-{scheme}.png", full_page=True)
