"""One training: a split in, a trained network out. Settings and epochs are chosen inside the split.

Two ways. A frozen trunk runs once over every crop and its copies; heads on those features take
moments, so choices are made on several inner folds. Open stages are trained by gradient, on images
or on the maps that closed stages before them gave once; the epoch is chosen on one inner validation
part, by subject where subjects are known.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from models import frozen, heads, ranks
from models.console import Console
from models.descent import Fit, Task, descend
from models.evaluation import inner_folds, kept_back
from models.framework import paddle
from models.inputs import FeatureInputs, ImageInputs, Inputs, MapInputs, joined, logits
from models.networks import DESIGNED, Classifier, build, calibrate_batch_norm
from models.pictures import Pictures
from models.recipe import Recipe, Trained
from models.runs import Run
from models.tail import Tail
from models.weights import seeded, set_state, start_from, state_of

_INNER_FOLDS = 10  # one subject each where there are ten or fewer
_WHOLE_FOLDS = 5  # of whole images, which have no subjects: half the time
_RIDGE_FOLDS = 5  # at random, for people who stand on both sides
_NEW_PACE = 5.0  # of weights that begin fresh among known ones
_COMPANY_COPIES = 1
_NOBODY = np.array([], int)
_TOLD = ("shrinkage", "stretch", "temperature", "val_accuracy")
_CALIBRATION = 256  # images that give batch norms their first statistics


class Trainer:
    """Trains networks by one recipe on parts of one set.

    Args:
        pictures: the whole set in memory.
        recipe: how.
        run: where steps are kept.
        console: what is said.
        company: another set of the same labels; stages that are trained see both. A test part
            that it names must not be in it.
    """

    def __init__(
        self,
        pictures: Pictures,
        recipe: Recipe,
        run: Run,
        console: Console,
        company: Pictures | None = None,
    ) -> None:
        self.pictures = pictures
        self.company = company
        self.recipe = recipe
        self.labels = pictures.dataset.labels
        self.y = _numbers(pictures, self.labels)
        self._every_y = (
            self.y if company is None else np.append(self.y, _numbers(company, self.labels))
        )
        self._guests = self._judges = _NOBODY
        if company is not None:
            learnt, judging = kept_back(company.dataset)
            self._guests, self._judges = len(pictures) + learnt, len(pictures) + judging
        self._open: tuple[Classifier, Any] | None = None  # a network, and what of it is trained
        self._fit: Fit | None = None
        self._opinions: np.ndarray | None = None
        self.run = run
        self._console = console
        self._sets = [pictures] if company is None else [pictures, company]
        self._images = [ImageInputs(p, recipe.input, recipe.augment) for p in self._sets]
        self._features: FeatureInputs | None = None
        self._maps: list[MapInputs] = []

    def with_seed(self, seed: int) -> "Trainer":
        """The same with other draws."""
        if seed == self.recipe.schedule.seed:
            return self
        return self._other(replace(self.recipe, schedule=replace(self.recipe.schedule, seed=seed)))

    def teacher(self) -> "Trainer":
        """The same without anybody's opinion."""
        return self._other(replace(self.recipe, distil=0))

    def _other(self, recipe: Recipe) -> "Trainer":
        return Trainer(self.pictures, recipe, self.run, self._console, self.company)

    def teaching(self, train: np.ndarray, key: str) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each teacher the images it learns from, and those it is asked about."""
        name = f"{self.recipe.schedule.seed}/{key}/teachers"
        return inner_folds(self.pictures.dataset, train, self.recipe.distil, name)

    def train(self, train: np.ndarray, key: str, opinions: np.ndarray | None = None) -> Trained:
        """Train on the samples `train` and nothing else.

        Args:
            train: indices, (N,).
            key: names this training (`loso/KA`, `final`).
            opinions: of the whole set, (len(pictures), classes): see `models.descent.Task`.
        """
        self._opinions = opinions
        if not self.recipe.frozen:
            return self._descend_on_pictures(train, key)
        network = self.fresh(f"{key}/head")
        if self.recipe.head == "lda":
            return self._discriminate(network, train, key)
        if self.recipe.head == "ridge":
            return self._regress(network, train, key)
        return self._descend_on_features(network, train, key)

    def prepare(self) -> None:
        """Make what all folds share, so that processes of their own find it in the run folder."""
        self._trained_part(self.fresh("prepare"))

    def tidy(self) -> None:
        """Remove the maps of closed stages: gigabytes that can be made again."""
        for file in self.run.folder.glob("maps-*.npy") if ranks.first() else ():
            file.unlink()

    def probabilities(self, network: Classifier, indices: np.ndarray) -> np.ndarray:
        """What the served network would answer for these samples, unjittered; (N, labels)."""
        if self.recipe.frozen:
            return heads.softmax(logits(network.head, self.features(network), indices))
        model, inputs = self._trained_part(network)
        return heads.softmax(logits(model, inputs, indices))

    def answers(self, network: Classifier, pictures: Pictures) -> np.ndarray:
        """What the served network would answer for another set's images; (N, labels)."""
        images = ImageInputs(pictures, self.recipe.input)
        work = frozen.Work(images, len(pictures), 0, 0)
        with self._console.steps(work.crops, "answers") as steps:
            features = frozen.features(network, work, steps.tick)
        return heads.softmax(logits(network.head, features, np.arange(len(pictures))))

    def best_so_far(self) -> Trained | None:
        """When a fit was broken off: its network in the best state it had; else None."""
        fit = self._fit
        if self._open is None or fit is None or not fit.best:
            return None
        network, model = self._open
        set_state(model, fit.best)
        return Trained(network, fit.history, {"epochs": fit.best_epoch})

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

    def _work(self, number: int = 0) -> frozen.Work:
        """Of one of the sets; the company, being large, is copied once."""
        copies = _COMPANY_COPIES if number else self.recipe.copies
        count, seed = len(self._sets[number]), self.recipe.schedule.seed
        return frozen.Work(self._images[number], count, copies, seed)

    def _trained_part(self, network: Classifier) -> tuple[Any, Inputs]:
        """What of a network is trained by gradient, and what it is fed with."""
        closed = self._closed(network)
        if not closed:
            return network, joined(self._images, len(self.pictures))
        maps = self._maps_of(network, closed)
        return Tail(network, closed, maps[0].size), joined(maps, len(self.pictures))

    def _closed(self, network: Classifier) -> int:
        """How many first stages are closed and can run alone."""
        return network.closed(self.recipe.trainable) if frozen.in_turn(network) else 0

    def _maps_of(self, network: Classifier, closed: int) -> list[MapInputs]:
        """Maps of every set, made on first use and kept with the run until it is done."""
        for number in range(len(self._maps), len(self._sets)):
            work, file = self._work(number), self.run.folder / f"maps-{number}.npy"
            with self._console.steps(work.crops, "maps") as steps:
                self._maps.append(frozen.maps(network, closed, work, file, steps.tick))
        return self._maps

    def _inner(self, train: np.ndarray, key: str, count: int) -> list[tuple[Any, Any]]:
        name = f"{self.recipe.schedule.seed}/{key}/inner"
        return inner_folds(self.pictures.dataset, train, count, name, self.recipe.familiar)

    def _places(
        self, train: np.ndarray, key: str, count: int
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Inner folds as places in `train`."""
        place = {int(index): at for at, index in enumerate(train)}
        return [
            (np.array([place[i] for i in a.tolist()]), np.array([place[i] for i in b.tolist()]))
            for a, b in self._inner(train, key, count)
        ]

    def _regress(self, network: Classifier, train: np.ndarray, key: str) -> Trained:
        features = self.features(network).values[:, train]
        folds = self._places(train, key, _RIDGE_FOLDS)
        head, tried = heads.fit_ridge(
            features, self.y[train], len(self.labels), folds, self._weights(train)
        )
        network.set_head(head.weight, head.bias)
        chosen = next(row for row in tried if row["chosen"])
        self._console.say(
            f"{key}  ridge {chosen['ridge']:g}  inner validation: accuracy "
            f"{chosen['val_accuracy']:.3f}, loss {chosen['val_loss']:.3f}"
        )
        kept = ("ridge", "temperature", "val_accuracy")
        return Trained(network, tried, {name: chosen[name] for name in kept})

    def _discriminate(self, network: Classifier, train: np.ndarray, key: str) -> Trained:
        features = self.features(network).values[:, train]
        count = _INNER_FOLDS if self.pictures.spec.wanted else _WHOLE_FOLDS
        folds = self._places(train, key, count)
        classes, prior = len(self.labels), self.recipe.prior
        search = heads.DESIGNED if self.recipe.network.name in DESIGNED else heads.LEARNED
        head, tried, statistics = heads.fit_lda(
            features, self.y[train], classes, folds, prior, search, self._weights(train)
        )
        network.set_head(head.weight, head.bias)
        chosen = next(row for row in tried if row["chosen"])
        self._console.say(
            f"{key}  shrinkage {chosen['shrinkage']:g}  inner validation: accuracy "
            f"{chosen['val_accuracy']:.3f}, loss {chosen['val_loss']:.3f}"
        )
        kept = {name: chosen[name] for name in _TOLD}
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
        network.set_head(weight, network.head.bias.numpy() - mean @ weight)
        network.cool(fit.temperature)
        return Trained(network, fit.history, _chosen(fit))

    def _descend_on_pictures(self, train: np.ndarray, key: str) -> Trained:
        made: list[Classifier] = []

        def renew(name: str) -> Any:
            network = self.fresh(f"{key}/{name}")
            model, inputs = self._trained_part(network)
            calibrate_batch_norm(model, paddle.to_tensor(inputs.plain(train[:_CALIBRATION])))
            made.append(network)
            self._open = network, model
            return model

        inputs = self._trained_part(self.fresh(key))[1]
        fit = self._choose_and_refit(renew, inputs, train, key)
        made[-1].cool(fit.temperature)
        return Trained(made[-1], fit.history, _chosen(fit))

    def _choose_and_refit(self, renew: Any, inputs: Any, train: np.ndarray, key: str) -> Fit:
        """Choose the epoch on an inner validation part; then, if it pays, train on everything.

        The fit that is told of is the one that chose; the last one's weights are in the network.
        """
        if self.recipe.fixed:
            return self._fitted(renew, inputs, f"{key}/fit", train, _NOBODY, None)
        inner, validation = self._inner(train, key, 1)[0]
        fit = self._fitted(renew, inputs, f"{key}/choose", inner, validation, None)
        if self.recipe.refit:
            self._fitted(renew, inputs, f"{key}/fit", train, _NOBODY, fit)
        return fit

    def _fitted(
        self,
        renew: Any,
        inputs: Any,
        key: str,
        train: np.ndarray,
        validation: np.ndarray,
        chosen: Fit | None,
    ) -> Fit:
        """One fit; with `chosen` for as long as that one found best."""
        schedule, y = self.recipe.schedule, self._every_y
        epochs = chosen.best_epoch if chosen else schedule.epochs
        task = Task(
            key, inputs, y, train, validation, epochs, len(self.labels), self._guests,
            self.recipe.share, self._opinions, self._weights(train),
        )  # fmt: skip
        fit = self._fit = Fit()
        model = renew(key.rsplit("/", 1)[-1])
        descend(model, task, fit, schedule, self.run, self._console)
        judges = np.concatenate([validation, self._judges])
        if chosen:
            fit.temperature = chosen.temperature
        elif len(judges):
            scores = logits(model, inputs, judges)
            fit.temperature = heads.temperature_for(scores, y[judges], task.weights)
        return fit

    def _weights(self, train: np.ndarray) -> np.ndarray | None:
        """What an image of each class counts, float64 (classes,); None where all count alike."""
        if not self.recipe.balanced:
            return None
        counts = np.bincount(self.y[train], minlength=len(self.labels))
        return np.asarray(len(train) / (len(self.labels) * np.maximum(counts, 1)))


def _numbers(pictures: Pictures, labels: tuple[str, ...]) -> np.ndarray:
    return np.array([labels.index(sample.label) for sample in pictures.dataset.samples])


def _chosen(fit: Fit) -> dict[str, float]:
    row = fit.history[fit.best_epoch - 1]
    told = {"epochs": fit.best_epoch, "temperature": round(fit.temperature, 4)}
    return told | ({"val_accuracy": row["val_accuracy"]} if "val_accuracy" in row else {})
