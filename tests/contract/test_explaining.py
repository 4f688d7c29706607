"""POST /classify?explain=true: which part of the face decided, the same by every way in."""

import base64
import io
import shutil

import numpy as np
import pytest
import requests
from PIL import Image

from tests.conftest import PROJECT, Launcher, is_ready
from tests.contract.conftest import Api, assert_problem, without_times
from tests.pictures import two_faces


def test_all_forms_explain_alike(api: Api, face_jpeg: bytes) -> None:
    text = base64.b64encode(face_jpeg).decode()
    answers = [
        api.form(face_jpeg, query="?explain=true"),
        api.raw(face_jpeg, "image/jpeg", query="?explain=true"),
        api("POST", "/classify?explain=true", json={"images": [text]}),
    ]
    first, *others = (without_times(answer) for answer in answers)
    assert first["results"][0]["faces"][0]["explanation"]["label"] == first["label"]
    assert others == [first, first]


@pytest.mark.parametrize("query", ["", "?explain=false"])
def test_without_the_switch_the_answer_is_as_it_was(api: Api, face_jpeg: bytes, query: str) -> None:
    plain = without_times(api.form(face_jpeg, query=query))
    told = without_times(api.form(face_jpeg, query="?explain=true"))
    (face,) = told["results"][0]["faces"]
    assert "explanation" not in api.form(face_jpeg, query=query).text
    del face["explanation"]
    assert told == plain, "and with it nothing else changes"


def test_the_map_says_how_much_each_place_spoke_for_the_label(api: Api, face_jpeg: bytes) -> None:
    (face,) = without_times(api.form(face_jpeg, query="?explain=true"))["results"][0]["faces"]
    told = face["explanation"]
    assert set(told) == {"label", "map", "corners"} and told["label"] == face["label"]
    places = np.array(told["map"])
    assert places.shape == (6, 6) and np.abs(places).sum() == pytest.approx(1, abs=1e-3)
    assert places[3:].sum() > 2 * places[:3].sum(), "happiness is told by the mouth"
    corners = np.array(told["corners"])
    across, down = corners[1] - corners[0], corners[3] - corners[0]
    assert np.allclose(corners[2], corners[0] + across + down, atol=0.3), "a square"
    assert across @ down == pytest.approx(0, abs=20)
    assert across[0] > 0 and down[1] > 0, "the first corner is the top left"
    x, y, width, height = face["box"]
    centre = corners.mean(axis=0)
    assert x < centre[0] < x + width and y < centre[1] < y + height


def test_each_face_of_each_image_has_its_own(
    api: Api, face_jpeg: bytes, landscape_png: bytes
) -> None:
    images = (landscape_png, two_faces(face_jpeg), b"junk")
    none, two, bad = without_times(api.form(*images, query="?explain=true"))["results"]
    assert none["faces"] == [] and bad["error"]["code"] == "unsupported_image"
    centres = [np.mean(face["explanation"]["corners"], axis=0).tolist() for face in two["faces"]]
    assert centres[0][0] < 220 < 240 < centres[1][0]


def test_the_square_is_of_the_upright_picture(api: Api, face_jpeg: bytes) -> None:
    turned = Image.open(io.BytesIO(face_jpeg)).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # stored turned; shown upright
    out = io.BytesIO()
    turned.save(out, "JPEG", quality=97, exif=exif)
    squares = [
        without_times(api.form(image, query="?explain=true"))["results"][0]["faces"][0]
        for image in (face_jpeg, out.getvalue())
    ]
    upright, stored = (np.array(face["explanation"]["corners"]) for face in squares)
    assert np.abs(upright - stored).max() < 12


def test_models_says_who_can_explain(api: Api) -> None:
    told = {model["name"]: model for model in api("GET", "/models").json()["models"]}
    assert told["emotion"]["explains"] is True and told["smile"]["explains"] is True


def test_a_model_that_cannot_explain_says_what_to_do(launch: Launcher, face_jpeg: bytes) -> None:
    """The shipped bundle as it was before it could: its manifest promises nothing."""
    params = launch.folder / "params"
    shutil.copytree(PROJECT / "params" / "emotion", params / "emotion")
    manifest = params / "emotion" / "model.json"
    manifest.write_text(manifest.read_text().replace('"explains": true', '"explains": false'))
    running = launch("-m", "service", params=params)
    running.wait_for(lambda: is_ready(running.url), "readiness", 60)
    with requests.Session() as session:
        older = Api(running.url, session)
        problem = assert_problem(
            older.form(face_jpeg, query="?explain=true"), 422, "not_explainable"
        )
        assert "Train it anew" in problem["detail"]
        assert without_times(older.form(face_jpeg))["label"] == "happiness"
