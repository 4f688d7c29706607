"""Which square of a picture a bundle's network is given.

A manifest holds it, so it is known without OpenCV and NumPy; `models.faces` cuts by it.
"""

from dataclasses import dataclass
from typing import Literal

Align = Literal["eyes_mouth", "box"]


@dataclass(frozen=True)
class FaceSpec:
    """Which crop a bundle was trained on.

    Attributes:
        wanted: faces are looked for and cut; else the centre square of the whole picture is.
        detector: by name, see `models.faces.detector`.
        align: `eyes_mouth` turns the face upright by its eyes and sizes the crop by the eye-mouth
            distance; `box` cuts the detector's box, unturned.
        span: side of the crop, in eye-mouth distances (`eyes_mouth`) or in the longer sides of the
            box (`box`).
        centre: side of the whole picture's centre square, in its shorter sides.
    """

    wanted: bool
    detector: str = "yuface"
    align: Align = "eyes_mouth"
    span: float = 2.2
    centre: float = 1.0
