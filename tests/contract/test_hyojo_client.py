"""The client package asks the real service: what it gives back, and what it does when it cannot."""

import dataclasses
import io
import threading
from pathlib import Path

import pytest
import requests
from hyojo import Hyojo, HyojoError, Result

from tests.conftest import Launcher, Running
from tests.pictures import gradient, saved

GATEWAY = ("-m", "gunicorn", "-c", "python:service.gunicorn_conf", "service.gateway:create_app()")


@pytest.fixture
def picture(tmp_path: Path, face_jpeg: bytes) -> Path:
    """A file with a face."""
    path = tmp_path / "face.jpg"
    path.write_bytes(face_jpeg)
    return path


def test_a_picture_in_every_form_has_the_service_s_own_answer(
    service_url: str, picture: Path, face_jpeg: bytes
) -> None:
    told = requests.post(f"{service_url}/classify", files={"image": face_jpeg}, timeout=30).json()
    with Hyojo(service_url) as hyojo, picture.open("rb") as file:
        forms = (str(picture), picture, face_jpeg, bytearray(face_jpeg), memoryview(face_jpeg),
                 file, io.BytesIO(face_jpeg))  # fmt: skip
        for form in forms:
            result = hyojo.classify(form)
            assert result.label == told["label"] == "happiness" and result.ok
            assert result.probability == told["probability"]
            assert result.probabilities == told["results"][0]["probabilities"]
            assert (result.model, result.version) == (told["model"], told["version"])
            (face,) = result.faces
            assert list(face.box) == told["results"][0]["faces"][0]["box"]
            assert result.size is not None and result.size.width == 512
            assert result.request_id and result.timings_ms.total > 0 and result.explanation is None
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.label = "anger"  # type: ignore[misc]


def test_what_is_asked_goes_along(service_url: str, face_jpeg: bytes) -> None:
    with Hyojo(service_url) as hyojo:
        result = hyojo.classify(face_jpeg, model="smile", top=1, faces="largest", explain=True)
        assert result.model == "smile" and list(result.probabilities) == ["smile"]
        told = result.faces[0].explanation
        assert told is not None and told.label == "smile" and len(told.corners) == 4
        assert sum(abs(share) for row in told.map for share in row) == pytest.approx(1, abs=0.01)
        assert hyojo.classify(face_jpeg, faces="whole").label is not None


def test_of_several_each_has_its_own_result_however_many_there_are(
    service_url: str, picture: Path, face_jpeg: bytes, landscape_png: bytes, tmp_path: Path
) -> None:
    """More than a request takes, with bad ones between, and alone in the last request."""
    good = [picture, landscape_png] * 4
    bad: list[str | bytes | Path] = [tmp_path / "none.jpg", face_jpeg[:3000], b""]
    with Hyojo(service_url) as hyojo:
        results = hyojo.classify([*bad, *good, b"no picture"])
        assert hyojo.classify([]) == []
        codes = [result.error.code if result.error else None for result in results]
        assert codes == [
            "unreadable_file", "image_broken", "empty_image", *[None] * 8, "unsupported_image",
        ]  # fmt: skip
        assert [result.label for result in results[3:11]] == ["happiness", None] * 4
        with pytest.raises(HyojoError) as caught:
            hyojo.classify(b"no picture")
    error = caught.value
    assert (error.code, error.status) == ("unsupported_image", 415)
    assert error.request_id and "Convert it" in error.sentence


def test_pictures_too_large_together_are_asked_one_by_one(
    launch: Launcher, service: Running, face_jpeg: bytes
) -> None:
    """One too large of its own costs the others nothing; nor does a service that takes fewer."""
    running = launch(
        *GATEWAY, worker=service.endpoint, max_body_mb=0.3, max_image_mb=0.2, max_images=3
    )
    large = saved(gradient(700, 700), "BMP")
    with Hyojo(running.url, patience_s=60) as hyojo:
        running.wait_for(hyojo.ready, "readiness", 60)
        results = hyojo.classify([face_jpeg, large, face_jpeg, face_jpeg])
    assert [result.label for result in results] == ["happiness", None, "happiness", "happiness"]
    assert results[1].error is not None
    assert results[1].error.code in ("image_too_large", "body_too_large")


def test_a_file_that_is_none_is_an_error_of_the_callers(service_url: str, tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text("x")
    with Hyojo(service_url) as hyojo:
        with pytest.raises(FileNotFoundError):
            hyojo.classify(tmp_path / "none.jpg")
        with pytest.raises(TypeError):
            hyojo.classify([3])  # type: ignore[list-item]
        with text.open() as file, pytest.raises(TypeError, match="'rb'"):
            hyojo.classify(file)  # type: ignore[call-overload]


def test_the_models_are_told(service_url: str) -> None:
    with Hyojo(service_url) as hyojo:
        models = {model.name: model for model in hyojo.models()}
    assert models["emotion"].default and not models["smile"].default
    assert "happiness" in models["emotion"].labels and models["emotion"].faces
    assert models["emotion"].kind == "expression" and models["emotion"].metrics


def test_threads_share_one_client(service_url: str, face_jpeg: bytes) -> None:
    results: list[Result] = []
    with Hyojo(service_url) as hyojo:
        ask = [
            threading.Thread(target=lambda: results.extend(hyojo.classify([face_jpeg] * 3)))
            for _ in range(4)
        ]
        for thread in ask:
            thread.start()
        for thread in ask:
            thread.join(60)
    assert [result.label for result in results] == ["happiness"] * 12


def test_it_waits_for_a_worker_that_is_still_starting(launch: Launcher, face_jpeg: bytes) -> None:
    """And a key is taken along; without one the sentence says so."""
    endpoint = f"ipc://{launch.folder}/w.sock"
    running = launch(*GATEWAY, worker=endpoint, api_keys="ann:s3cret-0123456789")
    workers = []
    said = []

    def waiting(error: HyojoError, _: float) -> None:
        said.append(error.code)
        if not workers:
            workers.append(launch("infer.py", worker=endpoint))

    with Hyojo(running.url, key="s3cret-0123456789", patience_s=60, waiting=waiting) as hyojo:
        running.wait_for(lambda: _answers(running.url), "the gateway", 60)
        assert hyojo.ready() is False
        assert hyojo.classify(face_jpeg).label == "happiness"
    assert said and set(said) <= {"worker_unavailable", "not_ready"}
    with Hyojo(running.url) as hyojo, pytest.raises(HyojoError) as caught:
        hyojo.classify(face_jpeg)
    assert (caught.value.code, caught.value.status) == ("unauthorized", 401)


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/livez", timeout=5).ok
    except requests.ConnectionError:
        return False
