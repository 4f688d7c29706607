"""The page's modules: types that hold, small functions that answer right, nothing inline."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
WEB = HERE.parents[1] / "web"
TYPESCRIPT = "typescript@5.9.3"


def test_types_hold(npx: str) -> None:
    """`tsc --checkJs`, strict, over the JSDoc types. npx fetches the compiler the first time."""
    command = [npx, "--yes", "--package", TYPESCRIPT, "tsc", "--project", HERE / "tsconfig.json"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if "npm error" in run.stderr:
        pytest.skip(f"{TYPESCRIPT} could not be fetched: {run.stderr.strip()[-200:]}")
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("name", ["index.html", "local.html"])
def test_no_script_style_or_handler_is_inline(name: str) -> None:
    html = (WEB / name).read_text()
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", html)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", html))


def test_nothing_comes_from_elsewhere() -> None:
    for path in WEB.rglob("*"):
        if path.suffix in (".html", ".css", ".js"):
            text = (
                path.read_text().replace("http://www.w3.org/", "").replace("http://127.0.0.1", "")
            )
            assert not re.search(r"https?://\w|@import ['\"u]|innerHTML", text), path.name


@pytest.mark.parametrize(
    ("module", "call", "expected"),
    [
        ("words", "percent(0.936)", "94 %"),
        ("words", "percent(0.999)", ">99 %"),  # never "100 %" for what is not certain
        ("words", "percent(0.001)", "<1 %"),
        ("words", "percent(1)", "100 %"),
        ("words", "percent(0)", "0 %"),
        ("words", "milliseconds(4.44)", "4.4 ms"),
        ("words", "milliseconds(44.4)", "44 ms"),
        ("words", "count(1, 'second')", "1 second"),
        ("words", "count(8, 'picture')", "8 pictures"),
        ("api", "retryAfterSeconds('3')", 3),
        ("api", "retryAfterSeconds('Sat, 01 Jan 2000 00:00:05 GMT', Date.UTC(2000, 0, 1))", 5),
        ("api", "retryAfterSeconds('soon')", None),
        ("api", "retryAfterSeconds(null)", None),
        ("key", "sendable(' abc\\t\\u00e9-1\\n')", "abc-1"),
        ("live-loop", "waitFor({retryAfterS: 3}, 1)", 3),
        ("live-loop", "waitFor({retryAfterS: null}, 3)", 4),
        ("live-loop", "waitFor({retryAfterS: 600}, 1)", 10),
        ("live-loop", "waitFor({retryAfterS: 0}, 1)", 0.5),
        ("why", "lowerHalf([[0.25], [-0.25], [0.25, 0.25]])", 2 / 3),
        ("why", "lowerHalf([[0], [1], [0]])", 0.5),  # the middle row lies in both
        ("why", "lowerHalf([[-1]])", None),
        ("why", "why(undefined)", ""),
        (
            "why",
            "why({label: 'a_b', map: [[0.75], [0.25], [-0.15], [0]]}, 'picture')",
            "What spoke for a b lies mostly in the upper half of the picture (100 %).",
        ),
        (
            "why",
            "why({label: 'joy', map: [[0.2], [0.8]]})",
            "What spoke for joy lies mostly in the lower half of the face (80 %).",
        ),
        (
            "why",
            "why({label: 'joy', map: [[0.3], [0.4], [0.3]]})",
            "What spoke for joy lies in both halves of the face.",
        ),
        (
            "why",
            "why({label: 'joy', map: [[-1]]})",
            "No part of the face spoke for joy more than for the others.",
        ),
        ("why", "explanations({faces: [], explanation: 3})", [3]),
        ("why", "explanations({faces: [{}, {explanation: 1}], explanation: 3})", [1]),
        ("why", "explanations(undefined)", []),
        ("intake", "firstEight([1, 2, 3]).taken", [1, 2, 3]),
        (
            "address",
            "parse('#things?model=imagenet:a&beside=emotion')",
            {"kind": "things", "model": "imagenet:a", "beside": "emotion"},
        ),
        ("address", "parse('#smile')", {"kind": "smile", "model": None, "beside": None}),
        ("address", "parse('#stage')", None),  # a place on the page
        ("address", "parse('#constructor')", None),
        (
            "address",
            "format({kind: 'own', model: 'average:a,b', beside: 'c d&e'})",
            "#own?model=average:a,b&beside=c%20d%26e",
        ),
        ("average", "short('average:imagenet:a,imagenet:b')", "average of a, b"),
        (
            "average",
            "average(['a', 'x'], [{name: 'imagenet:a', labels: ['1', '2'], faces: false},"
            " {name: 'x', labels: ['2', '1'], faces: false}])?.name",
            "average:imagenet:a,x",
        ),
        (
            "average",
            "average(['a', 'b'], [{name: 'a', labels: ['1']}, {name: 'b', labels: ['2']}])",
            None,
        ),
        ("links", "addressesIn(' https://a.b/c\\nhttps://d.e/ ', 'https').addresses.length", 2),
        ("links", "addressesIn('http://a.b/', 'http').problem", ""),
        (
            "links",
            "addressesIn('http://a.b/', 'https').problem",
            "“http://a.b/” is no address that is taken: it must begin with https://.",
        ),
        ("intake", "firstEight([1, 2, 3, 4, 5, 6, 7, 8, 9]).taken", [1, 2, 3, 4, 5, 6, 7, 8]),
        (
            "about",
            "facts({name: 'emotion', version: '1', network: 'face', input_size: 96, labels: ['a'], "
            "protocol: {name: 'loso'}, metrics: {accuracy: 0.6123, images: 213}, licence: ''})"
            ".map(([, text]) => text).slice(3)",
            [
                "people it had not seen: each person was left out once (loso)",
                "in 61.2 % of 213 pictures",
            ],
        ),
        (
            "about",
            "facts({name: 'imagenet:a', version: '1', network: 'a', input_size: 224, labels: ['a'],"
            " protocol: {name: 'published'}, metrics: {}, licence: '', trained_on: {published: "
            "{top1: 0.7188, top5: 0.9029, by: 'them'}}}).map(([, text]) => text).slice(3)",
            [
                "pictures of those who published it (published)",
                "in 71.9 % of the pictures, and among its first five in 90.3 %, by them; "
                "not measured here",
            ],
        ),
        (
            "about",
            "facts({name: 'a', version: '1', network: 'a', input_size: 96, labels: ['a'], protocol:"
            " {name: 'none'}, metrics: {}, licence: '', trained_on: {}}).map(([, text]) => text)"
            ".slice(3)",
            ["nobody yet", "not measured"],
        ),
    ],
)
def test_small_functions(plain_page: Any, module: str, call: str, expected: Any) -> None:
    name = call.split("(")[0]
    code = f"async () => {{ const {{ {name} }} = await import('/js/{module}.js'); return {call}; }}"
    assert plain_page.evaluate(code) == expected


@pytest.fixture(scope="module")
def plain_page(browser: Any, service_url: str) -> Any:
    page = browser.new_page()
    page.goto(service_url)
    return page
