"""Passports that agents issue themselves: tier L0, within what is allowed, counted by address."""

from typing import Any

import pytest
from tests.craft import (  # fmt: skip
    CLAIMS,
    HEADER,
    KEY,
    NOW,
    OTHER_KEY,
    OTHER_SEED,
    SEED,
    THUMBPRINT,
    credential,
    jwk_of,
    trust,
)
from tests.support.envelopes import carried, envelope, signed

from passgate.core.catalog import parse_catalog
from passgate.core.constraints import parse_constraints
from passgate.core.constraints.base import NO_CONSTRAINTS
from passgate.core.decision import Plan, decide
from passgate.core.explanation import explain
from passgate.core.jwks import thumbprint
from passgate.core.jws import MalformedError
from passgate.core.policy import METHOD_PATH, Policy
from passgate.core.reasons import Refusal
from passgate.core.request import Wire, canonical_request
from passgate.core.self_issued import did_of, hash_id, key_of_did
from passgate.core.trust import Trust, self_issuer
from passgate.core.verification import Acceptance, verify

DID = did_of(KEY)
KID = thumbprint(KEY)
FORMATS = frozenset({"jwt", "envelope"})
LIMITS = parse_constraints({"core:rate:max_per_minute": 3})
OPEN = Trust(trust().issuers, self_issued=self_issuer(FORMATS, ("get:/v1/a", "api:search"), LIMITS))


def own(claims: dict[str, Any] | None = None, kid: str = KID, seed: bytes = SEED) -> str:
    """A native passport that its agent's key issued."""
    return credential({"iss": DID, **(claims or {})}, {"kid": kid}, seed)


def policy(**changes: Any) -> Policy:
    return Policy(
        **{
            "gate_id": "gate",
            "hash": "",
            "audience": frozenset({"gate"}),
            "acceptance": Acceptance(FORMATS),
            "default_action": METHOD_PATH,
            "constraints": parse_constraints({"core:rate:max_per_hour": 9}),
            **changes,
        }
    )


def plan_of(
    token: str,
    client: str = "192.0.2.1",
    path: bytes = b"/v1/search",
    known: Trust = OPEN,
    **changes: Any,
) -> Plan:
    headers = [(b"Host", b"api.example"), (b"X-Agent-Passport", token.encode())]
    rules = policy(**changes)
    request = canonical_request(Wire("GET", path, headers, client), rules.request_rules)
    assert not isinstance(request, Refusal)
    plan = decide(request, rules, known, NOW)
    explained = explain(request, rules, known, NOW).plan
    assert (explained.refusal, explained.charges) == (plan.refusal, plan.charges)
    return plan


def test_a_did_is_its_key() -> None:
    """The key and its name are each other's."""
    assert key_of_did(DID) == KEY
    with pytest.raises(MalformedError):
        key_of_did("did:key:z6Mkabc")


@pytest.mark.parametrize("kid", [KID, f"{DID}#{DID.removeprefix('did:key:')}"])
def test_a_did_signs_for_itself(kid: str) -> None:
    """Under either name that its key has."""
    found = verify(own(kid=kid), OPEN, Acceptance(FORMATS))
    assert not isinstance(found, Refusal)
    assert found.issuer == DID
    assert found.holder is None


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (own(kid="key-1"), "key_unknown"),
        (own(seed=OTHER_SEED), "signature_invalid"),
        (own({"iss": did_of(OTHER_KEY)}), "key_unknown"),
        (own({"iss": hash_id(KEY)}), "passport_malformed"),
        (own({"iss": hash_id(KEY), "cnf": {"jwk": jwk_of(OTHER_KEY)}}), "passport_malformed"),
        (own({"iss": hash_id(KEY), "cnf": {"jkt": KID}}), "passport_malformed"),
        (own({"catalogs": {}}), "passport_malformed"),
        (own({"iss": "self:iss_lab"}), "passport_malformed"),
    ],
)
def test_one_fault(token: str, code: str) -> None:
    """Nobody signs in the name of another key, and nobody picks a price."""
    found = verify(token, OPEN, Acceptance(FORMATS))
    assert isinstance(found, Refusal)
    assert found.code == code


def test_a_hash_needs_its_key_and_a_proof() -> None:
    """What is bound to a key is bound here too."""
    token = own({"iss": hash_id(KEY), "cnf": {"jwk": jwk_of(KEY)}})
    refusal = plan_of(token).refusal
    assert refusal is not None
    assert refusal.code == "proof_missing"


def test_nobody_speaks_for_another_key_through_a_chain() -> None:
    """The root's key signs for the root's own name alone."""
    parent = own({"cnf": {"jwk": jwk_of(OTHER_KEY)}, "may_delegate": True, "jti": "pass_root"})
    child = {"sub": "agent-7/a", "chain": [parent]}
    good = credential({**child, "iss": DID}, {"kid": THUMBPRINT}, OTHER_SEED)
    bad = credential({**child, "iss": did_of(OTHER_KEY)}, {"kid": THUMBPRINT}, OTHER_SEED)
    listed = credential({**child, "iss": "iss_lab"}, {"kid": THUMBPRINT}, OTHER_SEED)
    codes = []
    for token in (good, bad, listed):
        found = verify(token, OPEN, Acceptance(FORMATS))
        codes.append(found.code if isinstance(found, Refusal) else "ok")
    assert codes == ["ok", "key_unknown", "key_unknown"]
    assert HEADER["kid"] != THUMBPRINT
    assert CLAIMS["iss"] == "iss_lab"


def test_all_of_one_address_are_counted_together() -> None:
    """Whatever each calls itself, by the limits of its kind and of the gate."""
    first = plan_of(own({"permissions": ["*"]}), path=b"/v1/a")
    other = credential(
        {"iss": did_of(OTHER_KEY), "permissions": ["*"]}, {"kid": thumbprint(OTHER_KEY)}, OTHER_SEED
    )
    second = plan_of(other, path=b"/v1/a")
    elsewhere = plan_of(own({"permissions": ["*"]}), client="192.0.2.2", path=b"/v1/a")
    assert first.refusal is None
    shared = {charge.counter for charge in first.charges} & {
        charge.counter for charge in second.charges
    }
    assert shared == {"rate/60/address|192.0.2.1", "rate/3600/address|192.0.2.1"}
    assert not shared & {charge.counter for charge in elsewhere.charges}
    assert len(first.charges) == 4


def test_an_address_has_its_free_calls_once() -> None:
    """A new key is a new agent, and no new customer."""
    entry = {
        "key": "get:/v1/a",
        "description": "",
        "constraints": {
            "core:pricing:per_call_cents": 5,
            "core:pricing:free_tier_calls": 2,
            "core:rate:max_per_day": 7,
        },
    }
    plan = plan_of(
        own({"permissions": ["*"]}),
        path=b"/v1/a",
        known=Trust({}, self_issued=self_issuer(FORMATS, ("*",), NO_CONSTRAINTS)),
        constraints=NO_CONSTRAINTS,
        catalog=parse_catalog({"permissions": [entry]}),
    )
    assert plan.refusal is None
    counters = [charge.counter for charge in plan.charges]
    place = "address|192.0.2.1|get%3A%2Fv1%2Fa"
    assert counters[0] == f"free/total/{place}"
    assert f"rate/86400/{place}" in counters
    assert len(counters) == 3


def test_they_may_no_more_than_is_said() -> None:
    """And are of the lowest tier."""
    plan = plan_of(own({"permissions": ["*"]}), path=b"/v2/a")
    assert plan.refusal is not None
    assert plan.refusal.code == "permission_denied"
    assert plan.issuer is not None
    assert plan.issuer.tier == "L0"


def test_where_they_are_not_accepted_nobody_knows_them() -> None:
    """As any other name that nobody listed."""
    for token in (own(), carried(signed(envelope()))):
        plan = plan_of(token, known=trust())
        assert plan.refusal is not None
        assert plan.refusal.code == "issuer_unknown"
