"""Image addresses on the page: a field where the service fetches them, none where it does not."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import make_server

from service import fetching, gateway
from service.client import WorkerClient
from service.settings import load_settings
from tests.browser.test_page_pictures import wait_done
from tests.conftest import Running
from tests.hosts import Host, serving


@pytest.fixture
def fetching_url(service: Running) -> Iterator[tuple[str, Host]]:
    """The gateway's application before the shared worker, with a resolver of the test."""
    with serving() as (port, trust), pytest.MonkeyPatch.context() as patch:
        host = Host(port, [], trust, [], lambda _host: ["127.0.0.1"])
        patch.setattr(fetching, "Fetcher", lambda *_args, **_more: host.fetcher(most=1 << 20))
        for name, value in (("WORKER", service.endpoint), ("URL_INPUT", "https")):
            patch.setenv(f"HYOJO_{name}", value)
        worker = WorkerClient(service.endpoint)
        patch.setattr(gateway, "WorkerClient", lambda *_args, **_more: worker)
        server = make_server("127.0.0.1", 0, gateway.create_app(load_settings()), threaded=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", host
        finally:
            server.shutdown()
            server.server_close()
            worker.close()


def test_pictures_at_addresses_are_read_and_named(
    browser: Any, open_page: Callable[..., Any], fetching_url: tuple[str, Host], shots: Path
) -> None:
    url, host = fetching_url
    page = open_page(browser, url=url, viewport={"width": 1200, "height": 860})
    page.get_by_label("Image addresses").fill(f"{host.url('face')}\n{host.url('missing')}\n")
    page.get_by_role("button", name="Read them").click()
    wait_done(page, 2)
    first, second = page.locator(".card:visible").all()
    assert first.locator(".card-name").inner_text() == host.url("face")
    assert first.locator(".reading-word").inner_text() == "happiness"
    assert first.locator(".box").count() == 1
    assert "shows none of other sites" in first.locator(".unshown").inner_text()
    assert second.get_attribute("data-code") == "url_failed"
    assert len(second.locator(".reading-note").inner_text()) > 20
    page.screenshot(path=shots / "links.png", full_page=True)
    page.context.close()  # before the service ends


def test_what_is_no_address_or_is_refused_is_said(
    browser: Any, open_page: Callable[..., Any], several: Running
) -> None:
    page = open_page(browser, url=several.url)
    field = page.get_by_label("Image addresses")
    for text, words in (
        ("", "no address yet"),
        ("ftp://example.com/a.jpg", "must begin with https://"),
        ("http://example.com/a.jpg", "must begin with https://"),
    ):
        field.fill(text)
        field.press("Enter")
        assert words in page.locator("#notices").inner_text()
        assert field.get_attribute("aria-invalid") == "true"
        assert page.evaluate("document.activeElement.id") == "links"
    field.fill("\n".join(["https://127.0.0.1/a.jpg"] * 9))
    field.press("Enter")
    wait_done(page, 8)
    assert "first 8" in page.locator("#notices").inner_text()
    assert page.locator(".card[data-code=url_refused]").count() == 8


def test_a_pasted_address_is_read_where_addresses_are_taken(
    browser: Any, open_page: Callable[..., Any], several: Running, service_url: str
) -> None:
    paste = """(text) => {
      const carried = new DataTransfer();
      carried.setData('text/plain', text);
      const event = new ClipboardEvent('paste', { clipboardData: carried, bubbles: true });
      document.body.dispatchEvent(event);
    }"""
    page = open_page(browser, url=several.url)
    page.evaluate(paste, "https://localhost/a.jpg")
    page.wait_for_selector(".card[data-code=url_refused]")
    off = open_page(browser, url=service_url)
    assert off.locator("#links-form").is_hidden()
    off.evaluate(paste, "https://localhost/a.jpg")
    assert "no picture in the clipboard" in off.locator("#notices").inner_text()
