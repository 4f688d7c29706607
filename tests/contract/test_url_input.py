"""Images by address over HTTP: off unless asked for, and then from public hosts alone."""

import pytest
import requests

from service import fetching, gateway
from service.client import WorkerClient
from service.settings import load_settings
from tests.conftest import Launcher, Running
from tests.contract.conftest import Api, assert_problem, imported_by_gateway, without_times
from tests.hosts import Host, serving

GATEWAY = ("-m", "gunicorn", "-c", "python:service.gunicorn_conf", "service.gateway:create_app()")
NEAR = (
    "https://127.0.0.1/a.jpg",
    "https://localhost/a.jpg",
    "https://169.254.169.254/latest/meta-data/",
    "http://example.com/a.jpg",
    "https://2130706433/",
)


def test_a_face_at_an_address_is_named_as_the_same_face_sent(
    service: Running, api: Api, face_jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The application runs here, beside the real worker, with a resolver of the test."""
    with serving() as (port, trust):
        host = Host(port, [], trust, [], lambda _host: ["127.0.0.1"])
        monkeypatch.setattr(fetching, "Fetcher", lambda *_args, **_more: host.fetcher(most=1 << 20))
        for name, value in (("WORKER", service.endpoint), ("URL_INPUT", "https")):
            monkeypatch.setenv(f"HYOJO_{name}", value)
        worker = WorkerClient(service.endpoint)
        monkeypatch.setattr(gateway, "WorkerClient", lambda *_args, **_more: worker)
        client = gateway.create_app(load_settings()).test_client()
        assert client.get("/models").json["url_input"] == "https"
        sent = without_times(api.form(face_jpeg))
        one = client.post("/classify", json={"url": host.url("face")})
        assert one.status_code == 200, one.text
        assert one.json["results"] == sent["results"]
        two = client.post("/classify", json={"urls": [host.url("face"), host.url("image")]})
        assert two.json["results"][0] == sent["results"][0]
        assert two.json["results"][1]["error"]["code"] == "image_broken"
        many = client.post("/classify", json={"urls": [host.url("face")] * 9})
        assert (many.status_code, many.json["code"]) == (422, "too_many_images")
        none = client.post("/classify", json={"url": host.url("missing")})
        assert (none.status_code, none.json["code"]) == (422, "url_failed")
        worker.close()


def test_what_is_near_home_is_refused(launch: Launcher) -> None:
    running = launch(*GATEWAY, url_input="https")
    with requests.Session() as session:
        api = Api(running.url, session)
        running.wait_for(lambda: "gateway listening" in running.log, "the gateway", 20)
        for url in NEAR:
            assert_problem(api("POST", "/classify", json={"url": url}), 422, "url_refused")
    assert all(url not in running.log for url in NEAR)


def test_models_tells_where_it_is_off(api: Api) -> None:
    assert api("GET", "/models").json()["url_input"] == "off"


def test_where_it_is_off_nothing_of_it_is_imported() -> None:
    assert imported_by_gateway("service.fetching", "ssrfguard") == []
