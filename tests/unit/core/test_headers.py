"""Headers: what crosses the gate, what stays behind, what is read."""

import json
from pathlib import Path
from typing import Any

import pytest

from passgate.core.header_rules import header_rules, reaches_upstream
from passgate.core.headers import (
    HeaderBlock,
    SortedHeaders,
    connection_names,
    drop_from_response,
    drop_from_trailers,
    header_value,
    sort_request,
)
from passgate.core.presented import Credential, choose_credential
from passgate.core.reasons import Refusal
from passgate.core.request import Request, RequestRules, Wire, canonical_request

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "vectors/headers.json").read_text()
)
RULES = header_rules()
HOST = (b"Host", b"api.example")


def sort(*headers: tuple[bytes, bytes], **rules: Any) -> SortedHeaders:
    found = sort_request([HOST, *headers], header_rules(**rules))
    assert isinstance(found, SortedHeaders)
    return found


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: ascii(vector["name"]))
def test_vector(vector: dict[str, Any]) -> None:
    """Each header section of the vectors is sorted, or refused, as they say."""
    headers = [(n.encode("latin-1"), v.encode("latin-1")) for n, v in vector["headers"]]
    found = sort_request(headers, RULES, vector.get("http_minor", 1))
    expected = dict(vector["expect"])
    if "refused" in expected:
        assert isinstance(found, Refusal)
        assert (found.code, found.http_status) == (expected["refused"], expected["status"])
        return
    assert isinstance(found, SortedHeaders)
    lines = [line + "\r\n" for line in expected.pop("forward")]
    assert found.forward == "".join(lines).encode("latin-1")
    if "presented" in expected:
        assert [
            [item.carrier, item.value.decode("latin-1"), item.kind] for item in found.presented
        ] == expected.pop("presented")
    if "credential" in expected:
        credential = expected.pop("credential")
        chosen = choose_credential(found.presented)
        if isinstance(credential, str):
            assert chosen == Credential(credential)
        elif "reference" in credential:
            assert chosen == Credential(credential["reference"], referred=True)
        elif "none" in credential:
            assert chosen is None
        else:
            assert isinstance(chosen, Refusal)
            assert chosen.code == credential["refused"]
    for name, value in expected.items():
        read = getattr(found, name)
        assert (read.decode() if isinstance(read, bytes) else read) == value


def test_vectors_have_names_of_their_own() -> None:
    assert len({vector["name"] for vector in VECTORS}) == len(VECTORS)


def test_what_the_gate_reads_is_read() -> None:
    """Framing, content and negotiation come out as values."""
    found = sort(
        (b"Content-Type", b" application/json "),
        (b"Content-Encoding", b"gzip"),
        (b"Content-Length", b"007"),
        (b"Accept", b"a/b"),
        (b"accept", b"c/d"),
        (b"Prefer", b"wait=5"),
        (b"Idempotency-Key", b" k-1 "),
        (b"idempotency-key", b"k-2"),
        (b"Expect", b"100-Continue"),
        (b"X-Forwarded-For", b"1.2.3.4"),
        (b"X-Forwarded-For", b"5.6.7.8"),
        (b"Forwarded", b"for=1.2.3.4"),
        (b"X-Forwarded-Proto", b"https"),
        (b"X-Forwarded-Host", b"a.example"),
        (b"Connection", b"keep-alive, Close"),
    )
    assert found.host == b"api.example"
    assert found.content_type == b"application/json"
    assert found.content_encoding == b"gzip"
    assert found.content_length == 7
    assert not found.chunked
    assert found.accept == b"a/b, c/d"
    assert found.prefer == b"wait=5"
    assert found.idempotency_keys == (b"k-1", b"k-2")
    assert b"Idempotency-Key:  k-1 \r\n" in found.forward
    assert found.expect_continue
    assert list(found.forwarded_for) == [b"1.2.3.4", b"5.6.7.8"]
    assert list(found.forwarded) == [b"for=1.2.3.4"]
    assert list(found.forwarded_proto) == [b"https"]
    assert list(found.forwarded_host) == [b"a.example"]
    assert found.connection == {b"keep-alive", b"close"}


def test_no_headers_in_http_1_0() -> None:
    found = sort_request([], RULES, 0)
    assert isinstance(found, SortedHeaders)
    assert found.host is None
    assert found.forward == b""


def test_bearer_is_a_passport_with_accept_bearer() -> None:
    found = sort((b"Authorization", b"Bearer e"), accept_bearer=True)
    assert choose_credential(found.presented) == Credential("e")
    assert found.forward == b""


def test_a_passport_beyond_ascii_comes_out_for_its_shape_to_be_refused() -> None:
    found = sort((b"X-Agent-Passport", b"\xe9"))
    assert choose_credential(found.presented) == Credential("\xe9")
    found = sort((b"X-Agent-Passport", b"\xe9"), (b"Authorization", b"Passport \xe9"))
    assert choose_credential(found.presented) == Credential("\xe9")


def test_keep_passport_forwards_it() -> None:
    found = sort((b"x-agent-passport", b"e"), (b"authorization", b"Passport e"), keep_passport=True)
    assert found.forward == b"X-Agent-Passport: e\r\nAuthorization: Passport e\r\n"
    assert choose_credential(found.presented) == Credential("e")


@pytest.mark.parametrize(
    ("carriers", "header"),
    [
        (["x-agent-passport"], (b"Authorization", b"Passport e")),
        (["Authorization"], (b"X-Agent-Passport", b"e")),
    ],
)
def test_a_carrier_that_is_not_read_still_presents(
    carriers: list[str], header: tuple[bytes, bytes]
) -> None:
    """What is presented where nobody looks is refused, never anonymous, and never forwarded."""
    found = sort(header, carriers=carriers)
    chosen = choose_credential(found.presented)
    assert isinstance(chosen, Refusal)
    assert chosen.code == "passport_unsupported"
    assert found.forward == b""


def test_the_same_passport_where_it_is_read_and_where_not_is_read() -> None:
    found = sort(
        (b"Authorization", b"Passport e"), (b"X-Agent-Passport", b"e"), carriers=["authorization"]
    )
    assert choose_credential(found.presented) == Credential("e")


def test_pass_headers_lets_an_override_through() -> None:
    found = sort(
        (b"X-HTTP-Method-Override", b"DELETE"),
        (b"api_key", b"k"),
        (b"other_key", b"k"),
        (b"X-Original-URL", b"/x"),
        (b"X-Forwarded-Port", b"1"),
        pass_headers=["x-http-method-override", "API_KEY", "X-Forwarded-Port", "X_Real_IP"],
    )
    assert found.forward == (
        b"X-HTTP-Method-Override: DELETE\r\napi_key: k\r\nX-Forwarded-Port: 1\r\n"
    )


@pytest.mark.parametrize(
    "name",
    [
        "X-Passport-Id",
        "X_Passport_Id",
        "Passport-Decision",
        "Connection",
        "X-Forwarded-For",
        "X_Forwarded_For",
        "Forwarded",
        "Host",
        "Proxy-Authorization",
        "X-Agent-Passport",
        "User-Agent",
        "X.Passport.Id",
        "",
        "a b",
        "caf\xe9",
    ],
)
def test_pass_headers_lets_nothing_else_through(name: str) -> None:
    with pytest.raises(ValueError, match="header"):
        header_rules(pass_headers=[name])


@pytest.mark.parametrize("carrier", ["x-modei-passport-id", "dpop", "cookie"])
def test_carriers_of_other_versions_are_refused(carrier: str) -> None:
    with pytest.raises(ValueError, match="passports are read from"):
        header_rules(carriers=[carrier])


@pytest.mark.parametrize(
    ("name", "reaches"),
    [
        (b"x-amount", True),
        (b"content-type", True),
        (b"accept", True),
        (b"host", False),
        (b"connection", False),
        (b"authorization", False),
        (b"x-passport-id", False),
        (b"passport-x", False),
        (b"x-forwarded-for", False),
        (b"x-forwarded-port", False),
        (b"x-http-method", False),
        (b"x_amount", False),
        (b"x.amount", False),
        (b"proxy-foo", False),
    ],
)
def test_what_reaches_the_upstream(name: bytes, reaches: bool) -> None:
    assert reaches_upstream(name) is reaches


@pytest.mark.parametrize(
    ("name", "dropped"),
    [
        (b"connection", True),
        (b"keep-alive", True),
        (b"transfer-encoding", True),
        (b"upgrade", True),
        (b"proxy-authenticate", True),
        (b"x-passport-cost-cents", True),
        (b"passport-decision", True),
        (b"content-length", False),
        (b"proxy-status", False),
        (b"www-authenticate", False),
        (b"set-cookie", False),
    ],
)
def test_what_stays_behind_of_an_answer(name: bytes, dropped: bool) -> None:
    assert drop_from_response(name) is dropped


@pytest.mark.parametrize(
    ("name", "dropped"),
    [
        (b"grpc-status", False),
        (b"server-timing", False),
        (b"content-length", True),
        (b"transfer-encoding", True),
        (b"host", True),
        (b"authorization", True),
        (b"x-passport-id", True),
        (b"content-type", True),
        (b"trailer", True),
        (b"x-http-method-override", True),
        (b"x_y", True),
        (b"proxy-authenticate", True),
        (b"connection", True),
    ],
)
def test_what_stays_behind_of_trailers(name: bytes, dropped: bool) -> None:
    assert drop_from_trailers(name) is dropped


def test_connection_names_of_several_headers() -> None:
    assert connection_names([b"close, X-A", b" ,x-b"]) == {b"close", b"x-a", b"x-b"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("iss_lab", b"iss_lab"),
        ("did:web:a%3A80", b"did:web:a%3A80"),
        ("a b", b"a%20b"),
        ("a%20b", b"a%2520b"),
        ("a%2520b", b"a%252520b"),
        ("caf\xe9", b"caf%C3%A9"),
        ("a\r\nb", b"a%0D%0Ab"),
        ("a%0d", b"a%250d"),
        ("\ud800", b"%ED%A0%80"),
        ("", b""),
    ],
)
def test_values_that_the_gate_sets_are_visible_ascii(text: str, value: bytes) -> None:
    """Escaped so that no two values come out the same."""
    assert header_value(text) == value


def test_the_memory_of_names_is_bounded() -> None:
    """Anyone may send any name: neither many of them nor long ones are kept."""
    rules = header_rules()
    for number in range(5000):
        sort_request([HOST, (b"X-%d" % number, b"1"), (b"X-" + b"y" * 70, b"1")], rules)
    assert len(rules.roles) <= 2048
    assert max(map(len, rules.roles)) <= 64
    found = sort_request([HOST, (b"X-1", b"1"), (b"X-Passport-Id", b"1")], rules)
    assert isinstance(found, SortedHeaders)
    assert found.forward == b"X-1: 1\r\n"


def test_block_is_sorted_once_under_the_same_rules() -> None:
    """Equal headers under equal rules have one outcome; under others they are sorted again."""
    block = HeaderBlock([HOST, (b"X-Real-IP", b"8.8.8.8"), (b"X-Agent-Passport", b"e")])
    passing = header_rules(pass_headers=["X-Real-IP"])

    first = block.sorted_under(RULES)
    assert block.sorted_under(RULES) is first
    assert first == sort_request(block.fields, RULES)
    assert block.sorted_under(passing) == sort_request(block.fields, passing) != first
    assert block.sorted_under(RULES) == first


def test_block_in_an_old_version_is_sorted_as_such() -> None:
    """What is kept for HTTP/1.1 is not taken for HTTP/1.0, where less is understood."""
    block = HeaderBlock([HOST, (b"Expect", b"100-continue")])
    rules = RequestRules(RULES)
    newer = canonical_request(Wire("GET", b"/", block.fields, "10.0.0.1", block=block), rules)
    wire = Wire("GET", b"/", block.fields, "10.0.0.1", http_minor=0, block=block)
    older = canonical_request(wire, rules)

    assert isinstance(newer, Request)
    assert isinstance(older, Request)
    assert newer.sorted.expect_continue
    assert not older.sorted.expect_continue


def test_credential_knows_its_digest() -> None:
    """The digest is that of the text itself, the first time and later."""
    credential = choose_credential(sort((b"X-Agent-Passport", b"abc")).presented)

    assert isinstance(credential, Credential)
    assert credential.digest == ("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    assert credential.digest is credential.digest


def test_authority_comes_with_its_text() -> None:
    """What Host names is read with it, and nothing of a malformed one."""
    good, bad = sort_request([(b"Host", b" A.b:80")], RULES), sort_request([(b"Host", b"/")], RULES)

    assert isinstance(good, SortedHeaders)
    assert isinstance(bad, SortedHeaders)
    assert (good.authority, good.authority_text) == (("a.b", 80), "A.b:80")
    assert (bad.authority, bad.authority_text) == (None, "")
