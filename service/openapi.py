"""The OpenAPI document: spectree collects routes and schemas, and here it is made complete.

What spectree cannot say is added: the three forms a request to /classify may have, the media type
of errors, which codes an address answers, and headers.
"""

from __future__ import annotations

from typing import Any

from flask import Flask
from spectree import SpecTree
from spectree.model_adapter.msgspec_adapter import MsgspecModelAdapter

from service import __version__, v2_openapi
from service.errors import ANYWHERE, PROBLEMS, ApiError, problem_document
from service.schemas import ImagesInJson, ProblemDocument
from service.v2_errors import speaks_v2

_CODES = {
    "/classify": tuple(
        code for code in PROBLEMS if code not in ("not_found", "method_not_allowed")
    ),
    "/models": ("unauthorized", "rate_limited", "worker_unavailable", *ANYWHERE),
    "/readyz": ("unauthorized", "not_ready", "worker_unavailable", *ANYWHERE),
    "/livez": ANYWHERE,
    "/metrics": ("unauthorized", *ANYWHERE),
    **v2_openapi.CODES,
}
_PROBLEM = {"$ref": "#/components/schemas/ProblemDocument"}
_V2_ERROR = {"$ref": "#/components/schemas/V2Error"}
_ABOUT = (
    "Hyojo classifies images with small Paddle models; its first one names the expression on a "
    "face. Errors are problem documents (RFC 9457) with a stable `code`; below /v2 they are as the "
    "Open Inference Protocol has them."
)


def new_spec() -> SpecTree:
    """A collector of documented routes; it validates nothing and adds no route of its own."""
    return SpecTree(
        "flask",
        title="Hyojo",
        version=__version__,
        description=_ABOUT,
        mode="strict",
        annotations=False,
        model_adapter=MsgspecModelAdapter(),  # type: ignore[arg-type]
        validation_error_model=ProblemDocument,
        naming_strategy=lambda model: model.__name__,
        nested_naming_strategy=lambda _parent, child: child,
    )


def document(spec: SpecTree, app: Flask, max_images: int, keyed: bool = False) -> dict[str, Any]:
    """The whole OpenAPI 3.1 document of an application.

    Args:
        spec: what its views were decorated with.
        app: the application, all routes in place.
        max_images: most images in one request.
        keyed: whether a key is needed.
    """
    spec._add_model(ImagesInJson)
    with app.app_context():
        tree: dict[str, Any] = spec.spec
    tree.pop("security", None)
    tree["components"]["schemas"].update(v2_openapi.schemas())
    tree["paths"].update(v2_openapi.paths())
    _tidy(tree)
    tree["components"]["schemas"]["ProblemDocument"]["properties"]["code"]["enum"] = list(PROBLEMS)
    tree["components"]["headers"] = _headers()
    lists = tree["components"]["schemas"]["ImagesInJson"]["properties"]
    for name in ("images", "urls"):
        lists[name]["maxItems"] = max_images
    for path, operations in tree["paths"].items():
        for operation in operations.values():
            _complete(path, operation)
    _complete_classify(tree["paths"]["/classify"]["post"], max_images)
    tree["paths"] = dict(sorted(tree["paths"].items()))
    if keyed:
        _want_key(tree)
    return tree


def _want_key(tree: dict[str, Any]) -> None:
    tree["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    for path, operations in tree["paths"].items():
        if "unauthorized" in _CODES[path]:
            for operation in operations.values():
                operation["security"] = [{"bearer": []}, {"header": []}]


def _tidy(node: Any) -> None:
    """Descriptions without the docstrings' lists of attributes, which the properties repeat."""
    if isinstance(node, dict):
        text = node.get("description")
        if isinstance(text, str):
            node["description"] = " ".join(text.partition("Attributes:")[0].split())
        for child in node.values():
            _tidy(child)
    elif isinstance(node, list):
        for child in node:
            _tidy(child)


def _headers() -> dict[str, Any]:
    return {
        "X-Request-Id": {
            "description": "The request's own id, or a new one; it stands in the log too.",
            "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
        },
        "Server-Timing": {
            "description": "Milliseconds in each stage: queue, decode, detect, classify, total.",
            "schema": {"type": "string"},
        },
        "Retry-After": {
            "description": "Seconds after which the same request may succeed.",
            "schema": {"type": "integer", "minimum": 1},
        },
    }


def _header(name: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"}}


def _complete(path: str, operation: dict[str, Any]) -> None:
    responses = {"200": operation["responses"]["200"], **_problems(path)}
    for response in responses.values():
        response.setdefault("headers", {}).update(_header("X-Request-Id"))
    operation["responses"] = responses
    operation["parameters"] = [_plain(parameter) for parameter in operation["parameters"]]
    operation["parameters"].append(
        {
            "name": "X-Request-Id",
            "in": "header",
            "required": False,
            "description": "An id of your own: 1 to 64 of A-Z a-z 0-9 . _ - and no other.",
            "schema": {"type": "string"},
        }
    )


def _plain(parameter: dict[str, Any]) -> dict[str, Any]:
    """A query parameter is absent, never null."""
    schema = parameter["schema"]
    for option in schema.pop("anyOf", []):
        if option.get("type") != "null":
            schema = {**option, **schema}
    if schema.get("default") is None:
        schema.pop("default", None)
    description = schema.pop("description", parameter.get("description", ""))
    return {**parameter, "schema": schema, "description": description}


def codes_by_status(path: str) -> dict[int, list[str]]:
    """The error codes an address may answer, by their status."""
    by_status: dict[int, list[str]] = {}
    for code in sorted(_CODES[path], key=lambda code: PROBLEMS[code].status):
        by_status.setdefault(PROBLEMS[code].status, []).append(code)
    return by_status


def _problems(path: str) -> dict[str, Any]:
    """The error answers by status, each with its codes and an example for each code."""
    answers: dict[str, Any] = {}
    v2 = speaks_v2(path)
    for status, names in codes_by_status(path).items():
        lines = [f"`{name}`: {PROBLEMS[name].meaning}" for name in names]
        examples = {
            name: {"value": _example(ApiError(name, PROBLEMS[name].meaning), v2)} for name in names
        }
        content = {"schema": _V2_ERROR if v2 else _PROBLEM, "examples": examples}
        answers[str(status)] = {
            "description": "\n\n".join(lines),
            "content": {"application/json" if v2 else "application/problem+json": content},
        }
        if any(PROBLEMS[name].retry for name in names):
            answers[str(status)]["headers"] = _header("Retry-After")
    return answers


def _example(error: ApiError, v2: bool) -> dict[str, Any]:
    return {"error": error.detail} if v2 else problem_document(error, "f81d4fae")


def _complete_classify(operation: dict[str, Any], max_images: int) -> None:
    binary = {"type": "string", "contentMediaType": "application/octet-stream"}
    form = {
        "type": "object",
        "required": ["image"],
        "properties": {
            "image": {"type": "array", "items": binary, "minItems": 1, "maxItems": max_images}
        },
    }
    pixel = "R0lGODdhAQABAIAAAAAAAAAAACwAAAAAAQABAAACAkQBADs="  # the smallest GIF
    operation["requestBody"] = {
        "required": True,
        "description": f"1 to {max_images} images as a form or JSON, or one image as it is.",
        "content": {
            "multipart/form-data": {
                "schema": form,
                "encoding": {"image": {"contentType": "image/*, application/octet-stream"}},
            },
            "image/*": {"schema": {"type": "string", "contentMediaType": "image/*"}},
            "application/octet-stream": {"schema": binary},
            "application/json": {
                "schema": {"$ref": "#/components/schemas/ImagesInJson"},
                "examples": {
                    "base64": {"value": {"images": [pixel]}},
                    "data URL": {"value": {"images": [f"data:image/gif;base64,{pixel}"]}},
                    "address": {"value": {"url": "https://example.com/portrait.jpg"}},
                },
            },
        },
    }
    success = operation["responses"]["200"]
    success["description"] = "What the images show; an image that could not be read says why."
    success["headers"].update(_header("Server-Timing"))
    success["content"]["application/json"]["example"] = EXAMPLE


_PROBABILITIES = {"happiness": 0.97, "neutral": 0.02, "surprise": 0.01}
_SHOWN = {"label": "happiness", "probability": 0.97, "probabilities": _PROBABILITIES}
EXAMPLE = {
    "model": "emotion",
    "version": "1",
    "label": "happiness",
    "probability": 0.97,
    "results": [
        {
            "size": {"width": 512, "height": 512},
            **_SHOWN,
            "faces": [{"box": [172.0, 66.5, 123.2, 161.9], "score": 0.99, **_SHOWN}],
            "error": None,
        }
    ],
    "timings_ms": {"queue": 0.1, "decode": 3.1, "detect": 6.2, "classify": 2.0, "total": 11.6},
    "request_id": "f81d4fae7dec11d0",
}
