"""The page without a server, where what reads the pictures does not start."""

from pathlib import Path
from typing import Any

from models.local.__main__ import main
from tests.browser.static_host import serve
from tests.bundles import untrained


def test_a_worker_that_cannot_be_started_is_told_and_tried_again(
    browser: Any, tmp_path: Path
) -> None:
    params, site = tmp_path / "params", tmp_path / "site"
    untrained(params / "mugs", 1)
    assert main(["--model", "mugs", "--params", str(params), "--out", str(site)]) == 0
    worker, away = site / "js" / "local" / "worker.js", tmp_path / "worker.js"
    worker.rename(away)
    for host in serve(site):
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.goto(host.url)
        page.locator("#trouble", has_text="could not be started").wait_for()
        assert page.locator("#service").inner_text() == "Not reachable"
        away.rename(worker)
        page.wait_for_selector("#service[data-state=ready]")
        assert page.locator("#trouble").inner_text() == ""
        page.close()
