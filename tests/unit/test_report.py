"""The report shows the figures, the card says what the model is for, and neither shows an image."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models import bundle, card, evaluation, report, shipping
from models.bundle import InputSpec, Manifest
from models.errors import UsageError
from models.experiment import Outcome
from models.face_spec import FaceSpec

PROJECT = Path(__file__).resolve().parents[2]
LABELS = ("anger", "fear", "happiness")
TRUTH = np.array([0, 0, 1, 1, 2, 2])
SCORES = np.array([
    [0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8],
    [0.0, 0.1, 0.9],
])  # fmt: skip
EPOCHS = [
    {"loss": 1.0 / n, "accuracy": 1 - 1 / n, "val_loss": 1.2 / n, "val_accuracy": 1 - 1.2 / n}
    for n in range(2, 9)
]
TRIED = [{"shrinkage": s, "val_loss": s, "val_accuracy": 1 - s} for s in (0.1, 0.2, 0.4)]


def outcome(protocol: str = "loso") -> Outcome:
    metrics = evaluation.metrics(LABELS, TRUTH, SCORES)
    subjects = {"AA": {"images": 3, "accuracy": 0.6667}, "BB": {"images": 3, "accuracy": 1.0}}
    return Outcome(protocol, metrics, subjects, {}, TRUTH, SCORES)


def manifest(protocol: str = "loso", subjects: tuple[str, ...] = ("AA", "BB")) -> Manifest:
    measured = outcome(protocol)
    training = {
        "data": "jaffe", "images": 6, "subjects": list(subjects), "unreadable": 1, "faceless": 2,
        "init": "face 1", "command": "python train.py --data jaffe",
    }  # fmt: skip
    return Manifest(
        "emotion", "1", LABELS, InputSpec(128, "gray", (0.0,), (1.0,)), FaceSpec(True),
        {"name": "face_cnn", "parameters": 1234567}, training,
        {"name": protocol, "choices": "Chosen inside."},
        {**measured.metrics, "per_subject": measured.subjects}, "Cite it.", {},
    )  # fmt: skip


@pytest.mark.parametrize("history", [EPOCHS, TRIED, []])
def test_plots_and_tables_are_written(history: list[dict[str, float]], tmp_path: Path) -> None:
    report.write(tmp_path / "report", LABELS, outcome(), history, {"protocol": "loso"})
    for name in ("confusion.png", "calibration.png", "curves.png"):
        image = Image.open(tmp_path / "report" / name)
        assert min(image.size) > 300
        assert np.asarray(image.convert("L")).std() > 5  # something is drawn
    with (tmp_path / "report" / "per_class.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == list(LABELS)
    assert rows[1]["recall"] == "0.5"
    assert json.loads((tmp_path / "report" / "report.json").read_text()) == {"protocol": "loso"}


def test_a_thousand_classes_make_a_plot_that_can_be_opened(tmp_path: Path) -> None:
    names = [f"n{number:04d}" for number in range(1000)]
    report.confusion_plot(np.eye(1000), names, "holdout, 1000 images", tmp_path / "c.png")
    image = Image.open(tmp_path / "c.png")
    assert image.size == (3300, 3300)
    assert np.asarray(image.convert("L")).std() > 1


def test_a_class_name_is_drawn_as_it_is_and_never_as_a_formula(tmp_path: Path) -> None:
    names = ("$5$", r"$\frac$", "a")
    report.confusion_plot(np.eye(3), names, r"$\broken$", tmp_path / "c.png")
    assert (tmp_path / "c.png").stat().st_size > 1000


def test_without_a_protocol_only_the_curves_are_drawn(tmp_path: Path) -> None:
    report.write(tmp_path / "report", LABELS, None, EPOCHS, {})
    assert {p.name for p in (tmp_path / "report").iterdir()} == {"curves.png", "report.json"}


def test_the_same_figures_give_the_same_files(tmp_path: Path) -> None:
    for name in ("one", "two"):
        report.write(tmp_path / name, LABELS, outcome(), EPOCHS, {})
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_the_card_gives_every_figure_with_its_protocol_and_its_limits() -> None:
    text = card.text(manifest())
    assert "Accuracy **83.3%**" in text
    assert "leave one subject out" in text
    assert "| fear | 1.00 | 0.50 | 0.67 | 2 |" in text
    assert "| AA | 0.67 | 3 |" in text
    assert "must not be used to judge people" in text
    assert "fails most often on fear (50% found)" in text
    assert "1 images that cannot be read, 2 without a face" in text
    assert text.rstrip().endswith("Cite it.")


def test_a_bundle_never_replaces_what_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    shipping.check_place("ok-1.2_x", tmp_path / "photos")  # empty
    (tmp_path / "photos" / "me.jpg").write_bytes(b"x")
    for out in (tmp_path / "photos", tmp_path / "photos" / "me.jpg"):
        with pytest.raises(UsageError, match="would replace it"):
            shipping.check_place("ok", out)
    shipping.check_place("ok", PROJECT / "params" / "emotion")  # a bundle may be replaced
    with pytest.raises(UsageError, match="cannot be written"):
        shipping.check_place("ok", tmp_path / "photos" / "me.jpg" / "deeper")
    with pytest.raises(UsageError, match="is a mount point"):
        shipping.check_place("ok", Path("/proc"))
    for name in ("", "../x", "a b", ".hidden", "ü"):
        with pytest.raises(UsageError, match="cannot name a model"):
            shipping.check_place(name, tmp_path / "new")


def test_a_person_dependent_figure_says_so() -> None:
    assert "says how well known people are recognised" in card.text(manifest("kfold"))


def test_the_shipped_card_names_terms_and_protocol() -> None:
    made = bundle.load(PROJECT / "params" / "emotion")
    text = (made.path / "report" / "card.md").read_text()
    assert "non-commercial research" in text and "Lyons" in text
    assert made.manifest.protocol["name"] == "loso"
    assert made.manifest.protocol["same_person_on_both_sides"] is False
    assert f"{made.manifest.metrics['accuracy']:.1%}" in text
    assert sum(p.stat().st_size for p in made.path.rglob("*") if p.is_file()) < 16_000_000
