"""Make docs/page.png, the README's picture of the page, from a service that runs.

$ make serve &
$ python tests/browser/screenshot.py http://127.0.0.1:8000
"""

import argparse
import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
SIZE = {"width": 1200, "height": 666}


def shoot(url: str) -> bytes:
    """The page with its example read and explained, as PNG bytes, 1200 pixels wide."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport=SIZE, color_scheme="light", reduced_motion="reduce")
        page.goto(url)
        page.wait_for_selector("#service[data-state=ready]")
        page.get_by_role("button", name="Try the example").click()
        page.wait_for_selector(".card[data-state=done]")
        page.get_by_role("switch", name="Show what decided").check()
        page.wait_for_selector(".heat:visible")
        for _ in range(3):  # the first reading is slower than what a user will see
            with page.expect_response("**/classify*"):
                page.get_by_role("button", name="Try the example").click()
            page.wait_for_selector(".card[data-state=done]")
        page.wait_for_selector(".heat:visible")
        page.mouse.move(0, 0)
        shot = page.screenshot()
        browser.close()
        return shot


def small(png: bytes) -> bytes:
    """The same picture with 7 bits a colour, which nobody sees and which packs much better."""
    out = io.BytesIO()
    rgb = Image.open(io.BytesIO(png)).convert("RGB")
    rgb.point(lambda value: min(255, (value + 1) & ~1)).save(out, "PNG", optimize=True)
    return out.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the README's picture of the page.")
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:8000", help="of the service")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "page.png")
    options = parser.parse_args()
    png = small(shoot(options.url))
    options.out.parent.mkdir(exist_ok=True)
    options.out.write_bytes(png)
    print(f"{options.out}: {len(png) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
