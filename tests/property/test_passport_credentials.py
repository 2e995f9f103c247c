"""Whatever is done to a credential: it is refused, nothing raises, and PyJWT does not disagree."""

import json
from decimal import Decimal
from typing import Any

import jwt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.craft import (
    CLAIMS,
    HEADER,
    KEY,
    KID,
    SEED,
    b64,
    compact_json,
    credential,
    raw_credential,
    sign_parts,
    trust,
)

from passgate.core import strict_json
from passgate.core.jwks import parse_jwks
from passgate.core.jws import PASSPORT_TYPES, decode_base64url, read
from passgate.core.passport import Passport
from passgate.core.permissions import covers, is_pattern
from passgate.core.reasons import REASONS, Refusal
from passgate.core.verification import Acceptance, examine, verify

ACCEPT = Acceptance()
TRUST = trust()
RICH = {
    "aud": ["gate_lab"],
    "permissions": ["api:*", {"permission_key": "shop:buy", "constraints": {}}],
    "grants": [{"resource": "shop", "maxAmount": 7.42, "expiresAt": "2030-01-01T00:00:00Z"}],
    "catalogs": {"gate_lab": {"version": 1, "content_hash": "sha256:00"}},
    "metadata": {"é": [1, {"deep": None}]},
}
TEXT = credential(RICH)


def judge(text: str) -> Passport | Refusal:
    outcome = verify(text, TRUST, ACCEPT)
    if isinstance(outcome, Refusal):
        assert outcome.code in REASONS
        assert outcome.detail.isascii()
        assert outcome.detail.isprintable()
        assert '"' not in outcome.detail
    findings, passport = examine(text, TRUST, ACCEPT)
    assert (passport is None) == isinstance(outcome, Refusal)
    assert len(findings) >= 1
    return outcome


def test_every_flipped_bit_is_refused() -> None:
    """There is no second spelling of a passport: not in its parts, not in its unused bits."""
    assert isinstance(judge(TEXT), Passport)
    raw = TEXT.encode()
    for position in range(len(raw)):
        for bit in range(8):
            spoilt = bytearray(raw)
            spoilt[position] ^= 1 << bit
            outcome = verify(spoilt.decode("latin-1"), TRUST, ACCEPT)
            assert isinstance(outcome, Refusal), (position, bit)


@given(st.data())
@settings(max_examples=300)
def test_any_edit_is_refused(data: st.DataObject) -> None:
    """Characters cut out, put in, doubled or moved."""
    start = data.draw(st.integers(0, len(TEXT)))
    end = data.draw(st.integers(start, len(TEXT)))
    put = data.draw(st.text(max_size=8) | st.sampled_from(["=", ".", "A", "\n", TEXT]))
    edited = TEXT[:start] + put + TEXT[end:]

    assert isinstance(judge(edited), Refusal) or edited == TEXT


@given(st.text() | st.text("AZaz09-_.=+/ ", max_size=400))
@settings(max_examples=500)
def test_no_text_raises(text: str) -> None:
    """Any text is a refusal with a code of the table and a harmless sentence."""
    assert isinstance(judge(text), Refusal)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.sampled_from([*CLAIMS, *RICH, "nbf", "may_delegate", "gate_id"]), json_values
    )
)
@settings(max_examples=500)
def test_no_signed_claims_raise(changes: dict[str, Any]) -> None:
    """An issuer that signs nonsense gets a refusal, or a passport whose claims can be recorded."""
    payload = json.dumps({**CLAIMS, **changes}).encode()

    outcome = judge(raw_credential(compact_json(HEADER), payload))

    if isinstance(outcome, Passport):
        assert all(type(entry) is str for entry in outcome.audience)
        assert json.dumps(outcome.claims)


@given(st.binary(max_size=200), st.binary(max_size=200))
@settings(max_examples=500)
@example(b"{}", b"[" * 40_000)
@example(b"[" * 40_000, b"{}")
def test_no_signed_bytes_raise(header: bytes, payload: bytes) -> None:
    """Whatever bytes are in the parts."""
    assert isinstance(judge(raw_credential(header, payload)), Refusal)
    assert isinstance(judge(raw_credential(compact_json(HEADER), payload)), Refusal)


@given(st.binary(max_size=300) | st.text().map(str.encode))
@settings(max_examples=500)
def test_key_sets_of_any_bytes_raise_nothing_but_a_sentence(raw: bytes) -> None:
    """A source may say anything."""
    with pytest.raises(ValueError, match=r"^(the key set|key \d+ of the key set) "):
        parse_jwks(raw)


def as_recorded(text: str) -> Any:
    """JSON by the usual reader, its fractions as texts as records have them."""
    return json.loads(text, parse_float=lambda number: str(Decimal(number)))


def pyjwt_claims(text: str) -> dict[str, Any] | None:
    """What PyJWT, with OpenSSL behind it, makes of `text`; None if it refuses."""
    try:
        claims: dict[str, Any] = jwt.decode(
            text,
            jwt.PyJWK({"kty": "OKP", "crv": "Ed25519", "x": b64(KEY), "alg": "EdDSA"}),
            algorithms=["EdDSA"],
            options={"verify_exp": False, "verify_aud": False, "verify_iat": False},
        )
    except (jwt.PyJWTError, ValueError, RecursionError):
        return None
    return claims


pieces = st.sampled_from(
    [
        '"iss":"iss_lab"', '"sub":"agent-7"', '"sub":"agent-8"', '"jti":"p1"', '"iat":1', '"exp":2',
        '"exp":2.0', '"exp":"2"', '"exp":1e3', '"exp":NaN', '"exp":99999999999999999999',
        '"permissions":[]', '"permissions":["a:*"]', '"nbf":1', '"aud":"gate_lab"', '"aud":[]',
        '"metadata":{"a":1,"a":2}', '"metadata":{"a":0.1}', '"metadata":{"b":"\\ud800"}',
        '"metadata":{"b":"\\ud83d\\ude00"}', '"x":1', '"cnf":{}', "", "1", '"may_delegate":false',
    ]
)  # fmt: skip
headers = st.fixed_dictionaries(
    {"alg": st.sampled_from(["EdDSA", "EdDSA", "EdDSA", "none", "HS256", "eddsa"])},
    optional={
        "kid": st.sampled_from([KID, KID, "key-2", 1]),
        "typ": st.sampled_from(["passport+jwt", "JWT", "other", None]),
        "crit": st.just(["exp"]),
        "b64": st.booleans(),
        "jku": st.just("https://evil.example"),
    },
)
COMPULSORY = ['"iss":"iss_lab"', '"jti":"p"', '"iat":1', '"exp":2', '"permissions":["a:*"]']


@given(headers, st.lists(pieces, max_size=4), st.sampled_from(["", " ", "=", "\n", "A"]))
@settings(max_examples=1000)
@example({"alg": "EdDSA", "kid": KID}, ['"sub":"agent-7"', '"aud":"gate_lab"'], "")
@example({"alg": "EdDSA", "kid": KID}, ['"sub":"agent-7"', '"metadata":{"a":0.1}'], "")
def test_pyjwt_accepts_whatever_the_gate_accepts(
    header: dict[str, Any], extra: list[str], tail: str
) -> None:
    """What the gate takes PyJWT takes with equal claims; so what PyJWT refuses the gate refuses."""
    payload = "{" + ",".join(COMPULSORY + extra) + "}"
    text = raw_credential(compact_json(header), payload.encode()) + tail

    outcome = judge(text)

    if isinstance(outcome, Passport):
        theirs = pyjwt_claims(text)
        assert theirs is not None
        assert outcome.claims == as_recorded(json.dumps(theirs))


@given(st.integers(0, 85), st.sampled_from("ABgwQ_-9"))
@settings(max_examples=200)
def test_pyjwt_refuses_every_changed_signature_too(position: int, character: str) -> None:
    """A signature that OpenSSL refuses, libsodium refuses."""
    head, _, tail = credential().rpartition(".")
    text = f"{head}.{tail[:position]}{character}{tail[position + 1 :]}"

    if pyjwt_claims(text) is None:
        assert isinstance(judge(text), Refusal)
    else:
        # The last character's unused bits are PyJWT's only freedom; the gate leaves none.
        assert isinstance(judge(text), Passport) == (text == credential())


def test_what_pyjwt_signs_the_gate_reads() -> None:
    """The usual issuer's library makes passports that the gate takes."""
    private = jwt.PyJWK(
        {"kty": "OKP", "crv": "Ed25519", "x": b64(KEY), "d": b64(SEED), "alg": "EdDSA"}
    )
    text = jwt.encode({**CLAIMS, **RICH}, private, algorithm="EdDSA", headers={"kid": KID})

    outcome = judge(text)

    assert isinstance(outcome, Passport)
    assert outcome.claims["metadata"] == RICH["metadata"]
    assert pyjwt_claims(text) == {**CLAIMS, **RICH}


@given(st.binary(max_size=40).filter(len))
def test_each_payload_has_one_spelling(raw: bytes) -> None:
    """The canonical text decodes to the bytes; a signed credential with padding does not."""
    assert decode_base64url(b64(raw).encode()) == raw
    padded = sign_parts(b64(compact_json(HEADER)), b64(raw) + "=")
    try:
        read(padded.encode(), PASSPORT_TYPES)
    except ValueError:
        return
    raise AssertionError("padding was read")


@given(json_values)
@settings(max_examples=300)
def test_strict_json_agrees_with_the_usual_reader(value: Any) -> None:
    """Where it reads at all, it reads what everyone reads."""
    text = json.dumps(value)
    try:
        ours = strict_json.loads(text.encode())
    except ValueError:
        return
    assert strict_json.without_fractions(ours) == as_recorded(text)


@given(st.text("ab:*", max_size=6), st.text("ab:", max_size=6))
def test_a_pattern_covers_no_more_than_its_prefix(pattern: str, action: str) -> None:
    """Without its star a covering pattern is the action or begins it at a colon."""
    if is_pattern(pattern) and covers(pattern, action):
        assert pattern in ("*", action) or (action.startswith(pattern[:-1]) and pattern[-2] == ":")
