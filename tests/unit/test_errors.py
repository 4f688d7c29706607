"""The table of error codes, and problem documents made from it."""

import pytest

from service.errors import PROBLEMS, ApiError, problem_document


@pytest.mark.parametrize("code", PROBLEMS)
def test_every_code_has_a_status_a_title_and_a_meaning(code: str) -> None:
    problem = PROBLEMS[code]
    assert 400 <= problem.status < 600
    assert problem.title and not problem.title.endswith(".")
    assert problem.meaning.endswith(".")


def test_a_problem_document_is_whole() -> None:
    error = ApiError("overloaded", "The queue is full. Try again.", 2)
    assert problem_document(error, "id-1") == {
        "type": "/docs#overloaded",
        "title": PROBLEMS["overloaded"].title,
        "status": 503,
        "detail": "The queue is full. Try again.",
        "code": "overloaded",
        "request_id": "id-1",
    }


def test_an_unknown_code_is_internal() -> None:
    assert (ApiError("made up", "?").code, ApiError("made up", "?").status) == ("internal", 500)


def test_where_trying_again_helps_it_says_when() -> None:
    assert ApiError("overloaded", "").retry_after == 1
    assert ApiError("overloaded", "", 7).retry_after == 7
    assert ApiError("image_broken", "").retry_after is None
