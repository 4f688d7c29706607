"""A model that could not be loaded: shown with its reason, and tried again when it is asked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.browser.test_page_pictures import wait_done
from tests.conftest import ready_service
from tests.guests import copied, family


def test_a_model_that_cannot_be_loaded_stays_on_the_page_until_it_can(
    browser: Any, open_page: Callable[..., Any], tmp_path: Path, example: Path
) -> None:
    params = family(tmp_path / "params", "one")
    weights = copied(params / "imagenet" / "two") / "inference.pdiparams"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])
    with ready_service(params=params, predictors=1) as running:
        page = open_page(browser, url=running.url, at="#things?model=imagenet:two")
        option = page.locator("#model option[value='imagenet:two']")
        assert option.inner_text() == "two, asleep"
        page.set_input_files("#chooser", [example])
        wait_done(page)
        assert "inference.pdiparams" in page.locator(".results .reading-note").inner_text()
        page.locator("#notices", has_text="It is tried again when it is asked.").wait_for()
        assert option.inner_text() == "two, unavailable"
        page.reload()
        page.locator("#notices", has_text="inference.pdiparams").wait_for()
        assert option.inner_text() == "two, unavailable", "another visitor is told too"
        page.get_by_label("Model", exact=True).select_option("imagenet:one")
        assert page.locator("#notices").inner_text() == ""
        page.get_by_label("Model", exact=True).select_option("imagenet:two")
        page.set_input_files("#chooser", [example])
        wait_done(page)
        weights.write_bytes(whole)
        result = page.locator(".card[data-state=done]")
        for _ in range(20):  # the service leaves it alone for two seconds, then four
            page.get_by_role("button", name="Try again").click()
            wait_done(page)
            if result.count():
                break
            page.wait_for_timeout(500)
        assert page.locator(".results .bar-name:visible").count() == 5
        assert option.inner_text() == "two"
        assert page.locator("#notices").inner_text() == ""
