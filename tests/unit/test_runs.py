"""A run folder keeps what is finished, resumes only what is the same, and forgives a torn file."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from models.errors import DiskError, UsageError
from models.runs import Run
from tests.conftest import PROJECT
from tests.disks import nearly_full

SETTINGS = {"seed": 1, "size": (1, 2)}


def test_finished_steps_are_there_after_a_restart(tmp_path: Path) -> None:
    Run(tmp_path / "r", SETTINGS, False).finish("loso/AA", {"probabilities": [[0.5, 0.5]]})
    again = Run(tmp_path / "r", SETTINGS, True)
    assert again.done("loso/AA") == {"probabilities": [[0.5, 0.5]]}
    assert again.done("loso/BB") is None


def test_a_checkpoint_comes_back_and_goes_when_the_step_is_done(tmp_path: Path) -> None:
    run = Run(tmp_path / "r", SETTINGS, False)
    values = np.arange(6, dtype=np.float32).reshape(2, 3).T  # not contiguous
    run.save("fit", {"model/w": values}, {"epoch": 3})
    arrays, state = Run(tmp_path / "r", SETTINGS, True).restore("fit")
    assert np.array_equal(arrays["model/w"], values)
    assert state == {"epoch": 3}
    run.finish("fit", {})
    assert run.restore("fit") is None


def test_a_finished_fold_drops_the_checkpoints_of_its_fits_and_no_others(tmp_path: Path) -> None:
    run = Run(tmp_path / "r", SETTINGS, False)
    for key in ("loso/A/choose", "loso/A/fit", "loso/AB/choose"):
        run.save(key, {"w": np.ones(1, np.float32)}, {})
    run.finish("loso/A", {})
    assert run.restore("loso/A/choose") is None
    assert run.restore("loso/AB/choose") is not None


def test_a_torn_checkpoint_means_starting_that_step_over(tmp_path: Path) -> None:
    run = Run(tmp_path / "r", SETTINGS, False)
    run.save("fit", {"w": np.ones(100, np.float32)}, {})
    (file,) = (tmp_path / "r" / "steps").glob("*.checkpoint")
    file.write_bytes(file.read_bytes()[:50])
    assert run.restore("fit") is None


def test_starting_over_forgets_the_old_run(tmp_path: Path) -> None:
    Run(tmp_path / "r", SETTINGS, False).finish("a", {})
    assert Run(tmp_path / "r", SETTINGS, False).done("a") is None


def test_starting_over_that_was_killed_leaves_no_old_step_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(folder: Path, **_: object) -> None:
        (folder / "settings.json").unlink()
        raise KeyboardInterrupt

    Run(tmp_path / "r", SETTINGS, False).finish("a", {})
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(shutil, "rmtree", killed)
        Run(tmp_path / "r", {"seed": 2}, False)
    assert Run(tmp_path / "r", {"seed": 2}, False).done("a") is None
    assert {path.name for path in tmp_path.iterdir()} == {"r", ".r.lock"}


def test_steps_without_their_settings_are_void_and_other_folders_stay(tmp_path: Path) -> None:
    Run(tmp_path / "r", SETTINGS, False).finish("a", {})
    (tmp_path / "r" / "settings.json").unlink()
    assert Run(tmp_path / "r", {"seed": 2}, False).done("a") is None
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("kept")
    Run(tmp_path / "mine", SETTINGS, False)
    assert (tmp_path / "mine" / "notes.txt").read_text() == "kept"


def test_a_run_with_other_settings_is_not_resumed(tmp_path: Path) -> None:
    Run(tmp_path / "r", SETTINGS, False)
    with pytest.raises(UsageError, match=r"other settings \(seed\)"):
        Run(tmp_path / "r", {**SETTINGS, "seed": 2}, True)


def test_nothing_to_resume_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run to resume"):
        Run(tmp_path / "r", SETTINGS, True)
    assert not (tmp_path / "r").exists()


def test_a_second_process_in_the_folder_of_a_run_is_refused(tmp_path: Path) -> None:
    run = Run(tmp_path / "r", SETTINGS, False)
    run.finish("a", {"kept": 1})
    program = (
        "import sys; from pathlib import Path; from models.errors import UsageError\n"
        "from models.runs import Run\n"
        "try: Run(Path(sys.argv[1]), {'seed': 2}, sys.argv[2] == 'resume')\n"
        "except UsageError as error: print(error)"
    )

    def other(how: str) -> str:
        words = [sys.executable, "-c", program, str(tmp_path / "r"), how]
        return subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=True).stdout

    for how in ("anew", "resume"):
        assert "Another training is at work" in other(how)
    assert run.done("a") == {"kept": 1}
    del run
    assert other("anew") == ""  # the lock goes with the run
    assert Run(tmp_path / "r", {"seed": 2}, True).done("a") is None


def test_a_full_disk_is_told_and_costs_nothing_that_was_kept(tmp_path: Path) -> None:
    run = Run(tmp_path / "r", SETTINGS, False)
    run.save("fit", {"w": np.ones(1, np.float32)}, {"epoch": 1})
    with nearly_full(4096):
        with pytest.raises(DiskError, match=r"cannot be written .* Make room on its disk"):
            run.save("fit", {"w": np.ones(10_000, np.float32)}, {"epoch": 2})
        with pytest.raises(DiskError, match="Make room on its disk"):
            run.finish("fit", {"long": "x" * 10_000})
    kept = run.restore("fit")
    assert kept is not None and kept[1] == {"epoch": 1}
    assert not list(tmp_path.rglob("*.new"))
