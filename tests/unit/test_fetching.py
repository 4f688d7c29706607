"""Images by address: what is fetched, what fails; the checked address is the one reached."""

import dataclasses
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest

from service.errors import ApiError
from service.fetching import MOST_REDIRECTS
from tests.hosts import IMAGE, Handler, Host, serving


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[int, ssl.SSLContext]]:
    with serving() as at:
        yield at


@pytest.fixture
def host(server: tuple[int, ssl.SSLContext]) -> Host:
    Handler.seen = []
    port, trust = server
    return Host(port, Handler.seen, trust, [], lambda _host: ["127.0.0.1"])


def assert_fails(code: str, what: Callable[[], object]) -> str:
    with pytest.raises(ApiError) as caught:
        what()
    assert caught.value.code == code, caught.value.detail
    assert "127.0.0.1" not in caught.value.detail and "10.0.0" not in caught.value.detail
    return caught.value.detail


@pytest.mark.parametrize("path", ["image", "binary", "image?a=b&c", "moved-1", "moved-3"])
def test_an_image_is_fetched(host: Host, path: str) -> None:
    assert host.get(path) == IMAGE


def test_the_host_is_told_its_name_and_nothing_of_ours(host: Host) -> None:
    host.get("image")
    (told,) = host.seen
    assert told["host"] == f"images.example:{host.port}"
    assert set(told) == {"host", "user-agent", "accept", "accept-encoding", "connection"}


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("page", "'text/html'"),
        ("untyped", "no image"),
        ("zipped", "compressed"),
        ("missing", "404"),
        ("cut", "broke"),
        ("loop", f"more than {MOST_REDIRECTS}"),
        ("moved-4", f"more than {MOST_REDIRECTS}"),
    ],
)
def test_what_is_no_image_fails(host: Host, path: str, says: str) -> None:
    assert says in assert_fails("url_failed", lambda: host.get(path)).replace("breaks", "broke")


@pytest.mark.parametrize("path", ["large", "endless"])
def test_too_many_bytes_are_not_read(host: Host, path: str) -> None:
    started = time.monotonic()
    assert_fails("image_too_large", lambda: host.get(path))
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("path", ["trickle", "headers"])
def test_a_slow_host_is_given_up_in_time(host: Host, path: str) -> None:
    started = time.monotonic()
    assert "too long" in assert_fails("url_failed", lambda: host.get(path, seconds=0.7))
    assert time.monotonic() - started < 3


def test_a_host_that_says_nothing_is_given_up_in_time(host: Host) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mute = dataclasses.replace(host, port=silent.getsockname()[1])
        started = time.monotonic()
        assert "too long" in assert_fails("url_failed", lambda: mute.get("image", seconds=0.5))
        assert time.monotonic() - started < 3


def test_a_lookup_that_never_ends_is_given_up_in_time(host: Host) -> None:
    over = threading.Event()
    host.addresses = lambda _host: [str(over.wait(10))]
    started = time.monotonic()
    assert "too long" in assert_fails("url_failed", lambda: host.get("image", seconds=0.5))
    assert time.monotonic() - started < 3
    over.set()


def test_a_name_is_looked_up_once_so_that_it_cannot_lead_elsewhere_later(host: Host) -> None:
    answers = iter([["127.0.0.1"], ["10.0.0.1"], ["10.0.0.1"]])
    host.addresses = lambda _host: next(answers)
    assert host.get("image") == IMAGE
    assert host.looked_up == ["images.example"]
    assert_fails("url_refused", lambda: host.get("image"))  # and the next time it is checked again


def test_a_name_that_leads_near_home_is_refused_before_anything_is_sent(host: Host) -> None:
    for near in (["10.0.0.1"], ["127.0.0.1", "10.0.0.1"], ["169.254.169.254"]):
        host.addresses = lambda _host, near=near: near  # type: ignore[misc]
        assert_fails("url_refused", lambda: host.get("image"))
    assert host.seen == []


@pytest.mark.parametrize(
    "location",
    [
        "http://images.example/",
        "https://10.0.0.1/",
        "https://inside.example/",
        "https://user@images.example/",
        "https://images.example:22/",
        "https://0x7f.1/",
        "//127.0.0.2/",
        "file:///etc/passwd",
        "https:\\\\inside.example/",
    ],
)
def test_each_redirect_is_checked_again(host: Host, location: str) -> None:
    host.addresses = lambda name: ["10.0.0.7" if name == "inside.example" else "127.0.0.1"]
    assert_fails("url_refused", lambda: host.get(f"to?{quote(location)}"))
    assert len(host.seen) == 1


def test_a_redirect_to_another_public_host_is_followed(host: Host) -> None:
    assert host.get(f"to?{host.url('image', 'other.example')}") == IMAGE
    assert host.looked_up == ["images.example", "other.example"]


def test_a_certificate_for_another_name_is_none(host: Host) -> None:
    detail = assert_fails("url_failed", lambda: host.get("image", host="third.example"))
    assert "certificate" in detail


def test_a_certificate_of_an_unknown_authority_is_none(host: Host) -> None:
    stranger = dataclasses.replace(host, trust=ssl.create_default_context())
    assert "certificate" in assert_fails("url_failed", lambda: stranger.get("image"))


def test_proxies_of_the_environment_are_not_used(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert host.get("image") == IMAGE


def test_all_images_of_a_request_share_its_bytes(host: Host) -> None:
    fetcher = host.fetcher()
    assert fetcher.fetch([host.url("image")] * 3, 10) == [IMAGE] * 3
    assert_fails("image_too_large", lambda: fetcher.fetch([host.url("image")] * 6, 10))


def test_only_a_few_requests_fetch_at_once(host: Host) -> None:
    fetcher = host.fetcher(at_once=2)
    slow = [
        threading.Thread(
            target=lambda: assert_fails(
                "url_failed", lambda: fetcher.fetch([host.url("trickle")], 1.5)
            )
        )
        for _ in range(2)
    ]
    for thread in slow:
        thread.start()
    time.sleep(0.5)
    started = time.monotonic()
    assert_fails("overloaded", lambda: fetcher.fetch([host.url("image")], 10))
    assert time.monotonic() - started < 0.3
    for thread in slow:
        thread.join()
    assert fetcher.fetch([host.url("image")], 10) == [IMAGE]
