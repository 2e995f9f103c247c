"""Hosts: one spelling, or none."""

import pytest

from passgate.core.hosts import domain_of, host_of_header, split_authority
from passgate.core.reasons import Refusal


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("API.Example", ("api.example", None)),
        ("api.example.", ("api.example", None)),
        ("api.example.:80", ("api.example", 80)),
        ("my_api:8080", ("my_api", 8080)),
        ("xn--caf-dma.example", ("xn--caf-dma.example", None)),
        ("192.0.2.1:80", ("192.0.2.1", 80)),
        ("[2001:DB8::0:1]:443", ("2001:db8::1", 443)),
        ("[::ffff:192.0.2.1]", ("192.0.2.1", None)),
        ("[::]", ("::", None)),
        ("a", ("a", None)),
        ("1a.2b", ("1a.2b", None)),
    ],
)
def test_a_host_has_one_spelling(text: str, expected: tuple[str, int | None]) -> None:
    assert split_authority(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        ":80",
        "a:",
        "a:0",
        "a:65536",
        "a:+80",
        "a:80:80",
        "a..b",
        ".a",
        "-a",
        "a-",
        "a b",
        "a/b",
        "a\\b",
        "a@b",
        "a:b@c",
        "a,b",
        "a%2eb",
        "a%00",
        "a\x00b",
        "a\n",
        "café",
        "\uff41",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "127.1",
        "0177.0.0.1",
        "127.0.0.01",
        "1.2.3.4.5",
        "256.0.0.1",
        "a.1",
        "a.0x1",
        "[::1",
        "::1",
        "[]",
        "[1.2.3.4]",
        "[::1%25eth0]",
        "[::g]",
        "[:::]",
        "a" * 300,
    ],
)
def test_what_two_readers_could_take_for_two_hosts_is_none(text: str) -> None:
    assert split_authority(text) is None


def test_a_host_header_may_have_space_around_it() -> None:
    assert host_of_header(b" api.example:80\t") == ("api.example", 80)
    assert host_of_header(b"\xe9") is None


@pytest.mark.parametrize(
    ("declared", "domain"),
    [
        ("https://API.example/x?y=http://other#z", "api.example"),
        ("http://api.example", "api.example"),
        ("http://api.example?x", "api.example"),
        ("http://api.example:8080/", "api.example"),
        ("wss://[::1]/", "::1"),
        ("gopher://api.example", "api.example"),
        ("api.example", "api.example"),
        ("api.example:8080", "api.example"),
        ("api.example.", "api.example"),
        ("http://api.example/a@b", "api.example"),
    ],
)
def test_the_domain_of_a_url_is_its_host(declared: str, domain: str) -> None:
    assert domain_of(declared) == domain


@pytest.mark.parametrize(
    "declared",
    [
        "",
        "http://",
        "http:///x",
        "http:/api.example",
        "http:api.example",
        "//api.example/",
        "/x",
        "api.example/x",
        "http://user@api.example/",
        "http://api.example@evil.example/",
        "http://api.example:80@evil.example/",
        "http://evil.example\\@api.example/",
        "http://api.example\\.evil.example/",
        "http://api.example/\\x",
        " http://api.example",
        "http://api.example ",
        "http://api.example/ x",
        "ht\ttp://api.example",
        "http://api.exam\nple/",
        "http://api.example\x00.evil.example/",
        "http://api.example%2eevil/",
        "http://caf\xe9.example/",
        "http://api.example/caf\xe9",
        "http://2130706433/",
        "http://0x7f.1/",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "http://[::1",
        "http://a,b/",
    ],
)
def test_a_url_with_two_readings_is_refused(declared: str) -> None:
    found = domain_of(declared)
    assert isinstance(found, Refusal)
    assert found.code == "request_malformed"
