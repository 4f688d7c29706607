"""A sweep compares what was asked, chooses on inner validation alone, and loses nothing."""

import csv
import io
import json
import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import train
from models import datasets, sweep, sweep_grid, sweep_options, sweep_report, sweep_trials
from models.console import Console
from models.errors import DiskError, HyojoError, UsageError
from models.framework import Interrupted
from models.joining import Crowd
from models.sweep import Compared, Row
from models.sweep_grid import Setting
from models.wishes import Wishes
from tests import shapes
from tests.amount import amount

PROJECT = Path(__file__).resolve().parents[2]
PARAMS = PROJECT / "params"


def grid(*words: str) -> list[Setting]:
    options = sweep_options.arguments().parse_args(["--data", "x", *words])
    return sweep_grid.settings(options, PARAMS)


def test_every_combination_is_there_once_and_told_by_what_is_varied() -> None:
    every = grid("--lr", "0.1", "0.01", "--optimizer", "AdamW", "adam", "momentum",
                 "--network", "3x64 3x32", "--colour", "colour", "grey")  # fmt: skip
    assert len(every) == 12 and len({setting.told for setting in every}) == 12
    assert every[0].told == "lr 0.1, optimizer adamw, colour colour"
    assert {setting.wishes.network for setting in every} == {"3x64 3x32"}
    assert every[-1].options() == (
        "--network '3x64 3x32' --lr 0.01 --optimizer momentum --colour grey"
    )
    (alone,) = grid()
    assert alone.told == "as given" and alone.options() == ""


def test_a_random_part_is_drawn_by_its_seed_and_grows_with_its_number() -> None:
    words = ("--lr", "1", "2", "3", "4", "--batch-size", "8", "16", "32")
    few, more = grid(*words, "--random", "3"), grid(*words, "--random", "7")
    assert len(few) == 3 and len(more) == 7
    assert {setting.told for setting in few} < {setting.told for setting in more}
    assert few == grid(*words, "--random", "3")
    assert few != grid(*words, "--random", "3", "--seed", "2")
    with pytest.raises(UsageError, match="--random must be 1 or more"):
        grid("--random", "0")
    with pytest.raises(UsageError, match="--batch-size names a value twice"):
        grid("--batch-size", "8", "8")


def rows() -> list[Row]:
    """Three settings that could be trained, one that could not; the held-out figure contradicts."""
    made = []
    for lr, accuracies in ((0.1, (0.6, 0.7)), (0.01, (0.9, 0.8)), (0.001, (0.8, 0.9)), (9.0, ())):
        results = tuple(
            {"val_accuracy": a, "val_loss": lr, "epochs": 3, "seconds": 1.0, "parameters": 10}
            for a in accuracies
        )
        error = "" if results else "The loss is not a number."
        setting = Setting(Wishes(lr=lr), {"lr": lr})
        made.append(Row(setting, results or ({"error": error},) * 2, error))
    return made


def compared(folder: Path) -> Compared:
    ordered = sorted(rows(), key=lambda row: row.place)
    held_out = tuple({"accuracy": a, "macro_f1": a, "ece": 0.1} for a in (0.5, 0.7))
    told = {"data": "set", "images": 10, "labels": ["a", "b"], "learnt_from": 8, "held_out": 2,
            "protocol": "holdout", "seeds": [1, 2], "balanced": False}  # fmt: skip
    return Compared(tuple(ordered), held_out, told, folder, "python train.py --data set --lr 0.001")


def test_the_best_on_inner_validation_comes_first_then_the_lower_loss_failures_last(
    tmp_path: Path,
) -> None:
    made = compared(tmp_path)
    assert [row.setting.varied["lr"] for row in made.rows] == [0.001, 0.01, 0.1, 9.0]
    assert made.rows[0].mean("val_accuracy") == pytest.approx(0.85)
    assert made.rows[0].deviation("val_accuracy") == pytest.approx(np.std([0.8, 0.9], ddof=1))


def test_the_report_says_by_what_it_is_sorted_and_what_only_the_chosen_one_saw(
    tmp_path: Path,
) -> None:
    files = sweep_report.write(compared(tmp_path))
    assert all(file.stat().st_size > 100 for file in files)
    text = (tmp_path / "sweep.md").read_text()
    assert "inner validation" in text and "by nothing else" in text.replace("\n", " ")
    assert "which no other setting answered: accuracy 0.6000 (deviation 0.1414" in text
    assert "The loss is not a number." in text
    table = list(csv.DictReader((tmp_path / "settings.csv").read_text().splitlines()))
    assert [row["lr"] for row in table] == ["0.001", "0.01", "0.1", "9.0"]
    assert not any("held" in column or column == "accuracy" for column in table[0])
    assert len((tmp_path / "trainings.csv").read_text().splitlines()) == 1 + 8
    told = json.loads((tmp_path / "sweep.json").read_text())
    assert told["sorted_by"] == "val_accuracy" and len(told["held_out_of_the_chosen"]) == 2
    assert "accuracy" not in told["rows"][0]
    shown = sweep_report.table(compared(tmp_path))
    assert shown.splitlines()[1].startswith("0.001") and "To train it: python train.py" in shown


def test_a_sweep_of_nothing_but_failures_says_why() -> None:
    settings = grid("--lr", "1", "2")
    trials = [sweep.Trial(n, 1, None, None, None, None, {}, Path()) for n in (0, 1)]  # type: ignore
    with pytest.raises(HyojoError, match="The first: too deep"):
        sweep._rows(settings, trials, [{"error": "too deep"}] * 2)


def test_the_held_out_part_is_the_same_for_all_and_a_named_one_is_respected(tmp_path: Path) -> None:
    dataset = datasets.read(shapes.folders(tmp_path / "set", 10))
    train, test = sweep._split("holdout", dataset, 1)
    assert not set(train) & set(test) and len(train) + len(test) == 30
    assert len(sweep._split("none", dataset, 1)[1]) == 0
    parts = tuple(
        replace(s, part="test" if n % 5 == 0 else "") for n, s in enumerate(dataset.samples)
    )
    train, test = sweep._split("none", replace(dataset, samples=parts), 1)
    assert len(train) == 24 and not len(test)


def test_the_command_to_train_the_chosen_setting_can_be_pasted() -> None:
    words = ["--data", "/my sets/a & b", "--layout", "folders", "--balance", "no", "--lr", "1"]
    options = sweep_options.arguments().parse_args(words)
    (setting,) = sweep_grid.settings(options, PARAMS)
    told = sweep._command(options, setting)
    assert shlex.split(told) == ["python", "train.py", *words[:6], "--lr", "1.0"]


def test_ctrl_c_during_the_report_says_that_the_trainings_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise Interrupted("Interrupted before training began; nothing was written.")

    monkeypatch.setattr(sweep, "run", lambda *_: compared(tmp_path))
    monkeypatch.setattr(sweep_report, "write", interrupted)
    with pytest.raises(Interrupted, match="All trainings are done and kept in"):
        train._sweep(sweep_options.arguments().parse_args(["--data", "x"]), [], Crowd())


PADDLES = "C++ Traceback\n----\nError Message Summary:\n----\nInvalidArgumentError: no.\n  [Hint]"


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (MemoryError(), "MemoryError. More is in"),
        (ValueError(PADDLES), "ValueError: InvalidArgumentError: no. More is in"),
    ],
)
def test_a_setting_that_breaks_off_is_noted_as_failed_and_the_others_go_on(
    error: Exception, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = datasets.read(shapes.folders(tmp_path / "set", 4))
    (setting,) = grid("--faces", "no", "--network", "1x32")
    made, cut = sweep._recipe(setting, dataset, False)
    held = sweep._read(dataset, [(made, cut)], Console(io.StringIO(), live=False))
    work = sweep.Work(tmp_path / "sweep", held, Console(io.StringIO(), live=False), 1)
    trial = work.trial(0, 1, made, cut, np.arange(12), np.array([], int))

    def breaks(*_: object) -> dict[str, object]:
        raise error

    monkeypatch.setitem(sweep_trials._HELD, cut, held[cut])
    monkeypatch.setattr(sweep_trials, "_trained", breaks)
    sweep_trials._work(trial)
    kept = trial.kept()
    assert kept is not None and kept["error"].startswith(says)
    assert "Traceback" in (trial.folder / "log.txt").read_text()
    for ours in (DiskError("No room."), OSError(28, "No space left on device")):
        error = ours
        with pytest.raises(type(ours)):  # no fault of the setting
            sweep_trials._work(replace(trial, folder=tmp_path / type(ours).__name__))


def command(*words: object) -> list[str]:
    return [sys.executable, str(PROJECT / "train.py"), "sweep", *map(str, words)]


def test_a_sweep_that_was_killed_and_interrupted_goes_on_and_repeats_nothing(
    tmp_path: Path,
) -> None:
    data = shapes.folders(tmp_path / "set", 10)
    words = ("--data", data, "--faces", "no", "--network", "1x32", "2x32 1x16", "--width", "4",
             "--epochs", amount(3, 12), "--batch-size", "16", "--repeats", "2", "--jobs", "2",
             "--runs", tmp_path / "runs")  # fmt: skip
    folder = tmp_path / "runs" / "set-sweep"
    done: dict[Path, int] = {}
    for number in (signal.SIGKILL, signal.SIGINT):
        with subprocess.Popen(
            command(*words), cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            said = ""
            for line in process.stderr:
                said += line
                if re.match(r"\[\d/4\]", line):
                    process.send_signal(number)
                    break
            said += process.stderr.read()
            process.wait(60)
        assert "Traceback" not in said, said
        if number == signal.SIGINT:
            assert process.returncode in (0, 130), said
            if process.returncode == 130:
                assert "the same command goes on" in said
        time.sleep(0.5)  # processes whose parent was killed see it and end
        for file in folder.glob("trials/*/steps/trial.json"):
            done.setdefault(file, file.stat().st_mtime_ns)
            assert done[file] == file.stat().st_mtime_ns
    last = subprocess.run(
        command(*words, "--json"), cwd=tmp_path, text=True, capture_output=True, timeout=120
    )
    assert last.returncode == 0, last.stderr
    assert f"{len(done)} of 4 trainings are done already" in last.stderr or len(done) > 4
    for file, moment in done.items():
        assert file.stat().st_mtime_ns == moment  # done once
    told = json.loads(last.stdout)
    assert [len(row["trainings"]) for row in told["rows"]] == [2, 2]
    best = told["rows"][0]["val_accuracy"]["mean"]
    assert best >= told["rows"][1]["val_accuracy"]["mean"]
    assert len(told["held_out_of_the_chosen"]) == 2
    assert (
        f"--network {told['chosen']['setting']['network']!r}".replace("'1x32'", "1x32")
        in (told["chosen"]["command"])
    )
    said = io.StringIO()
    options = sweep_options.arguments().parse_args([str(word) for word in words])
    again = sweep.as_dict(sweep.run(options, Console(said, live=False), PARAMS))
    assert json.loads(json.dumps(again)) == told  # figures that are read, and not made again
    assert not re.search(r"^\[", said.getvalue(), re.M)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--network", "3x64 3x30"), "30 is not half of 64"),
        (("--augment", "none", "spin"), "does not know 'spin'"),
        (("--repeats", "0"), "--repeats must lie"),
    ],
)
def test_wrong_options_are_told_before_anything_is_trained(
    words: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    data = shapes.folders(tmp_path / "set", 3)
    options = sweep_options.arguments().parse_args(
        ["--data", str(data), "--runs", str(tmp_path / "runs"), "--faces", "no", *words]
    )
    with pytest.raises(UsageError, match=says):
        sweep.run(options, None, PARAMS)  # type: ignore[arg-type]
    assert not (tmp_path / "runs").exists()
