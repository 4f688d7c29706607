"""The browser's counterparts of OpenCV's calls: the same pixels from the same pictures."""

import base64
from typing import Any

import cv2
import numpy as np
import pytest

from models import faces, images
from models.face_spec import FaceSpec
from models.faces import Face
from tests.amount import amount


@pytest.fixture(scope="module")
def page(browser: Any, service_url: str) -> Any:
    """The modules alone: the service hands them out as it does all of the page's files."""
    page = browser.new_page()
    page.goto(service_url)
    return page


def test_pictures_are_cut_and_scaled_as_the_service_does(page: Any, face_jpeg: bytes) -> None:
    """Pixel for pixel within one level: enlarged, averaged, turned, over the picture's edge."""
    picture = images.decode(face_jpeg)
    draw = np.random.default_rng(3)
    for _ in range(amount(6, 200)):
        scale = float(np.exp(draw.uniform(-2.5, 1)))
        turn, reach = draw.uniform(-1, 1), 40 * scale * draw.uniform(0.2, 8)
        centre = draw.uniform(-20, 532, 2)
        spec = FaceSpec(wanted=True, span=float(draw.uniform(1.5, 2.5)))
        face = face_at(centre, reach, turn)
        ours = in_page(
            page,
            """async ({ picture, face, spec }) => {
              const { crop, square } = await import('./js/local/crop.js');
              return crop(picture, square(picture, face, spec), 96);
            }""",
            picture,
            face={"box": face.box, "landmarks": face.landmarks},
            spec={"wanted": True, "align": "eyes_mouth", "span": spec.span, "centre": 1},
        )
        theirs = faces.crop(picture, face, spec, 96)
        away = np.abs(ours.astype(int) - theirs)
        assert away.max() <= 2 and away.mean() < 0.1, (centre, reach, turn)
    for width, height in ((160, 160), (96, 33), (700, 513)):
        ours = in_page(
            page,
            """async ({ picture, width, height }) => {
              const { resized } = await import('./js/local/picture.js');
              return resized(picture, width, height);
            }""",
            picture,
            width=width,
            height=height,
        )
        how = cv2.INTER_AREA if width < 512 else cv2.INTER_LINEAR
        theirs = cv2.resize(picture, (width, height), interpolation=how)
        assert np.abs(ours.astype(int) - theirs).max() <= 1, (width, height)


def face_at(centre: np.ndarray, reach: float, turn: float) -> Face:
    """Eyes and mouth `reach` pixels apart, turned by so many radians."""
    upright = np.array([(-0.5, -0.5), (0.5, -0.5), (0, 0), (-0.35, 0.5), (0.35, 0.5)]) * reach
    matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    marks = upright @ matrix + centre
    box = (centre[0] - reach, centre[1] - reach, 2 * reach, 2 * reach)
    return Face(tuple(map(float, box)), 1.0, tuple(map(tuple, marks.tolist())))  # type: ignore[arg-type]


def rgba(picture: np.ndarray) -> bytes:
    return np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)]).tobytes()


def in_page(page: Any, code: str, picture: np.ndarray, **more: Any) -> np.ndarray:
    """Run JavaScript that takes a picture and gives one; uint8 (height, width, 3)."""
    work = """async ([data, width, height, more]) => {
      const bytes = Uint8ClampedArray.from(atob(data), (letter) => letter.charCodeAt(0));
      const out = await (WORK)({ picture: { data: bytes, width, height }, ...more });
      let letters = '';
      for (const value of out.data) letters += String.fromCharCode(value);
      return [out.width, out.height, btoa(letters)];
    }""".replace("WORK", code)
    given = base64.b64encode(rgba(picture)).decode(), picture.shape[1], picture.shape[0], more
    width, height, data = page.evaluate(work, list(given))
    return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)[..., :3]
