"""python -m bench.precision: both answer the same images, and it says where it cannot."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench import precision

CPUINFO = "processor\t: 0\nflags\t\t: fpu sse2 avx512f{}\nbugs\t\t:\n"


@pytest.mark.parametrize(
    ("more", "able"), [(" avx512_bf16", True), (" amx_bf16 amx_tile", True), (" amx_tile", False)]
)
def test_the_processors_flags_say_whether_it_can(more: str, able: bool, tmp_path: Path) -> None:
    told = tmp_path / "cpuinfo"
    told.write_text(CPUINFO.format(more))

    assert precision.able(told) is able


def test_a_machine_that_tells_no_flags_cannot(tmp_path: Path) -> None:
    assert not precision.able(tmp_path / "cpuinfo")


def test_another_processor_is_told_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(precision, "able", lambda: False)

    assert precision.main(["--data", str(tmp_path)]) == 1
    assert "no bfloat16" in capsys.readouterr().err


@pytest.mark.skipif(not precision.able(), reason="This processor has no bfloat16.")
def test_both_precisions_are_asked_about_the_test_part(
    tmp_path: Path, face_jpeg: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0)
    for part, count in (("train", 2), ("test", 5)):
        for label in ("happiness", "anger"):
            folder = tmp_path / part / label
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = noise.integers(0, 256, (64, 64, 3), np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    (tmp_path / "test" / "happiness" / "face.jpg").write_bytes(face_jpeg)

    assert precision.main(["--data", str(tmp_path), "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert told["images"] == 11, (
        "five and six of the test part; a batch that is not full counts once"
    )
    assert 0 < told["largest_difference"] < 0.5, "they are not the same computation"
    assert all(0 < share < 1 for share in told["accuracy"].values())
    assert set(told["ms"]) == {"float32", "bfloat16"}


@pytest.mark.skipif(not precision.able(), reason="This processor has no bfloat16.")
def test_a_folder_without_images_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert precision.main(["--data", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err


@pytest.mark.skipif(not precision.able(), reason="This processor has no bfloat16.")
def test_images_that_cannot_be_read_are_told_and_not_divided_by(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for label in ("happiness", "anger"):
        (tmp_path / label).mkdir()
        for number in range(2):
            (tmp_path / label / f"{number}.png").write_bytes(b"no image")

    assert precision.main(["--data", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "0.png" in said and "no image that can be read" in said
