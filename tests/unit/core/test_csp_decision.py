"""Whole decisions on csp passports: how they are presented, and what counts for them."""

from typing import Any

import pytest
from tests.csp_craft import ALICE, BOB, CAROL, chain, claims_of, root, token
from tests.support.decisions import Scene, verdict

from passgate.core.decision import derive
from passgate.core.kills import Kill
from passgate.core.passport import Passport
from passgate.core.presented import BESIDE
from passgate.ledger.memory import MemoryLedger

CSP: dict[str, Any] = {"formats": frozenset({"jwt", "csp"})}
PARENTS = b"X-Agent-Passport-Chain"


def scene(text: str, **changes: Any) -> Scene:
    """A request with this credential, its parents in their header."""
    leaf, _, parents = text.partition(BESIDE)
    headers: tuple[tuple[bytes, bytes], ...] = ((b"Authorization", b"Passport " + leaf.encode()),)
    if parents:
        headers += ((PARENTS, parents.encode()),)
    issuer = {**CSP, **changes.pop("issuer", {})}
    headers += changes.pop("headers", ())
    return Scene(presents=False, **CSP).but(headers=headers, issuer=issuer, **changes)


def code(text: str, **changes: Any) -> str:
    return verdict(scene(text, **changes).judge())


def test_honest_tokens_pass() -> None:
    """A root, a child, a grandchild; and the explanation says the same."""
    for text in (root(), chain(ALICE, BOB), chain(ALICE, BOB, CAROL)):
        assert code(text) == "allow"
        assert scene(text).explain().plan.refusal is None


def test_what_is_known_of_the_presenter_is_told() -> None:
    """Person, levels, model and how far it was delegated."""
    plan = scene(chain(ALICE, {**BOB, "fal": 1})).decide()

    assert plan.facts.assurance == (2, 2, 1)
    assert plan.facts.model == "model-1"
    assert plan.facts.chain_length == 1
    assert isinstance(plan.passport, Passport)
    assert plan.passport.agent == "bob"


@pytest.mark.parametrize(
    ("constraint", "expected"),
    [
        ({"core:identity:require_ial": 2}, "allow"),
        ({"core:identity:require_ial": 3}, "constraint_violated"),
        ({"core:identity:require_aal": 3}, "constraint_violated"),
        ({"core:identity:require_fal": 3}, "constraint_violated"),
        ({"core:scope:model_allowlist": ["model-1"]}, "allow"),
        ({"core:scope:model_allowlist": ["model-2"]}, "constraint_violated"),
        ({"core:identity:max_delegation_depth": 1}, "allow"),
        ({"core:identity:max_delegation_depth": 0}, "constraint_violated"),
        ({"core:identity:require_proof": True}, "constraint_violated"),
    ],
)
def test_constraints_read_what_the_token_says(constraint: dict[str, Any], expected: str) -> None:
    """Of the gate and of the issuer alike."""
    assert code(chain(ALICE, BOB), gate_constraints=constraint) == expected
    assert code(chain(ALICE, BOB), issuer_constraints=constraint) == expected


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (["api:search"], "allow"),
        (["api:*"], "allow"),
        (["api:s*"], "allow"),
        (["*:search"], "allow"),
        (["a[op]i:s?arch"], "allow"),
        ([], "permission_denied"),
        (["api:"], "permission_denied"),
        (["api"], "permission_denied"),
        (["API:search"], "permission_denied"),
        (["shop:*"], "permission_denied"),
        (["[!a]*"], "permission_denied"),
        (["*"], "permission_denied"),
        (["**"], "permission_denied"),
        (["*:*"], "permission_denied"),
        (["?*"], "permission_denied"),
        (["api:search", "*"], "permission_denied"),
    ],
    ids=repr,
)
def test_scopes_are_patterns_over_actions(scope: list[str], expected: str) -> None:
    """By csp's own grammar; a leaf with a catch-all is refused whole, in any spelling."""
    assert code(root(tool_scope=scope)) == expected


@pytest.mark.parametrize("scope", ["*", "**", "*:*", "?*", "[a-z]*"])
def test_an_issuer_may_be_allowed_catch_alls(scope: str) -> None:
    """Then they cover what they cover, and no more than the issuer may grant."""
    allowed = {"catch_all": True}

    assert code(root(tool_scope=[scope]), issuer=allowed) == "allow"
    assert (
        code(root(tool_scope=[scope]), issuer={**allowed, "permissions": ("shop:*",)})
        == "permission_denied"
    )


def test_a_parent_may_hold_a_catch_all() -> None:
    """It is judged where it is a leaf, and its children by what they hold."""
    top = {**ALICE, "tool_scope": ["*"]}

    assert code(chain(top, BOB)) == "allow"
    assert code(token(top)) == "permission_denied"


def test_what_was_worked_out_is_forgotten_when_the_issuers_entry_changes() -> None:
    """Another word on catch-alls is another answer for the same passport."""
    open_to_all = scene(root(tool_scope=["*"]), issuer={"catch_all": True})
    passport = open_to_all.decide().passport
    assert isinstance(passport, Passport)
    policy = open_to_all.policy()
    entry = open_to_all.trust().issuers["iss_lab"]
    closed = scene("").trust().issuers["iss_lab"]

    assert derive(passport, entry, "api:search", policy, "127.0.0.1").denied is None
    assert derive(passport, closed, "api:search", policy, "127.0.0.1").denied is not None


def test_ancestors_may_not_do_less_than_the_leaf_does() -> None:
    """Each link's scope must cover the action, though attenuation has been judged."""
    assert code(chain({**ALICE, "tool_scope": ["shop:*"]}, {**BOB, "tool_scope": []})) == (
        "permission_denied"
    )


def test_each_link_is_revoked_by_its_path_agent_or_key() -> None:
    """And nothing else is: a child's own id alone is nobody's."""
    text = chain(ALICE, BOB)
    for revoked in (
        {"passports": ["jti-alice"]},
        {"passports": ["jti-alice/jti-bob"]},
        {"agents": ["alice"]},
        {"agents": ["bob"]},
        {"keys": ["key-1"]},
    ):
        assert code(text, revoked=revoked) == "passport_revoked"
    assert code(text, revoked={"passports": ["jti-bob"], "agents": ["person-1"]}) == "allow"


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("passport", "jti-alice"),
        ("passport", "jti-alice/jti-bob"),
        ("agent", "alice"),
        ("agent", "bob"),
    ],
)
def test_each_link_can_be_stopped(kind: str, target: str) -> None:
    """By the operator, whoever vouches for it."""
    kill = Kill("kill_1", kind, target, "", "", "ann", 0)

    assert code(chain(ALICE, BOB), kills=(kill,)) == "killed"
    assert code(chain(ALICE, claims_of("eve", ALICE, jti="j")), kills=(kill,)) == (
        "killed" if target in ("jti-alice", "alice") else "allow"
    )


def test_only_the_leaf_is_for_this_gate() -> None:
    """Its parents were for whoever their agents called."""
    assert code(root(aud="gate_b")) == "audience_mismatch"
    assert code(chain({**ALICE, "aud": "gate_b"}, BOB)) == "allow"
    assert code(chain(ALICE, {**BOB, "aud": "gate_b"})) == "audience_mismatch"


def test_what_a_child_uses_is_used_of_its_parents_agent_too() -> None:
    """Two children of alice share what the gate lets alice do."""
    limit = {"core:rate:max_per_minute": 1}
    ledger = MemoryLedger()
    carl = claims_of("carl", ALICE)

    assert verdict(scene(chain(ALICE, BOB), gate_constraints=limit).judge(ledger)) == "allow"
    assert (
        verdict(scene(chain(ALICE, carl), gate_constraints=limit).judge(ledger)) == "rate_limited"
    )


def test_parents_may_come_in_several_headers() -> None:
    """They are one list (RFC 9110 section 5.3), in the order of the headers."""
    leaf, _, parents = chain(ALICE, BOB, CAROL).partition(BESIDE)
    first, second = [part.encode() for part in parents.split(",")]

    assert code(leaf, headers=((PARENTS, first), (PARENTS, second))) == "allow"
    assert code(leaf, headers=((PARENTS, second), (PARENTS, first))) == "chain_invalid"
    assert code(leaf, headers=((PARENTS, first + b" ,\t" + second),)) == "allow"


def test_parents_are_presented_whatever_they_are() -> None:
    """They never leave a request anonymous, and belong to nothing but a csp token."""
    alone = Scene(presents=False, **CSP).but(headers=((PARENTS, b""),))
    assert verdict(alone.judge()) == "passport_missing"
    assert alone.decide().presented
    native = Scene(**CSP).but(issuer=CSP, headers=((PARENTS, root().encode()),))
    assert verdict(native.judge()) == "passport_unsupported"
    assert code(root(), headers=((PARENTS, b""),)) == "passport_malformed"
    assert b"Chain" not in scene(chain(ALICE, BOB)).good_request().sorted.forward


def test_a_gate_without_the_format_takes_no_such_token() -> None:
    """Whatever its issuer may do elsewhere, and the other way round."""
    text = chain(ALICE, BOB)
    assert verdict(scene(text).but(formats=frozenset({"jwt"})).judge()) == "passport_unsupported"
    assert code(text, issuer={"formats": frozenset({"jwt"})}) == "issuer_untrusted"
