"""The client waits as it is asked to, for what passes and no longer, and repeats nothing else.

A scripted server stands in the place of the service here: which error comes when, and how often,
can be had from no real one. tests/contract/test_hyojo_client.py asks the real one.
"""

import http.server
import json
import pickle
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest
from hyojo import Hyojo, HyojoError
from hyojo.errors import OF_A_PICTURE, PASSING, TOO_MUCH
from hyojo.wire import retry_after_s

from service.errors import PROBLEMS

READY = (200, {}, b'{"ready": true}')
MODELS = (200, {}, b'{"default": "a", "models": [{"name": "a"}]}')


def refusal(code: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """A problem document as the service sends it."""
    told = {"code": code, "detail": f"It is {code}.", "request_id": "abc"}
    return PROBLEMS[code].status, headers, json.dumps(told).encode()


@dataclass
class Scripted:
    """Answers in an order; the last one again and again."""

    url: str
    script: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    asked_at: list[float] = field(default_factory=list)
    heads: list[dict[str, str]] = field(default_factory=list)
    connections: set[int] = field(default_factory=set)


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            place.asked_at.append(time.monotonic())
            place.heads.append(dict(self.headers))
            place.connections.add(self.client_address[1])
            status, headers, body = place.script.pop(0) if place.script[1:] else place.script[0]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    place = Scripted(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield place
    server.shutdown()
    thread.join()
    server.server_close()


def test_it_waits_as_long_as_it_is_asked_to_and_tries_again(scripted: Scripted) -> None:
    scripted.script = [refusal("overloaded", Retry_After="1"), MODELS]
    waits: list[tuple[str, float]] = []
    with Hyojo(scripted.url, waiting=lambda why, s: waits.append((why.code, s))) as hyojo:
        assert hyojo.models()[0].default
    first, second = scripted.asked_at
    assert second - first >= 1.0
    assert waits == [("overloaded", pytest.approx(1.1, abs=0.2))]
    assert len(scripted.connections) == 1, "the connection is used again"


def test_it_does_not_wait_beyond_its_patience(scripted: Scripted) -> None:
    scripted.script = [refusal("rate_limited", Retry_After="40")]
    began = time.monotonic()
    with Hyojo(scripted.url, patience_s=20) as hyojo, pytest.raises(HyojoError) as caught:
        hyojo.models()
    assert time.monotonic() - began < 5 and len(scripted.asked_at) == 1
    error = caught.value
    assert (error.code, error.status, error.retry_after_s) == ("rate_limited", 429, 40)
    assert error.request_id == "abc" and str(error) == error.sentence == "It is rate_limited."
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_all_tries_together_are_bounded(scripted: Scripted) -> None:
    scripted.script = [refusal("not_ready")]
    began = time.monotonic()
    with Hyojo(scripted.url, patience_s=1) as hyojo, pytest.raises(HyojoError):
        hyojo.models()
    assert time.monotonic() - began < 4
    assert 2 <= len(scripted.asked_at) <= 4, "with pauses that double"


@pytest.mark.parametrize("code", sorted(set(PROBLEMS) - PASSING))
def test_what_does_not_pass_is_asked_once(scripted: Scripted, code: str) -> None:
    """A picture that a predictor was lost over above all, though the service names a time."""
    scripted.script = [refusal(code, Retry_After="0")]
    with Hyojo(scripted.url) as hyojo, pytest.raises(HyojoError) as caught:
        hyojo.classify(b"a picture")
    assert caught.value.code == code and len(scripted.asked_at) == 1


def test_ready_asks_once_and_says_no(scripted: Scripted) -> None:
    with Hyojo(scripted.url) as hyojo:
        scripted.script = [refusal("not_ready", Retry_After="1"), READY]
        assert hyojo.ready() is False and hyojo.ready() is True
        scripted.script = [refusal("unauthorized")]
        with pytest.raises(HyojoError):
            hyojo.ready()


def test_the_codes_are_the_services_own() -> None:
    own = {"unreachable"}
    assert PASSING - own <= set(PROBLEMS) and OF_A_PICTURE | TOO_MUCH <= set(PROBLEMS)
    again = {code for code, problem in PROBLEMS.items() if problem.retry}
    assert again - PASSING == {"worker_lost", "deadline_exceeded"}, "and why is said there"


def test_a_proxy_that_knows_no_codes_is_understood(scripted: Scripted) -> None:
    scripted.script = [(413, {}, b"<html>")]
    with Hyojo(scripted.url) as hyojo:
        with pytest.raises(HyojoError) as caught:
            hyojo.classify(b"x")
        assert caught.value.code == "body_too_large" and "413" in str(caught.value)
        scripted.script = [(301, {"Location": "https://new.example/"}, b"")]
        with pytest.raises(HyojoError, match=r"https://new\.example/"):
            hyojo.models()
        scripted.script = [(200, {}, b"<html>")]
        with pytest.raises(HyojoError) as caught:
            hyojo.models()
        assert caught.value.code == "unreadable_answer"
        scripted.script = [(200, {}, b'{"results": []}')]
        with pytest.raises(HyojoError) as caught:
            hyojo.classify(b"x")
        assert caught.value.code == "unreadable_answer"


def test_the_key_goes_along_and_is_shown_nowhere(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted.script = [MODELS]
    monkeypatch.setenv("HYOJO_URL", scripted.url + "/")
    monkeypatch.setenv("HYOJO_KEY", "s3cret")
    with Hyojo() as hyojo:
        hyojo.models()
        assert "s3cret" not in repr(hyojo)
    assert scripted.heads[0]["Authorization"] == "Bearer s3cret"
    with pytest.raises(ValueError) as caught:
        Hyojo(scripted.url, key="a b")
    assert "a b" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "ftp://host", "http://", "http://host/?a=b"])
def test_an_address_that_is_none_is_a_sentence(url: str) -> None:
    with pytest.raises(ValueError, match=r"http://127\.0\.0\.1:8000"):
        Hyojo(url)


def test_nobody_there_is_said_soon_and_silence_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes connections and says nothing
        port = silent.getsockname()[1]
        began = time.monotonic()
        with Hyojo(f"http://127.0.0.1:{port}", timeout_s=0.3) as hyojo:
            with pytest.raises(HyojoError) as caught:
                hyojo.models()
            assert caught.value.code == "timed_out" and caught.value.status is None
            assert hyojo.ready() is False
        assert time.monotonic() - began < 5
    with Hyojo(f"http://127.0.0.1:{port}") as hyojo, pytest.raises(HyojoError) as caught:
        hyojo.models()
    assert caught.value.code == "unreachable" and "Connection refused" in str(caught.value)


def test_retry_after_is_read_as_http_writes_it() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    then = format_datetime(now.replace(second=30), usegmt=True)
    assert retry_after_s("7") == 7 and retry_after_s(then, now) == 30
    assert retry_after_s(format_datetime(now.replace(year=2025), usegmt=True), now) == 0
    assert retry_after_s(None) is None and retry_after_s("soon") is None
    assert retry_after_s("9" * 400) is None


def test_pictures_that_take_too_long_to_send_are_late_and_not_sent_again() -> None:
    """A server that takes the connection and reads nothing, as behind a slow line."""
    with socket.create_server(("127.0.0.1", 0)) as slow:
        url = f"http://127.0.0.1:{slow.getsockname()[1]}"
        with Hyojo(url, timeout_s=1, patience_s=20) as hyojo:
            began = time.monotonic()
            with pytest.raises(HyojoError) as told:
                hyojo.classify(b"\xff\xd8" + b"x" * 20_000_000)
    assert told.value.code == "timed_out", told.value
    assert time.monotonic() - began < 5
