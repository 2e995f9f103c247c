"""Requests: what arrived, in its one canonical form."""

import pytest

from passgate.core.client_address import TrustedProxies
from passgate.core.header_rules import header_rules
from passgate.core.reasons import Refusal
from passgate.core.request import Request, RequestRules, Wire, canonical_request

RULES = RequestRules(header_rules())
BEHIND = RequestRules(header_rules(), TrustedProxies(["10.0.0.0/8"]))
HOST = (b"Host", b"API.example:8080")


def read(
    method: str = "GET",
    target: bytes = b"/v1/x?y",
    *headers: tuple[bytes, bytes],
    rules: RequestRules = RULES,
    peer: str = "203.0.113.9",
    tls: bool = False,
    minor: int = 1,
    host: tuple[bytes, bytes] | None = HOST,
) -> Request | Refusal:
    sent = [*([host] if host else []), *headers]
    return canonical_request(Wire(method, target, sent, peer, tls, minor), rules)


def accepted(*args: object, **kwargs: object) -> Request:
    found = read(*args, **kwargs)  # type: ignore[arg-type]  # handed through
    assert isinstance(found, Request)
    return found


def test_a_request_is_what_was_sent() -> None:
    """Method, path, query and the bytes to forward are the sender's; the host is canonical."""
    request = accepted("POST", b"/v1/%61?y=1", (b"X-A", b"1"))
    assert (request.method, request.path, request.query) == ("POST", "/v1/a", b"y=1")
    assert request.target == b"/v1/%61?y=1"
    assert (request.host, request.authority) == ("api.example", "API.example:8080")
    assert (request.client, request.hops, request.scheme) == ("203.0.113.9", (), "http")
    assert request.sorted.forward == b"X-A: 1\r\n"
    assert list(request.headers) == [HOST, (b"X-A", b"1")]
    assert request.body is None


def test_tls_is_https() -> None:
    assert accepted(tls=True).scheme == "https"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PATCH", "PROPFIND", "M-SEARCH"])
def test_methods_are_judged_as_sent(method: str) -> None:
    assert accepted(method).method == method


@pytest.mark.parametrize(
    "method",
    [
        "CONNECT",
        "TRACE",
        "connect",
        "Trace",
        "get",
        "Post",
        "dElEtE",
        "",
        "GE T",
        "GET\n",
        "Ü",
        "A" * 65,
    ],
)
def test_methods_that_are_not_accepted(method: str) -> None:
    """Also a known method in other letters, as some servers take it for the known one."""
    found = read(method)
    assert isinstance(found, Refusal)
    assert (found.code, found.http_status) == ("request_malformed", 400)


@pytest.mark.parametrize(
    "host", [b"", b"a b", b"a@b", b"a/b", b"a,b", b"a:99999", b"a..b", b"\xe9", b"[::1", b"127.1"]
)
def test_a_malformed_host_is_refused(host: bytes) -> None:
    found = read(host=(b"Host", host))
    assert isinstance(found, Refusal)
    assert found.code == "request_malformed"


def test_http_1_0_needs_no_host() -> None:
    request = accepted(host=None, minor=0)
    assert (request.host, request.authority) == ("", "")


def test_malformed_headers_and_targets_are_refused() -> None:
    assert isinstance(read("GET", b"/", (b"A b", b"")), Refusal)
    assert isinstance(read("GET", b"/.."), Refusal)
    assert isinstance(read("GET", b"http://other.example/"), Refusal)


def test_absolute_form_is_forwarded_in_origin_form() -> None:
    request = accepted("GET", b"http://api.example:8080/v1?x")
    assert (request.path, request.target) == ("/v1", b"/v1?x")


def test_a_trusted_proxy_says_who_the_client_is() -> None:
    request = accepted(
        "GET",
        b"/",
        (b"X-Forwarded-For", b"1.2.3.4, 198.51.100.7"),
        (b"X-Forwarded-Proto", b"http, HTTPS"),
        (b"X-Forwarded-Host", b"forged.example, Public.example"),
        rules=BEHIND,
        peer="10.0.0.1",
    )
    assert (request.client, request.hops) == ("198.51.100.7", ("10.0.0.1",))
    assert (request.scheme, request.authority) == ("https", "Public.example")
    assert request.host == "api.example"


def test_a_trusted_proxy_that_says_nothing_usable_changes_nothing() -> None:
    request = accepted(
        "GET",
        b"/",
        (b"X-Forwarded-Proto", b"gopher"),
        (b"X-Forwarded-Host", b"a b"),
        rules=BEHIND,
        peer="10.0.0.1",
    )
    assert (request.client, request.scheme) == ("10.0.0.1", "http")
    assert request.authority == "API.example:8080"


def test_an_untrusted_peer_says_nothing() -> None:
    request = accepted(
        "GET",
        b"/",
        (b"X-Forwarded-For", b"1.2.3.4"),
        (b"X-Forwarded-Proto", b"https"),
        (b"X-Forwarded-Host", b"forged.example"),
        rules=BEHIND,
    )
    assert (request.client, request.hops) == ("203.0.113.9", ())
    assert (request.scheme, request.authority) == ("http", "API.example:8080")


def test_forwarding_headers_with_two_readings_are_refused() -> None:
    found = read(
        "GET",
        b"/",
        (b"X-Forwarded-For", b"1.2.3.4"),
        (b"Forwarded", b"for=5.6.7.8"),
        rules=BEHIND,
        peer="10.0.0.1",
    )
    assert isinstance(found, Refusal)
