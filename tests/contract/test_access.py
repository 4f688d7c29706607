"""Who may ask: keys, pages of other sites, how often, and whose word on addresses counts.

The gateway stands alone here: an answer of its worker is not needed to see who is let in.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.conftest import Launcher, Running
from tests.contract.conftest import Api, assert_problem

GATEWAY = ("-m", "gunicorn", "-c", "python:service.gunicorn_conf", "service.gateway:create_app()")
ANN, BOB = "k" * 16 + "-ann", "k" * 16 + "-bob"
KEYS = f"ann:{ANN}, bob:{BOB}"
OURS, FRIEND, OTHER = "http://127.0.0.1", "https://friend.example", "https://other.example"


class Gateway:
    """A gateway without a worker, and a client of it."""

    def __init__(self, launch: Launcher, **settings: object) -> None:
        self.running: Running = launch(*GATEWAY, log_format="json", **settings)
        self.running.wait_for(lambda: "gateway listening" in self.running.log, "the gateway", 20)
        self.session = requests.Session()
        launch.closing.append(self.session.close)
        self.api = Api(self.running.url, self.session)

    def __call__(self, method: str, path: str, **headers: str) -> requests.Response:
        spelt = {name.replace("_", "-"): value for name, value in headers.items()}
        body = b"picture" if method == "POST" else None
        kind = {"Content-Type": "image/jpeg"} if body else {}
        return self.api(method, path, data=body, headers={**kind, **spelt})

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.running.log.splitlines() if '"request"' in line]


@pytest.fixture
def start(launch: Launcher) -> Iterator[Any]:
    yield lambda **settings: Gateway(launch, **settings)


def let_in(answer: requests.Response) -> bool:
    """Whether it came as far as asking for the worker, or further."""
    return answer.status_code in (200, 503)


def test_with_keys_only_the_page_and_livez_are_open(start: Any) -> None:
    gateway = start(api_keys=KEYS)
    for path in ("/livez", "/", "/index.html", "/js/app.js", "/css/page.css", "/example.jpg"):
        assert gateway("GET", path).status_code == 200, path
    for path in ("/readyz", "/models", "/metrics", "/docs", "/openapi.json", "/nothing"):
        refused = gateway("GET", path)
        assert_problem(refused, 401, "unauthorized")
        assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    described = gateway("GET", "/openapi.json", X_API_Key=ANN).json()
    assert set(described["components"]["securitySchemes"]) == {"bearer", "header"}
    assert described["paths"]["/classify"]["post"]["security"] == [{"bearer": []}, {"header": []}]
    assert "security" not in described["paths"]["/livez"]["get"]
    assert_problem(gateway("POST", "/classify"), 401, "unauthorized")
    assert_problem(gateway("OPTIONS", "/classify"), 401, "unauthorized")


def test_any_of_the_keys_opens_in_either_header_and_its_name_is_logged(start: Any) -> None:
    gateway = start(api_keys=KEYS)
    assert let_in(gateway("GET", "/models", Authorization=f"Bearer {ANN}"))
    assert let_in(gateway("GET", "/models", Authorization=f"bearer  {BOB}"))
    assert let_in(gateway("POST", "/classify", X_API_Key=BOB))
    for wrong in (ANN[:-1], ANN + "x", "", BOB.upper(), "é" * 20):
        headers = {"Authorization": f"Bearer {wrong}".encode()}
        refused = gateway.api("GET", "/models", headers=headers)
        assert_problem(refused, 401, "unauthorized")
    assert_problem(gateway("GET", "/models", Authorization=f"Basic {ANN}"), 401, "unauthorized")
    assert_problem(gateway("GET", f"/models?key={ANN}"), 401, "unauthorized")
    names = [line.get("key", "") for line in gateway.lines()]
    assert names[:3] == ["ann", "bob", "bob"] and not any(names[3:])
    assert ANN not in gateway.running.log and BOB not in gateway.running.log


def test_the_health_check_uses_a_key(start: Any, service: Running) -> None:
    gateway = start(api_keys=KEYS, worker=service.endpoint)
    command = [sys.executable, "-m", "service.health"]
    run = subprocess.run(command, env=gateway.running.env, capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "ready\n")


PAGES = {
    "no page at all": ({}, True),
    "our page": ({"Sec_Fetch_Site": "same-origin", "Origin": "{url}"}, True),
    "the address bar": ({"Sec_Fetch_Site": "none"}, True),
    "our page in an old browser": ({"Origin": "{url}"}, True),
    "another site": ({"Sec_Fetch_Site": "cross-site", "Origin": OTHER}, False),
    "another site without its name": ({"Sec_Fetch_Site": "cross-site"}, False),
    "a sister site": ({"Sec_Fetch_Site": "same-site", "Origin": OTHER}, False),
    "another site in an old browser": ({"Origin": OTHER}, False),
    "another port": ({"Origin": OURS + ":1"}, False),
    "a page of nowhere": ({"Origin": "null"}, False),
    "a friend's page": ({"Sec_Fetch_Site": "cross-site", "Origin": FRIEND}, True),
    "a friend in an old browser": ({"Origin": FRIEND}, True),
    "a friend's look-alike": ({"Origin": FRIEND + ".evil.example"}, False),
}


def test_pages_of_other_sites_may_not_post(start: Any) -> None:
    gateway = start(cors_origins=FRIEND)
    for name, (headers, may) in PAGES.items():
        told = {key: value.format(url=gateway.running.url) for key, value in headers.items()}
        answer = gateway("POST", "/classify", **told)
        if may:
            assert let_in(answer), name
        else:
            assert_problem(answer, 403, "cross_site")
        assert ("Access-Control-Allow-Origin" in answer.headers) is ("friend" in name and may)
    assert let_in(gateway("GET", "/livez", Sec_Fetch_Site="cross-site", Origin=OTHER))


def test_only_named_origins_are_told_that_they_may_ask(start: Any) -> None:
    gateway = start(cors_origins=f"{FRIEND},https://second.example:8443", api_keys=KEYS)
    ask = {"Access_Control_Request_Method": "POST", "Access_Control_Request_Headers": "x-api-key"}
    allowed = gateway("OPTIONS", "/classify", Origin=FRIEND, **ask)
    assert allowed.status_code == 204 and not allowed.content
    assert allowed.headers["Access-Control-Allow-Origin"] == FRIEND
    assert "X-API-Key" in allowed.headers["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in allowed.headers
    stranger = gateway("OPTIONS", "/classify", Origin=OTHER, **ask)
    assert "Access-Control-Allow-Origin" not in stranger.headers
    asked = gateway("GET", "/models", Origin=FRIEND, X_API_Key=ANN)
    assert asked.headers["Access-Control-Allow-Origin"] == FRIEND
    assert "Origin" in asked.headers["Vary"]
    # A refusal must be readable for the page, too.
    assert gateway("GET", "/models", Origin=FRIEND).headers["Access-Control-Allow-Origin"] == FRIEND


def test_nobody_is_told_where_no_origin_is_named(api: Api) -> None:
    answer = api("GET", "/livez", headers={"Origin": FRIEND})
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_too_many_requests_are_refused_by_key(start: Any) -> None:
    gateway = start(api_keys=KEYS, rate_limit="3/minute,100/hour")
    for _ in range(3):
        assert let_in(gateway("GET", "/models", X_API_Key=ANN))
    refused = gateway("POST", "/classify", X_API_Key=ANN)
    assert_problem(refused, 429, "rate_limited")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert let_in(gateway("GET", "/models", X_API_Key=BOB))
    for path in ("/livez", "/", "/js/app.js", "/readyz", "/metrics"):
        assert gateway("GET", path, X_API_Key=ANN).status_code != 429
    trying = [gateway("GET", "/models", X_API_Key=f"guess-{n}").status_code for n in range(5)]
    assert trying == [401, 401, 401, 429, 429]


def test_too_many_requests_are_refused_by_address_and_proxies_are_believed_if_named(
    start: Any,
) -> None:
    for trusted, mixed in (("127.0.0.0/8, ::1", False), ("10.0.0.1", True)):
        gateway = start(rate_limit="2/minute", trusted_proxies=trusted)
        statuses = [
            gateway("GET", "/models", X_Forwarded_For=f"203.0.113.{number}").status_code
            for number in range(4)
        ]
        assert statuses == ([503, 503, 429, 429] if mixed else [503] * 4), trusted
        clients = {line["client"] for line in gateway.lines()}
        assert clients == ({"127.0.0.1"} if mixed else {f"203.0.113.{n}" for n in range(4)})


def test_addresses_of_one_ipv6_network_count_as_one(start: Any) -> None:
    gateway = start(rate_limit="2/minute", trusted_proxies="127.0.0.1")
    statuses = [
        gateway("GET", "/models", X_Forwarded_For=f"2001:db8:{far}::{number}").status_code
        for number, far in enumerate((1, 1, 1, 2))
    ]
    assert statuses == [503, 503, 429, 503]


def test_a_proxys_host_and_scheme_count_only_if_it_is_named(start: Any) -> None:
    told = {"X_Forwarded_Host": "faces.example", "X_Forwarded_Proto": "https"}
    page = {"Origin": "https://faces.example", **told}
    assert let_in(start(trusted_proxies="127.0.0.1")("POST", "/classify", **page))
    untrusting = start()
    assert_problem(untrusting("POST", "/classify", **page), 403, "cross_site")
    assert "faces.example" not in untrusting("GET", "/docs", **told).text


def test_the_open_inference_protocol_is_guarded_alike_and_told_in_its_own_words(start: Any) -> None:
    gateway = start(api_keys=KEYS, rate_limit="3/minute")
    assert gateway("GET", "/v2/health/live").json() == {"live": True}
    for path in ("/v2", "/v2/health/ready", "/v2/models/emotion"):
        refused = gateway("GET", path)
        assert (refused.status_code, set(refused.json())) == (401, {"error"})
        assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    infer = "/v2/models/emotion/infer"
    raw = {"Inference_Header_Content_Length": "0", "X_API_Key": ANN}
    answers = [gateway("POST", infer, **raw) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [503, 503, 503, 429]
    assert "No worker is connected" in answers[0].json()["error"]
    assert "More requests than 3/minute" in answers[3].json()["error"]
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers)
    assert gateway("GET", "/v2/health/ready", X_API_Key=ANN).status_code == 503, "not counted"
    assert {line["path"] for line in gateway.lines()} == {*("/v2", "/v2/models/emotion"), infer}
