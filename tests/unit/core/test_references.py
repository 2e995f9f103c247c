"""Passports by reference, and who must prove to hold a key: checks 3, 9 and 11."""

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.craft import KEY, NOW, OTHER_KEY, OTHER_SEED, SEED, credential, issuer, jwk_of, key_set
from tests.support.envelopes import LEAF_SEED, ROOT_SEED, below, carried, platform, public, signed
from tests.support.proofs import proof
from tests.support.signatures import signature

from passgate.core.decision import Plan, decide
from passgate.core.explanation import explain
from passgate.core.instant import Instant
from passgate.core.policy import METHOD_PATH, Policy
from passgate.core.presented import Credential
from passgate.core.proof import REQUIRED, ProofRules
from passgate.core.reasons import Refusal
from passgate.core.references import read_passports
from passgate.core.request import Wire, canonical_request
from passgate.core.trust import BEARER, PROOF, Issuer, Passports, Trust
from passgate.core.verification import Acceptance

FORMATS = frozenset({"jwt", "envelope"})
ALL = {"permissions": ["*"]}
BOUND = credential({"jti": "pass_bound", "cnf": {"jwk": jwk_of(OTHER_KEY)}, **ALL})
BARE = credential({"jti": "pass_bare", **ALL})
AT = Instant(1776816100.0, 5_000.0)
READ = [{"permission_key": "get:/v1/a", "constraints": {}}]
ROOT = signed(platform(delegation_authority=True, permissions=READ), SEED)
LEAF = below(ROOT, child=ROOT_SEED, by=LEAF_SEED, alter=lambda tree: tree.update(permissions=READ))


def entry(*texts: str, name: str = "iss_lab", **changes: Any) -> Issuer:
    """An issuer that lists these passports, read now."""
    known = replace(
        issuer(name, formats=FORMATS, keys=key_set(read_at=AT), max_stale_s=60.0),
        by_reference=PROOF,
    )
    by_id = read_passports(json.dumps(texts).encode(), known)
    return replace(known, **{"passports": Passports(by_id, AT), **changes})


def plan_of(
    *headers: tuple[bytes, bytes],
    known: tuple[Issuer, ...],
    now: Instant = NOW,
    demand: str = "bound",
) -> Plan:
    rules = Policy(
        gate_id="gate",
        hash="",
        audience=frozenset({"gate"}),
        acceptance=Acceptance(FORMATS),
        default_action=METHOD_PATH,
        proof=ProofRules(demand),
    )
    wire = Wire("GET", b"/v1/a", [(b"Host", b"api.example"), *headers], "192.0.2.1")
    request = canonical_request(wire, rules.request_rules)
    assert not isinstance(request, Refusal)
    trust = Trust({each.id: each for each in known})
    plan = decide(request, rules, trust, now)
    explained = explain(request, rules, trust, now).plan
    assert explained.refusal == plan.refusal
    return plan


def code_of(*headers: tuple[bytes, bytes], known: tuple[Issuer, ...], **more: Any) -> str:
    refusal = plan_of(*headers, known=known, **more).refusal
    return "ok" if refusal is None else refusal.code


def named(name: str) -> tuple[bytes, bytes]:
    return b"X-Modei-Passport-ID", name.encode()


def dpop(name: str, seed: bytes = OTHER_SEED, now: Instant = NOW) -> tuple[bytes, bytes]:
    url = "http://api.example/v1/a"
    header = {"jwk": jwk_of(public(seed))}
    return b"DPoP", proof(name, header, seed, htu=url, iat=int(now.wall)).encode()


@pytest.fixture(scope="module")
def fresh() -> Issuer:
    """Lists read at the moment of the native craft."""
    known = replace(issuer(formats=FORMATS, keys=key_set(), max_stale_s=60.0), by_reference=PROOF)
    by_id = read_passports(json.dumps([BOUND, BARE]).encode(), known)
    return replace(known, passports=Passports(by_id, NOW))


class TestReference:
    """An id is no secret."""

    def test_an_id_needs_the_proof_of_its_passport(self, fresh: Issuer) -> None:
        assert code_of(named("pass_bound"), known=(fresh,)) == "proof_missing"
        plan = plan_of(named("pass_bound"), dpop("pass_bound"), known=(fresh,))
        assert plan.refusal is None
        assert plan.passport is not None
        assert plan.passport.id == "pass_bound"
        thief = dpop("pass_bound", SEED)
        assert code_of(named("pass_bound"), thief, known=(fresh,)) == "proof_invalid"
        assert code_of(named("pass_bare"), known=(fresh,)) == "proof_missing"

    def test_a_signature_covers_the_id(self, fresh: Issuer) -> None:
        """Or it could be put beside another id of the same key."""
        where = '"@method" "@authority" "@path" "@query"'
        values = {"@path": "/v1/a", "x-modei-passport-id": "pass_bound"}
        good = signature(values, f'{where} "x-modei-passport-id"')
        assert code_of(named("pass_bound"), *good, known=(fresh,)) == "ok"
        loose = signature(values, where)
        assert code_of(named("pass_bound"), *loose, known=(fresh,)) == "proof_invalid"

    def test_an_id_alone_is_enough_where_the_operator_says_so(self, fresh: Issuer) -> None:
        loose = replace(fresh, by_reference=BEARER)
        assert code_of(named("pass_bare"), known=(loose,)) == "ok"
        assert code_of(named("pass_bound"), known=(loose,)) == "proof_missing"

    def test_an_id_that_nobody_lists_is_unknown(self, fresh: Issuer) -> None:
        assert code_of(named("pass_x"), known=(fresh,)) == "passport_unknown"
        assert code_of(named(""), known=(fresh,)) == "passport_unknown"
        assert code_of(named("pass_x"), known=(issuer(keys=key_set()),)) == "passport_unknown"

    def test_two_ids_or_an_id_beside_a_passport_are_too_many(self, fresh: Issuer) -> None:
        both = (named("pass_bare"), named("pass_bound"))
        assert code_of(*both, known=(fresh,)) == "passport_ambiguous"
        beside = (named("pass_bare"), (b"X-Agent-Passport", BARE.encode()))
        assert code_of(*beside, known=(fresh,)) == "passport_ambiguous"
        parents = (named("pass_bare"), (b"X-Agent-Passport-Chain", b"x"))
        assert code_of(*parents, known=(fresh,)) == "passport_unsupported"

    def test_an_id_of_two_issuers_is_nobodys(self, fresh: Issuer) -> None:
        """Or one could put its own in the other's place."""
        other = replace(fresh, id="iss_other")
        assert code_of(named("pass_bare"), known=(fresh, other)) == "passport_ambiguous"

    def test_a_list_must_have_been_read_lately(self, fresh: Issuer) -> None:
        unread = replace(fresh, passports=None)
        assert code_of(named("pass_bare"), known=(unread,)) == "trust_stale"
        old = Passports({"pass_bare": Credential(BARE)}, Instant(NOW.wall - 61, NOW.boot - 61))
        aged = replace(fresh, passports=old, by_reference=BEARER)
        assert code_of(named("pass_bare"), known=(aged,)) == "trust_stale"

    def test_it_is_verified_with_the_keys_of_now(self, fresh: Issuer) -> None:
        """A key that is gone takes what it signed along, listed or not."""
        rotated = replace(fresh, keys=key_set({"key-2": KEY}), by_reference=BEARER)
        assert code_of(named("pass_bare"), known=(rotated,)) == "key_unknown"


class TestList:
    """A list counts whole, or not at all."""

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            (b"{", "unambiguous JSON"),
            (b"{}", "JSON array"),
            (b"[1]", "entry 1 of the list of passports is not a text"),
            (json.dumps([BARE, "x"]).encode(), "entry 2 .* passport_malformed"),
            (json.dumps([BARE, BARE]).encode(), "entry 2 .* has the id of another"),
            (json.dumps([credential({"iss": "iss_x"})]).encode(), "issuer_unknown"),
            (json.dumps([credential(seed=OTHER_SEED)]).encode(), "signature_invalid"),
        ],
    )
    def test_of_which_anything_is_wrong(self, body: bytes, words: str) -> None:
        with pytest.raises(ValueError, match=words):
            read_passports(body, issuer(formats=FORMATS, keys=key_set()))

    def test_a_broken_chain_is_refused(self) -> None:
        wide = below(ROOT, child=ROOT_SEED, by=LEAF_SEED)
        with pytest.raises(ValueError, match="chain_widened"):
            entry(carried(wide))

    def test_a_delegated_one_has_its_own_id_and_its_path(self) -> None:
        known = entry(carried(LEAF), carried(ROOT))
        assert known.passports is not None
        assert set(known.passports.by_id) == {
            "pp_1", "pp_delegate_fixture_leaf", "pp_1/pp_delegate_fixture_leaf",
        }  # fmt: skip


class TestEnvelopes:
    """The key that every envelope has binds nobody, unless somebody asks."""

    def test_who_may_delegate_proves_where_it_is_asked_for(self) -> None:
        """A parent is in every child's hands."""
        root = (b"X-Agent-Passport", carried(ROOT).encode())
        leaf = (b"X-Agent-Passport", carried(LEAF).encode())
        asking = entry(delegators_prove=True)
        assert code_of(root, known=(asking,), now=AT) == "proof_missing"
        shown = dpop(carried(ROOT), LEAF_SEED, AT)
        assert code_of(root, shown, known=(asking,), now=AT) == "ok"
        assert code_of(leaf, known=(asking,), now=AT) == "ok"
        assert code_of(root, known=(entry(),), now=AT) == "ok"

    def test_a_bad_proof_refuses_also_where_none_was_asked(self) -> None:
        leaf = (b"X-Agent-Passport", carried(LEAF).encode())
        bad = dpop(carried(LEAF), OTHER_SEED, AT)
        assert code_of(leaf, bad, known=(entry(),), now=AT) == "proof_invalid"
        assert code_of(leaf, known=(entry(),), now=AT, demand=REQUIRED) == "proof_missing"
        own = (b"Authorization", b"DPoP " + carried(LEAF).encode())
        assert code_of(own, known=(entry(),), now=AT) == "proof_missing"

    def test_a_web_bots_signature_is_for_others(self) -> None:
        leaf = (b"X-Agent-Passport", carried(LEAF).encode())
        bot = (
            (b"Signature-Input", b'sig=("@authority");tag="web-bot-auth"'),
            (b"Signature", b"sig=:AAAA:"),
        )
        assert code_of(leaf, *bot, known=(entry(),), now=AT) == "ok"
        ours = ((b"Signature-Input", b'sig=("@authority");tag="agent-passport"'), bot[1])
        assert code_of(leaf, *ours, known=(entry(),), now=AT) == "proof_invalid"
