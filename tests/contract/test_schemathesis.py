"""A few hundred requests made from /openapi.json, good and bad: each answer is documented."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import BaseSchema, Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

load_all_checks()
# A random body is rarely an image: that it is refused is no fault.
NOT_FOR_IMAGES = CHECKS.get_by_names(["positive_data_acceptance"])

GOOD, BAD = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
OPERATIONS = [  # of those without a parameter no bad request can be made
    ("POST", "/classify", GOOD),
    ("POST", "/classify", BAD),
    ("GET", "/models", GOOD),
    ("GET", "/livez", GOOD),
    ("GET", "/readyz", GOOD),
    ("GET", "/metrics", GOOD),
]


@pytest.fixture(scope="module")
def tree(service_url: str) -> BaseSchema:
    """The document as schemathesis reads it."""
    return schemathesis.openapi.from_url(f"{service_url}/openapi.json")


@pytest.mark.parametrize(("method", "path", "mode"), OPERATIONS)
def test_every_answer_is_documented(
    tree: BaseSchema, method: str, path: str, mode: GenerationMode
) -> None:
    operation = tree[path][method]

    @settings(
        max_examples=120 if method == "POST" else 12,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Case) -> None:
        case.call_and_validate(excluded_checks=NOT_FOR_IMAGES, timeout=30)

    check()
