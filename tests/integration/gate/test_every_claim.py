"""Nothing is ignored: every claim of a passport changes what the gate decides, or refuses it."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.running_gate import RunningGate, running_gate

from passgate.core.formats import jwt
from passgate.log import read_lines
from passgate.testing import REMOVED, FakeUpstream, mint

NOW = int(time.time())
PIN = {"version": 1, "content_hash": "sha256:" + "0" * 64}
TRIO = {"gate_id": "gate_test", "catalog_version": 1, "catalog_content_hash": "sha256:0"}
LONG = "x" * 257

# Of each claim what must be refused, and why: (claims, code). Written out, so that none is lost.
ENFORCED: dict[str, tuple[dict[str, Any], str]] = {
    "iss": ({"iss": "iss_other"}, "issuer_unknown"),
    "sub": ({"sub": LONG}, "passport_malformed"),
    "jti": ({"jti": "pass_revoked"}, "passport_revoked"),
    "iat": ({"iat": NOW + 600}, "passport_not_yet_valid"),
    "exp": ({"iat": NOW - 600, "exp": NOW - 60}, "passport_expired"),
    "nbf": ({"nbf": NOW + 600}, "passport_not_yet_valid"),
    "aud": ({"aud": ["gate_other"]}, "audience_mismatch"),
    "permissions": ({"permissions": []}, "permission_denied"),
    "constraints": (
        {"constraints": {"core:scope:method_allowlist": ["POST"]}},
        "constraint_violated",
    ),
    "catalogs": ({"catalogs": {"gate_test": PIN}}, "catalog_mismatch"),
    "gate_id": (TRIO, "catalog_mismatch"),
    "catalog_version": ({"catalog_version": 1}, "passport_malformed"),
    "catalog_content_hash": ({"catalog_content_hash": "sha256:0"}, "passport_malformed"),
    "cnf": ({"cnf": {"jkt": "x" * 42 + "A"}}, "proof_missing"),
    "chain": ({"chain": ["x"]}, "passport_malformed"),
    "status": ({"status": {"status_list": {"idx": 0, "uri": "https://x.example"}}}, "trust_stale"),
    "grants": ({"grants": [{"resource": "api", "allowedActions": ["x"]}]}, "permission_denied"),
}

# What this version does not have is refused, whatever the rest of the passport says.
REFUSED: dict[str, Any] = {
    "act": {"sub": "agent_8"},
    "scope": "api:search",
    "Permissions": [],
}

# What decides nothing by its meaning, and stands in the record: (a value, one of another type).
RECORDED: dict[str, tuple[Any, Any]] = {
    "agent_name": ("Agent Seven", 7),
    "metadata": ({"team": "lab"}, "lab"),
    "trust_tier": ("L3", 3),
}


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGate]:
    config = {"limits": {"refusals_per_second": 1000}}
    with FakeUpstream() as upstream:
        directory = tmp_path_factory.mktemp("gate")
        with running_gate(directory, upstream.url, config=config) as running:
            running.revoke(("passport", "pass_revoked"))
            revoked = mint(issuer=running.issuer, passport_id="pass_revoked")
            end = time.monotonic() + 10
            while code_of(running, revoked) != "passport_revoked":
                assert time.monotonic() < end
            yield running


def code_of(gate: RunningGate, passport: str) -> str:
    try:
        answer = gate.request("GET", "/v1/search", passport)
    except ConnectionError:
        return "cut"  # what is under way while its passport is revoked
    return "allow" if answer.status == 200 else str(answer.json["code"])


def test_the_tables_hold_every_claim() -> None:
    """Every claim that is read stands here once; what is not read is refused as unknown."""
    here = [*ENFORCED, *RECORDED, "may_delegate"]

    assert sorted(here) == sorted(jwt._CLAIMS)
    assert not REFUSED.keys() & jwt._CLAIMS


@pytest.mark.parametrize("claim", ENFORCED)
def test_a_claim_is_enforced(gate: RunningGate, claim: str) -> None:
    """The same passport passes without this value of the claim, and not with it."""
    claims, code = ENFORCED[claim]

    assert code_of(gate, mint(issuer=gate.issuer)) == "allow"
    assert code_of(gate, mint(issuer=gate.issuer, claims=claims)) == code


@pytest.mark.parametrize("claim", ["iss", "sub", "jti", "iat", "exp", "permissions"])
def test_a_compulsory_claim_must_be_there(gate: RunningGate, claim: str) -> None:
    """None of them has a default."""
    passport = mint(issuer=gate.issuer, claims={claim: REMOVED})

    assert code_of(gate, passport) == "passport_malformed"


@pytest.mark.parametrize("claim", REFUSED)
def test_what_this_version_does_not_have_is_refused(gate: RunningGate, claim: str) -> None:
    """A claim is never read over: its issuer meant something by it."""
    passport = mint(issuer=gate.issuer, claims={claim: REFUSED[claim]})

    assert code_of(gate, passport) == "passport_unsupported"


@pytest.mark.parametrize("claim", RECORDED)
def test_what_decides_nothing_is_on_record(gate: RunningGate, claim: str) -> None:
    """It has its type like any other claim, and the passport's line keeps it."""
    value, wrong = RECORDED[claim]
    passport_id = f"pass_with_{claim}"
    passport = mint(issuer=gate.issuer, passport_id=passport_id, claims={claim: value})

    assert code_of(gate, passport) == "allow"
    assert code_of(gate, mint(issuer=gate.issuer, claims={claim: wrong})) == "passport_malformed"
    kept = [
        line["claims"][claim]
        for line in read_lines(gate.log_directory)
        if line["kind"] == "passport" and line["passport_id"] == passport_id
    ]
    assert kept == [value]
