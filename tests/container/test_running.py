"""The image as it is meant to run: locked down, without a way out, answering."""

import json

import pytest

from tests.container.engine import PROJECT, Container, Engine

pytestmark = pytest.mark.container

PICTURE = PROJECT / "web" / "example.jpg"


def same(one: dict, other: dict) -> None:
    assert one["label"] == other["label"] is not None
    assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-3)


def test_it_turns_ready_and_then_healthy(engine: Engine, figures):
    container = engine.start()
    figures["start to ready, s"] = container.wait_ready()
    container.wait_healthy()
    assert container.state["Health"]["Log"][-1]["Output"].strip() == "ready"


def test_a_picture_gets_the_answer_it_gets_outside(
    running: Container, engine: Engine, ask_here, figures, tmp_path
):
    answers = [running.classify(PICTURE.read_bytes()) for _ in range(30)]
    assert [answer["status"] for answer in answers] == [200] * 30
    bundle = engine.copy_out("/srv/hyojo/params/emotion", tmp_path / "emotion")
    same(answers[0]["results"][0], ask_here(PICTURE, str(bundle)))
    assert answers[0]["label"] == answers[0]["results"][0]["label"]
    last = answers[-20:]
    for stage in ("queue", "decode", "detect", "classify", "total"):
        figures[f"one picture, {stage}, ms (median)"] = sorted(
            answer["timings_ms"][stage] for answer in last
        )[10]


def test_page_models_and_metrics_answer(running: Container):
    status, page = running.get("/")
    assert status == 200 and b"<html" in page.lower()
    models = json.loads(running.get("/models")[1])
    assert models["default"] == "emotion"
    assert [model["name"] for model in models["models"]] == ["emotion", "smile"]
    assert [model["error"] for model in models["models"]] == [None, None]
    for path in ("/livez", "/readyz", "/metrics", "/openapi.json", "/docs", "/example.jpg"):
        assert running.get(path)[0] == 200, path


def test_no_picture_is_a_polite_no(running: Container):
    answer = running.classify(b"this is no picture")
    assert (answer["status"], answer["code"]) == (415, "unsupported_image")
    assert running.get("/readyz")[0] == 200


def test_nothing_in_it_has_any_privilege(running: Container):
    script = "grep -hE '^(Uid|CapEff|CapPrm|CapBnd|NoNewPrivs|Seccomp):' /proc/[0-9]*/status"
    lines = {tuple(line.split()) for line in running.execute("sh", "-c", script).splitlines()}
    nothing = "0" * 16
    assert lines == {
        ("Uid:", *["10001"] * 4),
        *((name, nothing) for name in ("CapEff:", "CapPrm:", "CapBnd:")),
        ("NoNewPrivs:", "1"),
        ("Seccomp:", "2"),
    }


def test_its_file_system_is_read_only(running: Container):
    for path in ("/srv/hyojo/x", "/opt/hyojo/x", "/run/hyojo/x", "/x"):
        said = running.execute("sh", "-c", f"touch {path} 2>&1", check=False)
        assert "Read-only file system" in said, path


def test_its_log_says_ready_once_and_holds_no_traceback(running: Container):
    said = running.logs
    assert said.count("Hyojo is ready: open http") == 1
    assert "Traceback" not in said and "Warning" not in said


def test_it_stays_small(running: Container, figures):
    for _ in range(20):
        running.classify(PICTURE.read_bytes())
    script = (
        "import pathlib, re\n"
        "for d in pathlib.Path('/proc').glob('[0-9]*'):\n"
        "    args = (d / 'cmdline').read_bytes().replace(b'\\0', b' ').decode()\n"
        "    found = re.search(r'Pss:\\s+(\\d+)', (d / 'smaps_rollup').read_text())\n"
        "    if found and 'pathlib' not in args: print(found[1], args)\n"
    )
    shares = [line.split(" ", 1) for line in running.execute("python", "-c", script).splitlines()]
    gateway = sum(int(kib) for kib, args in shares if "gunicorn" in args)
    everything = sum(int(kib) for kib, _ in shares)
    figures["memory, gateway, MB (proportional)"] = gateway / 1024
    figures["memory, everything, MB (proportional)"] = everything / 1024
    assert gateway / 1024 < 150
    assert everything / 1024 < 1500


@pytest.mark.parametrize("network", ["face_cnn", "MobileNetV3_small_x1_0", "ResNet18"])
def test_other_networks_answer_as_outside_without_any_network(
    network, engine: Engine, ask_here, untrained, tmp_path
):
    """What was left out of the image is missed by none of them."""
    tmp_path.chmod(0o755)
    untrained(network, tmp_path / "some")
    options = ("-v", f"{tmp_path}:/models:ro")
    said = engine.once(
        *("python", "infer.py", "--json", "--model", "/models/some", "web/example.jpg"),
        options=options,
    )
    inside = json.loads(next(line for line in said.splitlines() if line.startswith("{")))
    same(inside, ask_here(PICTURE, str(tmp_path / "some")))
