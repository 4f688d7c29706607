"""One training: a split in, a trained network out. Settings and epochs are chosen inside the split.

Two ways. A frozen trunk runs once over every crop and its copies; heads on those features take
moments, so choices are made on several inner folds. Open stages are trained by gradient, on images
or on the maps that closed stages before them gave once; the epoch is chosen on one inner validation
part, by subject where subjects are known.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from models import frozen, heads
from models.bundle import Bundle, InputSpec
from models.console import Console
from models.descent import Fit, Schedule, Task, descend
from models.evaluation import inner_folds
from models.framework import paddle
from models.inputs import FeatureInputs, ImageInputs, Inputs, MapInputs, logits
from models.networks import Classifier, NetworkSpec, build, calibrate_batch_norm
from models.pictures import Pictures
from models.runs import Run
from models.tail import Tail
from models.weights import seeded, set_state, start_from, state_of

_INNER_FOLDS = 10  # one subject each where there are ten or fewer
_NEW_PACE = 5.0  # of weights that begin fresh among known ones
_CALIBRATION = 256  # images that give batch norms their first statistics
_REFIT_BELOW = 2000  # images; with fewer, the validation part is too dear to leave out of the end


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how a network is trained.

    Attributes:
        init: bundle to start from, or None for fresh weights.
        trainable: how many last stages of the trunk are trained; 0 none, None all of it.
        head: `lda` (closed formula, frozen trunk only) or `softmax` (gradient).
        copies: jittered copies of each crop that a frozen trunk sees.
        prior: what an `lda` head keeps of the head it starts from, or None.
        refit: train again on everything given for the number of epochs that was best.
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

    @property
    def frozen(self) -> bool:
        """Only the head is trained."""
        return self.trainable == 0


def refit_pays(images: int, recipe_frozen: bool) -> bool:
    """Whether to train again on everything once the epoch is known."""
    return recipe_frozen or images < _REFIT_BELOW


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


class Trainer:
    """Trains networks by one recipe on parts of one set.

    Args:
        pictures: the whole set in memory.
        recipe: how.
        run: where steps are kept.
        console: what is said.
    """

    def __init__(self, pictures: Pictures, recipe: Recipe, run: Run, console: Console) -> None:
        self.pictures = pictures
        self.recipe = recipe
        self.labels = pictures.dataset.labels
        self.y = np.array([self.labels.index(s.label) for s in pictures.dataset.samples])
        self._open: Classifier | None = None
        self._fit: Fit | None = None
        self._run = run
        self._console = console
        self._images = ImageInputs(pictures, recipe.input, wild=not recipe.frozen)
        self._features: FeatureInputs | None = None
        self._maps: MapInputs | None = None

    def train(self, train: np.ndarray, key: str) -> Trained:
        """Train on the samples `train` and nothing else.

        Args:
            train: indices, (N,).
            key: names this training (`loso/KA`, `final`).
        """
        if not self.recipe.frozen:
            return self._descend_on_pictures(train, key)
        network = self.fresh(f"{key}/head")
        if self.recipe.head == "lda":
            return self._discriminate(network, train, key)
        return self._descend_on_features(network, train, key)

    def probabilities(self, network: Classifier, indices: np.ndarray) -> np.ndarray:
        """What the served network would answer for these samples, unjittered; (N, labels)."""
        if self.recipe.frozen:
            return heads.softmax(logits(network.head, self.features(network), indices))
        model, inputs = self._trained_part(network)
        return heads.softmax(logits(model, inputs, indices))

    def best_so_far(self) -> Trained | None:
        """When a fit was broken off: its network in the best state it had; else None."""
        fit = self._fit
        if self._open is None or fit is None or not fit.best:
            return None
        set_state(self._open, fit.best)
        return Trained(self._open, fit.history, {"epochs": fit.best_epoch})

    def fresh(self, key: str) -> Classifier:
        """The network as training finds it: fresh or from `init`, frozen as the recipe says."""
        recipe = self.recipe
        seeded(f"{recipe.schedule.seed}/{key}")
        size, channels = recipe.input.size, recipe.input.channels
        network = build(recipe.network, len(self.labels), channels, size)
        if recipe.init is not None:
            for name in start_from(network, recipe.init, self.labels):
                # What is new moves faster than what is known.
                parameter = dict(network.named_parameters()).get(name)
                if parameter is not None and not recipe.frozen:
                    parameter.optimize_attr["learning_rate"] = _NEW_PACE
        network.freeze(recipe.trainable)
        return network

    def features(self, network: Classifier) -> FeatureInputs:
        """Features of the whole set, made on first use; the frozen trunk is one for all folds."""
        if self._features is None:
            work = self._work()
            with self._console.steps(work.crops, "features") as steps:
                self._features = frozen.features(network, work, steps.tick)
        return self._features

    def _work(self) -> frozen.Work:
        return frozen.Work(
            self._images, len(self.pictures), self.recipe.copies, self.recipe.schedule.seed
        )

    def _trained_part(self, network: Classifier) -> tuple[Any, Inputs]:
        """What of a network is trained by gradient, and what it is fed with."""
        closed = self._closed(network)
        if not closed:
            return network, self._images
        maps = self._maps_of(network, closed)
        return Tail(network, closed, maps.size), maps

    def _closed(self, network: Classifier) -> int:
        """How many first stages are closed and can run alone."""
        open_stages = self.recipe.trainable
        if open_stages is None or not frozen.in_turn(network):
            return 0
        return max(0, len(network.stages()) - open_stages)

    def _maps_of(self, network: Classifier, closed: int) -> MapInputs:
        """Maps of the whole set, made on first use and kept with the run until it is done."""
        if self._maps is None:
            work = self._work()
            with self._console.steps(work.crops, "maps") as steps:
                self._maps = frozen.maps(network, closed, work, self._run.folder, steps.tick)
        return self._maps

    def _inner(self, train: np.ndarray, key: str, count: int) -> list[tuple[Any, Any]]:
        name = f"{self.recipe.schedule.seed}/{key}/inner"
        return inner_folds(self.pictures.dataset, train, count, name)

    def _discriminate(self, network: Classifier, train: np.ndarray, key: str) -> Trained:
        features = self.features(network).values[:, train]
        place = {int(index): at for at, index in enumerate(train)}
        folds = [
            (np.array([place[i] for i in a.tolist()]), np.array([place[i] for i in b.tolist()]))
            for a, b in self._inner(train, key, _INNER_FOLDS)
        ]
        classes, prior = len(self.labels), self.recipe.prior
        head, tried, statistics = heads.fit_lda(features, self.y[train], classes, folds, prior)
        _set_head(network, head)
        chosen = next(row for row in tried if row["chosen"])
        self._console.say(
            f"{key}  shrinkage {chosen['shrinkage']:g}  inner validation: accuracy "
            f"{chosen['val_accuracy']:.3f}, loss {chosen['val_loss']:.3f}"
        )
        kept = {name: chosen[name] for name in ("shrinkage", "temperature", "val_accuracy")}
        return Trained(network, tried, kept, statistics)

    def _descend_on_features(self, network: Classifier, train: np.ndarray, key: str) -> Trained:
        inputs, mean, spread = self.features(network).standardised(train)
        start = state_of(network.head)
        model = paddle.nn.Sequential(network.dropout, network.head)

        def renew(name: str) -> Any:
            set_state(network.head, start)
            return model

        fit = self._choose_and_refit(renew, inputs, train, key)
        weight = network.head.weight.numpy() / spread[:, None]
        _set_head(network, heads.Linear(weight, network.head.bias.numpy() - mean @ weight))
        return Trained(network, fit.history, _chosen(fit))

    def _descend_on_pictures(self, train: np.ndarray, key: str) -> Trained:
        made: list[Classifier] = []

        def renew(name: str) -> Any:
            network = self.fresh(f"{key}/{name}")
            model, inputs = self._trained_part(network)
            calibrate_batch_norm(model, paddle.to_tensor(inputs.plain(train[:_CALIBRATION])))
            made.append(network)
            self._open = network
            return model

        inputs = self._trained_part(self.fresh(key))[1]
        fit = self._choose_and_refit(renew, inputs, train, key)
        return Trained(made[-1], fit.history, _chosen(fit))

    def _choose_and_refit(self, renew: Any, inputs: Any, train: np.ndarray, key: str) -> Fit:
        """Choose the epoch on an inner validation part; then, if it pays, train on everything."""
        schedule = self.recipe.schedule
        inner, validation = self._inner(train, key, 1)[0]
        task = Task(f"{key}/choose", inputs, self.y, inner, validation, schedule.epochs)
        fit = self._fit = Fit()
        descend(renew("choose"), task, fit, schedule, self._run, self._console)
        if self.recipe.refit:
            nobody = np.array([], int)
            task = Task(f"{key}/fit", inputs, self.y, train, nobody, fit.best_epoch)
            self._fit = Fit()
            descend(renew("fit"), task, self._fit, schedule, self._run, self._console)
        return fit


def _chosen(fit: Fit) -> dict[str, float]:
    row = fit.history[fit.best_epoch - 1]
    return {"epochs": fit.best_epoch, "val_accuracy": row["val_accuracy"]}


def _set_head(network: Classifier, head: heads.Linear) -> None:
    network.head.weight.set_value(head.weight.astype(np.float32))
    network.head.bias.set_value(head.bias.astype(np.float32))
