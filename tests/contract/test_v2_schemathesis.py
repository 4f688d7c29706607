"""Requests made from descriptions of the Open Inference Protocol, with all of schemathesis' checks.

One is published and stands in tests/open_inference; the other is ours, in /openapi.json. What a
random request asks of a model is rarely an image, so in half of them the model is one that is
served, and in half the input is a picture.
"""

import base64
import json
import re
from typing import Any

import jsonschema
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import BaseSchema, Case, GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import status_code_conformance

from service.errors import PROBLEMS
from tests.amount import SOAK, amount
from tests.conftest import PROJECT
from tests.contract.conftest import Api

load_all_checks()
DESCRIPTION = PROJECT / "tests" / "open_inference" / "dataplane.json"
GOOD, BAD = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
STATUSES = sorted({str(problem.status) for problem in PROBLEMS.values()} - {"500"})
CONFIG = SchemathesisConfig.from_dict(
    {
        "checks": {
            "positive_data_acceptance": {"expected-statuses": ["200", *STATUSES]},
            # An address may be so wrong that it is too long (431).
            "negative_data_rejection": {"expected-statuses": [s for s in STATUSES if s < "500"]},
        }
    }
)
"""The description speaks of all servers: that this one takes one input, called image, it cannot."""
NOT_HELD = [status_code_conformance]
"""The published one lists 400, 404 and 500 alone; the protocol's text leaves it to the server."""
OFFERED = ("/infer", "/ready", "/live", "/v2", "{model_name}", "{model_version}")


def _tree() -> dict[str, Any]:
    """The description without the extensions of the server it comes from (generate, streams)."""
    tree: dict[str, Any] = json.loads(DESCRIPTION.read_text())
    tree["paths"] = {path: item for path, item in tree["paths"].items() if path.endswith(OFFERED)}
    # `bytes`, its other choice, is no type of JSON Schema.
    tree["components"]["schemas"]["TensorData"] = {"type": "array", "items": {}}
    return tree


TREE = _tree()
INFER, VERSIONED = "/v2/models/{name}/infer", "/v2/models/{name}/versions/{version}/infer"
PUBLISHED = [
    ("published", method.upper(), path, mode)
    for path, item in TREE["paths"].items()
    for method in ("get", "post")
    if method in item
    for mode in ((GOOD, BAD) if path == "/v2/models/{model_name}/infer" else (GOOD,))
]
OURS = [
    ("ours", "GET", "/v2", GOOD),
    ("ours", "GET", "/v2/health/live", GOOD),
    ("ours", "GET", "/v2/health/ready", GOOD),
    ("ours", "GET", "/v2/models/{name}", GOOD),
    ("ours", "GET", "/v2/models/{name}/ready", GOOD),
    ("ours", "POST", INFER, GOOD),
    ("ours", "POST", INFER, BAD),
    ("ours", "POST", VERSIONED, GOOD),
]


@pytest.fixture(scope="module")
def trees(service_url: str) -> dict[str, BaseSchema]:
    """Both descriptions as schemathesis reads them, of the running service."""
    published = schemathesis.openapi.from_dict(TREE, config=CONFIG)
    published.config.update(base_url=service_url)
    ours = schemathesis.openapi.from_url(f"{service_url}/openapi.json", config=CONFIG)
    return {"published": published, "ours": ours}


@pytest.fixture(scope="module")
def served(api: Api, face_jpeg: bytes) -> tuple[dict[str, str], dict[str, Any]]:
    """A model that is served, and the input that it takes."""
    version = api("GET", "/v2/models/emotion").json()["versions"][0]
    data = [base64.b64encode(face_jpeg).decode()]
    given = {"name": "image", "shape": [1], "datatype": "BYTES", "data": data}
    names = {"model_name": "emotion", "model_version": version}
    return {**names, "name": "emotion", "version": version}, given


@pytest.mark.parametrize(("whose", "method", "path", "mode"), PUBLISHED + OURS)
def test_every_answer_is_the_protocol_s(
    trees: dict[str, BaseSchema],
    served: Any,
    whose: str,
    method: str,
    path: str,
    mode: GenerationMode,
) -> None:
    operation = trees[whose][path][method]
    excluded = NOT_HELD if whose == "published" else []
    statuses: dict[int, int] = {}
    names, image = served

    @settings(
        max_examples=amount(25, 2000) if method == "POST" else amount(6, 200),
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        derandomize=not SOAK,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=operation.as_strategy(generation_mode=mode), known=st.booleans(), real=st.booleans()
    )
    def check(case: Case, known: bool, real: bool) -> None:
        if known and mode == GOOD and case.path_parameters:
            case.path_parameters = {name: names[name] for name in case.path_parameters}
        if real and mode == GOOD and isinstance(case.body, dict):
            case.body["inputs"] = [image]
        answer = case.call_and_validate(timeout=30, excluded_checks=excluded)
        statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
        assert answer.status_code == 200 or str(answer.status_code) in STATUSES
        if answer.status_code != 200:
            assert set(answer.json()) == {"error"}

    if mode == GOOD:  # one that is answered in any case
        right = {name: names[name] for name in re.findall(r"{(\w+)}", path)}
        body = {"body": {"inputs": [image]}, "media_type": "application/json"}
        case = operation.Case(path_parameters=right, **(body if method == "POST" else {}))
        answer = case.call_and_validate(timeout=30, excluded_checks=excluded)
        assert answer.status_code == 200, answer.text
    check()
    print(f"{whose}: {method} {path}: {statuses}")


def test_good_answers_are_of_the_described_shape(api: Api, served: Any) -> None:
    """Whatever schemathesis made of it: these are the answers people get."""
    names, image = served
    model = f"/v2/models/{names['model_name']}"
    schemas = {"components": TREE["components"]}
    for answer, name in (
        (api("GET", "/v2"), "MetadataServerResponse"),
        (api("GET", model), "MetadataModelResponse"),
        (api("POST", f"{model}/infer", json={"id": "1", "inputs": [image]}), "InferenceResponse"),
        (api("POST", f"{model}/infer", json={"inputs": []}), "InferenceErrorResponse"),
        (api("GET", "/v2/models/nothing"), "MetadataModelErrorResponse"),
    ):
        _conforms(answer, {**schemas, **TREE["components"]["schemas"][name]})


def _conforms(answer: requests.Response, schema: dict[str, Any]) -> None:
    assert answer.headers["Content-Type"] == "application/json"
    jsonschema.validate(answer.json(), schema)
