"""From what a person asked for, and what the data and the starting bundle are, to one recipe."""

from dataclasses import dataclass, replace

from models import augment, blocks, bundle, networks, pictures, start, weights
from models.bundle import Bundle, InputSpec
from models.datasets import Dataset
from models.descent import Schedule
from models.errors import UsageError
from models.face_spec import FaceSpec
from models.gabor import GRID
from models.heads import MOST_ROWS, Prior, Statistics
from models.networks import NetworkSpec
from models.recipe import Recipe
from models.wishes import Wishes, check_numbers

FACE_LAYOUTS = ("jaffe", "fer2013", "genki4k")
_REFIT_BELOW = 2000  # images; with fewer, the validation part is too dear to leave out of the end
_EPOCHS, _PUBLISHED_EPOCHS = 30, 12
OWN_SIZE_PX = (
    128  # of a published network for one's own classes: what it costs is in docs/TRAINING.md
)
_DROPOUT = 0.3  # of the pooled features, where stages before them are trained
_OF_ANY_HEAD = ("faces", "image_size", "span", "copies", "seed", "augment", "face_bundle", "params")
"""Wishes that say nothing of how a network learns."""
MANY_IMAGES, MANY_COPIES, FEW_COPIES = 2000, 8, 1
TOO_MANY_IMAGES = 10_000  # for stages to learn on unasked: it takes hours on two cores


@dataclass(frozen=True)
class Tuning:
    """How the last stages of a bundle of faces learn on; figures in docs/TRAINING.md.

    Attributes:
        stages: how many stay open.
        epochs: at most.
        average: decay of the running average of the weights.
        copies: jittered ones that the closed stages see of each crop.
        settled: train for exactly `epochs`.
    """

    stages: int
    epochs: int
    average: float
    copies: int
    settled: bool


SAME_LABELS = Tuning(7, 15, 0.98, 16, settled=True)
"""The bundle knows the very labels: a few images of other people move what it knows a little. The
epoch that is best for one or two inner subjects says little about others."""
NEW_LABELS = Tuning(7, 12, 0.99, 6, settled=False)
"""Many images of labels that it does not know."""
_EVEN = ((127.5,), (1 / 64.0,))  # mean and scale of other colours than the network's own


def faces_wanted(dataset: Dataset, wishes: Wishes) -> bool:
    """Whether faces are cut.

    As asked; never where a bundle for whole images is named to start from; else by the layout, or
    by what the images show.
    """
    if wishes.faces != "auto":
        return wishes.faces == "yes"
    if start.takes_whole_images(wishes.init, wishes.params):
        return False
    return dataset.layout in FACE_LAYOUTS or pictures.shows_faces(dataset)


def recipe(
    wishes: Wishes, faces: bool, labels: tuple[str, ...], images: int, balanced: bool = False
) -> tuple[Recipe, FaceSpec]:
    """Settle every open choice.

    Args:
        wishes: what was asked for.
        faces: whether faces are cut.
        labels: of the set.
        images: how many images the set has.
        balanced: each class counts alike.

    Raises:
        UsageError: options that do not go together.
        BundleError: the bundle to start from cannot be used.
    """
    init = _init(wishes, faces)
    spec = _network(wishes, init, faces, images)
    taken = _input(wishes, spec, init)
    if wishes.head == "ridge":
        spec = _place_by_place(spec, taken)
    tuned = _tuned(wishes, init, labels, images)
    wishes = replace(wishes, freeze=str(tuned.stages)) if tuned else wishes
    trainable = _trainable(wishes, init, spec)
    check_numbers(wishes)
    closed = trainable == 0 and not start.published(init)
    head = wishes.head or ("lda" if closed else "softmax")
    cut = _cut(wishes, init) if faces else FaceSpec(wanted=False)
    if head != "softmax" and trainable != 0:
        raise UsageError(f"--head {head} needs a frozen trunk: add --freeze all, or leave it away.")
    if wishes.distil and (head != "softmax" or wishes.distil == 1):
        raise UsageError(
            "--distil teaches a network that is trained by gradient, by 2 others or more. Give "
            "--distil 2, and --head softmax or --freeze N where only a head would be fitted."
        )
    schedule = Schedule(
        epochs=wishes.epochs or (tuned.epochs if tuned else _epochs(init, trainable)),
        batch_size=wishes.batch_size,
        lr=wishes.lr or _rate(init, trainable),
        optimizer=wishes.optimizer,
        weight_decay=wishes.weight_decay,
        label_smoothing=wishes.label_smoothing,
        patience=wishes.patience,
        seed=wishes.seed,
        average=_given(wishes.average, tuned.average if tuned else 0.0),
        mixup=wishes.mixup,
    )
    prior = _prior(wishes, init, labels, taken, cut) if head == "lda" else None
    refit = refit_pays(images, trainable == 0)
    change = augment.parsed(wishes.augment, augment.usual(faces, trainable == 0))
    copies = _copies(wishes, images, tuned) if change else 0
    if head == "ridge" and images * (1 + copies) > MOST_ROWS:
        raise UsageError(
            f"--head ridge is solved for all images and their copies together: {images} and "
            f"{copies} of each are more than {MOST_ROWS}. Give --copies "
            f"{max(0, MOST_ROWS // images - 1)}, or --head lda."
        )
    if wishes.company is not None and trainable == 0:
        raise UsageError(
            "--with shows stages that are trained another set, and all of them are frozen. Add "
            "--freeze N to open the last N stages, or leave --with away."
        )
    return Recipe(
        spec, taken, init, trainable, head, copies, refit, schedule, prior, wishes.share,
        wishes.fixed or (tuned is not None and tuned.settled), wishes.distil, change, balanced,
    ), cut  # fmt: skip


def for_known_people(wishes: Wishes, protocol: str, dataset: Dataset) -> Wishes:
    """What to wish for where the figure is to be about people who are in the training part.

    That is `kfold` over a set that tells its people apart: faces of those who are known are then
    compared place by place (`--head ridge`), unless something of the training was asked for.
    """
    given = {name: getattr(wishes, name) for name in _OF_ANY_HEAD}
    untouched = wishes == replace(Wishes(), **given)
    known = protocol == "kfold" and len(dataset.subjects) > 1
    copies = MANY_COPIES if wishes.copies is None else wishes.copies
    few = len(dataset.samples) * (1 + copies) <= MOST_ROWS
    return replace(wishes, head="ridge") if known and few and untouched else wishes


def _place_by_place(spec: NetworkSpec, taken: InputSpec) -> NetworkSpec:
    """Every place of the map for itself. What the last pair of the face network makes of it is
    already about anybody's face, and says less about those one knows."""
    if spec.name != "mobilenet_face":
        return spec
    places, pairs = taken.size // 16, min(10, spec.options["pairs"])
    return replace(spec, options={**spec.options, "pairs": pairs}, pool=(places, places))


def _tuned(
    wishes: Wishes, init: Bundle | None, labels: tuple[str, ...], images: int
) -> Tuning | None:
    """How the last stages of the starting bundle learn on; None where they stay as they are, or
    where the person said what to do."""
    if init is None or wishes.freeze is not None or wishes.head is not None:
        return None
    if wishes.company is not None:
        return SAME_LABELS
    given = init.manifest
    if given.network["name"] != "mobilenet_face" or not given.faces.wanted:
        return None
    if given.labels == labels:
        return SAME_LABELS if images < MANY_IMAGES else None
    return NEW_LABELS if MANY_IMAGES <= images < TOO_MANY_IMAGES else None


def refit_pays(images: int, recipe_frozen: bool) -> bool:
    """Whether to train again on everything once the epoch is known."""
    return recipe_frozen or images < _REFIT_BELOW


def _cut(wishes: Wishes, init: Bundle | None) -> FaceSpec:
    known = init is not None and init.manifest.faces.wanted
    cut = init.manifest.faces if init is not None and known else FaceSpec(True)
    return cut if wishes.span is None else replace(cut, span=wishes.span)


def _prior(
    wishes: Wishes, init: Bundle | None, labels: tuple[str, ...], taken: InputSpec, cut: FaceSpec
) -> Prior | None:
    """The statistics of the starting bundle's features, where they speak of the same thing."""
    if init is None or wishes.keep == 0 or bundle.STATISTICS not in init.manifest.files:
        return None
    given = init.manifest
    if (given.labels, given.input, given.faces) != (labels, taken, cut):
        return None
    arrays = weights.load(init.file(bundle.STATISTICS))
    return Prior(Statistics.unpacked(arrays), wishes.keep)


def _init(wishes: Wishes, faces: bool) -> Bundle | None:
    if wishes.init == "none":
        return None
    if wishes.init != "auto":
        return start.bundle_for(wishes.init, wishes.params)
    fits = wishes.network in (None, "mobilenet_face")
    there = (wishes.face_bundle / bundle.MANIFEST).is_file()
    return bundle.load(wishes.face_bundle) if faces and fits and there else None


def _network(wishes: Wishes, init: Bundle | None, faces: bool, images: int) -> NetworkSpec:
    if init is not None:
        spec = NetworkSpec.from_dict(init.manifest.network)
        if wishes.freeze not in (None, "all"):
            spec = replace(spec, dropout=_DROPOUT)
        if wishes.network not in (None, spec.name):
            networks.advice(wishes.network or "")  # an unknown name is told first
            raise UsageError(
                f"The weights of {init.path} are a {spec.name}, not a {wishes.network}. "
                "Leave --network away, or start from nothing with --init none."
            )
        return spec
    name = wishes.network or (_face_network(wishes, images) if faces else "PPLCNet_x1_0")
    if name == blocks.NAME or blocks.is_plan(name):
        plan = blocks.written(blocks.PLAN if name == blocks.NAME else name)
        return NetworkSpec(blocks.NAME, {"plan": plan, "width": wishes.width}, (1, 1), 0.2)
    networks.advice(name)
    if name == "gabor":
        return NetworkSpec(name, {"grid": GRID}, (GRID, GRID))
    if name == "mobilenet_face":
        return NetworkSpec(name, {"pairs": 11}, (2, 1), 0.2)
    return NetworkSpec(name, {}, (1, 1), 0.2)


def _face_network(wishes: Wishes, images: int) -> str:
    """What starts from nothing: few faces teach a head alone, many a whole network."""
    head_alone = wishes.freeze in (None, "all") and wishes.head in (None, "lda")
    return "gabor" if head_alone and images < MANY_IMAGES else "face_cnn"


def _input(wishes: Wishes, spec: NetworkSpec, init: Bundle | None) -> InputSpec:
    hint = networks.advice(spec.name)
    if init is not None:
        given = init.manifest.input
        _check_colour(wishes, init)
        usual = min(given.size, OWN_SIZE_PX) if start.published(init) else given.size
        size = wishes.image_size or usual
        return InputSpec(size, given.color, given.mean, given.scale)
    size = wishes.image_size or hint.size
    if spec.name == blocks.NAME:
        size = blocks.side(spec.options["plan"])
        if wishes.image_size not in (None, size):
            raise UsageError(
                f"--network {spec.options['plan']!r} takes images of {size} pixels, its first "
                f"number: leave --image-size {wishes.image_size} away, or write another network."
            )
    if wishes.colour == "grey" and hint.color != "gray":
        return InputSpec(size, "gray", *_EVEN)
    if wishes.colour == "colour" and hint.color == "gray":
        return InputSpec(size, "rgb", *(numbers * 3 for numbers in _EVEN))
    return InputSpec(size, hint.color, hint.mean, hint.scale)


def _check_colour(wishes: Wishes, init: Bundle) -> None:
    grey = init.manifest.input.color == "gray"
    if wishes.colour == ("colour" if grey else "grey"):
        raise UsageError(
            f"The weights of {init.path} take {'grey' if grey else 'colour'} images. Leave "
            f"--colour {wishes.colour} away, or start from nothing with --init none."
        )


def _trainable(wishes: Wishes, init: Bundle | None, spec: NetworkSpec) -> int | None:
    fresh = init is None and spec.name not in networks.DESIGNED
    freeze = wishes.freeze or ("none" if fresh else "all")
    if freeze == "none":
        return None
    if fresh:
        raise UsageError(
            "--freeze keeps weights as they are, and fresh ones know nothing. "
            "Name a bundle to start from with --init, or leave --freeze away."
        )
    if freeze == "all":
        return 0
    if not freeze.isdigit() or int(freeze) < 1:
        raise UsageError(
            f"--freeze {freeze} is not understood. Use none, all, or how many last stages "
            "stay open (1 or more)."
        )
    return int(freeze)


def _rate(init: Bundle | None, trainable: int | None) -> float:
    """Weights that know something already are moved gently."""
    return 3e-4 if init is not None and trainable != 0 else 1e-3


def _epochs(init: Bundle | None, trainable: int | None) -> int:
    """Stages of a published network that learn on come to rest sooner than fresh ones."""
    return _PUBLISHED_EPOCHS if start.published(init) and trainable != 0 else _EPOCHS


def _given(wish: float | None, usual: float) -> float:
    return usual if wish is None else wish


def _copies(wishes: Wishes, images: int, tuned: Tuning | None) -> int:
    """Few images are shown often; many are varied enough, and each copy costs a pass."""
    if wishes.copies is not None:
        return wishes.copies
    if tuned:
        return tuned.copies
    return FEW_COPIES if images >= MANY_IMAGES else MANY_COPIES
