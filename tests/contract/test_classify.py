"""POST /classify with good images: three forms, one answer."""

import base64
import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import requests
from PIL import Image

from tests.contract.conftest import Api, without_times

LABELS = {"anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"}


def test_all_forms_give_the_same_answer(api: Api, face_jpeg: bytes) -> None:
    text = base64.b64encode(face_jpeg).decode()
    wrapped = base64.encodebytes(face_jpeg).decode()
    answers = [
        api.form(face_jpeg),
        api.raw(face_jpeg, "image/jpeg"),
        api.raw(face_jpeg, "application/octet-stream"),
        api("POST", "/classify", json={"images": [text]}),
        api("POST", "/classify", json={"images": [f"data:image/jpeg;base64,{text}"]}),
        api("POST", "/classify", json={"images": [wrapped]}),
        api(
            "POST",
            "/classify",
            data=iter([face_jpeg[:9000], face_jpeg[9000:]]),
            headers={"Content-Type": "image/jpeg"},
        ),
    ]
    assert [without_times(answer) for answer in answers] == [without_times(answers[0])] * 7


def test_one_image_has_its_label_at_the_top(api: Api, face_jpeg: bytes) -> None:
    answer = api.form(face_jpeg).json()
    (result,) = answer["results"]
    (face,) = result["faces"]
    assert answer["label"] == result["label"] == face["label"] in LABELS
    assert answer["probability"] == result["probability"] == face["probability"]
    assert result["error"] is None
    assert result["size"] == {"width": 512, "height": 512}
    assert set(face["probabilities"]) == LABELS
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    assert list(face["probabilities"].values()) == sorted(face["probabilities"].values())[::-1]
    x, y, width, height = face["box"]
    assert 100 < x + width / 2 < 350 and 50 < y + height / 2 < 200  # where the astronaut's face is
    assert 0.5 < face["score"] <= 1


def test_several_images_are_answered_in_order(
    api: Api, face_jpeg: bytes, landscape_png: bytes
) -> None:
    answer = without_times(api.form(landscape_png, face_jpeg, b"no image", b""))
    assert "label" not in answer and "probability" not in answer
    first, second, third, fourth = answer["results"]
    assert (first["label"], first["faces"], first["error"]) == (None, [], None)
    assert second == without_times(api.form(face_jpeg))["results"][0]
    assert third["error"]["code"] == "unsupported_image" and third["label"] is None
    assert fourth["error"]["code"] == "empty_image"


def test_eight_images_are_taken(api: Api, face_jpeg: bytes) -> None:
    assert len(without_times(api.form(*[face_jpeg] * 8))["results"]) == 8


def test_no_face_is_no_error(api: Api, landscape_png: bytes) -> None:
    answer = without_times(api.raw(landscape_png, "image/png"))
    assert answer["label"] is None and answer["probability"] is None
    assert answer["results"][0]["faces"] == [] and answer["results"][0]["probabilities"] == {}


def test_whole_takes_the_image_as_the_face(api: Api, landscape_png: bytes) -> None:
    answer = without_times(api.raw(landscape_png, query="?faces=whole"))
    (face,) = answer["results"][0]["faces"]
    assert face["box"] == [0, 0, 320, 240] and face["score"] == 1
    assert answer["label"] in LABELS


@pytest.mark.parametrize("faces", ["auto", "all", "largest", "whole"])
def test_every_way_of_looking_for_faces_answers(api: Api, face_jpeg: bytes, faces: str) -> None:
    answer = without_times(api.form(face_jpeg, query=f"?faces={faces}"))
    assert answer["results"][0]["faces"]


@pytest.mark.parametrize(("top", "kept"), [(1, 1), (3, 3), (7, 7), (500, 7)])
def test_top_cuts_the_probabilities(api: Api, face_jpeg: bytes, top: int, kept: int) -> None:
    full = without_times(api.form(face_jpeg))["results"][0]
    cut = without_times(api.form(face_jpeg, query=f"?top={top}"))["results"][0]
    assert list(cut["probabilities"].items()) == list(full["probabilities"].items())[:kept]
    assert len(cut["faces"][0]["probabilities"]) == kept


def test_a_named_model_answers(api: Api, face_jpeg: bytes) -> None:
    assert without_times(api.form(face_jpeg, query="?model=emotion")) == without_times(
        api.form(face_jpeg)
    )


def _sixteen_bit(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image.convert("L"), np.uint16) * 257)


def _alpha(image: Image.Image) -> Image.Image:
    image = image.convert("RGBA")
    image.putalpha(200)
    return image


GOOD = {
    "png": lambda saved: saved("PNG"),
    "webp": lambda saved: saved("WEBP", quality=95),
    "bmp": lambda saved: saved("BMP"),
    "tiff": lambda saved: saved("TIFF"),
    "grey jpeg": lambda saved: saved("JPEG", mode="L", quality=95),
    "cmyk jpeg": lambda saved: saved("JPEG", mode="CMYK", quality=95),
    "palette png": lambda saved: saved("PNG", mode="P"),
    "alpha png": lambda saved: saved("PNG", mode="RGBA", change=_alpha),
    "16-bit png": lambda saved: saved("PNG", mode="I;16", change=_sixteen_bit),
    "progressive jpeg": lambda saved: saved("JPEG", progressive=True, quality=95),
}


@pytest.mark.parametrize("name", GOOD)
def test_every_format_shows_the_same_face(
    api: Api, saved: Callable[..., bytes], face_jpeg: bytes, name: str
) -> None:
    (expected,) = without_times(api.form(face_jpeg))["results"][0]["faces"]
    (face,) = without_times(api.raw(GOOD[name](saved)))["results"][0]["faces"]
    assert face["box"] == pytest.approx(expected["box"], abs=12)


def test_an_animated_gif_shows_its_first_frame(api: Api, face_jpeg: bytes) -> None:
    image = Image.open(io.BytesIO(face_jpeg)).convert("P")
    out = io.BytesIO()
    blank = Image.new("P", image.size)
    image.save(out, "GIF", save_all=True, append_images=[blank, blank])
    assert len(without_times(api.raw(out.getvalue(), "image/gif"))["results"][0]["faces"]) == 1


@pytest.mark.parametrize(("orientation", "turn"), [(3, 180), (6, 90), (8, 270)])
def test_exif_is_turned_upright_before_anything(
    api: Api, saved: Callable[..., bytes], orientation: int, turn: int
) -> None:
    def cut(image: Image.Image) -> Image.Image:
        return image.crop((60, 0, 460, 300))

    def turned(image: Image.Image) -> Image.Image:
        return cut(image).rotate(turn, expand=True)

    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = without_times(api.raw(saved("JPEG", change=cut, quality=97)))["results"][0]
    image = saved("JPEG", change=turned, quality=97, exif=exif)
    rotated = without_times(api.raw(image))["results"][0]
    assert rotated["size"] == upright["size"] == {"width": 400, "height": 300}
    assert rotated["faces"][0]["box"] == pytest.approx(upright["faces"][0]["box"], abs=8)


def test_models_lists_what_can_be_asked(api: Api) -> None:
    answer = api("GET", "/models").json()
    assert answer["default"] == "emotion"
    (emotion,) = [model for model in answer["models"] if model["name"] == "emotion"]
    assert set(emotion["labels"]) == LABELS and emotion["faces"] is True
    assert emotion["error"] is None
    assert (emotion["kind"], emotion["state"]) == ("expression", "warm")
    (smile,) = [model for model in answer["models"] if model["name"] == "smile"]
    assert (smile["kind"], smile["state"], smile["error"]) == ("smile", "warm", None)


def test_the_smile_model_sees_the_smile(api: Api, face_jpeg: bytes) -> None:
    told = api.raw(face_jpeg, query="?model=smile").json()
    assert (told["model"], told["label"]) == ("smile", "smile")
    assert told["probability"] > 0.9
    both = api.raw(face_jpeg).json()["results"][0]["faces"][0]["box"]
    assert told["results"][0]["faces"][0]["box"] == both


def test_answers_are_compact_json(api: Api, face_jpeg: bytes) -> None:
    text = api.form(face_jpeg).text
    assert text == json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False)


def test_requests_with_the_same_id_get_their_own_results(
    api: Api, face_jpeg: bytes, landscape_png: bytes
) -> None:
    def faces(image: bytes) -> int:
        headers = {"X-Request-Id": "same", "Content-Type": "application/octet-stream"}
        answer = requests.post(f"{api.url}/classify", data=image, headers=headers, timeout=30)
        return len(without_times(answer)["results"][0]["faces"])

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(faces, [face_jpeg, landscape_png] * 12))
    assert found == [1, 0] * 12
