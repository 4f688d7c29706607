"""Pictures on the page: every way in, every outcome. Real Chromium, real service."""

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

LABELS = {"anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"}


def wait_done(page: Any, count: int = 1) -> None:
    """Every card has its outcome."""
    page.wait_for_selector(f".results[data-count='{count}']")
    page.wait_for_selector(
        ".results:not(:has([data-state=waiting], [data-state=reading], [data-state=busy]))"
    )
    assert page.locator(".card:visible").count() == count


def word_of(page: Any) -> str:
    """The label that is shown; a failure tells the page's own sentence."""
    words = page.locator(".reading-word:visible").inner_text()
    note = page.locator(".reading-note:visible").inner_text()
    assert words in LABELS, f"{words}: {note}"
    return words


def data_transfer(page: Any, *files: Path) -> Any:
    """A DataTransfer with these files, as a drag from the desktop carries them."""
    carried = [[file.name, base64.b64encode(file.read_bytes()).decode()] for file in files]
    return page.evaluate_handle(
        """(carried) => {
          const transfer = new DataTransfer();
          for (const [name, text] of carried) {
            const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
            transfer.items.add(new File([bytes], name));
          }
          return transfer;
        }""",
        carried,
    )


def percentages(page: Any) -> list[float]:
    texts = page.locator(".card:visible .bar-value").all_inner_texts()
    return [float(re.sub(r"[^0-9.]", "", text)) for text in texts]


def test_example_button_names_the_expression_with_a_bar_for_each_class(
    page: Any, shots: Path
) -> None:
    page.get_by_role("button", name="Try the example").click()
    wait_done(page)
    word = word_of(page)
    names = page.locator(".results .bar-name").all_inner_texts()
    assert set(names) == LABELS and names[0] == word
    assert re.fullmatch(r">?\d+ %", page.locator(".results .reading-sure").inner_text())
    assert percentages(page) == sorted(percentages(page), reverse=True)
    assert "find\u00a0faces" in page.locator(".results .timing").inner_text()
    assert word in page.locator("#status").inner_text(), "the outcome is spoken too"
    page.screenshot(path=shots / "example.png", full_page=True)


def test_chosen_picture_agrees_with_the_service(
    page: Any, example: Path, classify: Callable[..., Any]
) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose pictures").click()
    assert chooser.value.is_multiple()
    chooser.value.set_files(example)
    wait_done(page)
    truth = classify(example.read_bytes())
    assert word_of(page) == truth["label"]
    shown = percentages(page)[0]
    assert shown == pytest.approx(100 * truth["probability"], abs=1)


@pytest.mark.parametrize("width", [360, 1200])
def test_box_lies_where_the_service_found_the_face_at_any_size(
    browser: Any,
    open_page: Callable[..., Any],
    example: Path,
    classify: Callable[..., Any],
    width: int,
) -> None:
    page = open_page(browser, viewport={"width": width, "height": 800})
    page.set_input_files("#chooser", example)
    wait_done(page)
    x, y, w, h = classify(example.read_bytes())["results"][0]["faces"][0]["box"]
    picture = page.locator(".picture img").bounding_box()
    box = page.locator(".box").bounding_box()
    scale = picture["width"] / 512
    assert picture["height"] == pytest.approx(512 * scale, abs=1), "the picture is not distorted"
    expected = [picture["x"] + x * scale, picture["y"] + y * scale, w * scale, h * scale]
    assert [box["x"], box["y"], box["width"], box["height"]] == pytest.approx(expected, abs=1.5)


def test_dropped_anywhere(page: Any, example: Path) -> None:
    dropped = data_transfer(page, example)
    page.dispatch_event("footer", "dragenter", {"dataTransfer": dropped})
    assert page.locator("body").get_attribute("data-dragging") is not None, (
        "the page shows it takes it"
    )
    page.dispatch_event("footer", "drop", {"dataTransfer": dropped})
    wait_done(page)
    assert page.locator("body").get_attribute("data-dragging") is None
    word_of(page)


def test_dropped_text_is_answered_with_a_sentence(page: Any) -> None:
    empty = page.evaluate_handle("() => new DataTransfer()")
    page.dispatch_event("body", "drop", {"dataTransfer": empty})
    assert "not a file" in page.locator("#notices").inner_text()


def test_pasted_with_control_v(browser: Any, open_page: Callable[..., Any]) -> None:
    page = open_page(browser, permissions=["clipboard-read", "clipboard-write"])
    page.evaluate(
        """async () => {
          const image = await createImageBitmap(await (await fetch('example.jpg')).blob());
          const canvas = new OffscreenCanvas(image.width, image.height);
          canvas.getContext('2d').drawImage(image, 0, 0);
          const png = await canvas.convertToBlob({ type: 'image/png' });
          await navigator.clipboard.write([new ClipboardItem({ 'image/png': png })]);
        }"""
    )
    page.keyboard.press("Control+V")
    wait_done(page)
    word_of(page)


def test_several_pictures_keep_their_order_and_a_bad_one_harms_no_other(
    page: Any, example: Path, pictures: dict[str, Path], shots: Path
) -> None:
    given = [
        example,
        pictures["notes.txt"],
        pictures["wide.png"],
        pictures["no-face.png"],
        pictures["tall.jpg"],
        pictures["two.jpg"],
    ]
    page.set_input_files("#chooser", given)
    wait_done(page, len(given))
    assert page.locator(".card-name").all_inner_texts() == [path.name for path in given]
    states = [card.get_attribute("data-state") for card in page.locator(".card:visible").all()]
    assert states == ["done", "failed", "done", "no-face", "done", "done"]
    page.screenshot(path=shots / "several.png", full_page=True)


def test_nine_pictures_give_the_first_eight_and_say_so(page: Any, example: Path) -> None:
    page.set_input_files("#chooser", [example] * 9)
    wait_done(page, 8)
    assert "first 8" in page.locator("#notices").inner_text()


def test_at_most_two_pictures_are_in_flight(page: Any, example: Path) -> None:
    flying, most = 0, 0

    def change(request: Any, by: int) -> None:
        nonlocal flying, most
        if "/classify" in request.url:
            flying += by
            most = max(most, flying)

    page.on("request", lambda request: change(request, 1))
    page.on("requestfinished", lambda request: change(request, -1))
    page.set_input_files("#chooser", [example] * 8)
    wait_done(page, 8)
    assert most == 2


def test_not_an_image_shows_the_services_sentence(page: Any, pictures: dict[str, Path]) -> None:
    page.set_input_files("#chooser", pictures["notes.txt"])
    wait_done(page)
    card = page.locator(".card:visible")
    assert card.get_attribute("data-code") == "unsupported_image"
    assert len(card.locator(".reading-note").inner_text()) > 20
    assert page.get_by_role("button", name="Try again").is_visible()


@pytest.mark.parametrize(
    ("bytes_", "code"), [(13_000_000, "image_too_large"), (40_000_000, "body_too_large")]
)
def test_too_large_says_so_instead_of_a_lost_connection(
    page: Any, example: Path, tmp_path: Path, bytes_: int, code: str
) -> None:
    large = tmp_path / "large.jpg"
    large.write_bytes(example.read_bytes().ljust(bytes_, b"\0"))
    page.set_input_files("#chooser", large)
    wait_done(page)
    card = page.locator(".card:visible")
    assert card.get_attribute("data-code") == code
    assert "larger than" in card.locator(".reading-note").inner_text()


def test_file_that_has_gone_is_not_taken_for_a_lost_server(
    page: Any, pictures: dict[str, Path], tmp_path: Path
) -> None:
    fleeting = tmp_path / "fleeting.png"
    fleeting.write_bytes(pictures["no-face.png"].read_bytes())
    page.set_input_files("#chooser", fleeting)
    wait_done(page)
    fleeting.unlink()
    page.get_by_role("button", name="Read the whole picture").click()
    page.wait_for_selector(".card[data-code=unreadable_file]")
    assert "cannot read the file" in page.locator(".reading-note:visible").inner_text()


def test_no_face_offers_to_read_the_whole_picture(
    page: Any, pictures: dict[str, Path], shots: Path
) -> None:
    page.set_input_files("#chooser", pictures["no-face.png"])
    wait_done(page)
    assert "No face was found" in page.locator(".reading-note:visible").inner_text()
    page.screenshot(path=shots / "no-face.png")
    page.get_by_role("button", name="Read the whole picture").click()
    page.wait_for_selector(".card[data-state=done]")
    word_of(page)
    tag, mat = page.locator(".box-tag").bounding_box(), page.locator(".mat:visible").bounding_box()
    assert mat["y"] <= tag["y"] and tag["y"] + tag["height"] <= mat["y"] + mat["height"]


def test_each_of_two_faces_can_be_read_with_the_keyboard(
    page: Any, pictures: dict[str, Path], classify: Callable[..., Any]
) -> None:
    faces = classify(pictures["two.jpg"].read_bytes())["results"][0]["faces"]
    assert len(faces) == 2
    page.set_input_files("#chooser", pictures["two.jpg"])
    wait_done(page)
    boxes = page.locator("button.box")
    assert boxes.count() == 2
    for index, face in enumerate(faces):
        boxes.nth(index).focus()
        page.keyboard.press("Enter")
        assert boxes.nth(index).get_attribute("aria-pressed") == "true"
        assert word_of(page) == face["label"]


def test_picture_turned_by_exif_has_its_box_on_the_face(
    page: Any, example: Path, tmp_path: Path
) -> None:
    turned = Image.open(example).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # stored turned; a viewer turns it 90 degrees clockwise
    turned.save(tmp_path / "phone.jpg", exif=exif)
    page.set_input_files("#chooser", tmp_path / "phone.jpg")
    wait_done(page)
    picture = page.locator(".picture img").bounding_box()
    box = page.locator(".box").bounding_box()
    across = (box["x"] + box["width"] / 2 - picture["x"]) / picture["width"]
    down = (box["y"] + box["height"] / 2 - picture["y"]) / picture["height"]
    assert (across, down) == pytest.approx((0.435, 0.25), abs=0.06), (
        "her face in the upright picture"
    )


def test_server_that_cannot_be_reached_is_named_and_can_be_tried_again(
    browser: Any, open_page: Callable[..., Any]
) -> None:
    """The broken line is made by the browser's own interception: no real network is cut."""
    page = open_page(browser, allow=("console: Failed to load resource: net::",))
    page.route("**/classify*", lambda route: route.abort("connectionrefused"))
    page.get_by_role("button", name="Try the example").click()
    page.wait_for_selector(".card[data-state=failed]")
    assert "cannot be reached" in page.locator(".reading-note:visible").inner_text()
    page.unroute("**/classify*")
    page.get_by_role("button", name="Try again").click()
    page.wait_for_selector(".card[data-state=done]")


def test_busy_server_is_asked_again_by_itself(page: Any) -> None:
    """The 503 is made by interception: a fake in the service's own form, as load is no fixture."""
    asked = []

    def answer(route: Any) -> None:
        asked.append(route.request.url)
        if len(asked) > 2:
            route.continue_()
            return
        route.fulfill(
            status=503,
            headers={"Retry-After": "1", "Content-Type": "application/problem+json"},
            body='{"status": 503, "code": "overloaded", "detail": "The queue is full."}',
        )

    page.route("**/classify*", answer)
    page.get_by_role("button", name="Try the example").click()
    page.wait_for_selector(".card[data-state=busy]")
    assert "Trying again in 1 second" in page.locator(".reading-note:visible").inner_text()
    wait_done(page)
    assert len(asked) == 3
    word_of(page)
