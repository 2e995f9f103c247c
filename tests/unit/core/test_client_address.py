"""The client's address: by the word of trusted hops only."""

import pytest
from tests.pace import assert_quick

from passgate.core.client_address import (
    NO_PROXIES,
    ClientPath,
    TrustedProxies,
    client_path,
    counted_address,
    normal_address,
)
from passgate.core.reasons import Refusal

PROXIES = TrustedProxies(["10.0.0.0/8", "fd00::/8"])


def path(peer: str, *forwarded_for: str, forwarded: tuple[str, ...] = ()) -> ClientPath | Refusal:
    return client_path(
        peer, [x.encode() for x in forwarded_for], [x.encode() for x in forwarded], PROXIES
    )


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("unix", "unix"),
        ("192.0.2.01", None),
        ("3221225985", None),
        ("example", None),
        ("", None),
    ],
)
def test_an_address_has_one_spelling(text: str, normal: str | None) -> None:
    assert normal_address(text) == normal


@pytest.mark.parametrize(
    ("client", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("unix", "unix"),
    ],
)
def test_ipv6_is_counted_by_64(client: str, counted: str) -> None:
    assert counted_address(client) == counted


@pytest.mark.parametrize("peer", ["203.0.113.9", "2001:db8::1", "unix"])
def test_an_untrusted_peer_is_the_client(peer: str) -> None:
    """Whatever it writes into forwarding headers."""
    expected = ClientPath(peer, (), False)
    assert path(peer, "1.2.3.4", forwarded=("for=1.2.3.4",)) == expected
    assert path(peer, "1.2.3.4", forwarded=('for="broken',)) == expected
    assert client_path(peer, [b"1.2.3.4"], [], NO_PROXIES) == expected


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client", "hops"),
    [
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9", ("10.0.0.1",)),
        ("::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.9", ("10.0.0.1",)),
        ("10.0.0.1", ["1.2.3.4, 203.0.113.9"], "203.0.113.9", ("10.0.0.1",)),
        ("10.0.0.1", ["1.2.3.4", "203.0.113.9"], "203.0.113.9", ("10.0.0.1",)),
        ("10.0.0.1", ["203.0.113.9, 10.0.0.2"], "203.0.113.9", ("10.0.0.2", "10.0.0.1")),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3", ("10.0.0.2", "10.0.0.1")),
        ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1", ("10.0.0.1",)),
        ("10.0.0.1", ["[2001:db8::1]"], "2001:db8::1", ("10.0.0.1",)),
        ("10.0.0.1", ["203.0.113.9:4711"], "203.0.113.9", ("10.0.0.1",)),
        ("10.0.0.1", ["203.0.113.9, , "], "203.0.113.9", ("10.0.0.1",)),
        ("fd00::1", ["::ffff:203.0.113.9"], "203.0.113.9", ("fd00::1",)),
        ("10.0.0.1", [], "10.0.0.1", ()),
        ("10.0.0.1", [""], "10.0.0.1", ()),
        ("10.0.0.1", ["203.0.113.9, unknown"], "10.0.0.1", ()),
        ("10.0.0.1", ["203.0.113.9, unix"], "10.0.0.1", ()),
        ("10.0.0.1", ["203.0.113.9, junk, 10.0.0.2"], "10.0.0.2", ("10.0.0.1",)),
        ("10.0.0.1", ["203.0.113.9 10.0.0.2"], "10.0.0.1", ()),
        ("10.0.0.1", ["\xe9"], "10.0.0.1", ()),
    ],
)
def test_trusted_hops_are_followed(
    peer: str, forwarded_for: list[str], client: str, hops: tuple[str, ...]
) -> None:
    """From the right; the first hop that is not trusted, or wrote no address, is the client."""
    assert path(peer, *forwarded_for) == ClientPath(client, hops, True)


@pytest.mark.parametrize(
    ("forwarded", "client", "hops"),
    [
        (["for=203.0.113.9"], "203.0.113.9", ("10.0.0.1",)),
        (["For=203.0.113.9;proto=https;by=10.0.0.1"], "203.0.113.9", ("10.0.0.1",)),
        (['proto=https ; for="203.0.113.9:80"'], "203.0.113.9", ("10.0.0.1",)),
        (['for="[2001:db8::1]:80"'], "2001:db8::1", ("10.0.0.1",)),
        (["for=1.2.3.4, for=203.0.113.9, for=10.0.0.2"], "203.0.113.9", ("10.0.0.2", "10.0.0.1")),
        (["for=1.2.3.4", "for=203.0.113.9"], "203.0.113.9", ("10.0.0.1",)),
        (["for=203.0.113.9, "], "203.0.113.9", ("10.0.0.1",)),
        (['host="a,b;for=1.2.3.4";for=203.0.113.9'], "203.0.113.9", ("10.0.0.1",)),
        (["for=203.0.113.9, for=unknown"], "10.0.0.1", ()),
        (["for=203.0.113.9, for=_hidden"], "10.0.0.1", ()),
        (["for=203.0.113.9, proto=https"], "10.0.0.1", ()),
        (["for=203.0.113.9;for=1.2.3.4"], "10.0.0.1", ()),
        ([""], "10.0.0.1", ()),
    ],
)
def test_forwarded_is_followed_likewise(
    forwarded: list[str], client: str, hops: tuple[str, ...]
) -> None:
    expected = ClientPath(client, hops, True)
    assert path("10.0.0.1", forwarded=tuple(forwarded)) == expected


@pytest.mark.parametrize(
    "forwarded",
    ['for="1.2.3.4, for=203.0.113.9', "for", 'for="a"b', "for=a b", "=x", 'for="a\\"'],
)
def test_a_malformed_forwarded_is_refused(forwarded: str) -> None:
    """An open quotation mark must not swallow what the proxy wrote after it."""
    found = path("10.0.0.1", forwarded=(forwarded,))
    assert isinstance(found, Refusal)
    assert found.code == "request_malformed"


def test_headers_that_disagree_are_refused() -> None:
    """One of the two is the client's own, and nothing says which."""
    found = path("10.0.0.1", "203.0.113.9", forwarded=("for=198.51.100.1",))
    assert isinstance(found, Refusal)
    assert found.code == "request_malformed"


def test_headers_that_agree_are_one() -> None:
    expected = ClientPath("203.0.113.9", ("10.0.0.1",), True)
    assert path("10.0.0.1", "203.0.113.9", forwarded=("for=203.0.113.9",)) == expected


def test_a_unix_socket_is_trusted_only_by_its_word() -> None:
    trusted = TrustedProxies(["unix"])
    assert trusted
    assert client_path("unix", [b"203.0.113.9"], [], trusted) == ClientPath(
        "203.0.113.9", ("unix",), True
    )
    assert client_path("10.0.0.1", [b"203.0.113.9"], [], trusted).client == "10.0.0.1"  # type: ignore[union-attr]  # no refusal here


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(ValueError, match="does not appear"):
        TrustedProxies(["proxies"])


@pytest.mark.parametrize(
    "forwarded", ["; " * 20_000 + '"', " " * 40_000 + '"', 'a="' * 20_001, ";for=" * 8_000 + '"']
)
def test_a_hostile_forwarded_header_takes_no_time_by_the_square(forwarded: str) -> None:
    """A proxy passes on what the client wrote, so nobody needs to be trusted to send this."""
    assert_quick(lambda: path("10.0.0.1", forwarded=(forwarded,)), 50.0)


def test_a_claimed_address_is_not_kept_whatever_its_length() -> None:
    """Entries that no address can be are not remembered: each could be as long as a header."""
    normal_address("10.0.0.1")
    before = normal_address.cache_info().currsize

    assert path("10.0.0.1", "1" * 10_000) == ClientPath("10.0.0.1", (), True)

    assert normal_address.cache_info().currsize == before
