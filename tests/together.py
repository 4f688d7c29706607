"""What `tests/unit/test_together.py` computes in one process, and in two that share the work.

$ python -m paddle.distributed.launch --nproc_per_node 2 tests/together.py FOLDER
"""

import io
import os
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from models import datasets, frozen, joining, pictures, ranks
from models.bundle import InputSpec
from models.console import Console
from models.descent import Fit, Schedule, Task, descend
from models.face_spec import FaceSpec
from models.framework import paddle
from models.inputs import FeatureInputs, ImageInputs, joined, logits
from models.networks import NetworkSpec, build
from models.runs import Run
from models.weights import seeded, state_of

OWN, GUESTS, WIDE = 41, 30, 12
QUIET = Console(io.StringIO(), live=False)


def work(folder: Path, run: Path) -> dict[str, np.ndarray]:
    """A fit, what the fitted network says, and features and maps of a frozen one.

    Args:
        folder: holds `data`, a small set.
        run: where the run goes.
    """
    kept = Run(run, {}, resume=False)
    return {**_fitted(kept), **_seen(folder, kept), **_agreed(kept)}


def _fitted(run: Run) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(5)
    y = draw.integers(0, 3, OWN + GUESTS)
    values = draw.normal(0, 1, (3, OWN + GUESTS, WIDE)).astype(np.float32)
    values[:, np.arange(len(y)), y] += 2
    inputs = joined([FeatureInputs(values[:, :OWN]), FeatureInputs(values[:, OWN:])], OWN)
    everyone = np.arange(OWN)
    task = Task(
        "fit", inputs, y, everyone[:32], everyone[32:], 3, 3, np.arange(OWN, OWN + GUESTS), 0.6,
        weights=np.array([1.0, 2.0, 0.5]),
    )  # fmt: skip
    schedule = Schedule(3, 11, 0.05, "momentum", 0.01, 0.05, 0, 1, average=0.9, mixup=0.3)
    seeded("network")
    nn = paddle.nn
    model = nn.Sequential(nn.Linear(WIDE, 16), nn.ReLU(), nn.Linear(16, 3))
    fit = Fit()
    descend(model, task, fit, schedule, run, QUIET)
    figures = [[row["loss"], row["accuracy"], row["val_loss"]] for row in fit.history]
    said = logits(model, inputs, everyone[:7])
    return state_of(model) | {"history": np.array(figures), "logits": said}


def _seen(folder: Path, run: Run) -> dict[str, np.ndarray]:
    held = pictures.read(datasets.read(folder / "data", "folders"), FaceSpec(wanted=False), 32)
    seeded("trunk")
    network = build(NetworkSpec("face_cnn"), 3, 1, 32)
    images = ImageInputs(held, InputSpec(32, "gray", (127.5,), (1 / 64.0,)))
    task = frozen.Work(images, len(held), 2, 1)
    maps = frozen.maps(network, 2, task, run.folder / "maps.npy", lambda count: None)
    return {
        "features": frozen.features(network, task, lambda count: None).values,
        "maps": np.array(maps.values),
    }


def _agreed(run: Run) -> dict[str, np.ndarray]:
    """What a run keeps is known to all, whoever reads the disk."""
    run.save("step", {"a": np.arange(3.0, dtype=np.float32)}, {"told": 1})
    arrays, state = run.restore("step") or ({}, {})
    run.finish("step", {"value": 0.1})
    return {
        "kept": arrays["a"],
        "done": np.array([state["told"], (run.done("step") or {})["value"]]),
    }


def main(folder: Path) -> None:
    """One of the two; the second has no folder of its own."""
    crowd = joining.crowd()
    crowd.asked(None, "cpu")
    crowd.meet([], "cpu", checked=False)
    assert ranks.count() == 2
    assert not [name for name in os.environ if name.startswith("PADDLE_")]
    np.savez(folder / f"told-{ranks.number()}.npz", **work(folder, folder / "run"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
