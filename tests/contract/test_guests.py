"""Models of a family and averages over HTTP: `model=imagenet:NAME`, `model=average:A,B`."""

import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import tritonclient.http as triton

from tests.conftest import Launcher, Running, is_ready
from tests.contract.conftest import Api, assert_problem, without_times
from tests.guests import LABELS, family, made

ROUNDING = 1e-5
RAW = {"Inference-Header-Content-Length": "0"}


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """A service with three models of things, two of faces, and one of other labels."""
    with tempfile.TemporaryDirectory(prefix="hyojo-") as folder:
        params = family(Path(folder) / "params", "a", "b", "c")
        made(params / "second", LABELS[::-1], faces=True)
        made(params / "imagenet" / "face", LABELS[3:] + LABELS[:3], faces=True)
        made(params / "imagenet" / "other", [f"thing {n}" for n in range(7)])
        launcher = Launcher(Path(folder))
        running = launcher("-m", "service", params=params, models="")
        try:
            running.wait_for(lambda: is_ready(running.url), "readiness", 60)
            yield running
        finally:
            launcher.end_all()


@pytest.fixture(scope="module")
def api(running: Running) -> Iterator[Api]:
    with requests.Session() as session:
        yield Api(running.url, session)


def asked(api: Api, model: str, image: bytes, more: str = "") -> dict[str, Any]:
    return without_times(api.raw(image, query=f"?model={model}{more}"))


def mean(each: list[dict[str, float]]) -> dict[str, float]:
    return {label: sum(one[label] for one in each) / len(each) for label in each[0]}


def test_an_average_is_the_mean_of_the_single_answers(api: Api, face_jpeg: bytes) -> None:
    names = ("imagenet:a", "imagenet:b", "imagenet:c")
    singles = [asked(api, name, face_jpeg) for name in names]
    assert len({one["label"] for one in singles}) > 1, "they disagree: there is a mean to make"
    answer = asked(api, "average:a,imagenet:b,c", face_jpeg)
    assert (answer["model"], answer["version"]) == ("average:a,imagenet:b,c", "a+b+c")
    wanted = mean([one["results"][0]["probabilities"] for one in singles])
    got = answer["results"][0]["probabilities"]
    assert got == pytest.approx(wanted, abs=ROUNDING) and list(got) == sorted(
        got, key=lambda label: -got[label]
    )
    assert answer["label"] == next(iter(got)) and answer["probability"] == got[answer["label"]]
    # Cut after averaging: a label that is in nobody's first two may be in those of the mean.
    two = asked(api, "average:a,b,c", face_jpeg, "&top=2")["results"][0]["probabilities"]
    assert two == dict(list(got.items())[:2])


def test_faces_are_averaged_one_by_one_and_a_resident_with_a_guest(
    api: Api, face_jpeg: bytes
) -> None:
    names = ("emotion", "second", "imagenet:face")
    singles = [asked(api, name, face_jpeg)["results"][0]["faces"][0] for name in names]
    (face,) = asked(api, "average:emotion,second,face", face_jpeg)["results"][0]["faces"]
    assert face["box"] == singles[0]["box"] and face["score"] == singles[0]["score"]
    wanted = mean([one["probabilities"] for one in singles])
    assert face["probabilities"] == pytest.approx(wanted, abs=ROUNDING)


def test_several_images_and_none_with_a_face(
    api: Api, face_jpeg: bytes, landscape_png: bytes
) -> None:
    images = face_jpeg, landscape_png, face_jpeg[:3000], face_jpeg
    answer = api.form(*images, query="?model=average:emotion,second&top=1")
    face, none, broken, again = answer.json()["results"]
    assert face == again and face["label"] in LABELS and len(face["probabilities"]) == 1
    assert (none["label"], none["faces"], none["error"]) == (None, [], None)
    assert broken["error"]["code"] == "image_broken"
    timings = answer.json()["timings_ms"]
    assert 0 < timings["decode"] + timings["detect"] + timings["classify"] < timings["total"]


@pytest.mark.parametrize(
    ("model", "status", "code", "says"),
    [
        ("average:a", 422, "not_averageable", "takes 2 to 8 different models"),
        ("average:", 404, "model_not_found", "no model '' to be averaged"),
        ("average:a,b,imagenet:a", 422, "not_averageable", "names 2"),
        ("average:a,other", 422, "not_averageable", "their labels differ ('"),
        ("average:a,face", 422, "not_averageable", "the other at the whole picture"),
        ("average:a,nothing", 404, "model_not_found", "no model 'nothing' to be averaged"),
        ("average:a,average:b,c", 404, "model_not_found", "no model 'average:b'"),
        ("average:a,b&explain=true", 422, "not_explainable", "An average of models cannot"),
        ("imagenet:a&explain=true", 422, "not_explainable", "imagenet:a"),
        ("imagenet:nothing", 404, "model_not_found", "imagenet:a"),
        ("imagenet:vgg16", 404, "model_not_found", "python -m models.zoo fetch"),
        ("a", 404, "model_not_found", "no model 'a'"),
        ("imagenet:", 404, "model_not_found", "no model 'imagenet:'"),
        (f"average:{','.join('abc' * 200)}", 422, "invalid_parameter", "1 to 512"),
    ],
)
def test_what_cannot_be_asked_is_told_why(
    api: Api, face_jpeg: bytes, model: str, status: int, code: str, says: str
) -> None:
    problem = assert_problem(api.raw(face_jpeg, query=f"?model={model}"), status, code)
    assert says in problem["detail"]


def test_a_member_that_cannot_be_had_is_the_answers_reason(
    running: Running, api: Api, face_jpeg: bytes
) -> None:
    graph = Path(running.env["HYOJO_PARAMS"]) / "imagenet" / "other" / "inference.json"
    graph.unlink()
    answer = api.raw(face_jpeg, query="?model=imagenet:other")
    problem = assert_problem(answer, 503, "model_unavailable")
    assert f"{graph} is missing" in problem["detail"] and answer.headers["Retry-After"] == "2"
    metrics = api("GET", "/metrics").text
    assert 'hyojo_worker_events_total{event="guest_failures"} 1.0' in metrics
    assert "hyojo_worker_models_broken 1.0" in metrics


def test_models_and_metrics_tell_who_is_here(api: Api, face_jpeg: bytes) -> None:
    asked(api, "imagenet:a", face_jpeg)
    models = {model["name"]: model for model in api("GET", "/models").json()["models"]}
    assert models["imagenet:a"]["state"] == models["emotion"]["state"] == "warm"
    assert models["imagenet:other"]["state"] == "asleep"
    assert (models["imagenet:a"]["kind"], models["second"]["kind"]) == ("things", "expression")
    assert api("GET", "/readyz").json()["predictors"] == 1, "guests are not counted"
    figures = dict(
        line.rsplit(" ", 1) for line in api("GET", "/metrics").text.splitlines() if line[0] != "#"
    )
    assert float(figures["hyojo_worker_guests"]) >= 1
    limit = float(figures["hyojo_worker_guest_memory_limit_bytes"])
    assert 0 < float(figures["hyojo_worker_guest_memory_bytes"]) <= limit == 1536 * 2**20


def test_the_open_inference_protocol_asks_guests_and_averages(
    running: Running, api: Api, face_jpeg: bytes
) -> None:
    names = ("imagenet:a", "average:a,imagenet:b", "average:emotion,second,face", "imagenet:b")
    with triton.InferenceServerClient(running.url.removeprefix("http://")) as client:
        image = triton.InferInput("image", [1], "BYTES")
        image.set_data_from_numpy(np.array([face_jpeg], dtype=object))
        for name in names:
            wanted = asked(api, name, face_jpeg)
            told = client.get_model_metadata(name)
            assert (told["name"], told["versions"]) == (name, [wanted["version"]])
            labels = told["parameters"]["labels"]
            looks_for_faces = "boxes" in [output["name"] for output in told["outputs"]]
            assert looks_for_faces == bool(wanted["results"][0]["faces"])
            assert client.is_model_ready(name, wanted["version"])
            got = client.infer(name, [image], model_version=wanted["version"])
            row = dict(zip(labels, got.as_numpy("probabilities")[0], strict=True))
            assert row == pytest.approx(wanted["results"][0]["probabilities"])
            assert got.as_numpy("label")[0].decode() == wanted["label"]
        assert client.get_model_metadata("imagenet:a")["parameters"]["labels"] != list(LABELS)
        with pytest.raises(triton.InferenceServerException, match="no output 'boxes'"):
            client.infer("imagenet:a", [image], outputs=[triton.InferRequestedOutput("boxes")])
    answer = api("GET", "/v2/models/average%3Aa%2Cimagenet%3Ab/versions/a%2Bb/ready")
    assert answer.json() == {"name": "average:a,imagenet:b", "ready": True}
    assert api("GET", "/v2/models/average:a,face").status_code == 422


def test_a_model_that_could_not_be_loaded_can_be_asked_again_by_the_protocol(
    running: Running, api: Api, face_jpeg: bytes
) -> None:
    other = Path(running.env["HYOJO_PARAMS"]) / "imagenet" / "other"
    (other / "inference.json").unlink(missing_ok=True)
    infer = "/v2/models/imagenet:other/infer"
    refused = api("POST", infer, data=face_jpeg, headers=RAW)
    assert refused.status_code == 503 and "is missing" in refused.json()["error"]
    assert api("GET", "/v2/models/imagenet:other/ready").status_code == 503
    made(other, [f"thing {n}" for n in range(7)])
    time.sleep(int(refused.headers["Retry-After"]))
    running.wait_for(
        lambda: api("POST", infer, data=face_jpeg, headers=RAW).status_code == 200, "the model", 20
    )


def test_a_replaced_model_s_labels_are_told_in_its_own_order(
    running: Running, api: Api, face_jpeg: bytes
) -> None:
    """What is kept of a model from one request to the next is of one version of it."""

    def row() -> dict[str, float]:
        answer = api("POST", "/v2/models/second/infer", data=face_jpeg, headers=RAW).json()
        labels = api("GET", "/v2/models/second").json()["parameters"]["labels"]
        return dict(zip(labels, answer["outputs"][1]["data"], strict=True))

    before = row()
    made(Path(running.env["HYOJO_PARAMS"]) / "second", LABELS, faces=True, version="2")
    running.process.send_signal(signal.SIGHUP)
    running.wait_for(lambda: asked(api, "second", face_jpeg)["version"] == "2", "version 2")
    answer = api("POST", "/v2/models/second/infer", data=face_jpeg, headers=RAW).json()
    assert answer["model_version"] == "2"
    got = dict(zip(LABELS, answer["outputs"][1]["data"], strict=True))
    assert got == asked(api, "second", face_jpeg)["results"][0]["probabilities"] != before
    gone = api("GET", "/v2/models/second/versions/1/ready")
    assert gone.status_code == 404 and "2 is served" in gone.json()["error"]
