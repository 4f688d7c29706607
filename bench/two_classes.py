"""Two sets of two classes that anybody can make again: what training one's own is measured on.

    $ python -m bench.two_classes faces FOLDER             # 200 photographs, 25 pixels a side
    $ python -m bench.two_classes garments FOLDER -n 500   # drawn: shirts and trousers

`faces` are the hundred faces and hundred other cuts of Labeled Faces in the Wild that scikit-image
ships (`skimage/data/lfw_subset.npy`; it is one of the tests' packages). `garments` are drawn here:
each with its own cut, cloth, turn, place, light and background, the same for the same number.
"""

import argparse
import importlib.util
from pathlib import Path

import cv2
import numpy as np

KINDS = ("shirt", "trousers")
_SIDE_PX = 192
# Half a garment's outline, from the middle of its top down to the middle of its bottom; x to the
# right, y down, in units of which the garment is about two high.
_SHIRT = ((0.14, -0.9), (0.45, -0.8), (1.0, -0.35), (0.8, -0.1), (0.5, -0.35), (0.52, 0.9))
_LONG_SLEEVE = ((0.14, -0.9), (0.45, -0.8), (0.95, 0.5), (0.72, 0.58), (0.5, -0.25), (0.52, 0.9))
_TROUSERS = ((0.42, -1.0), (0.5, -0.4), (0.52, 1.0), (0.16, 1.0), (0.04, -0.25))
_SHORTS = ((0.45, -0.7), (0.56, -0.2), (0.7, 0.45), (0.2, 0.5), (0.04, -0.05))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("kind", choices=("faces", "garments"))
    parser.add_argument("folder", type=Path, help="where one folder a class is made")
    parser.add_argument("-n", type=int, default=500, help="garments in all (default: %(default)s)")
    options = parser.parse_args()
    if options.kind == "faces":
        faces(options.folder)
    else:
        garments(options.folder, options.n)


def faces(folder: Path) -> None:
    """Write scikit-image's subset of Labeled Faces in the Wild, one folder a class."""
    found = importlib.util.find_spec("skimage")
    if found is None or found.origin is None:
        raise SystemExit("scikit-image is not installed: pip install -r tests/requirements.txt")
    values = np.load(Path(found.origin).parent / "data" / "lfw_subset.npy")
    for number, picture in enumerate(values):
        place = folder / ("face" if number < 100 else "other")
        place.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(place / f"{number:03d}.png"), (picture * 255).round().astype(np.uint8))


def garments(folder: Path, count: int, first: int = 0) -> None:
    """Write so many drawings, half of each kind.

    Args:
        folder: where one folder a kind is made.
        count: of drawings in all.
        first: number of the first; other numbers are other drawings.
    """
    for number in range(first, first + count):
        kind = KINDS[number % 2]
        (folder / kind).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / kind / f"{number:05d}.jpg"), drawn(kind, number))


def drawn(kind: str, number: int) -> np.ndarray:
    """One garment: uint8 (192, 192, 3), BGR."""
    draw = np.random.default_rng([KINDS.index(kind), number])
    picture = _background(draw)
    mask = np.zeros((_SIDE_PX, _SIDE_PX), np.uint8)
    cv2.fillPoly(mask, [_outline(kind, draw)], 255, cv2.LINE_AA)
    cloth = _cloth(draw)
    share = cv2.GaussianBlur(mask, (0, 0), 0.8)[..., None].astype(np.float32) / 255
    shadow = cv2.GaussianBlur(np.roll(mask, (4, 5), (0, 1)), (0, 0), 5)[..., None] / 255
    picture = picture * (1 - 0.35 * shadow)
    picture = picture * (1 - share) + cloth * share
    picture = picture * draw.uniform(0.7, 1.2) + draw.normal(0, draw.uniform(1, 8), picture.shape)
    return np.asarray(np.clip(picture, 0, 255).astype(np.uint8))


def _outline(kind: str, draw: np.random.Generator) -> np.ndarray:
    """int32 (points, 1, 2), in pixels: both halves, bent a little, turned, sized and placed."""
    shapes = (_SHIRT, _LONG_SLEEVE) if kind == "shirt" else (_TROUSERS, _SHORTS)
    half = np.array(shapes[int(draw.integers(2))])
    left = (half * [-1, 1])[::-1]
    points = np.concatenate([half, left]) + draw.normal(0, 0.03, (2 * len(half), 2))
    points = points * [draw.uniform(0.75, 1.2), draw.uniform(0.85, 1.1)]
    angle = np.radians(draw.normal(0, 15))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    size = draw.uniform(0.22, 0.42) * _SIDE_PX
    middle = _SIDE_PX / 2 + draw.normal(0, 0.06 * _SIDE_PX, 2)
    return (points @ turn.T * size + middle).round().astype(np.int32)[:, None]


def _cloth(draw: np.random.Generator) -> np.ndarray:
    """float64 (192, 192, 3): plain, striped or checked, with folds."""
    y, x = np.mgrid[:_SIDE_PX, :_SIDE_PX] / _SIDE_PX
    one, other = draw.uniform(20, 235, (2, 3))
    wave = draw.uniform(8, 40)
    along = np.sin(2 * np.pi * wave * y) > draw.uniform(-0.6, 0.6)
    across = np.sin(2 * np.pi * wave * x) > draw.uniform(-0.6, 0.6)
    pattern = (along * 0.0, along * 1.0, across * 1.0, along * 0.5 + across * 0.5)
    share = pattern[int(draw.integers(4))][..., None]
    folds = 1 + 0.18 * np.sin(2 * np.pi * (draw.uniform(1, 5) * x + draw.uniform(1, 3) * y))
    return np.asarray((one * (1 - share) + other * share) * folds[..., None])


def _background(draw: np.random.Generator) -> np.ndarray:
    """float64 (192, 192, 3): a gradient with blobs, boxes and lines in it."""
    y = np.linspace(0, 1, _SIDE_PX)[:, None, None]
    top, bottom = draw.uniform(0, 255, (2, 1, 1, 3))
    picture = np.repeat(top * (1 - y) + bottom * y, _SIDE_PX, axis=1)
    for _ in range(int(draw.integers(0, 9))):
        colour = tuple(float(value) for value in draw.uniform(0, 255, 3))
        a, b = (tuple(int(v) for v in draw.integers(0, _SIDE_PX, 2)) for _ in range(2))
        shape = int(draw.integers(3))
        if shape == 0:
            cv2.circle(picture, a, int(draw.integers(5, 40)), colour, -1, cv2.LINE_AA)
        elif shape == 1:
            cv2.rectangle(picture, a, b, colour, -1)
        else:
            cv2.line(picture, a, b, colour, int(draw.integers(1, 9)), cv2.LINE_AA)
    return cv2.GaussianBlur(picture, (0, 0), float(draw.uniform(0.5, 2.5)))


if __name__ == "__main__":
    main()
