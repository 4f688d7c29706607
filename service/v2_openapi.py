"""The Open Inference Protocol's addresses for /openapi.json."""

from __future__ import annotations

from typing import Any

import msgspec

from service.errors import ANYWHERE, PROBLEMS
from service.v2_errors import ROOT, V2Error
from service.v2_schemas import (
    HEADER_LENGTH,
    InferenceRequest,
    InferenceResponse,
    ModelMetadata,
    ModelReady,
    ServerLive,
    ServerMetadata,
    ServerReady,
)

_REFS = "#/components/schemas/{name}"
_STRUCTS = (
    InferenceRequest,
    InferenceResponse,
    ModelMetadata,
    ModelReady,
    ServerLive,
    ServerMetadata,
    ServerReady,
    V2Error,
)
_ASKED = ("unauthorized", "rate_limited", "worker_unavailable", *ANYWHERE)
_OF_A_MODEL = ("model_not_found", "model_unavailable", "not_averageable", *_ASKED)
_MODEL = f"{ROOT}/models/{{name}}"
_VERSION = f"{_MODEL}/versions/{{version}}"
_NEVER = frozenset(
    ("not_found", "method_not_allowed", "image_missing", "invalid_form", "url_input_disabled")
) | frozenset(("url_refused", "url_failed"))
_INFER = tuple(code for code in PROBLEMS if code not in _NEVER)
CODES: dict[str, tuple[str, ...]] = {
    ROOT: ("unauthorized", "rate_limited", *ANYWHERE),
    f"{ROOT}/health/live": ANYWHERE,
    f"{ROOT}/health/ready": ("unauthorized", "not_ready", "worker_unavailable", *ANYWHERE),
    **{path: _OF_A_MODEL for path in (_MODEL, _VERSION)},
    **{f"{path}/ready": ("not_ready", *_OF_A_MODEL) for path in (_MODEL, _VERSION)},
    **{f"{path}/infer": _INFER for path in (_MODEL, _VERSION)},
}
"""The error codes that each address may answer."""
_TOLD = {
    "name": "Name of a model, as GET /models lists them, or `average:A,B`.",
    "version": "The version that is served; any other is not found.",
}


def schemas() -> dict[str, Any]:
    """What goes in and out, by name."""
    return msgspec.json.schema_components(_STRUCTS, ref_template=_REFS)[1]


def paths() -> dict[str, dict[str, Any]]:
    """The addresses, by method, without their errors."""
    answers: dict[str, tuple[str, str, type]] = {
        ROOT: ("get", "The server, and which extensions of the protocol it speaks", ServerMetadata),
        f"{ROOT}/health/live": ("get", "Whether the gateway answers", ServerLive),
        f"{ROOT}/health/ready": ("get", "Whether a warm predictor has answered", ServerReady),
    }
    for path in (_MODEL, _VERSION):
        answers[path] = ("get", "A model's inputs, outputs and labels", ModelMetadata)
        answers[f"{path}/ready"] = ("get", "Whether a model answers", ModelReady)
        answers[f"{path}/infer"] = ("post", "Classify 1 to 8 images", InferenceResponse)
    return {
        path: {method: _operation(path, method, summary, answer)}
        for path, (method, summary, answer) in answers.items()
    }


def _operation(path: str, method: str, summary: str, answer: type) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{method}_"
        + path.strip("/").replace("/", "_").translate({123: "", 125: ""}),
        "summary": summary,
        "description": "The Open Inference Protocol (KServe V2).",
        "tags": [],
        "parameters": [_in_path(name) for name in _TOLD if f"{{{name}}}" in path],
        "responses": {"200": {"description": summary, "content": _json(answer)}},
    }
    if method == "post":
        operation["description"] += (
            " The input `image` takes BYTES, an image file an element: in JSON as base64, or after "
            f"the JSON, whose length {HEADER_LENGTH} tells then; 0 says that the body is one image "
            "alone. Outputs have a row an image: `label` (empty where no face was found), "
            "`probabilities` in the order of the model's `labels`, `boxes` of a model of faces (x, "
            "y, width and height of the largest), `answer` (JSON, as of POST /classify). An image "
            "that cannot be read refuses all of them."
        )
        operation["requestBody"] = {"required": True, "content": _json(InferenceRequest)}
        operation["parameters"].append(
            {
                "name": HEADER_LENGTH,
                "in": "header",
                "required": False,
                "description": "Bytes of JSON, where tensors' bytes follow it.",
                "schema": {"type": "integer", "minimum": 0},
            }
        )
    return operation


def _in_path(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": _TOLD[name],
        "schema": {"type": "string", "minLength": 1},
    }


def _json(struct: type) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REFS.format(name=struct.__name__)}}}
