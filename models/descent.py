"""Gradient training of one network on one split: epochs, schedule, patience, checkpoints."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models import ranks
from models.average import Average
from models.console import Console, duration
from models.errors import UsageError
from models.framework import paddle
from models.heads import accuracy, cross_entropy, temperature_for
from models.inputs import Inputs, logits
from models.runs import Run
from models.weights import seeded, set_state, state_of

OPTIMIZERS = ("adamw", "adam", "momentum", "sgd")  # sgd is an older name of momentum
_OPINION = 0.5  # of what is learnt, where others' opinions stand beside the labels


@dataclass(frozen=True)
class Schedule:
    """How the steps are taken.

    Attributes:
        epochs: the length the learning rate's cosine is drawn for.
        patience: epochs without a better validation loss before the end; 0 never ends early.
        lr: highest learning rate.
        average: decay of the running average of the weights that is judged and kept; 0 keeps the
            weights themselves.
        mixup: two images are mixed with a share drawn from Beta(mixup, mixup) (Zhang et al. 2018);
            0 mixes none.
    """

    epochs: int
    batch_size: int
    lr: float
    optimizer: str
    weight_decay: float
    label_smoothing: float
    patience: int
    seed: int
    average: float = 0.0
    mixup: float = 0.0


@dataclass
class Fit:
    """Where a fit stands; `best` is the state with the lowest validation loss so far.

    Attributes:
        temperature: that softens its probabilities to what they are worth; 1 where nothing was
            left to set it on.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, np.ndarray] = field(default_factory=dict)
    best_epoch: int = 0
    best_loss: float = float("inf")
    temperature: float = 1.0


@dataclass(frozen=True)
class Task:
    """One fit: who learns what.

    Attributes:
        key: names the fit in messages, draws and the run folder.
        train: indices to learn from.
        validation: indices to choose the epoch on; empty for a fit of a fixed length.
        stop_after: epochs to run at most (the schedule may be longer).
        company: indices of another set's images that fill up each batch; may be empty.
        share: of a batch that is `train`'s own where there is company.
        classes: how many labels there are.
        opinions: (up to len(y), classes), what others say of each image, nought where nobody says
            anything; half of what is learnt. None where only the labels are.
        weights: what an image of each class counts, (classes,); None where all count alike.
    """

    key: str
    inputs: Inputs
    y: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    stop_after: int
    classes: int
    company: np.ndarray = field(default_factory=lambda: np.array([], int))
    share: float = 1.0
    opinions: np.ndarray | None = None
    weights: np.ndarray | None = None

    def targets(self, smoothing: float) -> np.ndarray:
        """Probabilities to learn, (len(y), classes): smoothed labels, and others' opinions.

        Rows are multiplied by what their class counts: so is their part of the cross-entropy.
        """
        wanted = np.full((len(self.y), self.classes), smoothing / self.classes, np.float32)
        wanted[np.arange(len(self.y)), self.y] += 1 - smoothing
        if self.opinions is not None:
            spoken = np.flatnonzero(self.opinions.sum(axis=1) > 0)
            wanted[spoken] *= 1 - _OPINION
            wanted[spoken] += _OPINION * self.opinions[spoken]
        if self.weights is not None:
            wanted *= self.weights[self.y].astype(np.float32)[:, None]
        return wanted


def optimizer_for(name: str, parameters: list[Any], schedule: Schedule) -> Any:
    """An optimiser by name.

    Raises:
        UsageError: unknown name.
    """
    kinds: dict[str, Callable[[], Any]] = {
        "adamw": lambda: paddle.optimizer.AdamW(
            schedule.lr, parameters=parameters, weight_decay=schedule.weight_decay
        ),
        "adam": lambda: paddle.optimizer.Adam(schedule.lr, parameters=parameters),
        "momentum": lambda: paddle.optimizer.Momentum(
            schedule.lr, 0.9, parameters=parameters, weight_decay=schedule.weight_decay
        ),
    }
    kinds["sgd"] = kinds["momentum"]
    if name not in kinds:
        raise UsageError(f"There is no optimizer {name!r}. Choose one of {', '.join(kinds)}.")
    return kinds[name]()


def descend(
    model: Any, task: Task, fit: Fit, schedule: Schedule, run: Run, console: Console
) -> None:
    """Train `model` in place; afterwards it holds the best state, its checkpoint is on disk.

    `fit` is filled as it goes, so that who breaks in finds the best state so far. Without a
    validation part the last state is the best. A fit that was broken off goes on from its last
    checkpoint and gives the same figures as an unbroken one: every draw is named by seed, fit and
    epoch.
    """
    # Paddle names an optimiser's state by a count in the process; a resumed one must count alike.
    with paddle.utils.unique_name.guard():
        _descend(model, task, fit, schedule, run, console)
    set_state(model, fit.best)


def _descend(
    model: Any, task: Task, fit: Fit, schedule: Schedule, run: Run, console: Console
) -> None:
    own = _own(task, schedule)  # where there is company, it fills batches up
    smallest = _batches(task.train, own or schedule.batch_size)[-1]
    ranks.check(max(len(smallest), schedule.batch_size if own else 0))
    parameters = [p for p in model.parameters() if not p.stop_gradient]
    optimizer = optimizer_for(schedule.optimizer, parameters, schedule)
    average = Average(model, schedule.average)
    _restore(model, optimizer, average, run, task.key, fit)
    ranks.alike(model)
    saved, cost = time.monotonic(), 0.0
    with console.steps(task.stop_after * len(task.train), task.key) as steps:
        steps.tick(len(fit.history) * len(task.train))
        for epoch in range(len(fit.history), task.stop_after):
            if _patience_is_out(fit, schedule):
                break
            start = time.monotonic()
            row = _epoch(model, optimizer, average, task, schedule, epoch, steps)
            with average.shown():
                _judge(model, task, row, fit, epoch)
            row["seconds"] = round(time.monotonic() - start, 2)
            console.say(_line(task, epoch, row))
            if time.monotonic() - saved >= 10 * cost or epoch + 1 == task.stop_after:
                before = time.monotonic()
                _save(model, optimizer, average, run, task.key, fit)
                saved = time.monotonic()
                cost = saved - before


def _epoch(
    model: Any,
    optimizer: Any,
    average: Average,
    task: Task,
    schedule: Schedule,
    epoch: int,
    steps: Any,
) -> dict[str, float]:
    parameters = [p for p in model.parameters() if not p.stop_gradient]
    key = f"{schedule.seed}/{task.key}/{epoch}"
    draw = np.random.default_rng(seeded(key))
    if ranks.number():
        seeded(f"{key}/{ranks.number()}")  # what is dropped, each process draws for itself
    order = draw.permutation(task.train)
    own = _own(task, schedule)
    batches = _batches(order, own or schedule.batch_size)
    targets = task.targets(schedule.label_smoothing)
    model.train()
    total = right = 0.0
    seen = 0
    for number, batch in enumerate(batches):
        progress = (epoch + number / len(batches)) / max(1, schedule.epochs)
        optimizer.set_lr(schedule.lr * _factor(progress, schedule.epochs))
        steps.tick(len(batch))
        if own:
            guests = draw.choice(task.company, max(0, schedule.batch_size - len(batch)))
            batch = np.concatenate([batch, guests])
        mine = ranks.share(len(batch))
        x, wanted = _mixed(task.inputs, batch, mine, key, targets[batch], schedule.mixup, draw)
        out = model(paddle.to_tensor(x))
        loss = paddle.nn.functional.cross_entropy(out, paddle.to_tensor(wanted), soft_label=True)
        (loss * ranks.weight(len(mine), len(batch))).backward()
        ranks.average(model, parameters)
        optimizer.step()
        optimizer.clear_grad()
        average.step()
        total += float(loss) * len(mine)
        right += float((out.numpy().argmax(axis=1) == task.y[batch[mine]]).sum())
        seen += len(mine)
        steps.tick(0, loss=total / seen, accuracy=right / seen)
    total, right, seen = ranks.summed(np.array([total, right, seen])).tolist()
    return {"loss": total / seen, "accuracy": right / seen}


def _own(task: Task, schedule: Schedule) -> int:
    """How many images of a batch are the set's own where there is company; else 0."""
    return max(2, round(schedule.batch_size * task.share)) if len(task.company) else 0


def _mixed(
    inputs: Inputs,
    batch: np.ndarray,
    mine: np.ndarray,
    key: str,
    wanted: np.ndarray,
    mixup: float,
    draw: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and what is wanted of them at the places `mine` of a batch, mixed if so scheduled.

    All draws are the whole batch's, so that processes that share it see what one alone would.
    """
    if not mixup:
        return inputs.drawn(batch, key, mine), wanted[mine]
    share, other = draw.beta(mixup, mixup), draw.permutation(len(batch))[mine]
    seen = np.union1d(mine, other)
    x = inputs.drawn(batch, key, seen)
    own, lent = x[np.searchsorted(seen, mine)], x[np.searchsorted(seen, other)]
    first, second = np.float32(share), np.float32(1 - share)
    return first * own + second * lent, first * wanted[mine] + second * wanted[other]


def _batches(order: np.ndarray, size: int) -> list[np.ndarray]:
    """Even batches; a last one of a single image would break batch norm."""
    return np.array_split(order, max(1, round(len(order) / size)))


def _factor(progress: float, epochs: int) -> float:
    """Half a cosine to 0, after a warm-up of a twentieth of the way (one epoch at most)."""
    warm = min(0.05, 1 / max(1, epochs))
    rise = min(1.0, (progress + 1e-3) / warm)
    return float(rise * 0.5 * (1 + np.cos(np.pi * min(1.0, progress))))


def _judge(model: Any, task: Task, row: dict[str, float], fit: Fit, epoch: int) -> None:
    loss = -float(epoch)  # without a validation part the later is the better
    if len(task.validation):
        scores = logits(model, task.inputs, task.validation)
        right = task.y[task.validation]
        # As it would be served, its temperature set: else overconfidence would choose the epoch.
        count = task.weights
        loss = cross_entropy(scores / temperature_for(scores, right, count), right, count)
        row |= {"val_loss": loss, "val_accuracy": accuracy(scores, right, count)}
    fit.history.append(row)
    if not np.isfinite(row["loss"]) or not np.isfinite(loss):
        raise UsageError(
            f"The loss of {task.key} is not a number in epoch {epoch + 1}. Try a smaller --lr."
        )
    if loss < fit.best_loss:
        fit.best_loss, fit.best_epoch, fit.best = loss, epoch + 1, state_of(model)


def _patience_is_out(fit: Fit, schedule: Schedule) -> bool:
    if schedule.patience < 1 or not fit.history or "val_loss" not in fit.history[-1]:
        return False
    return len(fit.history) - fit.best_epoch >= schedule.patience


def _line(task: Task, epoch: int, row: dict[str, float]) -> str:
    line = (
        f"{task.key}  epoch {epoch + 1}/{task.stop_after}  loss {row['loss']:.3f}  "
        f"accuracy {row['accuracy']:.3f}"
    )
    if "val_loss" in row:
        line += f"  val loss {row['val_loss']:.3f}  val accuracy {row['val_accuracy']:.3f}"
    left = row["seconds"] * (task.stop_after - epoch - 1)
    return f"{line}  {duration(row['seconds'])}, at most {duration(left)} left"


def _save(model: Any, optimizer: Any, average: Average, run: Run, key: str, fit: Fit) -> None:
    arrays = {f"model/{name}": values for name, values in state_of(model).items()}
    arrays |= {f"best/{name}": values for name, values in fit.best.items()}
    arrays |= {f"average/{name}": values for name, values in average.state.items()}
    for name, value in optimizer.state_dict().items():
        if isinstance(value, paddle.Tensor):
            arrays[f"optimizer/{name}"] = np.array(value)
    state = {
        "history": fit.history, "best_epoch": fit.best_epoch, "best_loss": fit.best_loss,
        "averaged": average.steps,
    }  # fmt: skip
    run.save(key, arrays, state)


def _restore(model: Any, optimizer: Any, average: Average, run: Run, key: str, fit: Fit) -> None:
    kept = run.restore(key)
    if kept is None:
        return
    arrays, state = kept
    part: dict[str, dict[str, np.ndarray]] = {
        "model": {}, "best": {}, "average": {}, "optimizer": {},
    }  # fmt: skip
    for name, values in arrays.items():
        kind, _, rest = name.partition("/")
        part[kind][rest] = values
    set_state(model, part["model"])
    optimizer.set_state_dict({k: paddle.to_tensor(v) for k, v in part["optimizer"].items()})
    average.restore(part["average"], state["averaged"])
    fit.history, fit.best = state["history"], part["best"]
    fit.best_epoch, fit.best_loss = state["best_epoch"], state["best_loss"]
