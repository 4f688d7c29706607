"""Linear heads on frozen features in closed form: discriminant analysis, ridge regression.

With a few hundred images and a thousand features, a closed formula with a shared, shrunk
covariance (Friedman 1989; the pooled one, so that the rule stays linear) beats gradient steps.
With far more features than images, ridge regression onto the labels (Hoerl and Kennard 1970) is
solved for the images instead (Saunders, Gammerman and Vovk 1998): no covariance is ever made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

SHRINKAGES = (0.05, 0.1, 0.2, 0.4)
RIDGES = (1e-4, 1e-3, 1e-2)  # of the mean square of an image's features
MOST_ROWS = 8000  # images and copies for a ridge: their products with each other are half a GB
_STEEP = 20.0  # logits a whole label: what a ridge says lies between 0 and 1
_FLOOR = 0.1  # of the typical deviation, under which no feature is enlarged
TEMPERATURES = tuple(float(t) for t in np.geomspace(0.5, 50.0, 40))


@dataclass(frozen=True)
class Search:
    """What a head on frozen features is chosen from.

    Attributes:
        shrinkages: tried on the inner folds.
        stretches: likewise; a copy's variance about the mean of its image's copies counts this
            many times: more than 1 pays where features move with every shift of the crop.
    """

    shrinkages: tuple[float, ...]
    stretches: tuple[float, ...] = (1.0,)


LEARNED = Search(SHRINKAGES)  # features of a trunk that was trained
DESIGNED = Search((*SHRINKAGES, 0.6, 0.8), (1.0, 3.0))  # of one that was calculated


@dataclass(frozen=True)
class Linear:
    """logits = x @ weight + bias; weight (D, classes), bias (classes,)."""

    weight: np.ndarray
    bias: np.ndarray

    def logits(self, x: np.ndarray) -> np.ndarray:
        """x (N, D) to (N, classes)."""
        return np.asarray(x @ self.weight + self.bias)

    def cooled(self, temperature: float) -> "Linear":
        """The head whose probabilities are softer by this factor; the decision stays the same."""
        return Linear(self.weight / temperature, self.bias / temperature)


@dataclass(frozen=True)
class Statistics:
    """What LDA needs of a training part, gathered once for several shrinkages.

    Attributes:
        centres: mean features of each class, float32 (classes, D).
        within: covariance about the centres, all classes together, float64 (D, D).
    """

    centres: np.ndarray
    within: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray, classes: int) -> "Statistics":
        """Gather them.

        Args:
            x: features (N, D).
            y: class numbers (N,).
            classes: how many; every one must occur in `y`.
        """
        x = x.astype(np.float32)
        centres = np.stack([x[y == k].mean(axis=0) for k in range(classes)])
        rest = x - centres[y]
        return cls(centres, (rest.T @ rest).astype(np.float64) / len(x))

    def blended(self, other: "Statistics", share: float) -> "Statistics":
        """These and another set's, which counts for `share` of the whole (0 to 1)."""
        return Statistics(
            (1 - share) * self.centres + share * other.centres,
            (1 - share) * self.within + share * other.within,
        )

    def head(self, shrinkage: float) -> Linear:
        """Solve for the discriminants; every class is taken as equally likely beforehand."""
        size = len(self.within)
        mean = self.centres.mean(axis=0)
        spread = np.sqrt(np.diag(self.within) + self.centres.var(axis=0))
        spread = spread + 1e-3 * float(np.sqrt((spread**2).mean())) + 1e-12
        centres = (self.centres - mean) / spread
        within = self.within / np.outer(spread, spread)
        shared = (1 - shrinkage) * within + shrinkage * np.trace(within) / size * np.eye(size)
        weight = np.linalg.solve(shared, centres.T)
        bias = -0.5 * np.einsum("kd,dk->k", centres, weight)
        weight = weight / spread[:, None]
        return Linear(weight, bias - mean @ weight)

    def packed(self) -> dict[str, np.ndarray]:
        """As arrays to store; of the symmetric covariance one half."""
        upper = self.within[np.triu_indices(len(self.within))]
        return {"centres": self.centres, "within": upper.astype(np.float32)}

    @classmethod
    def unpacked(cls, arrays: Mapping[str, np.ndarray]) -> "Statistics":
        """Back from `packed`."""
        size = arrays["centres"].shape[1]
        within = np.zeros((size, size))
        within[np.triu_indices(size)] = arrays["within"]
        return cls(arrays["centres"], within + np.triu(within, 1).T)


@dataclass(frozen=True)
class Prior:
    """Statistics of the same features and labels from another, usually larger set.

    Attributes:
        statistics: of that set.
        share: how much of the blend they are, 0 to 1.
    """

    statistics: Statistics
    share: float


def temperature_for(logits: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None) -> float:
    """The temperature under which held-out logits are most likely (Guo et al. 2017)."""
    losses = [cross_entropy(logits / temperature, y, weights) for temperature in TEMPERATURES]
    return TEMPERATURES[int(np.argmin(losses))]


def cross_entropy(logits: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Mean negative log-likelihood in nats.

    Args:
        logits: (N, classes).
        y: class numbers (N,).
        weights: what a row of each class counts, (classes,); None where all count alike.
    """
    losses = -np.log(softmax(logits)[np.arange(len(y)), y] + 1e-12)
    return float(np.average(losses, weights=None if weights is None else weights[y]))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Over the last axis."""
    high = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(high / high.sum(axis=-1, keepdims=True))


def accuracy(scores: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Share of rows whose largest score is at the right class; `weights` as in `cross_entropy`."""
    if not len(y):
        return float("nan")
    right = scores.argmax(axis=1) == y
    return float(np.average(right, weights=None if weights is None else weights[y]))


def fit_lda(
    features: np.ndarray,
    y: np.ndarray,
    classes: int,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    prior: Prior | None = None,
    search: Search = LEARNED,
    weights: np.ndarray | None = None,
) -> tuple[Linear, list[dict[str, float]], Statistics]:
    """Choose shrinkage, stretch and temperature on inner folds, then fit on everything given.

    Args:
        features: (1 + copies, N, D); row 0 is the image itself, the others are jittered copies.
        y: class numbers (N,).
        classes: how many.
        folds: inner (training, validation) index pairs into N; the choice is made on them alone.
        prior: blended in, in every fold alike; it must not have seen what is held out.
        search: what is tried.
        weights: what an image of each class counts where shrinkage and temperature are chosen,
            (classes,); None where all count alike.

    Returns:
        The head; for each shrinkage and stretch tried its inner accuracy and loss, the chosen pair
        marked; and the statistics that the head was solved from.
    """

    def gather(x: np.ndarray, of: np.ndarray, stretch: float) -> Statistics:
        statistics = Statistics.of(*_stacked(x, of, stretch), classes)
        return statistics.blended(prior.statistics, prior.share) if prior else statistics

    right = np.concatenate([y[validation] for _, validation in folds])
    tried = []
    for stretch in search.stretches:
        held: dict[float, list[np.ndarray]] = {s: [] for s in search.shrinkages}
        for train, validation in folds:
            statistics = gather(features[:, train], y[train], stretch)
            for shrinkage, rows in held.items():
                rows.append(statistics.head(shrinkage).logits(features[0, validation]))
        for shrinkage, rows in held.items():
            logits = np.concatenate(rows)
            temperature = temperature_for(logits, right, weights)
            tried.append({
                "shrinkage": shrinkage,
                "stretch": stretch,
                "temperature": temperature,
                "val_accuracy": accuracy(logits, right, weights),
                "val_loss": cross_entropy(logits / temperature, right, weights),
                "chosen": 0.0,
            })  # fmt: skip
    best = min(tried, key=lambda row: (-row["val_accuracy"], row["val_loss"]))
    best["chosen"] = 1.0
    statistics = gather(features, y, best["stretch"])
    head = statistics.head(best["shrinkage"])
    return head.cooled(best["temperature"]), tried, statistics


def fit_ridge(
    features: np.ndarray,
    y: np.ndarray,
    classes: int,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    weights: np.ndarray | None = None,
) -> tuple[Linear, list[dict[str, float]]]:
    """Choose the ridge and the temperature on inner folds, then fit on everything given.

    Args:
        features, y, classes, folds, weights: as of `fit_lda`; at most `MOST_ROWS` rows in all.

    Returns:
        The head, and for each ridge tried its inner accuracy and loss, the chosen one marked.
    """
    views, count, width = features.shape
    rows = features.reshape(views * count, width).astype(np.float32)
    mean, spread = rows.mean(axis=0), rows.std(axis=0)
    spread = (spread + _FLOOR * np.sqrt((spread**2).mean()) + 1e-12) * np.float32(np.sqrt(width))
    rows = (rows - mean) / spread
    products = (rows @ rows.T).astype(np.float64)
    targets = np.eye(classes)[np.tile(y, views)]

    def solved(images: np.ndarray, ridge: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows of these images, their weights, and the shares of the labels."""
        of = (np.arange(views)[:, None] * count + images).ravel()
        shares = targets[of].mean(axis=0)
        among = products[np.ix_(of, of)]
        among[np.diag_indices(len(of))] += ridge * np.trace(among) / len(of)
        return of, np.linalg.solve(among, targets[of] - shares), shares

    right = np.concatenate([y[validation] for _, validation in folds])
    tried = []
    for ridge in RIDGES:
        held = []
        for train, validation in folds:
            of, alphas, shares = solved(train, ridge)
            held.append(_STEEP * (products[np.ix_(validation, of)] @ alphas + shares))
        logits = np.concatenate(held)
        temperature = temperature_for(logits, right, weights)
        tried.append({
            "ridge": ridge,
            "temperature": temperature,
            "val_accuracy": accuracy(logits, right, weights),
            "val_loss": cross_entropy(logits / temperature, right, weights),
            "chosen": 0.0,
        })  # fmt: skip
    best = min(tried, key=lambda row: row["val_loss"])  # few are wrong: the loss says more
    best["chosen"] = 1.0
    _, alphas, shares = solved(np.arange(count), best["ridge"])
    weight = (rows.T @ alphas) / spread[:, None]
    head = Linear(_STEEP * weight, _STEEP * (shares - mean @ weight))
    return head.cooled(best["temperature"]), tried


def _stacked(features: np.ndarray, y: np.ndarray, stretch: float) -> tuple[np.ndarray, np.ndarray]:
    views, count, width = features.shape
    if stretch != 1:
        middle = features.mean(axis=0)
        features = middle + (features - middle) * np.float32(np.sqrt(stretch))
    return features.reshape(views * count, width), np.tile(y, views)
