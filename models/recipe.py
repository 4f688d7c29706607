"""What goes into a training, settled, and what comes out of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from models import heads
from models.augment import WHOLE, Augmentation
from models.bundle import Bundle, InputSpec
from models.descent import Schedule
from models.networks import Classifier, NetworkSpec


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how a network is trained.

    Attributes:
        init: bundle to start from, or None for fresh weights.
        trainable: how many last stages of the trunk are trained; 0 none, None all of it.
        head: `lda` or `ridge` (closed formulas, frozen trunk only) or `softmax` (gradient).
        copies: jittered copies of each crop that a frozen trunk sees.
        prior: what an `lda` head keeps of the head it starts from, or None.
        share: of each batch that is the set's own where another set keeps it company.
        fixed: train for exactly `schedule.epochs`; nothing is chosen.
        refit: train again on everything given for the number of epochs that was best.
        distil: how many networks are trained first, each on all but a part of the images, whose
            answers for that part are learnt beside its labels; 0 none.
        augment: how images are varied.
        balanced: classes count alike in what is learnt and judged, however many images each has.
    """

    network: NetworkSpec
    input: InputSpec
    init: Bundle | None
    trainable: int | None
    head: str
    copies: int
    refit: bool
    schedule: Schedule
    prior: heads.Prior | None = None
    share: float = 0.5
    fixed: bool = False
    distil: int = 0
    augment: Augmentation = WHOLE
    balanced: bool = False

    @property
    def familiar(self) -> bool:
        """It is for people who are in the training part, and chooses by them."""
        return self.head == "ridge"

    @property
    def frozen(self) -> bool:
        """Only the head is trained."""
        return self.trainable == 0


@dataclass(frozen=True)
class Trained:
    """A trained network.

    Attributes:
        history: a row an epoch of the fit that chose the epoch, or a row a shrinkage tried.
        chosen: what was chosen inside the training part (epochs, or shrinkage and temperature).
        statistics: what an `lda` head was solved from.
    """

    network: Classifier
    history: list[dict[str, float]]
    chosen: Mapping[str, float]
    statistics: heads.Statistics | None = None
