"""Reading a request never raises, and agrees with other readers about whatever it accepts."""

import ipaddress
from typing import Any
from urllib.parse import unquote, urlsplit

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from passgate.core.client_address import ClientPath, TrustedProxies, client_path
from passgate.core.header_rules import ROLES, header_rules
from passgate.core.headers import SortedHeaders, header_value, sort_request
from passgate.core.hosts import domain_of
from passgate.core.presented import Credential, choose_credential
from passgate.core.reasons import Refusal
from passgate.core.request import Request, RequestRules, Wire, canonical_request
from passgate.core.target import Target, judge_path, plain_path, read_target, without_parameters

PROXIES = TrustedProxies(["10.0.0.0/8", "unix"])
RULES = RequestRules(header_rules(), PROXIES)

PIECES = [
    b"/", b"//", b".", b"..", b"%2e", b"%2E", b"%2f", b"%5c", b"\\", b";", b"%3b", b"%00", b"%25",
    b"a", b"B", b"%61", b"%c3%a9", b"%c0%af", b"\xc3\xa9", b":", b"@", b"%40", b"?", b"#", b"%",
    b"http://", b"a.example", b"*", b" ", b"+", b"=", b"&", b"[", b"~",
]  # fmt: skip
targets = st.lists(st.sampled_from(PIECES), max_size=10).map(b"".join) | st.binary(max_size=30)
paths = targets.map(lambda raw: b"/" + raw)

NAMES = [
    *sorted(ROLES),
    b"X-Passport-Id", b"x_passport_id", b"Passport-X", b"X-A", b"Cookie", b"Proxy-X", b"X.A", b"",
]  # fmt: skip
VALUES = [
    b"", b"a", b"chunked", b"5", b"close, x-a", b"upgrade", b"host", b"Passport e", b"Basic x",
    b"Bearer e", b"DPoP e", b"10.0.0.1, 1.2.3.4", b'for="[::1]";proto=https', b'"', b"h2c", b"\xff",
    b"a\r\nb", b"100-continue", b"a.example", b"e",
]  # fmt: skip
names = st.sampled_from(NAMES) | st.binary(max_size=8)
values = st.sampled_from(VALUES) | st.binary(max_size=12)
headers = st.lists(st.tuples(names, values), max_size=8)


@given(
    st.sampled_from(["GET", "get", "OPTIONS", "CONNECT", ""]) | st.text(max_size=8),
    targets,
    headers,
    st.sampled_from(["10.0.0.1", "192.0.2.1", "::ffff:10.0.0.1", "fe80::1%x", "unix"]),
    st.integers(0, 1),
)
def test_reading_never_raises(
    method: str, target: bytes, sent: list[tuple[bytes, bytes]], peer: str, minor: int
) -> None:
    """Whatever arrives is a request or a refusal; its credential a text, nothing or a refusal."""
    for host in ([], [(b"Host", b"a.example")]):
        found = canonical_request(Wire(method, target, host + sent, peer, False, minor), RULES)
        if isinstance(found, Refusal):
            assert found.code == "request_malformed"
        else:
            assert isinstance(found, Request)
            assert isinstance(
                choose_credential(found.sorted.presented), Credential | Refusal | None
            )


@given(paths)
def test_an_accepted_path_has_one_reading(target: bytes) -> None:
    """Other URL readers, and servers that cut at semicolons, walk where the judged path says."""
    read = read_target(target, "GET", ("a.example", None))
    if isinstance(read, Refusal):
        return
    assert isinstance(read, Target)
    assert read.forward == target
    raw_path, _, raw_query = target.partition(b"?")
    assert read.query == raw_query
    # Decoding the judged path gives what decoding the forwarded bytes gives.
    decoded = unquote(raw_path.decode("ascii"), errors="strict")
    assert unquote(read.path, errors="strict") == decoded
    # A reader that resolves dot segments and decodes finds nothing to resolve.
    assert URL("http://a.example" + raw_path.decode("ascii")).path == decoded
    assert urlsplit("http://a.example" + target.decode("ascii")).path.encode() == raw_path
    for view in (decoded, without_parameters(decoded)):
        assert "//" not in view
        assert "\\" not in view
        assert not {".", ".."} & set(view.split("/"))
        assert view.isprintable() or not view.isascii()


@given(paths)
def test_judging_is_idempotent(target: bytes) -> None:
    judged = judge_path(target)
    if isinstance(judged, str):
        assert judge_path(judged.encode("ascii")) == judged
        plain = plain_path(judged)
        assert plain_path(plain) == plain
        assert unquote(plain) == unquote(judged)


@given(headers)
def test_what_is_forwarded_is_well_formed_and_the_senders_own(
    sent: list[tuple[bytes, bytes]],
) -> None:
    """An independent parser reads the forwarded lines back; no role of the gate is among them."""
    found = sort_request([(b"Host", b"a.example"), *sent], header_rules())
    if isinstance(found, Refusal):
        return
    assert isinstance(found, SortedHeaders)
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\n" + found.forward + b"\r\n")
    event = connection.next_event()
    assert isinstance(event, h11.Request)
    sent_names = {name.lower() for name, _ in sent}
    for name, _ in list(event.headers)[1:]:
        assert name in sent_names
        assert name not in found.connection
        assert b"_" not in name
        assert not name.startswith((b"x-passport-", b"passport-", b"proxy-", b"x-forwarded-"))
        assert name not in (b"host", b"content-length", b"transfer-encoding", b"connection", b"te")
        assert name not in (b"x-agent-passport", b"dpop", b"x-modei-passport-id", b"forwarded")
    presented = {b"x-agent-passport", b"dpop", b"x-modei-passport-id", b"x-agent-passport-chain"}
    assert bool(found.presented) >= bool(presented & sent_names)


addresses = st.ip_addresses().map(str)


@given(st.binary(max_size=40), addresses, st.lists(st.sampled_from(["10.0.0.2", "10.9.9.9"])))
def test_what_a_client_writes_left_of_itself_counts_for_nothing(
    forged: bytes, client: str, hops: list[str]
) -> None:
    parsed = ipaddress.ip_address(client)
    mapped = getattr(parsed, "ipv4_mapped", None)
    normal = str(mapped or parsed)
    if normal in PROXIES:
        return
    honest = ", ".join([client, *hops]).encode()
    expected = client_path("10.0.0.1", [honest], [], PROXIES)
    assert isinstance(expected, ClientPath)
    assert expected.client == normal
    assert client_path("10.0.0.1", [forged + b", " + honest], [], PROXIES) == expected
    assert client_path("10.0.0.1", [forged, honest], [], PROXIES) == expected


@given(st.lists(st.sampled_from(
    ["http://", "https:", "//", "/", "\\", "@", ":", "80", "a.example", "b", ".", "[::1]", "?", "#",
     "%2e", " ", "\t", "1", "0x7f", "é", "//b.example", ";"]
), max_size=7).map("".join) | st.text(max_size=20))  # fmt: skip
def test_an_accepted_domain_is_what_url_readers_connect_to(declared: str) -> None:
    found = domain_of(declared)
    if isinstance(found, Refusal) or "://" not in declared:
        return
    for host in (urlsplit(declared).hostname, URL(declared).host):
        assert host is not None
        host = host.lower().removesuffix(".")
        if ":" in host:
            address: Any = ipaddress.IPv6Address(host)
            host = str(address.ipv4_mapped or address)
        assert host == found


@given(st.text(max_size=20), st.text(max_size=20))
def test_two_values_never_leave_as_one(left: str, right: str) -> None:
    """What the gate sets is visible ASCII, and injective."""
    encoded = header_value(left)
    assert all(0x21 <= byte <= 0x7E for byte in encoded)
    assert (encoded == header_value(right)) is (left == right)


@pytest.mark.parametrize(
    ("left", "right"), [("a b", "a%20b"), ("%", "%25"), ("a%2520", "a%20"), ("\x7f", "%7F")]
)
def test_escapes_in_a_value_are_told_from_escapes_by_the_gate(left: str, right: str) -> None:
    assert header_value(left) != header_value(right)
