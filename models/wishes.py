"""What a person asked of a training, before anything is settled."""

from dataclasses import dataclass
from pathlib import Path

from models import blocks
from models.errors import UsageError


@dataclass(frozen=True)
class Wishes:
    """The command line's training options; None where the person left the choice to us.

    Attributes:
        init: `auto`, `none` or a bundle's folder.
        keep: share of the starting bundle's head that stays where its labels are the same.
        company: folder of another set of the same labels that trained stages see too.
        distil: how many networks are trained first, to say what they think of each image.
        share: of each batch that is the set's own where there is company.
        fixed: train for exactly `epochs`.
        freeze: `none`, `all`, or a number of last stages that stay open.
        colour: `auto` as the network wants, `colour` or `grey`.
        width: channels of the first blocks of a network that is written down.
        augment: how images are varied, see `models.augment.parsed`.
        face_bundle: where `auto` looks for weights of a face network.
        params: where the families of bundles lie, see `models.start`.
    """

    network: str | None = None
    init: str = "auto"
    freeze: str | None = None
    head: str | None = None
    faces: str = "auto"
    image_size: int | None = None
    span: float | None = None
    epochs: int | None = None
    batch_size: int = 32
    lr: float | None = None
    optimizer: str = "adamw"
    weight_decay: float = 0.01
    label_smoothing: float = 0.05
    mixup: float = 0.0
    average: float | None = None
    copies: int | None = None
    keep: float = 0.7
    patience: int = 8
    share: float = 0.5
    fixed: bool = False
    distil: int = 0
    company: Path | None = None
    seed: int = 1
    colour: str = "auto"
    width: int = blocks.WIDTH
    augment: str = "default"
    face_bundle: Path = Path("params/face")
    params: Path = Path("params")


def check_numbers(wishes: Wishes) -> None:
    """Refuse a number out of range.

    Raises:
        UsageError: names the option and its limits.
    """
    limits: dict[str, tuple[float | None, float, float]] = {
        "--epochs": (wishes.epochs, 1, 100_000),
        "--batch-size": (wishes.batch_size, 1, 100_000),
        "--image-size": (wishes.image_size, 32, 1024),
        "--width": (wishes.width, 4, 256),
        "--span": (wishes.span, 1, 10),
        "--share": (wishes.share, 0.01, 1),
        "--mixup": (wishes.mixup, 0, 10),
        "--average": (wishes.average, 0, 0.99999),
        "--lr": (wishes.lr, 1e-9, 100),
        "--weight-decay": (wishes.weight_decay, 0, 100),
        "--label-smoothing": (wishes.label_smoothing, 0, 0.9),
        "--copies": (wishes.copies, 0, 1000),
        "--keep": (wishes.keep, 0, 0.99),
        "--distil": (wishes.distil, 0, 20),
        "--patience": (wishes.patience, 0, 100_000),
    }
    for option, (value, low, high) in limits.items():
        if value is not None and not low <= value <= high:
            raise UsageError(f"{option} must lie between {low:g} and {high:g}, not {value:g}.")
