"""Models of a family and averages over HTTP: `model=imagenet:NAME`, `model=average:A,B`."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import Launcher, Running, is_ready
from tests.contract.conftest import Api, assert_problem, without_times
from tests.guests import LABELS, family, made

ROUNDING = 1e-5


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
