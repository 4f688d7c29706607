"""Which addresses of images are fetched: a table, whatever a URL is spelt like or leads to."""

import socket
from ipaddress import ip_address
from typing import Any

import pytest
from ssrfguard import BlockedAddressError, resolve

from service.addresses import checked, policy
from service.errors import ApiError

HTTPS, BOTH = policy(http=False), policy(http=True)

ODD = {
    # Other schemes, and none.
    "http": "http://example.com/a.jpg",
    "ftp": "ftp://example.com/a.jpg",
    "file": "file:///etc/passwd",
    "gopher": "gopher://example.com/",
    "data": "data:image/png;base64,AAAA",
    "no scheme": "example.com/a.jpg",
    "a path": "/etc/passwd",
    "no host": "https:///a.jpg",
    "a scheme alone": "https:",
    "two slashes": "//example.com/a.jpg",
    "nothing": "",
    # Ports.
    "another port": "https://example.com:8443/",
    "the port of HTTP": "https://example.com:80/",
    "the port of SSH": "https://example.com:22/",
    "port 0": "https://example.com:0/",
    "a port beyond all": "https://example.com:65616/",
    "a port that is no number": "https://example.com:443x/",
    # Users and passwords.
    "a user": "https://user@example.com/",
    "a user and a password": "https://user:word@example.com/",
    "an empty user": "https://@example.com/",
    "a host for a user": "https://example.com@127.0.0.1/",
    "a host for a user, encoded": "https://example.com%40127.0.0.1/",
    # Numbers in odd spellings.
    "decimal": "https://2130706433/",
    "octal": "https://0177.0.0.1/",
    "octal all over": "https://0177.0000.0000.0001/",
    "hexadecimal": "https://0x7f000001/",
    "hexadecimal with dots": "https://0x7f.0x0.0x0.0x1/",
    "hexadecimal at the end": "https://127.0.0.0x1/",
    "public, but hexadecimal": "https://0x08080808/",
    "short": "https://127.1/",
    "shorter": "https://0/",
    "three parts": "https://127.0.1/",
    "leading zeros": "https://127.000.000.001/",
    "five parts": "https://1.2.3.4.5/",
    "too large a part": "https://1.2.3.256/",
    # Characters.
    "a backslash": "https://example.com\\@127.0.0.1/",
    "a backslash for a slash": "https:\\\\example.com/",
    "a space": "https://example.com/a b.jpg",
    "a space in front": " https://example.com/",
    "a tab": "https://exa\tmple.com/",
    "a line break": "https://example.com/\r\nHost: localhost",
    "a zero byte": "https://example.com/\0",
    "an international name": "https://bücher.example/",
    "circled digits": "https://①②⑦.⓪.⓪.①/",
    "full-width letters": "https://" + "".join(chr(ord(c) + 0xFEE0) for c in "localhost") + "/",
    "an ideographic full stop": "https://127。0。0。1/",
    "a soft hyphen": "https://local\u00adhost/",
    "an encoded dot": "https://127%2e0%2e0%2e1/",
    "a zone": "https://[fe80::1%25eth0]/",
    "a bracket too few": "https://[::1/",
    "an empty label": "https://example..com/",
    "an underscore at the end": "https://example.com_/",
    "a long name": f"https://{'a' * 64}.example/",
    "a long URL": "https://example.com/" + "a" * 2048,
    # Literal addresses near home.
    "loopback": "https://127.0.0.1/",
    "loopback elsewhere": "https://127.8.8.8/",
    "loopback, IPv6": "https://[::1]/",
    "mapped loopback": "https://[::ffff:127.0.0.1]/",
    "private": "https://10.0.0.1/",
    "metadata": "https://169.254.169.254/latest/meta-data/",
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_or_near_address_is_refused(name: str) -> None:
    with pytest.raises(ApiError) as caught:
        checked(ODD[name], HTTPS)
    assert (caught.value.code, caught.value.status) == ("url_refused", 422)


PLAIN = {
    "https://example.com/a.jpg": ("example.com", 443),
    "https://example.com:443/a.jpg?b=c#d": ("example.com", 443),
    "HTTPS://EXAMPLE.com": ("example.com", 443),
    "https://xn--bcher-kva.example/": ("xn--bcher-kva.example", 443),
    "https://8.8.8.8/a.jpg": ("8.8.8.8", 443),
    "https://[2606:4700:4700::1111]/a.jpg": ("2606:4700:4700::1111", 443),
    "https://3com.example/a.jpg": ("3com.example", 443),
}


@pytest.mark.parametrize("url", PLAIN)
def test_a_plain_public_address_is_fetched(url: str) -> None:
    target = checked(url, HTTPS)
    assert (target.host, target.port) == PLAIN[url]


def test_http_is_fetched_only_where_it_is_allowed() -> None:
    assert checked("http://example.com/", BOTH).port == 80
    assert checked("https://example.com/", BOTH).port == 443
    with pytest.raises(ApiError):
        checked("http://example.com:8080/", BOTH)


NEAR = {
    "this network": "0.0.0.0",
    "this network's others": "0.1.2.3",
    "private A": "10.255.255.255",
    "carrier-grade NAT": "100.64.0.1",
    "carrier-grade NAT's end": "100.127.255.254",
    "Alibaba's metadata": "100.100.100.200",
    "loopback": "127.0.0.1",
    "link-local": "169.254.0.1",
    "metadata": "169.254.169.254",
    "ECS's metadata": "169.254.170.2",
    "private B": "172.16.0.1",
    "private B's end": "172.31.255.255",
    "IETF": "192.0.0.1",
    "Oracle's metadata": "192.0.0.192",
    "documentation": "192.0.2.1",
    "6to4 relay": "192.88.99.1",
    "private C": "192.168.1.1",
    "benchmarks": "198.18.0.1",
    "documentation 2": "198.51.100.1",
    "documentation 3": "203.0.113.1",
    "multicast": "224.0.0.1",
    "reserved": "240.0.0.1",
    "broadcast": "255.255.255.255",
    "unspecified": "::",
    "loopback, IPv6": "::1",
    "compatible": "::7f00:1",
    "compatible, public": "::808:808",
    "mapped loopback": "::ffff:127.0.0.1",
    "mapped private": "::ffff:10.0.0.1",
    "mapped, public": "::ffff:8.8.8.8",
    "translated": "::ffff:0:7f00:1",
    "NAT64 of loopback": "64:ff9b::7f00:1",
    "NAT64 of metadata": "64:ff9b::a9fe:a9fe",
    "NAT64, local": "64:ff9b:1::1",
    "discard": "100::1",
    "Teredo": "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "benchmarks, IPv6": "2001:2::1",
    "ORCHID": "2001:20::1",
    "documentation, IPv6": "2001:db8::1",
    "documentation 2, IPv6": "3fff::1",
    "6to4 of loopback": "2002:7f00:1::1",
    "6to4, public": "2002:808:808::1",
    "segment routing": "5f00::1",
    "given to nobody": "4000::1",
    "unique local": "fc00::1",
    "unique local 2": "fd12:3456::1",
    "AWS's metadata, IPv6": "fd00:ec2::254",
    "link-local, IPv6": "fe80::1",
    "site-local": "fec0::1",
    "multicast, IPv6": "ff02::1",
}


def answering(*addresses: str) -> Any:
    """A resolver that knows these addresses of every name."""

    def lookup(host: str, port: int, *_rest: object) -> list[Any]:
        found = []
        for text in addresses:
            v6 = ip_address(text).version == 6
            family = socket.AF_INET6 if v6 else socket.AF_INET
            place = (text, port, 0, 0) if v6 else (text, port)
            found.append((family, socket.SOCK_STREAM, 6, "", place))
        return found

    return lookup


@pytest.mark.parametrize("name", NEAR)
def test_a_name_that_leads_near_home_is_refused(name: str) -> None:
    target = checked("https://example.com/", HTTPS)
    for others in ((), ("8.8.8.8",)):  # one near address among public ones is enough
        with pytest.raises(BlockedAddressError):
            resolve(target, policy=HTTPS, resolver=answering(*others, NEAR[name]))


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "64:ff9b::808:808"])
def test_a_name_that_leads_to_the_public_is_not(address: str) -> None:
    target = checked("https://example.com/", HTTPS)
    (found,) = resolve(target, policy=HTTPS, resolver=answering(address))
    assert str(found.ip) == address


def test_a_refusal_tells_nothing_of_where_a_name_leads() -> None:
    with pytest.raises(ApiError) as caught:
        checked("https://10.1.2.3/", HTTPS)
    assert "10.1.2.3" not in caught.value.detail
