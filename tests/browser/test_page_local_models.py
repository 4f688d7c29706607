"""The page without a server, made with other models than the one in the box."""

import json
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.local.__main__ import main
from models.predictor import Prediction, Predictor
from tests.browser.static_host import serve
from tests.browser.test_page_local import near
from tests.bundles import untrained
from tests.conftest import ready_service
from tests.guests import LABELS, made
from tests.pictures import two_faces


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


def test_an_average_is_the_services_own(browser: Any, example: Path, tmp_path: Path) -> None:
    """Of two networks that read the same faces; of all of them, and cut to the best two."""
    params = tmp_path / "params"
    made(params / "one", faces=True, version="1")
    made(params / "two", LABELS[3:] + LABELS[:3], faces=True, version="2")
    site = tmp_path / "site"
    assert main(["--model", "one,two", "--params", str(params), "--out", str(site)]) == 0
    picture = two_faces(example.read_bytes())
    asked = [{"faces": "all"}, {"faces": "whole", "top": 2}]
    (tmp_path / "two.jpg").write_bytes(picture)
    (site / "two.jpg").write_bytes(picture)
    for host in serve(site):
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.goto(host.url)
        page.wait_for_selector("#service[data-state=ready]")
        page.get_by_label("Model", exact=True).select_option("average")
        page.set_input_files("#chooser", tmp_path / "two.jpg")
        page.wait_for_selector(".card[data-state=done]")
        assert page.locator(".box").count() == 2
        ours, problem = page.evaluate(
            """async (asked) => {
              const { classifyFrame } = await import('./js/api.js');
              const frame = await (await fetch('two.jpg')).blob();
              const { signal } = new AbortController();
              const ask = (options) => classifyFrame(frame, options, signal);
              const told = asked.map((options) => ask({ model: 'average:one,two', ...options }));
              const twice = ask({ model: 'average:one,one' }).catch(({ code }) => code);
              return [await Promise.all(told), await twice];
            }""",
            asked,
        )
        page.close()
    assert problem == "not_averageable"
    with ready_service(params=params, model="one", predictors=1) as running:
        for mine, options in zip(ours, asked, strict=True):
            query = "&".join(f"{name}={value}" for name, value in options.items())
            request = urllib.request.Request(
                f"{running.url}/classify?model=average:one,two&{query}",
                data=picture,
                headers={"Content-Type": "image/jpeg"},
            )
            with urllib.request.urlopen(request, timeout=60) as response:
                theirs = json.load(response)
            near(mine, theirs)
            assert mine["model"] == theirs["model"]
            assert list(mine["results"][0]["probabilities"]) == list(
                theirs["results"][0]["probabilities"]
            )
