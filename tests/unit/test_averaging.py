"""service/averaging.py and service/names.py: what a mean is of, and when there is none."""

import pytest

from service import names
from service.averaging import mean
from service.errors import ApiError
from service.protocol import FaceResult, ImageProblem, ImageResult, Size


def result(box: float, **probabilities: float) -> ImageResult:
    """One face somewhere, with these probabilities."""
    label = max(probabilities, key=lambda name: probabilities[name])
    face = FaceResult((box, 0, 9, 9), 0.9, label, probabilities[label], probabilities)
    return ImageResult(Size(99, 99), label, probabilities[label], probabilities, [face])


def test_the_mean_is_ranked_anew_and_cut_afterwards() -> None:
    told = [result(1, a=0.6, b=0.4, c=0.0), result(1, c=0.5, b=0.5, a=0.0)]
    got = mean(told, 2)
    assert list(got.probabilities.items()) == [("b", 0.45), ("a", 0.3)]
    assert (got.label, got.faces[0].label, got.faces[0].probability) == ("b", "b", 0.45)
    assert list(mean(told, None).probabilities) == ["b", "a", "c"]


def test_other_faces_have_no_mean() -> None:
    for other in (result(2, a=1.0), ImageResult(Size(99, 99))):
        problem = mean([result(1, a=1.0), other], None).error
        assert problem is not None and problem.code == "not_averageable"
        assert "different faces" in problem.detail


def test_the_first_reason_of_a_member_is_the_reason() -> None:
    lost = ImageResult(error=ImageProblem("worker_lost", "It was lost."))
    assert mean([result(1, a=1.0), lost, ImageResult(Size(9, 9))], 1) is lost


def test_where_nobody_found_a_face_nothing_is_the_answer() -> None:
    none = ImageResult(Size(99, 99))
    assert mean([none, none], 3) == none


def test_a_family_may_be_left_out_and_a_whole_name_comes_first() -> None:
    known = ("emotion", "same", "imagenet:a", "imagenet:same", "other:b")
    assert names.members("average:a, same,other:b", known) == ("imagenet:a", "same", "other:b")
    with pytest.raises(ApiError, match="no model 'b'"):
        names.members("average:a,b", known)
    with pytest.raises(ApiError, match="takes 2 to 8"):
        names.members("average:" + ",".join(map(str, range(9))), list(map(str, range(9))))
