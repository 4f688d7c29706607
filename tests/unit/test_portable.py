"""A model as an ONNX file: the same answers, all that its user must know, or no file at all."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from models import bundle, faces, images, portable
from models.export_command import main
from models.predictor import Predictor
from tests.amount import soak_only
from tests.bundles import untrained
from tests.conftest import PROJECT

EMOTION = PROJECT / "params" / "emotion"
EXAMPLE = PROJECT / "web" / "example.jpg"


@pytest.fixture(scope="module")
def emotion(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """What the command says, and its file."""
    out = tmp_path_factory.mktemp("onnx") / "deep" / "emotion.onnx"
    command = [sys.executable, "-m", "models.export", "--model=emotion", "--format=onnx", "--json"]
    done = subprocess.run(
        [*command, "--out", str(out)], cwd=PROJECT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), out


def test_the_command_tells_what_it_wrote_and_how_near_it_is(
    emotion: tuple[dict[str, Any], Path],
) -> None:
    told, out = emotion
    assert told["path"] == str(out) and told["size"] == out.stat().st_size
    assert told["model"] == "emotion" and told["pictures"] == 8
    assert 0 < told["probabilities"] <= 1e-4 and 0 < told["evidence"] <= 1e-4
    assert [path.name for path in out.parent.iterdir()] == ["emotion.onnx"], "nothing is left over"


def test_the_file_answers_as_the_served_model_does(emotion: tuple[dict[str, Any], Path]) -> None:
    """Faces nobody chose for the command's own check; one by one and three at once."""
    manifest = bundle.read_manifest(EMOTION)
    picture = images.read(EXAMPLE)
    (face,) = faces.detector().detect(picture)
    other = np.random.default_rng(5).integers(0, 256, (96, 96, 3), np.uint8)
    crops = [
        faces.crop(turned, face, manifest.faces, manifest.input.size)
        for turned in (picture, picture[:, ::-1], 255 - picture)
    ] + [other]
    ours = Predictor(bundle.load(EMOTION)).probabilities(crops)
    session = portable.session(emotion[1])
    together = session.run(["probabilities"], {"image": manifest.input.tensor(crops)})[0]
    singly = [
        session.run(["probabilities"], {"image": manifest.input.tensor([crop])})[0][0]
        for crop in crops
    ]
    assert np.abs(together - ours).max() <= 1e-4
    assert np.abs(np.stack(singly) - ours).max() <= 1e-4
    assert manifest.labels[int(ours[0].argmax())] == "happiness"


def test_the_file_says_what_it_takes_what_it_knows_and_under_which_terms(
    emotion: tuple[dict[str, Any], Path],
) -> None:
    manifest = bundle.read_manifest(EMOTION)
    model = onnx.load(str(emotion[1]))
    told = {entry.key: entry.value for entry in model.metadata_props}
    assert tuple(json.loads(told["labels"])) == manifest.labels
    assert json.loads(told["input"])["mean"] == list(manifest.input.mean)
    assert json.loads(told["faces"])["span"] == manifest.faces.span
    assert told["licence"] == manifest.licence and told["version"] == manifest.version
    shapes = {
        end.name: [place.dim_param or place.dim_value for place in end.type.tensor_type.shape.dim]
        for end in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {
        "image": ["N", 3, 96, 96],
        "probabilities": ["N", 7],
        "evidence": ["N", 7, 6, 6],
    }


def test_the_smile_model_too(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "smile.onnx"
    assert main(["--model=smile", "--format=onnx", "--out", str(out)]) == 0
    assert f"{out}: " in capfd.readouterr().out
    smile = Predictor(bundle.load(PROJECT / "params" / "smile"))
    picture = images.read(EXAMPLE)
    (face,) = faces.detector().detect(picture)
    spec = smile.bundle.manifest
    crop = faces.crop(picture, face, spec.faces, spec.input.size)
    told = portable.session(out).run(["probabilities"], {"image": spec.input.tensor([crop])})[0]
    assert np.abs(told - smile.probabilities([crop])).max() <= 1e-4
    assert spec.labels[int(told[0].argmax())] == "smile"


@pytest.mark.parametrize(
    ("network", "explains"),
    [("face_cnn", True), pytest.param("PPLCNet_x0_25", False, marks=soak_only)],
)
def test_classes_of_ones_own(
    network: str, explains: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Grey input, whole pictures, words in another script; a PaddleClas trunk explains nothing."""
    source = untrained(tmp_path / "mugs", 1, network, grey=explains)
    assert source.manifest.explains is explains
    out = tmp_path / "mugs.onnx"
    status = main(["--model", str(source.path), "--format=onnx", "--out", str(out), "--json"])
    assert status == 0
    told = json.loads(capfd.readouterr().out)
    assert told["probabilities"] <= 1e-4 and (told["evidence"] is not None) is explains
    model = onnx.load(str(out))
    labels = {entry.key: entry.value for entry in model.metadata_props}["labels"]
    assert json.loads(labels) == ["mug", "schüssel", "cup with handle"]


def test_a_file_that_answers_otherwise_never_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The converter is right; so it is handed another network of the same shape."""
    asked, other = (untrained(tmp_path / str(seed), seed) for seed in (1, 2))
    wrong = portable.converted(other)
    monkeypatch.setattr(portable, "converted", lambda bundle: wrong)
    out = tmp_path / "out" / "net.onnx"
    out.parent.mkdir()
    out.write_text("what was there before")
    with pytest.raises(
        portable.PortableError, match=r"differ from Paddle's by .* in a probability"
    ):
        portable.write(asked, out, EXAMPLE)
    assert out.read_text() == "what was there before"
    assert [path.name for path in out.parent.iterdir()] == ["net.onnx"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model", "nobody"], "There is no model 'nobody'"),
        (["--model", "face"], "has no network to serve"),
        (["--model", "emotion", "--photograph", "README.md"], "not an image"),
        (["--model", "emotion", "--out", "README.md/net.onnx"], "README.md"),
    ],
)
def test_what_cannot_be_written_is_a_sentence(
    options: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["--format=onnx", *options]) == 2
    told = capfd.readouterr()
    assert told.out == "" and said in told.err and "Traceback" not in told.err
    assert len(told.err.strip().splitlines()) == 1


def test_without_the_packages_it_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "paddle2onnx", None)
    assert main(["--format=onnx", "--model", "emotion"]) == 2
    assert "make onnx" in capfd.readouterr().err
