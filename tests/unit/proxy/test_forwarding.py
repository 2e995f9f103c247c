"""What the gate vouches for: identity that cannot be forged, and hops in their order."""

import pytest
from tests.log_craft import passport

from passgate.core.client_address import TrustedProxies
from passgate.core.header_rules import header_rules
from passgate.core.request import Request, RequestRules, Wire, canonical_request
from passgate.proxy import forwarding
from passgate.proxy.forwarding import anonymous_lines, hop_lines, identity_lines


def request(
    peer: str = "192.0.2.1",
    *headers: tuple[bytes, bytes],
    host: bytes | None = b"api.example",
    tls: bool = False,
    trusted: tuple[str, ...] = (),
) -> Request:
    listed = [] if host is None else [(b"Host", host)]
    wire = Wire(
        "GET", b"/", [*listed, *headers], peer, tls=tls, http_minor=0 if host is None else 1
    )
    found = canonical_request(wire, RequestRules(header_rules(), TrustedProxies(trusted)))
    assert isinstance(found, Request)
    return found


def lines(asked: Request) -> list[str]:
    raw = hop_lines(asked).decode("ascii")
    assert raw.endswith("\r\n")
    return raw.split("\r\n")[:-1]


def test_identity_is_the_passports_own() -> None:
    """Passport, agent, issuer, tier and action, each on its line."""
    assert identity_lines(passport("pass_1", sub="a1"), "L2", "api:search") == (
        b"X-Passport-Id: pass_1\r\nX-Passport-Agent: a1\r\nX-Passport-Issuer: iss_lab\r\n"
        b"X-Passport-Tier: L2\r\nX-Passport-Action: api:search\r\nX-Passport-Access: passport\r\n"
    )


@pytest.mark.parametrize(
    ("agent", "shown"),
    [
        ("ä 1", b"%C3%A4%201"),
        ("a,b;c", b"a,b;c"),
        ("100%", b"100%"),
        ("a%20b", b"a%2520b"),
        ("a\u2028b", b"a%E2%80%A8b"),
        ("\U0001f512", b"%F0%9F%94%92"),
    ],
)
def test_a_name_cannot_be_more_than_a_value(agent: str, shown: bytes) -> None:
    """Outside visible ASCII it is percent-encoded, and no two names come out the same."""
    found = identity_lines(passport(sub=agent), "L2", "api:search")

    assert b"X-Passport-Agent: " + shown + b"\r\n" in found


def test_identity_is_kept_for_whoever_talked_lately() -> None:
    """Per passport, action and tier."""
    holder = passport()

    once = identity_lines(holder, "L2", "api:search")
    first = identity_lines(holder, "L2", "api:search")
    assert first == once
    assert identity_lines(holder, "L2", "api:search") is first
    assert b"X-Passport-Tier: L3" in identity_lines(holder, "L3", "api:search")
    for number in range(200):
        for _ in range(3):
            assert f"get:/{number}".encode() in identity_lines(holder, "L2", f"get:/{number}")
    assert identity_lines(holder, "L2", "api:search") is first
    other = identity_lines(passport(sub="other"), "L2", "api:search")
    assert b"X-Passport-Agent: other\r\n" in other


def test_a_very_long_identity_is_not_kept() -> None:
    """It is right all the same."""
    holder = passport()
    action = "get:/" + "x" * 1024

    for _ in range(2):
        assert identity_lines(holder, "L2", action) == identity_lines(holder, "L2", action)
    assert identity_lines(holder, "L2", action) is not identity_lines(holder, "L2", action)


def test_an_anonymous_request_has_no_identity() -> None:
    """Only what it is for."""
    assert anonymous_lines("get:/ä") == (
        b"X-Passport-Action: get:/%C3%A4\r\nX-Passport-Access: anonymous\r\n"
    )


def test_a_direct_client_is_named_in_every_way() -> None:
    """`Forwarded` (RFC 7239) and the older headers say the same."""
    assert lines(request()) == [
        "X-Forwarded-Proto: http",
        "X-Forwarded-For: 192.0.2.1",
        "X-Forwarded-Host: api.example",
        'Forwarded: for=192.0.2.1;proto=http;host="api.example"',
        "Via: 1.1 passgate",
    ]


def test_ipv6_is_quoted_where_it_must_be() -> None:
    """RFC 7239 section 6: in brackets and quotes; the older header has it bare."""
    found = lines(request("2001:db8::1", host=b"[2001:db8::2]:8443", tls=True))

    assert found == [
        "X-Forwarded-Proto: https",
        "X-Forwarded-For: 2001:db8::1",
        "X-Forwarded-Host: [2001:db8::2]:8443",
        'Forwarded: for="[2001:db8::1]";proto=https;host="[2001:db8::2]:8443"',
        "Via: 1.1 passgate",
    ]


def test_a_client_on_a_unix_socket_has_no_address() -> None:
    """It is `unknown`, and absent from the header that can hold addresses only."""
    found = lines(request("unix"))

    assert not any(line.startswith("X-Forwarded-For") for line in found)
    assert 'Forwarded: for=unknown;proto=http;host="api.example"' in found


def test_an_absent_host_is_left_out() -> None:
    """As an HTTP/1.0 request may."""
    found = lines(request(host=None))

    assert not any("ost" in line for line in found)


def test_trusted_hops_follow_the_client_they_vouch_for() -> None:
    """What an untrusted client wrote into the same headers is not repeated."""
    found = lines(
        request(
            "10.0.0.9",
            (b"X-Forwarded-For", b"6.6.6.6, 192.0.2.7, 10.0.0.5"),
            (b"X-Forwarded-Proto", b"https"),
            (b"X-Forwarded-Host", b"shop.example"),
            trusted=("10.0.0.0/8",),
        )
    )

    assert found[:4] == [
        "X-Forwarded-Proto: https",
        "X-Forwarded-For: 192.0.2.7, 10.0.0.5, 10.0.0.9",
        "X-Forwarded-Host: shop.example",
        'Forwarded: for=192.0.2.7;proto=https;host="shop.example", for=10.0.0.5, for=10.0.0.9',
    ]
    alone = lines(request("10.0.0.9", (b"X-Forwarded-For", b"6.6.6.6")))
    assert "X-Forwarded-For: 10.0.0.9" in alone


def test_earlier_proxies_stay_in_via() -> None:
    """RFC 9110 section 7.6.3: each appends itself."""
    found = lines(request("192.0.2.1", (b"Via", b"1.0 fred"), (b"Via", b"1.1 p.example")))

    assert found[-1] == "Via: 1.0 fred, 1.1 p.example, 1.1 passgate"


def test_no_client_fills_the_memory_with_lines() -> None:
    """Long values are not kept, and of short ones only so many."""
    forwarding._hop_lines.clear()
    hop_lines(request("192.0.2.1", (b"Via", b"1.1 " + b"x" * 50_000)))
    assert not forwarding._hop_lines

    first = request("192.0.2.1")
    assert hop_lines(first) is hop_lines(request("192.0.2.1"))
    for number in range(5000):
        first.client = f"10.0.{number >> 8}.{number & 255}"
        hop_lines(first)
    assert len(forwarding._hop_lines) <= 4096
