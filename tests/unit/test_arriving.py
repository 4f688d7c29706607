"""When a request is whole, whatever pieces it comes in."""

import pytest

from service.arriving import HEAD_BYTES, Arriving
from service.errors import ApiError

MOST = 1000
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /classify HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


def all_of(coming: Arriving) -> bytes:
    """Everything that a thread can read of it."""
    got = b""
    try:
        while part := coming.recv(8192):
            got += part
    except ApiError:
        pass
    return got


WHOLE = {
    "no body": GET,
    "a length of nothing": POST + b"Content-Length: 0\r\n\r\n",
    "a length": POST + b"Content-Length: 5\r\n\r\nabcde",
    "a length in odd spelling": POST + b"cOnTent-LENGTH:  5\t\r\nA: b\r\n\r\nabcde",
    "chunks": CHUNKED + b"5\r\nabcde\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
    "chunks with trailers": CHUNKED + b"1\r\na\r\n0\r\nA: b\r\nC: d\r\n\r\n",
    "a chunk that looks like the end": CHUNKED + b"7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n",
    "the longest body": POST + b"Content-Length: 1000\r\n\r\n" + bytes(1000),
}


@pytest.mark.parametrize("step", [1, 2, 3, 7, 64, 100_000])
@pytest.mark.parametrize("name", WHOLE)
def test_it_is_whole_with_its_last_byte_and_not_before(name: str, step: int) -> None:
    request = WHOLE[name]
    coming = Arriving(MOST)
    for at in range(0, len(request), step):
        assert not coming.ready
        coming.take(request[at : at + step])
    assert coming.ready and coming.whole
    assert all_of(coming) == request


TOO_MUCH = {
    "a length beyond the limit": POST + b"Content-Length: 1001\r\n\r\n",
    "a chunk beyond the limit": CHUNKED + b"FFFFFFF\r\n",
    "chunks beyond the limit": CHUNKED + b"1F4\r\n" + bytes(500) + b"\r\n1F5\r\n",
    "a chunk of no size": CHUNKED + b"zz\r\n",
    "a negative size": CHUNKED + b"-5\r\n",
    "a chunk's line without end": CHUNKED + b"1;" + b"x" * 9000,
    "trailers without end": CHUNKED + b"0\r\n" + b"A: b\r\n" * 2001,
    "length and chunks": POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    "a head without end": b"GET /" + b"a" * HEAD_BYTES,
}


@pytest.mark.parametrize("name", TOO_MUCH)
def test_what_will_be_refused_is_not_waited_for(name: str) -> None:
    coming = Arriving(MOST)
    coming.take(TOO_MUCH[name])
    assert coming.ready and not coming.whole
    with pytest.raises(ApiError):
        while True:
            coming.recv(8192)


def test_thousands_of_tiny_chunks_are_broken() -> None:
    coming = Arriving(1 << 20)
    coming.take(CHUNKED + b"1\r\nx\r\n" * 999)
    assert not coming.ready
    coming.take(b"1\r\nx\r\n" * 2)
    assert coming.ready and not coming.whole


def test_what_follows_a_request_begins_the_next() -> None:
    coming = Arriving(MOST)
    coming.take(GET + GET[:10])
    assert coming.whole
    assert coming.recv(8192) == GET + GET[:10]
    coming.next(GET[:10])
    assert not coming.ready and coming.held
    coming.take(GET[10:])
    assert coming.whole and all_of(coming) == GET
    coming.next(b"")
    assert not coming.ready and not coming.held


def test_a_client_that_ends_is_seen() -> None:
    coming = Arriving(MOST)
    coming.take(GET[:10])
    coming.take(b"")
    assert coming.gone
    coming = Arriving(MOST)
    coming.take(POST + b"Content-Length: 5\r\n\r\nab")
    coming.take(b"")
    assert coming.ready and not coming.whole and not coming.gone
    assert coming.recv(8192).endswith(b"ab") and coming.recv(8192) == b""


def test_leave_to_send_is_asked_for_by_http_1_1_alone() -> None:
    for head, asks in (
        (POST + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n", True),
        (POST + b"Expect: 100-Continue\r\nContent-Length: 5\r\n\r\n", True),
        (POST + b"Content-Length: 5\r\n\r\n", False),
        (POST + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\nabcde", False),
        (POST + b"Content-Length: 9999\r\nExpect: 100-continue\r\n\r\n", False),
        (b"POST / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", False),
    ):
        coming = Arriving(MOST)
        coming.take(head)
        assert coming.expects_continue is asks


def test_a_refused_body_is_no_longer_held() -> None:
    coming = Arriving(MOST)
    coming.take(POST + b"Content-Length: 900\r\n\r\n" + bytes(800))
    coming.drop_body()
    assert coming.held < 200 and all_of(coming) == POST + b"Content-Length: 900\r\n\r\n"
