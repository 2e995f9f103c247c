"""Minting: a passport that gates read, or none."""

import json
from typing import Any

import pytest

from passgate.authority.minting import Minted, mint_passport
from passgate.core.constraints import CONSTRAINTS
from passgate.core.formats.jwt import read_jwt
from passgate.testing import TestIssuer

LAB = TestIssuer("iss_lab")
NOW = 1_800_000_000.75


def mint(**options: Any) -> Minted:
    given: dict[str, Any] = {"agent": "agent_7", "permissions": ["api:search"], "now": NOW}
    return mint_passport(LAB.signer, **(given | options))


def test_a_passport_holds_what_was_granted_and_no_more() -> None:
    minted = mint(entropy=bytes)
    assert minted.claims == {
        "iss": "iss_lab",
        "sub": "agent_7",
        "jti": "pass_01MCC5RMQE0000000000000000",
        "iat": 1_800_000_000,
        "exp": 1_800_000_000 + 30 * 86_400,
        "permissions": ["api:search"],
    }
    assert minted.id == minted.claims["jti"]
    assert minted.unknown == ()


def test_everything_that_can_be_granted_is_in_the_token() -> None:
    minted = mint(
        permissions=["api:*", {"permission_key": "shop:buy", "constraints": {}}],
        constraints={"core:rate:max_per_minute": 60},
        audience=["gate_a", "gate_b"],
        agent_name="Ärgent",
        ttl_s=60,
    )
    unverified = read_jwt(minted.token.encode())
    claims = json.loads(unverified.payload)
    assert claims == minted.claims
    assert unverified.audience == ("gate_a", "gate_b")
    assert claims["agent_name"] == "Ärgent"
    assert unverified.expires_at - unverified.issued_at == 60
    assert unverified.constraints.values == {"core:rate:max_per_minute": 60}


def test_each_passport_has_an_id_of_its_own() -> None:
    ids = {mint().id for _ in range(100)}
    assert len(ids) == 100
    assert all(len(id_) == len("pass_") + 26 for id_ in ids)


def test_every_constraint_of_the_table_can_be_granted() -> None:
    constraints = {key: row.example for key, row in CONSTRAINTS.items()}
    assert mint(constraints=constraints).unknown == ()


def test_an_unknown_constraint_is_minted_and_told() -> None:
    minted = mint(constraints={"lab:own:rule": [1, {"a": "b"}]})
    assert minted.unknown == ("lab:own:rule",)
    assert minted.claims["constraints"] == {"lab:own:rule": [1, {"a": "b"}]}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"agent": ""}, "the agent id"),
        ({"agent": "a\x00b"}, "the agent id"),
        ({"agent": "x" * 257}, "the agent id"),
        ({"ttl_s": 0}, "lifetime"),
        ({"ttl_s": -1}, "lifetime"),
        ({"permissions": ["api*"]}, "api\\*"),
        ({"permissions": [""]}, "permission"),
        ({"permissions": [{"constraints": {}}]}, "permission"),
        ({"permissions": [{"permission_key": "a", "extra": 1}]}, "extra"),
        ({"constraints": {"core:rate:max_per_minute": "60"}}, "core:rate:max_per_minute"),
        ({"audience": ["a\nb"]}, "aud"),
        ({"agent_name": "x" * 70_000}, "larger than"),
    ],
)
def test_what_a_gate_would_call_malformed_is_not_minted(
    options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        mint(**options)
