"""How a picture is varied for training: which changes, and how strong each may be.

`--augment flip,rotation=15,noise` names them. The cut is turned, zoomed, shifted and mirrored in
the one warp that makes it; light, colour and noise change what was cut.
"""

from dataclasses import dataclass, fields, replace

import cv2
import numpy as np

from models.errors import UsageError
from models.faces import Jitter


@dataclass(frozen=True)
class Augmentation:
    """The largest change of each kind; 0 makes none.

    Attributes:
        flip: share of pictures that are mirrored, 0 to 1.
        rotation: turn to either side, in degrees.
        shift: to each side, as a share of the cut's side.
        zoom: in or out, as a natural logarithm of the side.
        light: of contrast (0.35 of it as a logarithm) and brightness (25 levels); 1 is usual.
        colour: of saturation (half of it) and each channel's gain (a tenth); 1 is usual.
        noise: standard deviation of Gaussian noise in levels (of 255); each picture draws its own
            up to this.
    """

    flip: float = 0.0
    rotation: float = 0.0
    shift: float = 0.0
    zoom: float = 0.0
    light: float = 0.0
    colour: float = 0.0
    noise: float = 0.0

    def __bool__(self) -> bool:
        """Whether anything is varied at all."""
        return self != Augmentation()

    def jitter(self, draw: np.random.Generator) -> Jitter:
        """A random turn, zoom, shift and mirroring within these limits."""
        return Jitter(
            angle_degrees=float(draw.uniform(-self.rotation, self.rotation)),
            scale=float(np.exp(draw.uniform(-self.zoom, self.zoom))),
            shift_x=float(draw.uniform(-self.shift, self.shift)),
            shift_y=float(draw.uniform(-self.shift, self.shift)),
            mirror=bool(draw.random() < self.flip),
        )

    def relit(self, draw: np.random.Generator, crop: np.ndarray) -> np.ndarray:
        """The crop in another light, other colours and with noise, as far as they are wanted.

        Args:
            draw: where the changes come from.
            crop: uint8 (height, width, 3), RGB; stays as it is.
        """
        if not (self.light or self.colour or self.noise):
            return crop
        changed = crop.astype(np.float32)
        if self.light:
            gain = float(np.exp(draw.uniform(-0.35, 0.35) * self.light))
            offset = float(draw.uniform(-25, 25) * self.light)
            changed = (changed - 127) * gain + (127 + offset)
        if self.colour:
            changed = _coloured(draw, changed, self.colour)
        if self.noise:
            deviation = draw.uniform(0, self.noise)
            changed += draw.standard_normal(changed.shape, np.float32) * np.float32(deviation)
        return np.asarray(np.clip(changed, 0, 255).astype(np.uint8))

    def told(self) -> str:
        """As `parsed` reads it: `flip,rotation=8,shift=0.04`; `none` where nothing is varied."""
        words = []
        for field in fields(self):
            value = getattr(self, field.name)
            if value:
                usual = getattr(USUAL, field.name)
                words.append(field.name if value == usual else f"{field.name}={value:g}")
        return ",".join(words) or "none"


USUAL = Augmentation(
    flip=0.5, rotation=12.0, shift=0.08, zoom=0.2, light=1.0, colour=1.0, noise=8.0
)
"""What a name without a number stands for."""
KINDS = tuple(field.name for field in fields(Augmentation))
FACES = Augmentation(flip=0.5, rotation=8.0, shift=0.04, zoom=0.09)
"""Of crops that only a head learns from: a face is brought into its place, and stays near it."""
FACES_WILD = Augmentation(flip=0.5, rotation=12.0, shift=0.06, zoom=0.13, light=1.0)
"""Of crops that stages learn from."""
WHOLE = Augmentation(flip=0.5, rotation=12.0, shift=0.08, zoom=0.2, light=1.0, colour=1.0)
"""Of whole images."""
_LARGEST = Augmentation(
    flip=1.0, rotation=180.0, shift=0.5, zoom=1.5, light=3.0, colour=2.0, noise=100.0
)
_SPELLED = {"color": "colour"}


def usual(faces: bool, frozen: bool) -> Augmentation:
    """What a set is varied by where nobody says otherwise.

    Args:
        faces: whether faces are cut.
        frozen: whether only a head learns.
    """
    if not faces:
        return WHOLE
    return FACES if frozen else FACES_WILD


def parsed(text: str, default: Augmentation) -> Augmentation:
    """Read `--augment`: `default`, `none`, `all`, or kinds with commas between, `kind=strength`.

    Words add up from the left: `default,noise=4` is the usual with noise, `all,flip=0` all but one.

    Args:
        text: what was given.
        default: what `default` stands for.

    Raises:
        UsageError: a kind that is not known, or a strength out of range.
    """
    made = Augmentation()
    for word in filter(None, (part.strip().lower() for part in text.split(","))):
        name, _, strength = word.partition("=")
        name = _SPELLED.get(name, name)
        whole = {"default": default, "none": Augmentation(), "all": USUAL}.get(word)
        if whole is not None:
            made = whole
        elif name in KINDS:
            made = replace(made, **{name: _strength(name, strength)})
        else:
            raise UsageError(
                f"--augment does not know {word!r}. Use default, none, all, or some of "
                f"{', '.join(KINDS)} with commas between, each with a strength if wanted, such as "
                "rotation=15."
            )
    return made


def _strength(name: str, text: str) -> float:
    if not text:
        return float(getattr(USUAL, name))
    most = getattr(_LARGEST, name)
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value <= most:
        raise UsageError(f"--augment {name} takes a strength from 0 to {most:g}, not {text!r}.")
    return value


def _coloured(draw: np.random.Generator, pixels: np.ndarray, strength: float) -> np.ndarray:
    """Other saturation and another white balance; float32 (height, width, 3), RGB."""
    saturation = np.float32(1 + draw.uniform(-0.5, 0.5) * strength)
    gains = np.exp(draw.uniform(-0.1, 0.1, 3) * strength).astype(np.float32)
    grey = cv2.cvtColor(np.ascontiguousarray(pixels, np.float32), cv2.COLOR_RGB2GRAY)[..., None]
    return np.asarray((grey + (pixels - grey) * saturation) * gains)
