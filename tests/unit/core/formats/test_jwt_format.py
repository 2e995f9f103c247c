"""Every claim of the native format, of its exact type, and no other claim."""

from typing import Any

import pytest
from tests.craft import CLAIMS, HEADER, KID, UNSET, compact_json, credential, raw_credential

from passgate.core.constraints.base import NO_CONSTRAINTS
from passgate.core.formats.jwt import MAX_TIME, read_jwt
from passgate.core.jws import MalformedError, UnsupportedError
from passgate.core.passport import CatalogPin, Grant

HASH = "sha256:" + "0" * 64
PIN = {"version": 3, "content_hash": HASH}
TRIO = {"gate_id": "gate_lab", "catalog_version": 3, "catalog_content_hash": HASH}
LIMIT = {"core:rate:max_per_minute": 5}


def read(**claims: Any) -> Any:
    return read_jwt(credential(claims).encode())


def test_the_least_passport() -> None:
    """The compulsory claims alone are a passport, for every audience and without constraints."""
    text = credential()

    read_back = read_jwt(text.encode())

    assert read_back.format == "jwt"
    assert (read_back.issuer, read_back.agent) == ("iss_lab", "agent-7")
    assert (read_back.id, read_back.key_id) == (CLAIMS["jti"], KID)
    assert (read_back.issued_at, read_back.expires_at) == (CLAIMS["iat"], CLAIMS["exp"])
    assert read_back.not_before is None
    assert (read_back.audience, read_back.grants, read_back.pins) == ((), (), {})
    assert [entry.pattern for entry in read_back.permissions] == ["api:search"]
    assert read_back.constraints is NO_CONSTRAINTS
    assert read_back.payload == compact_json(CLAIMS)
    assert text == f"{read_back.message.decode()}.{text.rpartition('.')[2]}"


def test_every_claim_of_the_specification() -> None:
    """All of them together are read."""
    read_back = read(
        nbf=5,
        aud=["gate_lab", "https://api.example"],
        agent_name="Agent Seven\n",
        metadata={"any": [1, {"thing": 0.5}]},
        permissions=[
            "a:*",
            {"permission_key": "b:c", "constraints": LIMIT},
            {"permission_key": "*"},
        ],
        constraints=LIMIT,
        trust_tier="L3",
        catalogs={"gate_lab": PIN, "gate_two": {**PIN, "version": 0}},
        grants=[{"resource": "shop"}],
        may_delegate=False,
        **TRIO,
    )

    assert read_back.not_before == 5
    assert read_back.audience == ("gate_lab", "https://api.example")
    assert [entry.pattern for entry in read_back.permissions] == ["a:*", "b:c", "*"]
    assert [bool(entry.constraints) for entry in read_back.permissions] == [False, True, False]
    assert set(read_back.constraints.values) == set(LIMIT)
    assert read_back.pins == {"gate_lab": CatalogPin(3, HASH), "gate_two": CatalogPin(0, HASH)}
    assert read_back.grants == (
        Grant("shop", frozenset(), frozenset(), False, None, frozenset(), None),
    )


def test_an_unknown_constraint_is_kept_for_its_own_refusal() -> None:
    """It is refused with the constraint's name later, not as a malformed passport."""
    assert read(constraints={"core:new:thing": 1}).constraints.unknown == ("core:new:thing",)


@pytest.mark.parametrize(
    "claims",
    [
        {"status": {"assertion": {}}},
        {"act": {"sub": "a"}},
        {"scope": "api:search"},
        {"authorization_details": []},
        {"https://agent-passport.org/claims/agent_id": "a"},
        {"ISS": "iss_lab"},
        {"Permissions": ["*"]},
        {"\x00": 1},
        {"constraints ": {}},
        {"permissions": [{"permission_key": "a", "conditions": {}}]},
        {"catalogs": {"gate_lab": {**PIN, "min": 1}}},
    ],
)
def test_what_this_version_does_not_have_is_unsupported(claims: dict[str, Any]) -> None:
    """Nothing is ignored: other ways to tell a status, scopes, other spellings."""
    with pytest.raises(UnsupportedError):
        read(**claims)


def test_a_csp_token_is_unsupported_even_where_claims_are_missing() -> None:
    """A foreign format is named as such, not called malformed."""
    with pytest.raises(UnsupportedError, match=r"agent-passport\.org"):
        read(permissions=UNSET, **{"https://agent-passport.org/claims/tool_scope": ["a"]})


NOT_NAMES: list[Any] = [UNSET, None, "", 1, True, ["x"], {}, "a\n", "\x7f", "a\x00", "x" * 257]
NOT_TIMES: list[Any] = [UNSET, None, "1", True, -1, 1.0, 1.5, MAX_TIME + 1, [], 10**30]


@pytest.mark.parametrize("claim", ["iss", "sub", "jti"])
@pytest.mark.parametrize("value", NOT_NAMES, ids=repr)
def test_names_are_strings_of_bounded_length(claim: str, value: Any) -> None:
    """Who issued what to whom is compulsory, and can stand in a log line or a header."""
    with pytest.raises(MalformedError):
        read(**{claim: value})


@pytest.mark.parametrize("claim", ["iat", "exp"])
@pytest.mark.parametrize("value", NOT_TIMES, ids=repr)
def test_times_are_whole_seconds(claim: str, value: Any) -> None:
    """Compulsory integers in a sane range; a boolean is none, a fraction is none."""
    with pytest.raises(MalformedError):
        read(**{claim: value})


@pytest.mark.parametrize("value", NOT_TIMES[1:], ids=repr)
def test_nbf_is_whole_seconds_where_it_is(value: Any) -> None:
    """It may be left out, but not be null."""
    with pytest.raises(MalformedError):
        read(nbf=value)


@pytest.mark.parametrize("exponent", [b"1e3", b"1E3", b"1000.0", b"-0.0"])
def test_a_time_with_fraction_or_exponent_is_refused(exponent: bytes) -> None:
    """Also where its value is a whole number: readers differ on its type."""
    payload = compact_json(CLAIMS).replace(b'"exp":1800003600', b'"exp":' + exponent)
    assert exponent in payload

    with pytest.raises(MalformedError):
        read_jwt(raw_credential(compact_json(HEADER), payload).encode())


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": None},
        {"aud": []},
        {"aud": ""},
        {"aud": 1},
        {"aud": [1]},
        {"aud": ["gate_lab", ""]},
        {"aud": ["gate_lab", None]},
        {"aud": {"gate_lab": True}},
        {"agent_name": None},
        {"agent_name": 1},
        {"metadata": None},
        {"metadata": []},
        {"trust_tier": None},
        {"trust_tier": 2},
        {"may_delegate": None},
        {"may_delegate": 1},
        {"may_delegate": "false"},
        {"permissions": UNSET},
        {"permissions": None},
        {"permissions": "api:search"},
        {"permissions": {}},
        {"permissions": [1]},
        {"permissions": [None]},
        {"permissions": [["a"]]},
        {"permissions": [""]},
        {"permissions": ["a*"]},
        {"permissions": ["*:a"]},
        {"permissions": ["a\n"]},
        {"permissions": ["x" * 257]},
        {"permissions": [{}]},
        {"permissions": [{"constraints": {}}]},
        {"permissions": [{"permission_key": 1}]},
        {"permissions": [{"permission_key": "**"}]},
        {"permissions": [{"permission_key": "a", "constraints": None}]},
        {"permissions": [{"permission_key": "a", "constraints": []}]},
        {
            "permissions": [
                {"permission_key": "a", "constraints": {"core:rate:max_per_minute": "5"}}
            ]
        },
        {"constraints": None},
        {"constraints": []},
        {"constraints": {"core:rate:max_per_minute": "5"}},
        {"constraints": {"core:rate:max_per_minute": True}},
        {"constraints": {"core:rate:max_per_minute": 1.5}},
        {"catalogs": None},
        {"catalogs": []},
        {"catalogs": {"gate_lab": None}},
        {"catalogs": {"": PIN}},
        {"catalogs": {"gate_lab": {"version": 1}}},
        {"catalogs": {"gate_lab": {"content_hash": HASH}}},
        {"catalogs": {"gate_lab": {**PIN, "version": "1"}}},
        {"catalogs": {"gate_lab": {**PIN, "version": True}}},
        {"catalogs": {"gate_lab": {**PIN, "version": -1}}},
        {"catalogs": {"gate_lab": {**PIN, "content_hash": ""}}},
        {"catalogs": {"gate_lab": {**PIN, "content_hash": 1}}},
        {**TRIO, "gate_id": UNSET},
        {**TRIO, "catalog_version": UNSET},
        {**TRIO, "catalog_content_hash": UNSET},
        {**TRIO, "gate_id": 1},
        {**TRIO, "catalog_version": "3"},
        {**TRIO, "catalogs": {"gate_lab": {**PIN, "version": 4}}},
        {"grants": None},
        {"grants": {}},
    ],
    ids=repr,
)
def test_a_claim_of_another_type_is_malformed(claims: dict[str, Any]) -> None:
    """Null is no value of any type, a boolean no integer, and an empty audience not everybody."""
    with pytest.raises(MalformedError):
        read(**claims)


def test_the_trio_is_a_pin_like_any_other() -> None:
    """With `catalogs` it may repeat a pin or add one."""
    assert read(**TRIO).pins == {"gate_lab": CatalogPin(3, HASH)}
    assert read(catalogs={"gate_two": PIN}, **TRIO).pins.keys() == {"gate_lab", "gate_two"}
    assert read(catalogs={}).pins == {}


def test_names_may_be_in_any_script() -> None:
    """256 bytes of UTF-8 are the limit, not ASCII."""
    assert read(sub="агент-7").agent == "агент-7"
    with pytest.raises(MalformedError):
        read(sub="é" * 129)


@pytest.mark.interpreted(reason="it puts another parser in the place of the constraints'")
@pytest.mark.parametrize(
    "value", ['"\r\nSet-Cookie: a=b', 'x" y', "é" * 3, "long " * 100], ids=range(4)
)
def test_a_constraints_sentence_goes_out_only_if_harmless(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a parser says about a value, quotes and line ends do not reach an answer."""

    def refuse(_: object) -> None:
        raise ValueError(value)

    monkeypatch.setattr("passgate.core.formats.constraints.parse_constraints", refuse)

    with pytest.raises(MalformedError) as refused:
        read(constraints={"a": 1})

    assert value not in str(refused.value)


def test_a_constraints_plain_sentence_is_passed_on() -> None:
    """The presenter learns which constraint cannot be read."""
    with pytest.raises(MalformedError, match="core:rate:max_per_minute"):
        read(constraints={"core:rate:max_per_minute": "5"})
