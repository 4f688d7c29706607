"""Which part of a face decided: the network's own evidence by place, and a picture that shows it.

Knows no Paddle: `models.predictor` brings the evidence, and what it says can be drawn anywhere.
"""

from dataclasses import dataclass

import cv2
import numpy as np

_GRID = 128  # side to which a map is smoothed before it is warped, in pixels
_FADE = 1 / 8  # of the square's side: its edge is no edge of the evidence
_OPAQUE = 0.7  # how much of the strongest place's colour hides the picture


@dataclass(frozen=True)
class Explanation:
    """Which places of a crop spoke for its label.

    Attributes:
        label: the likeliest, which is explained.
        map: float32 (h, w), see `contrast`.
        corners: float (4, 2), the crop's square in the picture, see `models.faces.corners`.
    """

    label: str
    map: np.ndarray
    corners: np.ndarray


def contrast(evidence: np.ndarray, index: int) -> np.ndarray:
    """What set one label apart from the others, place by place.

    Args:
        evidence: float32 (labels, h, w), each place's part of each label's logit; or (1, h, w), the
            label's part less the mean of all (see `models.export`).
        index: of the label.

    Returns:
        float32 (h, w), the upright crop from its top left: shares of the evidence for the label. A
        place's part of the label's logit less its mean part of all labels' logits, scaled so that
        the sizes add up to 1. Positive: the place spoke for the label; negative: against it. All 0
        where no place said anything.
    """
    part = evidence[0] if len(evidence) == 1 else evidence[index] - evidence.mean(axis=0)
    size = np.abs(part).sum()
    return np.asarray(part / size if size > 0 else part * 0, np.float32)


def overlay(image: np.ndarray, corners: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """A picture with the places that spoke for the label in warm colours over it.

    What spoke against the label, and what said nothing, stays as it is.

    Args:
        image: uint8 (height, width, 3), RGB, upright.
        corners: (4, 2), see `models.faces.corners`.
        shares: float (h, w), see `contrast`.

    Returns:
        uint8, as `image`; the strongest place has the full colour.
    """
    result = image.copy()
    corners = np.asarray(corners, np.float64)
    height, width = image.shape[:2]
    left, top = np.clip(np.floor(corners.min(axis=0)), 0, [width, height]).astype(int)
    right, bottom = np.clip(np.ceil(corners.max(axis=0)), 0, [width, height]).astype(int)
    if right <= left or bottom <= top:
        return result
    across, down = (corners[1] - corners[0]) / _GRID, (corners[3] - corners[0]) / _GRID
    # Pixel centres stand at whole numbers in OpenCV and at halves in `corners`.
    origin = corners[0] + (across + down) / 2 - 0.5 - [left, top]
    strength = cv2.warpAffine(
        _smooth(np.asarray(shares, np.float32)),
        np.column_stack([across, down, origin]),
        (int(right - left), int(bottom - top)),
        flags=cv2.INTER_LINEAR,
    )
    levels = (strength * 255).astype(np.uint8)
    colours = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    alpha = (_OPAQUE * strength**0.75)[..., None]
    part = result[top:bottom, left:right]
    part[:] = np.where(alpha > 0, part + (colours - part.astype(np.float32)) * alpha, part)
    return result


def _smooth(shares: np.ndarray) -> np.ndarray:
    """float32 (_GRID, _GRID), 0 to 1: what spoke for the label, the strongest place 1."""
    (down, fade_down), (along, fade_along) = map(_spline, shares.shape)
    fine = down @ shares.clip(min=0) @ along.T
    strongest = float(fine.max())
    scale = 1 / strongest if strongest > 0 else 0.0
    return np.asarray(fine * np.outer(fade_down, fade_along) * scale, np.float32)


def _spline(places: int) -> tuple[np.ndarray, np.ndarray]:
    """From `places` values to _GRID: weights (_GRID, places), and how much to keep near the edges.

    Cubic B-splines: unlike cubic interpolation they make no evidence where there is none.
    """
    at = (np.arange(_GRID) + 0.5) * places / _GRID
    away = np.abs(at[:, None] - np.arange(places) - 0.5)
    near = 2 / 3 - away**2 + away**3 / 2
    weights = np.where(away < 1, near, (2 - away).clip(min=0) ** 3 / 6)
    fade = np.minimum(at, places - at) / places / _FADE
    return weights / weights.sum(axis=1, keepdims=True), fade.clip(max=1)
