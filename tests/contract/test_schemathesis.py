"""Requests made from /openapi.json, good and bad, with all of schemathesis' checks."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import BaseSchema, Case, GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.config import SchemathesisConfig

from tests.amount import SOAK, amount

load_all_checks()
GOOD, BAD = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
OPERATIONS = [  # of those without a parameter no bad request can be made
    ("POST", "/classify", GOOD),
    ("POST", "/classify", BAD),
    ("GET", "/models", GOOD),
    ("GET", "/livez", GOOD),
    ("GET", "/readyz", GOOD),
    ("GET", "/metrics", GOOD),
]
ABOUT_THE_IMAGE = {
    "empty_body",
    "empty_image",
    "image_broken",
    "image_missing",
    "image_too_large",
    "invalid_request",  # text that is no base64
    "model_not_found",
    "not_explainable",  # an average, where networks are there that can be averaged
    "unsupported_image",
    "url_input_disabled",
}
"""What a request may be told that has the right form: a random body is rarely an image."""
CONFIG = SchemathesisConfig.from_dict(
    {
        "checks": {
            "positive_data_acceptance": {
                "expected-statuses": ["2xx", "400", "403", "404", "413", "415", "422"]
            },
            # An address may be so wrong that it is too long.
            "negative_data_rejection": {
                "expected-statuses": ["400", "403", "404", "405", "413", "415", "422", "431"]
            },
        }
    }
)
"""By these statuses; which codes they are told is looked at here."""


@pytest.fixture(scope="module")
def tree(service_url: str) -> BaseSchema:
    """The document as schemathesis reads it."""
    return schemathesis.openapi.from_url(f"{service_url}/openapi.json", config=CONFIG)


@pytest.mark.parametrize(("method", "path", "mode"), OPERATIONS)
def test_every_answer_is_documented(
    tree: BaseSchema, method: str, path: str, mode: GenerationMode
) -> None:
    operation = tree[path][method]
    tried = 0

    @settings(
        max_examples=amount(120, 2600) if method == "POST" else amount(12, 100),
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        derandomize=not SOAK,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Case) -> None:
        nonlocal tried
        tried += 1
        answer = case.call_and_validate(timeout=30)
        if mode == GOOD and answer.status_code >= 400:
            assert answer.json()["code"] in ABOUT_THE_IMAGE, answer.json()

    check()
    print(f"{method} {path}: {tried} requests")
