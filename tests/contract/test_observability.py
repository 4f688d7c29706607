"""What an operator sees: request ids, Server-Timing, metrics, log lines."""

import io
import json
import os
import re
import signal
import time

import requests
from PIL import Image, PngImagePlugin
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import Launcher, children, is_ready, predictors
from tests.contract.conftest import Api, without_times

STAGES = ["queue", "decode", "detect", "classify", "total"]


def figures(api: Api) -> dict[str, float]:
    """All samples of /metrics by name and labels."""
    answer = api("GET", "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(answer.text)
    return {f"{s.name}{sorted(s.labels.items())}": s.value for f in families for s in f.samples}


def test_a_request_id_is_taken_and_given_back(api: Api, face_jpeg: bytes) -> None:
    headers = {"X-Request-Id": "my.own-id_7", "Content-Type": "image/jpeg"}
    answer = api("POST", "/classify", data=face_jpeg, headers=headers)
    assert answer.headers["X-Request-Id"] == answer.json()["request_id"] == "my.own-id_7"


def test_an_unfit_request_id_is_replaced(api: Api) -> None:
    for unfit in ("x" * 65, "a b", "<script>", "é".encode().decode("latin-1")):
        given = api("GET", "/livez", headers={"X-Request-Id": unfit}).headers["X-Request-Id"]
        assert re.fullmatch(r"[0-9a-f]{16}", given)


def test_server_timing_says_where_the_time_went(api: Api, face_jpeg: bytes) -> None:
    answer = api.form(face_jpeg)
    pairs = re.findall(r"(\w+);dur=([\d.]+)", answer.headers["Server-Timing"])
    assert [name for name, _ in pairs] == STAGES
    timings = answer.json()["timings_ms"]
    assert list(timings) == STAGES
    assert timings["total"] >= timings["decode"] > 0
    for name, shown in pairs:
        assert abs(float(shown) - timings[name]) <= 0.01


def test_metrics_count_requests_codes_images_and_stages(api: Api, face_jpeg: bytes) -> None:
    before = figures(api)
    api.form(face_jpeg, b"bad", face_jpeg)
    api.form(b"bad")
    after = figures(api)

    def gained(name: str) -> float:
        return after.get(name, 0) - before.get(name, 0)

    classify = "[('method', 'POST'), ('route', '/classify'), ('status', '%d')]"
    assert gained("hyojo_requests_total" + classify % 200) == 1
    assert gained("hyojo_requests_total" + classify % 415) == 1
    assert gained("hyojo_images_total[]") == 4
    assert gained("hyojo_image_problems_total[('code', 'unsupported_image')]") == 2
    assert gained("hyojo_problems_total[('code', 'unsupported_image')]") == 1
    assert gained("hyojo_stage_seconds_count[('stage', 'total')]") == 2
    assert gained("hyojo_request_seconds_count[('route', '/classify')]") == 2
    assert gained("hyojo_worker_events_total[('event', 'images')]") == 4
    assert after["hyojo_worker_up[]"] == after["hyojo_worker_ready[]"] == 1
    assert after["hyojo_worker_queue_limit[]"] == 64
    assert after["process_resident_memory_bytes[]"] > 0


def test_unknown_addresses_and_methods_do_not_make_new_series(api: Api) -> None:
    api("GET", "/nothing-1")
    api("MADE1", "/nothing-1")
    figures(api)  # which is asked for by its own route
    before = figures(api).keys()
    for number in range(2, 7):
        api("GET", f"/nothing-{number}")
        api(f"MADE{number}", f"/nothing-{number}")
    assert figures(api).keys() == before


def test_every_line_is_json_and_a_requests_line_has_its_sizes_and_times(
    launch: Launcher, face_jpeg: bytes
) -> None:
    """From the start to the end, with errors and the loss of a predictor between."""
    service = launch("-m", "service", log_format="json")
    service.wait_for(lambda: is_ready(service.url), "readiness", 60)
    with requests.Session() as session:
        api = Api(service.url, session)
        kind = {"Content-Type": "image/jpeg"}
        headers = {**kind, "X-Request-Id": "good"}
        good = api("POST", "/classify", data=face_jpeg, headers=headers)
        headers = {**kind, "X-Request-Id": "bad"}
        bad = api("POST", "/classify", data=b"no image", headers=headers)
        api("GET", "/nothing", headers={"X-Request-Id": "nothing"})
        worker, _ = children(service.process.pid)
        os.kill(predictors(worker)[0], signal.SIGKILL)
        service.wait_for(lambda: "predictor lost" in service.log, "the loss in the log")
    assert service.stop() == 0
    lines = [json.loads(line) for line in service.log.splitlines()]
    for line in lines:
        assert {"event", "level", "timestamp", "role"} <= set(line), line
    assert {line["role"] for line in lines} >= {"service", "gateway", "worker"}
    by_id = {line["request_id"]: line for line in lines if line["event"] == "request"}
    told = by_id["good"]
    assert (told["status"], told["images"], told["model"]) == (200, 1, "emotion")
    assert told["bytes_in"] == len(face_jpeg) and told["bytes_out"] == len(good.content)
    assert told["ms"] >= told["worker_ms"] > told["queue_ms"] > 0
    assert (by_id["bad"]["status"], by_id["bad"]["code"]) == (415, "unsupported_image")
    assert by_id["bad"]["bytes_out"] == len(bad.content)
    assert by_id["nothing"]["code"] == "not_found"


def test_log_lines_are_json_and_hold_nothing_of_an_image(
    launch: Launcher, face_jpeg: bytes
) -> None:
    service = launch("-m", "service", log_format="json", log_level="debug")
    service.wait_for(lambda: is_ready(service.url), "readiness", 60)
    marker = "MARKER-9271"
    notes = PngImagePlugin.PngInfo()
    notes.add_text("comment", marker)
    out = io.BytesIO()
    Image.open(io.BytesIO(face_jpeg)).save(out, "PNG", pnginfo=notes)
    api = Api(service.url, requests.Session())
    with api.session:
        files = {"image": (f"{marker}.png", out.getvalue())}
        headers = {"X-Request-Id": "look-for-me"}
        answer = api("POST", "/classify", files=files, headers=headers)
        label = without_times(answer)["label"]
        api("POST", f"/classify?model={marker}", files=files)
        api("POST", "/classify", files={"image": (f"{marker}.png", marker.encode())})
        assert marker not in api("GET", "/metrics").text
    service.wait_for(lambda: service.log.count('"/classify"') == 3, "three log lines")
    time.sleep(0.1)
    lines = [json.loads(line) for line in service.log.splitlines() if line.startswith("{")]
    requested = [line for line in lines if line.get("request_id") == "look-for-me"]
    assert len([line for line in requested if line["event"] == "request"]) == 1
    (line,) = (line for line in requested if line["event"] == "request")
    assert (line["path"], line["status"], line["images"]) == ("/classify", 200, 1)
    assert line["bytes_in"] > len(face_jpeg) and line["ms"] > 0
    assert marker not in service.log and f'"{label}"' not in service.log
