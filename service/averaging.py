"""The mean of what several models say of the same images."""

from collections.abc import Sequence

import msgspec

from service.protocol import FaceResult, ImageProblem, ImageResult

_DIGITS = 5
"""Of a probability, as everywhere."""


def mean(told: Sequence[ImageResult], top: int | None) -> ImageResult:
    """One image's results by several models as one.

    Args:
        told: one a model, with all labels.
        top: how many labels the mean is cut to; None for all.

    Returns:
        the mean, or the first error among them; an error too where they found different faces.
    """
    failed = next((result for result in told if result.error is not None), None)
    if failed is not None:
        return failed
    first = told[0]
    if any([face.box for face in one.faces] != [face.box for face in first.faces] for one in told):
        return ImageResult(
            error=ImageProblem(
                "not_averageable",
                "These models found different faces in this image, so there is nothing to average. "
                "Ask each by itself, or send the face alone with faces=whole.",
            )
        )
    if first.label is None:
        return first
    faces = [_face([one.faces[n] for one in told], top) for n in range(len(first.faces))]
    ranked = _mean([one.probabilities for one in told], top)
    label, probability = next(iter(ranked.items()))
    return msgspec.structs.replace(
        first, label=label, probability=probability, probabilities=ranked, faces=faces
    )


def _face(told: Sequence[FaceResult], top: int | None) -> FaceResult:
    ranked = _mean([face.probabilities for face in told], top)
    label, probability = next(iter(ranked.items()))
    return msgspec.structs.replace(
        told[0], label=label, probability=probability, probabilities=ranked
    )


def _mean(told: Sequence[dict[str, float]], top: int | None) -> dict[str, float]:
    means = {label: sum(one[label] for one in told) / len(told) for label in told[0]}
    likeliest = sorted(means, key=lambda label: -means[label])[:top]
    return {label: round(means[label], _DIGITS) for label in likeliest}
