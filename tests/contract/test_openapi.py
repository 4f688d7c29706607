"""/openapi.json and /docs: complete, true, and from nowhere else."""

import re
from html.parser import HTMLParser
from typing import Any

import jsonschema
import pytest
import requests
from openapi_spec_validator import OpenAPIV31SpecValidator

from service.errors import PROBLEMS
from tests.contract.conftest import Api

ANYWHERE = {"not_found", "method_not_allowed"}


@pytest.fixture(scope="module")
def tree(api: Api) -> dict[str, Any]:
    document: dict[str, Any] = api("GET", "/openapi.json").json()
    return document


def schema_of(tree: dict[str, Any], answer: requests.Response, method: str, path: str) -> Any:
    """The JSON schema that the document gives for an answer, its references resolvable."""
    kind = answer.headers["Content-Type"]
    response = tree["paths"][path][method]["responses"][str(answer.status_code)]
    return {**response["content"][kind]["schema"], "components": tree["components"]}


def test_the_document_is_valid(tree: dict[str, Any]) -> None:
    assert tree["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(tree).validate()


def test_it_has_every_address_and_form(tree: dict[str, Any]) -> None:
    model, version = "/v2/models/{name}", "/v2/models/{name}/versions/{version}"
    assert set(tree["paths"]) == {
        *("/classify", "/models", "/livez", "/readyz", "/metrics"),
        *("/v2", "/v2/health/live", "/v2/health/ready"),
        *(path + end for path in (model, version) for end in ("", "/ready", "/infer")),
    }
    post = tree["paths"]["/classify"]["post"]
    assert set(post["requestBody"]["content"]) == {
        "multipart/form-data",
        "image/*",
        "application/octet-stream",
        "application/json",
    }
    names = [parameter["name"] for parameter in post["parameters"]]
    assert names == ["model", "top", "faces", "explain", "X-Request-Id"]


def test_what_explain_takes_and_gives_is_told(tree: dict[str, Any], api: Api) -> None:
    (explain,) = (
        parameter
        for parameter in tree["paths"]["/classify"]["post"]["parameters"]
        if parameter["name"] == "explain"
    )
    assert explain["schema"] == {"type": "boolean", "default": False}
    assert "explanation" in explain["description"]
    schemas = tree["components"]["schemas"]
    assert set(schemas["Explanation"]["required"]) == {"label", "map", "corners"}
    assert "explanation" not in schemas["FaceResult"]["required"]
    assert "what decided" in api("GET", "/docs").text


def test_every_code_is_documented(tree: dict[str, Any], api: Api) -> None:
    schema = tree["components"]["schemas"]["ProblemDocument"]
    assert schema["properties"]["code"]["enum"] == list(PROBLEMS)
    shown: dict[str, int] = {}
    for status, response in tree["paths"]["/classify"]["post"]["responses"].items():
        content = response["content"].get("application/problem+json", {"examples": {}})
        shown |= {code: int(status) for code in content["examples"]}
    assert shown == {c: p.status for c, p in PROBLEMS.items() if c not in ANYWHERE}
    page = api("GET", "/docs").text
    for code, problem in PROBLEMS.items():
        assert f'<tr id="{code}">' in page and problem.title in page


def test_its_examples_fit_its_schemas(tree: dict[str, Any]) -> None:
    for operations in tree["paths"].values():
        for operation in operations.values():
            for response in operation["responses"].values():
                for content in response.get("content", {}).values():
                    examples = [item["value"] for item in content.get("examples", {}).values()]
                    examples += [content["example"]] if "example" in content else []
                    schema = {**content.get("schema", {}), "components": tree["components"]}
                    for example in examples:
                        jsonschema.validate(example, schema)


def test_answers_fit_the_document(tree: dict[str, Any], api: Api, face_jpeg: bytes) -> None:
    answers = [
        (api.form(face_jpeg), "post", "/classify"),
        (api.form(face_jpeg, query="?explain=true"), "post", "/classify"),
        (api.form(face_jpeg, b"bad"), "post", "/classify"),
        (api.form(b"bad"), "post", "/classify"),
        (api.form(face_jpeg, query="?top=0"), "post", "/classify"),
        (api.form(face_jpeg, query="?model=nope"), "post", "/classify"),
        (api("POST", "/classify"), "post", "/classify"),
        (api("GET", "/models"), "get", "/models"),
        (api("GET", "/livez"), "get", "/livez"),
        (api("GET", "/readyz"), "get", "/readyz"),
    ]
    for answer, method, path in answers:
        jsonschema.validate(answer.json(), schema_of(tree, answer, method, path))


class _References(HTMLParser):
    """Collects what a page loads or runs."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.runs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href", "srcset", "action", "data", "poster"):
                self.loads.append(value or "")
            if name.startswith("on") or name == "style":
                self.runs.append(f"{tag} {name}")
        if tag in ("script", "style", "iframe", "object", "embed", "base"):
            self.runs.append(tag)


def test_docs_refer_to_nothing_elsewhere_and_run_nothing(api: Api) -> None:
    answer = api("GET", "/docs")
    page = _References()
    page.feed(answer.text)
    assert page.loads and all(re.match(r"(/(?!/)|#)", reference) for reference in page.loads)
    assert page.runs == []
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    style = api("GET", "/docs.css")
    assert style.status_code == 200 and "url(" not in style.text and "@import" not in style.text
