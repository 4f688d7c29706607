"""The Open Inference Protocol, asked by Triton's own client; and what it says of a bad request."""

import base64
import json
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import requests
import tritonclient.http as triton

from tests.contract.conftest import Api, without_times

MODEL = "emotion"
INFER = f"/v2/models/{MODEL}/infer"
LENGTH = "Inference-Header-Content-Length"
MB = 1024 * 1024


@pytest.fixture(scope="module")
def client(service_url: str) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(service_url.removeprefix("http://")) as client:
        yield client


def tensor(*images: bytes, binary: bool = True, column: bool = False) -> triton.InferInput:
    """The input, one image an element."""
    elements = images if binary else tuple(base64.b64encode(image) for image in images)
    shape = [len(images), 1] if column else [len(images)]
    given = triton.InferInput("image", shape, "BYTES")
    given.set_data_from_numpy(np.array(elements, dtype=object).reshape(shape), binary_data=binary)
    return given


def in_json(*images: bytes, **more: Any) -> dict[str, Any]:
    """A request's body with the images in it."""
    data = [base64.b64encode(image).decode() for image in images]
    given = {"name": "image", "shape": [len(images)], "datatype": "BYTES", "data": data}
    return {"inputs": [given], **more}


def assert_error(answer: requests.Response, status: int, says: str) -> None:
    """The protocol's error object with this status and sentence, and nothing else."""
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/json")
    error = answer.json()
    assert set(error) == {"error"} and says in error["error"], error
    assert "Traceback" not in answer.text


def test_health_and_metadata(client: triton.InferenceServerClient, api: Api) -> None:
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(MODEL)
    assert not client.is_model_ready("nothing") and not client.is_model_ready(MODEL, "0")
    server = client.get_server_metadata()
    assert (server["name"], server["extensions"]) == ("hyojo", ["binary_tensor_data"])
    assert api("GET", "/v2/").json() == server
    info = next(one for one in api("GET", "/models").json()["models"] if one["name"] == MODEL)
    told = client.get_model_metadata(MODEL)
    assert told == client.get_model_metadata(MODEL, info["version"])
    assert (told["versions"], told["platform"]) == ([info["version"]], "paddle_inference")
    assert told["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
    assert told["outputs"] == [
        {"name": "label", "datatype": "BYTES", "shape": [-1]},
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, 7]},
        {"name": "boxes", "datatype": "FP32", "shape": [-1, 4]},
        {"name": "answer", "datatype": "BYTES", "shape": [-1]},
    ]
    assert told["parameters"]["labels"] == info["labels"]


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "JSON"])
@pytest.mark.parametrize("column", [False, True], ids=["[N]", "[N, 1]"])
def test_a_batch_is_answered_as_classify_answers_it(
    client: triton.InferenceServerClient,
    api: Api,
    face_jpeg: bytes,
    landscape_png: bytes,
    binary: bool,
    column: bool,
) -> None:
    images = face_jpeg, landscape_png, face_jpeg
    wanted = without_times(api.form(*images))
    labels = client.get_model_metadata(MODEL)["parameters"]["labels"]
    outputs = ("answer", "boxes", "probabilities", "label")
    got = client.infer(
        MODEL,
        [tensor(*images, binary=binary, column=column)],
        outputs=[triton.InferRequestedOutput(name, binary_data=binary) for name in outputs],
        model_version=wanted["version"],
        request_id="seven",
    )
    head = got.get_response()
    assert (head["id"], head["model_name"], head["model_version"]) == (
        "seven", MODEL, wanted["version"],
    )  # fmt: skip
    assert [output["name"] for output in head["outputs"]] == list(outputs)
    label, answer = got.as_numpy("label"), got.as_numpy("answer")
    assert label.shape == answer.shape == ((3, 1) if column else (3,))
    told = [text if isinstance(text, str) else text.decode() for text in label.ravel()]
    assert told == [result["label"] or "" for result in wanted["results"]]
    assert [json.loads(text) for text in answer.ravel()] == wanted["results"]
    probabilities, boxes = got.as_numpy("probabilities"), got.as_numpy("boxes")
    assert probabilities.dtype == boxes.dtype == np.float32
    for row, box, result in zip(probabilities, boxes, wanted["results"], strict=True):
        assert row == pytest.approx([result["probabilities"].get(one, 0) for one in labels])
        assert box == pytest.approx(result["faces"][0]["box"] if result["faces"] else [0] * 4)
    assert boxes[1].tolist() == [0] * 4, "no face was found in the landscape"


def test_only_what_is_asked_for_is_answered_each_in_its_own_form(
    client: triton.InferenceServerClient, face_jpeg: bytes
) -> None:
    asked = [
        triton.InferRequestedOutput("label", binary_data=False),
        triton.InferRequestedOutput("probabilities", binary_data=True),
    ]
    got = client.infer(MODEL, [tensor(face_jpeg)], outputs=asked)
    label, probabilities = got.get_response()["outputs"]
    assert label["data"] == ["happiness"] and "parameters" not in label
    assert probabilities["parameters"] == {"binary_data_size": 28} and "data" not in probabilities
    assert got.as_numpy("boxes") is None and got.as_numpy("probabilities").shape == (1, 7)
    every = client.infer(MODEL, [tensor(face_jpeg)]).get_response()["outputs"]
    assert len(every) == 4 and all("binary_data_size" in one["parameters"] for one in every)


def test_parameters_are_those_of_classify(
    client: triton.InferenceServerClient, api: Api, face_jpeg: bytes
) -> None:
    wanted = without_times(api.form(face_jpeg, query="?faces=whole&explain=true"))
    parameters = {"faces": "whole", "explain": True, "trace": "of a client's own"}
    got = client.infer(MODEL, [tensor(face_jpeg)], parameters=parameters)
    assert got.as_numpy("label")[0].decode() == wanted["label"] != "happiness"
    assert json.loads(got.as_numpy("answer")[0]) == wanted["results"][0]


def test_one_image_alone_needs_no_json(api: Api, face_jpeg: bytes) -> None:
    answer = api("POST", INFER, data=face_jpeg, headers={LENGTH: "0"})
    label, probabilities, boxes, whole = answer.json()["outputs"]
    assert label == {"name": "label", "datatype": "BYTES", "shape": [1], "data": ["happiness"]}
    assert (probabilities["shape"], boxes["shape"], whole["shape"]) == ([1, 7], [1, 4], [1])
    assert answer.headers["Server-Timing"].startswith("queue;dur=")
    assert api("POST", INFER, json=in_json(face_jpeg)).json() == answer.json()


def test_what_triton_s_client_is_told_is_the_sentence(
    client: triton.InferenceServerClient, face_jpeg: bytes
) -> None:
    with pytest.raises(triton.InferenceServerException) as refused:
        client.infer("emotions", [tensor(face_jpeg)])
    assert refused.value.status() == "404"
    assert "There is no model 'emotions'. Models served: emotion" in refused.value.message()
    with pytest.raises(triton.InferenceServerException, match=r"Image 2 of 2: .* None of them is"):
        client.infer(MODEL, [tensor(face_jpeg, b"no image")])


GIVEN = {"name": "image", "shape": [1], "datatype": "BYTES", "data": ["R0lGODdhAQABAA=="]}
BAD: dict[str, tuple[Any, int, str]] = {
    "no JSON": (b"{", 400, "cannot be parsed as JSON"),
    "no UTF-8": (b'{"id": "\xff"}', 400, "cannot be parsed as JSON"),
    "deep": (b'{"parameters": {"a": ' + b"[" * 100_000, 400, "cannot be parsed as JSON"),
    "deep in data": (
        b'{"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": '
        + b"[" * 100_000, 400, "cannot be parsed as JSON",
    ),
    "a list": ([], 422, "Expected `object`"),
    "no inputs": ({}, 422, "missing required field `inputs`"),
    "none": ({"inputs": []}, 422, "there is one, 'image'"),
    "two": ({"inputs": [GIVEN, GIVEN]}, 422, "['image', 'image'] but there is one"),
    "other name": ({"inputs": [{**GIVEN, "name": "x"}]}, 422, "['x'] but there is one, 'image'"),
    "other type": ({"inputs": [{**GIVEN, "datatype": "UINT8"}]}, 422, "is 'UINT8' but takes BYTES"),
    "shape": ({"inputs": [{**GIVEN, "shape": [1, 2]}]}, 422, "[1, 2] but takes [N] or [N, 1]"),
    "shape of none": ({"inputs": [{**GIVEN, "shape": [0]}]}, 422, "[0] but takes [N]"),
    "below none": ({"inputs": [{**GIVEN, "shape": [-1]}]}, 422, "[-1] but takes [N]"),
    "huge": ({"inputs": [{**GIVEN, "shape": [10**30]}]}, 422, "`int` <= 9223372036854775807"),
    "large": ({"inputs": [{**GIVEN, "shape": [10**18]}]}, 422, "at most 8 are taken"),
    "floats": ({"inputs": [{**GIVEN, "shape": [1.5]}]}, 422, "Expected `int`"),
    "too many": ({"inputs": [{**GIVEN, "shape": [9], "data": ["R0lG"] * 9}]}, 422, "has 9 images"),
    "fewer": ({"inputs": [{**GIVEN, "shape": [2]}]}, 422, "2 elements and its data has 1"),
    "no data": ({"inputs": [{**GIVEN, "data": None}]}, 422, "1 elements and its data has 0"),
    "numbers": ({"inputs": [{**GIVEN, "data": [7]}]}, 422, "data[0] is no text"),
    "no base64": ({"inputs": [{**GIVEN, "data": ["é!"]}]}, 422, "data[0] is not base64"),
    "no image": ({"inputs": [{**GIVEN, "data": ["YWJj"]}]}, 415, "not an image"),
    "empty": ({"inputs": [{**GIVEN, "data": [""]}]}, 400, "zero bytes"),
    "output": ({"inputs": [GIVEN], "outputs": [{"name": "labels"}]}, 422, "no output 'labels'"),
    "output twice": (
        {"inputs": [GIVEN], "outputs": [{"name": "label"}] * 2}, 422, "is asked for twice",
    ),
    "classification": (
        {"inputs": [GIVEN], "outputs": [{"name": "label", "parameters": {"classification": 3}}]},
        422, "neither classification nor shared memory",
    ),
    "shared memory": (
        {"inputs": [{**GIVEN, "parameters": {"shared_memory_region": "r"}}]}, 422, "shared memory",
    ),
    "faces": ({"inputs": [GIVEN], "parameters": {"faces": "alll"}}, 422, "takes auto, all"),
    "misspelt": ({"inputs": [GIVEN], "parameters": {"face": 1}}, 422, "did you mean 'faces'"),
    "switch": ({"inputs": [GIVEN], "parameters": {"explain": 1}}, 422, "takes true or false"),
    "no header": (
        {"inputs": [{**GIVEN, "parameters": {"binary_data_size": 4}}]}, 422, f"{LENGTH} is missing",
    ),
    "many values": (b'{"parameters": {"a": [' + b"[]," * 5000 + b"[]]}}", 422, "more values than"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_request_is_told_why(api: Api, case: str) -> None:
    body, status, says = BAD[case]
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = api("POST", INFER, data=data, headers={"Content-Type": "application/json"})
    assert_error(answer, status, says)


def after_json(size: object, *elements: bytes, number: int | None = None, more: bytes = b"") -> Any:
    """A body with its tensor after the JSON, and the JSON's length."""
    tensor = b"".join(struct.pack("<I", len(one)) + one for one in elements) + more
    told = len(tensor) if size is None else size
    given = {"name": "image", "shape": [len(elements) if number is None else number]}
    given |= {"datatype": "BYTES", "parameters": {"binary_data_size": told}}
    head = json.dumps({"inputs": [given]}).encode()
    return head + tensor, str(len(head))


@pytest.mark.parametrize(
    ("body", "length", "status", "says"),
    [
        (*after_json(None, b"x" * 9, number=2), 422, "ends before element 2 of 2"),
        (*after_json(None, b"x", more=b"yyyy"), 422, "4 bytes follow its 1 elements"),
        (*after_json(None, number=1, more=b"\xff\xff\xff\xffx"), 422, "4294967295 bytes and 1 are"),
        (*after_json(None, number=1, more=b"\x00\x00"), 422, "ends before element 1 of 1"),
        (*after_json(3, b"x"), 422, "binary_data_size is 3 and 5 bytes follow"),
        (*after_json(True, b"x"), 422, "binary_data_size is True"),
        (*after_json("5", b"x"), 422, "binary_data_size is 5 and 5"),
        (*after_json(None, *[b"x"] * 9), 422, "has 9 images"),
        (*after_json(None, b""), 400, "zero bytes"),
        (after_json(None, b"x")[0], "99999", 422, "says 99999 but the body has"),
        (after_json(None, b"x")[0], "-1", 422, "is '-1' but takes the JSON's length"),
        (after_json(None, b"x")[0], "7" * 400, 422, "takes the JSON's length in bytes"),
        (json.dumps({"inputs": [GIVEN]}).encode() + b"more", "", 422, "takes the JSON's length"),
    ],
)
def test_bytes_that_do_not_add_up_are_told(
    api: Api, body: bytes, length: str, status: int, says: str
) -> None:
    assert_error(api("POST", INFER, data=body, headers={LENGTH: length}), status, says)


def test_the_limits_are_those_of_classify(api: Api) -> None:
    large, other = b"x" * (12 * MB + 1), {"Content-Type": "text/plain"}
    assert_error(api("POST", INFER, data=large, headers={LENGTH: "0"}), 413, "larger than 12 MiB")
    assert_error(api("POST", INFER, data=b"x" * 33 * MB), 413, "body is larger than 32 MiB")
    assert_error(api("POST", INFER), 400, "no body")
    assert_error(api("POST", INFER, data=b"x", headers=other), 415, "'text/plain'")
    packed = {"Content-Encoding": "gzip"}
    assert_error(api("POST", INFER, data=b"x", headers=packed), 415, "only taken as it is")
    away = {"Origin": "https://other.example"}
    assert_error(api("POST", INFER, data=b"x", headers=away), 403, "A page of another site")


def test_what_is_not_there_is_told_in_the_protocol_s_way(api: Api) -> None:
    assert_error(api("GET", "/v2/nothing"), 404, "There is nothing at /v2/nothing")
    assert_error(api("GET", INFER), 405, "takes OPTIONS, POST")
    assert_error(api("GET", f"/v2/models/{'x' * 600}"), 404, "512 is the most")
    assert_error(api("GET", "/v2/models/%FF%00"), 404, "There is no model")
    assert_error(api("POST", f"/v2/models/{MODEL}/versions/0/infer", json={}), 422, "inputs")
    asked = in_json(b"x")
    versioned = f"/v2/models/{MODEL}/versions/0/infer"
    assert_error(api("POST", versioned, json=asked), 404, "has no version '0'")
    assert_error(api("POST", "/v2/models/average:a/infer", json=asked), 404, "to be averaged")
    assert api("GET", "/v2extra").headers["Content-Type"] == "application/problem+json"
