"""The page without a server, made with other models than the one in the box."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.local.__main__ import main
from models.predictor import Prediction, Predictor
from tests.browser.static_host import serve
from tests.bundles import untrained


def test_several_models_and_classes_of_ones_own(
    browser: Any, example: Path, tmp_path: Path
) -> None:
    """Whole pictures, grey and in colour: each model gets its own input of the same frame.
    With many labels only the likeliest is explained."""
    params = tmp_path / "params"
    sources = [
        untrained(params / "mugs", 1),
        untrained(params / "family" / "cups", 2, size=64, grey=False, labels=70, centre=0.8),
    ]
    site = tmp_path / "site"
    options = [
        "--model",
        "mugs,family:cups",
        "--params",
        str(params),
        "--out",
        str(site),
    ]
    assert main(options) == 0
    still = example.read_bytes()
    for host in serve(site):
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.goto(host.url)
        page.wait_for_selector("#service[data-state=ready]")
        answers = page.evaluate(
            """async (models) => {
              const { classifyFrame } = await import('./js/api.js');
              const frame = await (await fetch('example.jpg')).blob();
              const { signal } = new AbortController();
              const ask = (model) => classifyFrame(frame, { model, top: 2, explain: true }, signal);
              return Promise.all(models.map(ask));
            }""",
            ["mugs", "family:cups"],
        )
        page.close()
    for source, answer in zip(sources, answers, strict=True):
        told = Predictor(source).classify([still], explain=True)[0]
        assert isinstance(told, Prediction) and told.probabilities is not None
        result = answer["results"][0]
        assert answer["model"].endswith(source.manifest.name) and result["faces"] == []
        ranked = sorted(zip(told.probabilities, source.manifest.labels, strict=True), reverse=True)
        assert list(result["probabilities"]) == [label for _, label in ranked[:2]]
        assert result["probability"] == pytest.approx(ranked[0][0], abs=0.001)
        shares = np.array(result["explanation"]["map"])
        assert shares == pytest.approx(told.explanations[0].map, abs=0.005)
        corners = np.array(result["explanation"]["corners"])
        assert corners == pytest.approx(told.explanations[0].corners, abs=0.1)
    assert answers[0]["timings_ms"]["decode"] == answers[1]["timings_ms"]["decode"], "decoded once"
