"""The vectors of the native format: checks 4 to 9 and 13, in their order."""

import json
from decimal import Decimal
from typing import Any

import pytest
from nacl.bindings import crypto_sign_seed_keypair
from tests.craft import key_set, revocations
from tests.vectors.make_passport_jwt import FILE, text

from passgate.core.constraints.base import NO_CONSTRAINTS, Hold
from passgate.core.facts import Facts
from passgate.core.instant import Instant
from passgate.core.permissions import covering, judge_grants
from passgate.core.reasons import REASONS, Refusal
from passgate.core.trust import Issuer, Trust
from passgate.core.verification import (
    Acceptance,
    check_audience,
    check_revocation,
    check_times,
    verify,
)

DOCUMENT = json.loads(FILE.read_text())
GATE = DOCUMENT["gate"]
CASES = [
    pytest.param(vector["passport"], request, id=f"{vector['title']} #{number}")
    for vector in DOCUMENT["vectors"]
    for number, request in enumerate(vector["requests"], start=1)
]


def trust_at(now: Instant) -> Trust:
    return Trust({name: issuer(name, entry, now) for name, entry in DOCUMENT["issuers"].items()})


def issuer(name: str, entry: dict[str, Any], now: Instant) -> Issuer:
    ago = entry.get("read_s_ago", 0)
    read_at = Instant(now.wall - ago, now.boot - ago)
    seeds = entry.get("seeds")
    revoked = revocations(
        **DOCUMENT["revoked"], issuer_revoked=entry.get("issuer_revoked", False), read_at=read_at
    )
    return Issuer(
        id=name,
        tier="L2",
        formats=frozenset(entry.get("formats", ["jwt"])),
        permissions=tuple(entry["permissions"]),
        constraints=NO_CONSTRAINTS,
        max_stale_s=GATE["max_stale_s"],
        revocations_required=True,
        keys=seeds
        and key_set(
            {kid: crypto_sign_seed_keypair(bytes.fromhex(seed))[0] for kid, seed in seeds.items()},
            read_at,
        ),
        revocations=revoked if entry.get("list", True) else None,
    )


def exact(amount: str | None) -> tuple[int, int] | None:
    if amount is None:
        return None
    _, digits, exponent = Decimal(amount).as_tuple()
    assert isinstance(exponent, int)
    return int("".join(map(str, digits))), -exponent


def judged(passport_text: str, request: dict[str, Any]) -> str:
    """The first "no" of checks 4 to 9 and 13, a hold, or `allow`."""
    now = Instant(request.get("at", GATE["at"]), 1e6)
    trust = trust_at(now)
    passport = verify(
        passport_text, trust, Acceptance(max_credential_bytes=GATE["max_credential_bytes"])
    )
    if isinstance(passport, Refusal):
        return passport.code
    entry = trust.issuers[passport.issuer]
    names = frozenset([GATE["id"], *GATE["audience"]])
    refusal = (
        check_times(passport, now, GATE["clock_skew_s"], GATE["max_lifetime_s"])
        or check_audience(passport, names)
        or check_revocation(passport, entry, now)
    )
    if refusal is not None:
        return refusal.code
    action = request.get("action", GATE["action"])
    entries = covering(passport.permissions, entry.permissions, action)
    if isinstance(entries, Refusal):
        return entries.code
    facts = Facts(
        amount=exact(request.get("amount")),
        vendor=request.get("vendor"),
        resource=request.get("resource"),
    )
    outcome = judge_grants(passport.grants, action, facts, now)
    if isinstance(outcome, Hold):
        return "approval_required"
    return "allow" if outcome is None else outcome.code


@pytest.mark.parametrize(("passport_text", "request_"), CASES)
def test_vector(passport_text: str, request_: dict[str, Any]) -> None:
    """This passport with this request gives this reason code."""
    assert judged(passport_text, request_) == request_["expect"]


def test_the_committed_vectors_are_those_of_their_maker() -> None:
    """A changed maker and an edited file are both seen."""
    assert FILE.read_text() == text()


def test_every_expectation_is_a_code_of_the_table() -> None:
    """And each code that these checks can give is expected somewhere; kills are the operator's."""
    expected = {
        request["expect"] for vector in DOCUMENT["vectors"] for request in vector["requests"]
    }

    assert expected <= REASONS.keys() | {"allow"}
    given = {
        code
        for code, reason in REASONS.items()
        if reason.check in range(4, 10) or code in ("permission_denied", "action_blocked")
    }
    assert given - {"killed"} <= expected
