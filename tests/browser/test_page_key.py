"""A service that wants a key: the page asks for it, sends it, and keeps it in its tab alone."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import Launcher, Running

KEY = "correct-horse-battery"
GATEWAY = ("-m", "gunicorn", "-c", "python:service.gunicorn_conf", "service.gateway:create_app()")


@pytest.fixture
def locked(launch: Launcher, service: Running) -> Iterator[Running]:
    """A gateway with a key, before the shared worker."""
    gateway = launch(*GATEWAY, api_keys=f"ann:{KEY}", worker=service.endpoint)
    gateway.wait_for(lambda: "gateway listening" in gateway.log, "the gateway", 20)
    yield gateway


def test_the_page_can_be_given_a_key(
    browser: Any, open_page: Callable[..., Any], locked: Running
) -> None:
    page = open_page(browser, url=locked.url, ready=False)
    page.wait_for_selector("#service[data-state=locked]")
    assert page.is_visible("#key-form") and page.inner_text("#service") == "Wants a key"
    page.fill("#key", "wrong")
    page.click("#key-form button")
    page.wait_for_selector("#service[data-state=locked]")
    page.fill("#key", f" {KEY} ")
    page.press("#key", "Enter")
    page.wait_for_selector("#service[data-state=ready]")
    assert page.is_hidden("#key-form")
    page.click("#example")
    page.wait_for_selector("#results .card")
    page.wait_for_function("document.querySelector('#results').innerText.includes('appiness')")
    page.reload()
    page.wait_for_selector("#service[data-state=ready]")  # the tab has kept it
    assert page.evaluate("localStorage.length") == 0 and page.context.cookies() == []
    another = page.context.new_page()
    another.goto(locked.url)
    another.wait_for_selector("#service[data-state=locked]")
    assert KEY not in locked.log


def test_without_keys_nothing_is_asked_for(page: Any) -> None:
    assert page.is_hidden("#key-form")
