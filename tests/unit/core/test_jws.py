"""The strict reader of compact JWS."""

import base64
from typing import Any

import pytest
from tests.craft import CLAIMS, HEADER, KID, UNSET, b64, compact_json, credential, raw_credential

from passgate.core.jws import (
    PASSPORT_TYPES,
    REVOCATIONS_TYPES,
    MalformedError,
    UnsupportedError,
    decode_base64url,
    is_name,
    named,
    read,
)

BODY = compact_json(CLAIMS)


def read_passport(text: str) -> None:
    read(text.encode(), PASSPORT_TYPES)


def test_the_parts_are_what_was_signed() -> None:
    """Claims, payload, signing input and signature come out as they were put in."""
    text = credential()

    jws = read(text.encode(), PASSPORT_TYPES)

    head, body, tail = text.split(".")
    assert (jws.kid, jws.typ, jws.claims) == (KID, "passport+jwt", CLAIMS)
    assert jws.payload == BODY
    assert jws.signing_input == f"{head}.{body}".encode()
    assert jws.signature == base64.urlsafe_b64decode(tail + "==")


@pytest.mark.parametrize(
    "change", [{"alg": "Ed25519"}, {"typ": "JWT"}, {"typ": UNSET}, {"kid": "ключ-1"}]
)
def test_every_header_of_the_contract_is_read(change: dict[str, Any]) -> None:
    """Both names of the algorithm, and the three ways to say the type."""
    read_passport(credential(header=change))


@pytest.mark.parametrize(
    "change",
    [
        {"crit": ["exp"]},
        {"crit": []},
        {"jku": "https://evil.example/keys"},
        {"x5u": "https://evil.example/cert"},
        {"x5c": ["MII="]},
        {"x5t": "abc"},
        {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}},
        {"b64": False},
        {"b64": True},
        {"cty": "JWT"},
        {"zip": "DEF"},
        {"enc": "A256GCM"},
        {"anything else\n": 1},
    ],
)
def test_any_other_header_member_is_refused(change: dict[str, Any]) -> None:
    """What would move the key, the payload or the meaning is not supported."""
    with pytest.raises(UnsupportedError):
        read_passport(credential(header=change))


@pytest.mark.parametrize(
    "alg", ["none", "None", "", "HS256", "RS256", "ES256", "Ed448", "eddsa", "EdDSA ", "EdDSA\x00"]
)
def test_any_other_algorithm_is_refused(alg: str) -> None:
    """The name of the algorithm is compared exactly; there is no `none` and no HMAC."""
    with pytest.raises(UnsupportedError, match="neither Ed25519 nor EdDSA"):
        read_passport(credential(header={"alg": alg}))


@pytest.mark.parametrize(
    "change",
    [
        {"alg": UNSET},
        {"alg": None},
        {"alg": ["EdDSA"]},
        {"typ": ""},
        {"typ": None},
        {"typ": 1},
        {"typ": "revocations+jwt"},
        {"typ": "at+jwt"},
        {"typ": "PASSPORT+JWT"},
        {"kid": UNSET},
        {"kid": None},
        {"kid": 1},
        {"kid": ""},
        {"kid": ["key-1"]},
        {"kid": "k" * 257},
        {"kid": "é" * 129},
        {"kid": "key-1\n"},
        {"kid": "k" * 4000},
    ],
)
def test_a_header_member_of_a_wrong_value_is_refused(change: dict[str, Any]) -> None:
    """`alg`, `typ` and `kid` have their exact types and bounds."""
    with pytest.raises(MalformedError):
        read_passport(credential(header=change))


def test_types_are_never_confused() -> None:
    """A list is no passport, a passport is no list, and a list must say that it is one."""
    passport, revocations = credential(), credential(header={"typ": "revocations+jwt"})

    assert read(revocations.encode(), REVOCATIONS_TYPES).typ == "revocations+jwt"
    for text, types in [
        (revocations, PASSPORT_TYPES),
        (passport, REVOCATIONS_TYPES),
        (credential(header={"typ": UNSET}), REVOCATIONS_TYPES),
        (credential(header={"typ": "JWT"}), REVOCATIONS_TYPES),
    ]:
        with pytest.raises(MalformedError, match="something else"):
            read(text.encode(), types)


@pytest.mark.parametrize(
    "header",
    [
        b'{"alg":"none","alg":"EdDSA","kid":"key-1"}',
        b'{"alg":"EdDSA","kid":"key-1","kid":"key-2"}',
        b'{"alg":"EdDSA","kid":"key-1","\\u006bid":"key-2"}',
        b'["EdDSA"]',
        b'"EdDSA"',
        b"",
        b"{}",
        b'{"alg":"EdDSA","kid":"\\ud800"}',
        b'{"alg":"EdDSA","kid":"key-1"} x',
        b'{"alg":"EdDSA","kid":"key-1"}\x00',
        b'\xef\xbb\xbf{"alg":"EdDSA","kid":"key-1"}',
        b"[" * 1400,
        b'{"alg":"EdDSA","kid":"key-1"' + b" " * 4000 + b"}",
    ],
)
def test_a_header_with_two_readings_is_refused(header: bytes) -> None:
    """Duplicate members, other values than an object, junk, and a header beyond any need."""
    with pytest.raises(MalformedError):
        read_passport(raw_credential(header, BODY))


@pytest.mark.parametrize(
    "payload",
    [
        b'{"iss":"iss_lab","iss":"iss_evil"}',
        b'{"metadata":{"a":[{"b":1,"b":2}]}}',
        b"[]",
        b"1",
        b"not json",
        b'{"exp":NaN}',
        b'{"exp":Infinity}',
        b'{"exp":99999999999999999999}',
        b'{"sub":"\xff"}',
        b'{"sub":"\\udfff"}',
        b'{"a":' * 5000,
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b"[" * 40_000,
    ],
)
def test_a_payload_with_two_readings_is_refused(payload: bytes) -> None:
    """Signed or not: what readers read differently, or cannot read, is no set of claims."""
    with pytest.raises(MalformedError, match="payload"):
        read_passport(raw_credential(compact_json(HEADER), payload))


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda h, b, s: f"{h}.{b}.{s}.", id="a dot more"),
        pytest.param(lambda h, b, s: f"{h}.{b}.{s}.{s}", id="a part more"),
        pytest.param(lambda h, b, s: f"{h}.{b}", id="a part less"),
        pytest.param(lambda h, b, s: f"{h}..{s}", id="detached payload"),
        pytest.param(lambda h, b, s: f".{b}.{s}", id="no header"),
        pytest.param(lambda h, b, s: f"{h}.{b}.", id="no signature"),
        pytest.param(lambda h, b, s: f"{h}.{b}.{s[:-1]}", id="short signature"),
        pytest.param(lambda h, b, s: f"{h}.{b}.{s}A", id="long signature"),
        pytest.param(lambda h, b, s: f"{h}.{b}.{s}==", id="padded signature"),
        pytest.param(lambda h, b, s: f"{h}=.{b}.{s}", id="padded header"),
        pytest.param(lambda h, b, s: f"{h}.{b}.{s}\n", id="newline after"),
        pytest.param(lambda h, b, s: f" {h}.{b}.{s}", id="space before"),
        pytest.param(lambda h, b, s: f"{h[:4]} {h[4:]}.{b}.{s}", id="space inside"),
        pytest.param(lambda h, b, s: f"{h}.{b}.{s[:-2]}+/", id="standard alphabet"),
        pytest.param(lambda h, b, s: f"{h}.{b}.{s}\x00", id="NUL after"),
        pytest.param(lambda h, b, s: f"{h}.{b}.{s[:-1]}{chr(ord(s[-1]) + 1)}", id="unused bits"),
        pytest.param(lambda h, b, s: f"{h}.{b}A.{s}", id="length of no bytes, or other bytes"),
        pytest.param(lambda h, b, s: "", id="nothing"),
        pytest.param(lambda h, b, s: "..", id="dots"),
    ],
)
def test_another_spelling_is_refused(spoil: Any) -> None:
    """Each credential has one spelling; whatever a lax decoder would take is refused."""
    with pytest.raises(MalformedError):
        read_passport(spoil(*credential().split(".")))


@pytest.mark.parametrize("raw", [b"a", b"ab", b"abc", b"abcd", bytes(range(256)), b"\xff" * 7])
def test_base64url_has_one_spelling_for_each_value(raw: bytes) -> None:
    """The canonical text decodes, and no other last character gives the same bytes."""
    text = b64(raw).encode()
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

    assert decode_base64url(text) == raw
    for last in alphabet:
        if last != text[-1]:
            other = text[:-1] + bytes([last])
            try:
                assert decode_base64url(other) != raw
            except MalformedError:
                assert len(raw) % 3 != 0


@pytest.mark.parametrize(
    "part", [b"", b"A", b"AAAAA", b"AB", b"AAB", b"AA==", b"A A", b"AA+/", b"\xff"]
)
def test_what_is_not_canonical_base64url_is_refused(part: bytes) -> None:
    """Empty, of an impossible length, with unused bits, padding, space or another alphabet."""
    with pytest.raises(MalformedError):
        decode_base64url(part)


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ("a", True),
        ("agent seven", True),
        ("агент", True),
        ("a" * 256, True),
        ("é" * 128, True),
        ("zero\u200bwidth", True),
        ("", False),
        ("a" * 257, False),
        ("é" * 129, False),
        ("a\nb", False),
        ("a\x00", False),
        ("a\x7f", False),
        ("é\x85", False),
        ("é\n", False),
    ],
)
def test_names_are_bounded_and_hold_no_control_characters(value: str, good: bool) -> None:
    """1 to 256 bytes of UTF-8, without C0, DEL and C1."""
    assert is_name(value) is good


def test_unknown_names_are_repeated_only_if_short_and_plain() -> None:
    """What goes into an answer's sentence cannot break out of it."""
    assert "`cnf`" in named({"cnf", "zzz"})
    assert "https://agent-passport.org/claims/agent_id" in named(
        {"https://agent-passport.org/claims/agent_id"}
    )
    for name in ("a" * 81, 'a"b', "a\nb", "", "é", "a b"):
        assert name not in named({name}) or name == ""
        assert "does not know" in named({name})


@pytest.mark.parametrize(("alg", "size"), [("EdDSA", 64), ("ES256", 64), ("RS256", 256)])
def test_where_other_algorithms_are_accepted_each_has_its_size(alg: str, size: int) -> None:
    """The header says which; a signature of another size is none."""
    accepted = frozenset({"EdDSA", "ES256", "RS256"})
    head, body, _ = credential(header={"alg": alg}).split(".")

    jws = read(f"{head}.{body}.{b64(bytes(size))}".encode(), PASSPORT_TYPES, accepted)

    assert (jws.alg, len(jws.signature)) == (alg, size)
    for wrong in (size - 1, size + 1 if size == 64 else 1025):
        with pytest.raises(MalformedError, match="signature"):
            read(f"{head}.{body}.{b64(bytes(wrong))}".encode(), PASSPORT_TYPES, accepted)
