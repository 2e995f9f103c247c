"""Decisions: each check alone, their order, and what a plan holds when nothing refuses."""

import sys
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import combinations
from typing import Any

import pytest
from tests.craft import (
    CHILD,
    KEY,
    KID,
    NOW,
    OTHER_KEY,
    OTHER_SEED,
    THUMBPRINT,
    credential,
    key_set,
)
from tests.support.decisions import Scene, catalog, verdict

from passgate.core.anonymous import AnonymousPolicy
from passgate.core.constraints.base import Charge, Hold
from passgate.core.decision import Decision, Plan, conclude, decide, derive
from passgate.core.facts import Facts
from passgate.core.instant import Instant
from passgate.core.kills import Kill
from passgate.core.passport import Passport
from passgate.core.reasons import REASONS, Refusal
from passgate.core.trust import Trust
from passgate.core.verification import Acceptance, verify
from passgate.core.verified_cache import VerifiedCache
from passgate.ledger.memory import MemoryLedger

AGENT = "agent|iss_lab|agent-7"
PASSPORT = "passport|iss_lab|pass_01JZ0000000000000000000000"
WHO = "address|192.0.2.1"
OPEN = AnonymousPolicy(enabled=True, allowed_actions=("*",), read_only=False)


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a request, and the check and code that say so."""

    check: int
    code: str
    changes: dict[str, Any] = field(hash=False)

    def __str__(self) -> str:
        return f"{self.check} {self.code} {' '.join(self.changes)}"


def claims(**changed: Any) -> dict[str, Any]:
    return {"claims": changed}


def owed(**constraints: Any) -> dict[str, Any]:
    return claims(constraints={key.replace("__", ":"): v for key, v in constraints.items()})


def child(**changed: Any) -> dict[str, Any]:
    """A passport below another one, which its parent's holder signs."""
    return {
        "claims": {**CHILD, **changed},
        "jose": {"kid": THUMBPRINT},
        "seed": OTHER_SEED,
    }


STALE = Instant(NOW.wall - 3601, NOW.boot - 3601)

FAULTS = [
    Fault(1, "request_malformed", {"headers": ((b"Host", b"other.example"),)}),
    Fault(1, "request_malformed", {"target": b"/v1/../search"}),
    Fault(2, "action_unknown", {"target": b"/v2/unknown"}),
    Fault(3, "passport_ambiguous", {"headers": ((b"X-Agent-Passport", b"another"),)}),
    Fault(4, "passport_unsupported", {"headers": ((b"X-Agent-Passport-Chain", b"x"),)}),
    Fault(4, "passport_malformed", claims(sub=7)),
    Fault(4, "passport_unsupported", claims(act={"sub": "x"})),
    Fault(4, "passport_too_large", claims(agent_name="x" * 70_000)),
    Fault(5, "issuer_unknown", claims(iss="iss_other")),
    Fault(5, "issuer_untrusted", {"issuer": {"formats": frozenset({"envelope"})}}),
    Fault(5, "issuer_revoked", {"revoked": {"issuer_revoked": True}}),
    Fault(6, "key_unknown", {"jose": {"kid": "key-9"}}),
    Fault(6, "signature_invalid", {"seed": OTHER_SEED}),
    Fault(6, "trust_stale", {"issuer": {"keys": None}}),
    Fault(7, "passport_expired", claims(exp=int(NOW.wall) - 31)),
    Fault(7, "passport_not_yet_valid", claims(nbf=int(NOW.wall) + 31)),
    Fault(7, "passport_lifetime", {"max_lifetime_s": 60.0}),
    Fault(8, "audience_mismatch", claims(aud=["gate_b"])),
    Fault(9, "passport_revoked", {"revoked": {"agents": ["agent-7"]}}),
    Fault(9, "trust_stale", {"issuer": {"keys": key_set({KID: KEY}, STALE)}}),
    Fault(9, "trust_stale", {"issuer": {"max_stale_s": -1.0}}),
    Fault(9, "killed", {"kills": (Kill("kill_1", "agent", "agent-7", "", "", "ann", 0),)}),
    Fault(9, "killed", {"kills": (Kill("kill_2", "issuer", "iss_lab", "", "", "ann", 0),)}),
    Fault(10, "chain_invalid", child(sub="agent-8")),
    Fault(10, "chain_widened", child(permissions=["*"])),
    Fault(11, "proof_missing", claims(cnf={"jkt": "x" * 42 + "A"})),
    Fault(11, "proof_invalid", {"headers": ((b"DPoP", b"proof"),)}),
    Fault(12, "action_not_in_catalog", {"catalog": catalog("api:other")}),
    Fault(12, "catalog_mismatch", claims(catalogs={"gate_a": {"version": 7, "content_hash": "x"}})),
    Fault(13, "permission_denied", claims(permissions=["shop:*"])),
    Fault(13, "permission_denied", {"issuer": {"permissions": ("shop:*",)}}),
    Fault(13, "action_blocked", claims(grants=[{"resource": "x", "blockedActions": ["search"]}])),
    Fault(14, "constraint_unknown", owed(core__no__such=1)),
    Fault(14, "constraint_violated", owed(core__scope__action_blocklist=["api:search"])),
    Fault(14, "constraint_violated", {"gate_constraints": {"core:scope:domain_allowlist": ["x"]}}),
    Fault(
        14, "constraint_violated", {"issuer_constraints": {"core:scope:path_blocklist": ["/v1/**"]}}
    ),
    Fault(15, "approval_required", owed(core__approval__required=True)),
    Fault(15, "approval_required", {"gate_constraints": {"core:approval:for_actions": ["*"]}}),
    Fault(16, "rate_limited", owed(core__rate__max_per_minute=0)),
    Fault(16, "rate_limited", {"gate_constraints": {"core:rate:max_total": 0}}),
    Fault(16, "concurrency_limited", {"issuer_constraints": {"core:rate:max_concurrent": 0}}),
]  # fmt: skip
CHECKS = set(range(1, 17))


def test_a_good_request_passes() -> None:
    """Nothing refuses the scene that every fault is put into."""
    assert Scene().judge() == Decision("allow", None)


def test_there_is_a_fault_for_each_check() -> None:
    """But for the upstream, which is asked only after them."""
    assert {fault.check for fault in FAULTS} == CHECKS
    numbered = {code for code, row in REASONS.items() if 1 <= row.check <= 15}
    elsewhere = {
        "passport_missing",  # a request that presents nothing, below
        "passport_unknown",  # in tests/unit/core/test_references.py
        "proof_replayed",  # found by the counters, in tests/unit/core/proof
        "chain_too_deep",  # found while the passport is read
        "budget_exhausted",  # needs a cost, below
        "approval_denied",  # what a person said is no part of a plan
    }
    assert numbered - {fault.code for fault in FAULTS} == elsewhere


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_each_check_refuses_alone(fault: Fault) -> None:
    """One fault in an otherwise good request gives that fault's code."""
    decision = Scene().but(**fault.changes).judge()

    assert verdict(decision) == fault.code
    assert decision.decision == ("request_hold" if fault.check == 15 else "block")


def _contradict(one: Fault, other: Fault) -> bool:
    """Whether two faults cannot be in one request, since each replaces what the other changed."""
    for name, changed in one.changes.items():
        against = other.changes.get(name)
        if against is None:
            continue
        if not (isinstance(changed, dict) and isinstance(against, dict)):
            return name != "headers"
        if changed.keys() & against.keys() - {"constraints"}:
            return True
    return False


PAIRS = [
    (one, other)
    for one, other in combinations(FAULTS, 2)
    if one.check < other.check and not _contradict(one, other)
]


def test_of_two_faults_the_lower_check_wins() -> None:
    """All pairs: nobody learns from a later check what an earlier one would have kept from them."""
    wrong = [
        (str(one), str(other), said)
        for one, other in PAIRS
        if (said := verdict(Scene().but(**one.changes).but(**other.changes).judge())) != one.code
    ]

    assert not wrong
    assert {(one.check, other.check) for one, other in PAIRS} == set(
        combinations(sorted(CHECKS), 2)
    )


def test_the_plan_of_an_allowed_request() -> None:
    """All that the request is about, and every counter that it would take from."""
    scene = Scene(
        method="POST",
        target=b"/v1/export",
        gate_constraints={"core:rate:max_per_hour": 9},
        issuer_constraints={"core:rate:max_per_hour": 7},
        catalog=catalog("api:export", export={"core:rate:max_per_minute": 3}),
    ).but(
        **claims(
            permissions=[
                "api:*",
                {"permission_key": "api:export", "constraints": {"core:rate:max_per_day": 5}},
                {"permission_key": "shop:*", "constraints": {"core:rate:max_per_day": 1}},
            ],
            constraints={"core:cost:max_cumulative": 500, "core:cost:max_per_action": 50},
        )
    )  # fmt: skip
    request, trust = scene.good_request(), scene.trust()
    passport = verify(request.sorted.presented[0].value.decode(), trust, Acceptance())
    policy = scene.policy()
    permission = "permission|iss_lab|pass_01JZ0000000000000000000000|api%3Aexport"

    assert isinstance(passport, Passport)
    assert decide(request, policy, trust, scene.now) == Plan(
        action="api:export",
        route=policy.routes.routes[1],
        params={},
        presented=True,
        credential=credential(scene.claims),
        access="passport",
        passport=passport,
        issuer=trust.issuers["iss_lab"],
        facts=Facts(cost_cents=50),
        charges=(
            Charge(
                "rate/60/catalog|iss_lab|agent-7|api%3Aexport",
                "rate", 60, 1, 3, "core:rate:max_per_minute",
            ),
            Charge(f"rate/3600/{AGENT}", "rate", 3600, 1, 7, "core:rate:max_per_hour"),
            Charge(f"rate/86400/{permission}", "rate", 86400, 1, 5, "core:rate:max_per_day"),
            Charge(
                f"spend/daily/{PASSPORT}", "spend", "daily", 50, 500, "core:cost:max_cumulative"
            ),
        ),
        evaluated=(
            ("core:rate:max_per_minute", "charge"),
            ("core:rate:max_per_hour", "charge"),
            ("core:rate:max_per_day", "charge"),
            ("core:cost:max_per_action", "allow"),
            ("core:cost:max_cumulative", "charge"),
        ),
    )  # fmt: skip


def test_a_refused_plan_charges_nothing() -> None:
    """Not even what came before the constraint that refused."""
    plan = (
        Scene()
        .but(**owed(core__rate__max_per_minute=5, core__scope__method_allowlist=["POST"]))
        .decide()
    )

    assert plan.refusal is not None
    assert plan.charges == ()
    assert plan.evaluated == (("core:scope:method_allowlist", "block"),)


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"core:cost:max_cumulative": 49}, "budget_exhausted"),
        ({"core:cost:max_cumulative": 50}, "allow"),
        ({"core:cost:max_per_action": 49}, "budget_exhausted"),
        ({"core:cost:approval_threshold": 49}, "approval_required"),
        ({"core:cost:approval_threshold": 50}, "allow"),
    ],
)
def test_a_cost_is_held_to_its_limits(limits: dict[str, int], code: str) -> None:
    """Exactly the limit passes, one cent more does not."""
    scene = Scene(method="POST", target=b"/v1/export").but(**claims(constraints=limits))

    assert verdict(scene.judge()) == code


def test_the_catalog_prices_what_the_route_does_not() -> None:
    """A route's own cost goes first."""
    priced = {"core:pricing:per_call_cents": 7}
    offered = catalog("api:search", "api:export", search=priced, export=priced)

    assert Scene(catalog=offered).decide().facts.cost_cents == 7
    export = Scene(method="POST", target=b"/v1/export", catalog=offered)
    assert export.decide().facts.cost_cents == 50


def test_free_calls_are_counted_by_agent_and_action() -> None:
    """Before all other charges, and only where the catalog's price counts and nothing refuses."""
    terms = {"core:pricing:per_call_cents": 7, "core:pricing:free_tier_calls": 2}
    offered = catalog("api:search", "api:export", search=terms, export=terms)
    scene = Scene(catalog=offered).but(**owed(core__cost__max_cumulative=100))

    free, spend = scene.decide().charges
    assert (free.counter, free.amount, free.limit) == (
        "free/total/catalog|iss_lab|agent-7|api%3Asearch",
        1,
        2,
    )
    assert spend.amount == 7
    assert scene.explain().plan.charges == (free, spend)
    ledger = MemoryLedger()
    assert [verdict(scene.judge(ledger)) for _ in range(2 + 14 + 1)] == [
        *["allow"] * 16,
        "budget_exhausted",
    ]
    routed = Scene(method="POST", target=b"/v1/export", catalog=offered)
    assert routed.decide().charges == ()
    below = scene.but(**child(permissions=["api:search"])).decide()
    assert below.refusal is None, below.refusal
    assert below.charges[0] == free  # delegating makes no more of them
    dear = scene.but(**owed(core__cost__max_per_action=6))
    assert dear.decide().charges == ()
    assert verdict(dear.judge()) == "budget_exhausted"


@pytest.mark.parametrize(
    ("target", "code"),
    [
        (b"/v1/pay?amount=5", "allow"),
        (b"/v1/pay?amount=5&amount=5", "request_malformed"),
        (b"/v1/pay", "request_malformed"),
        (b"/v1/pay?amount=5&cents=1.5", "request_malformed"),
        (b"/v1/priced", "request_malformed"),
    ],
)
def test_facts_have_one_reading(target: bytes, code: str) -> None:
    """What a route declares is there once, or the request is malformed."""
    assert verdict(Scene(target=target).judge()) == code


def test_bad_facts_are_judged_after_the_permission_and_before_grants() -> None:
    """Who may not call the action at all does not learn how it wants to be called."""
    bad = Scene(target=b"/v1/pay?amount=x")
    blocked = claims(grants=[{"resource": "shop", "blockedActions": ["pay"]}])

    assert verdict(bad.but(**claims(permissions=["api:*"])).judge()) == "permission_denied"
    assert verdict(bad.but(**blocked).judge()) == "request_malformed"


def test_a_body_is_waited_for_only_after_the_permission() -> None:
    """Nobody who may not call the action can make the gate buffer a body."""
    order = Scene(
        method="POST", target=b"/v1/orders", headers=((b"Content-Type", b"application/json"),)
    ).but(headers=((b"Host", b"a"),))  # fmt: skip
    whole = order.but(body=b'{"amount": 5, "to": "acme"}')

    plan = order.decide()
    assert (plan.needs_body, plan.refusal, plan.charges) == (True, None, ())
    denied = order.but(**claims(permissions=["api:*"])).decide()
    assert denied.refusal is not None
    assert not denied.needs_body
    plan = whole.decide()
    assert (plan.needs_body, plan.refusal) == (False, None)
    assert plan.facts == Facts(amount=(5, 0), vendor="acme")
    assert verdict(whole.but(body=b'{"amount": 5, "amount": 6}').judge()) == "request_malformed"


def test_grants_are_judged_with_the_facts() -> None:
    """And what they say is the hold, unless a constraint holds first."""
    grant = {"resource": "shop", "maxAmount": 5, "requiresApproval": True}
    pay = Scene(target=b"/v1/pay?amount=5").but(**claims(grants=[grant]))

    plan = pay.decide()
    assert plan.hold == Hold("grants", "A grant of the passport asks for a person's approval.")
    assert conclude(plan, None) == Decision(
        "request_hold",
        Refusal(
            "approval_required",
            "A grant of the passport asks for a person's approval.",
            constraint="grants",
        ),
    )
    held = pay.but(**owed(core__approval__required=True)).decide().hold
    assert held is not None
    assert held.constraint == "core:approval:required"
    over = pay.but(target=b"/v1/pay?amount=5.01").judge()
    assert verdict(over) == "constraint_violated"


def test_a_hold_is_decided_before_any_counter() -> None:
    """What a person has not approved takes nothing, so an empty counter is no news yet."""
    plan = Scene().but(**owed(core__approval__required=True)).decide()
    short = Refusal("rate_limited")

    assert conclude(plan, short).decision == "request_hold"
    assert conclude(Plan(), short) == Decision("block", short)
    assert conclude(Plan(refusal=Refusal("action_unknown"), hold=plan.hold), short) == Decision(
        "block", Refusal("action_unknown")
    )


class TestAnonymous:
    """Requests that present nothing."""

    def test_are_refused_unless_the_tier_is_on(self) -> None:
        """With the permission that a passport would need."""
        assert Scene(presents=False).judge() == Decision(
            "block", Refusal("passport_missing", required_permissions=("api:search",))
        )

    def test_owe_the_gate_and_the_catalog_by_their_address(self) -> None:
        """Beside the tier's own rates, which are counted apart."""
        scene = Scene(
            presents=False,
            anonymous=OPEN,
            gate_constraints={"core:rate:max_per_minute": 9},
            catalog=catalog("api:search", search={"core:rate:max_per_day": 3}),
        )

        plan = scene.decide()
        assert plan == Plan(
            action="api:search",
            route=plan.route,
            access="anonymous",
            charges=(
                Charge(
                    f"rate/60/anonymous|{WHO}", "rate", 60, 1, 5, "anonymous:rate_limit_per_minute"
                ),
                Charge(
                    f"rate/3600/anonymous|{WHO}", "rate", 3600, 1, 50,
                    "anonymous:rate_limit_per_hour",
                ),
                Charge(f"rate/60/{WHO}", "rate", 60, 1, 9, "core:rate:max_per_minute"),
                Charge(
                    f"rate/86400/{WHO}|api%3Asearch", "rate", 86400, 1, 3, "core:rate:max_per_day"
                ),
            ),
            evaluated=(("core:rate:max_per_minute", "charge"), ("core:rate:max_per_day", "charge")),
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({}, "allow"),
            ({"catalog": catalog("api:other")}, "action_not_in_catalog"),
            (
                {"catalog": catalog("api:search", search={"core:pricing:per_call_cents": 1})},
                "passport_missing",
            ),
            ({"method": "POST", "target": b"/v1/export"}, "passport_missing"),
            ({"target": b"/v1/pay?amount=1&cents=1"}, "passport_missing"),
            ({"target": b"/v1/pay?amount=1&cents=0"}, "allow"),
            ({"target": b"/v1/pay?amount=x"}, "request_malformed"),
            ({"gate_constraints": {"core:scope:domain_allowlist": ["x"]}}, "constraint_violated"),
            ({"gate_constraints": {"core:approval:required": True}}, "passport_missing"),
            ({"gate_constraints": {"core:rate:max_per_minute": 0}}, "rate_limited"),
            ({"headers": ((b"X-Agent-Passport", b""),)}, "passport_malformed"),
            ({"headers": ((b"X-Modei-Passport-ID", b"pass_x"),)}, "passport_unknown"),
        ],
    )
    def test_are_judged_in_the_same_order(self, changes: dict[str, Any], code: str) -> None:
        """Whatever costs anything is not for them, and whoever presents anything is not one."""
        assert verdict(Scene(presents=False, anonymous=OPEN).but(**changes).judge()) == code

    def test_are_refused_before_their_facts_are_read(self) -> None:
        """Who may not pass learns nothing of how a request is to be made."""
        scene = Scene(presents=False, target=b"/v1/pay?amount=x")

        assert verdict(scene.judge()) == "passport_missing"

    def test_are_asked_for_a_body_only_where_they_may_pass(self) -> None:
        """Nobody without a passport makes the gate buffer what only a passport could use."""
        order = Scene(presents=False, method="POST", target=b"/v1/orders")

        assert verdict(order.judge()) == "passport_missing"
        assert order.but(anonymous=OPEN).decide().needs_body

    def test_charge_nothing_where_a_constraint_refuses(self) -> None:
        """The tier's own rates neither."""
        scene = Scene(
            presents=False,
            anonymous=OPEN,
            gate_constraints={"core:scope:domain_allowlist": ["x"]},
        )

        assert scene.decide().charges == ()


def test_whoever_presents_something_never_counts_as_anonymous() -> None:
    """Also where the action is unknown, or the credentials are two: the plan says so."""
    unknown = Scene(target=b"/v2").decide()
    ambiguous = Scene().but(headers=((b"X-Agent-Passport", b"x"),)).decide()
    bad = Scene().but(seed=OTHER_SEED).decide()

    assert [plan.presented for plan in (unknown, ambiguous, bad)] == [True] * 3
    assert [plan.access for plan in (unknown, ambiguous, bad)] == ["none"] * 3
    assert not Scene(presents=False, target=b"/v2").decide().presented


def test_a_bad_credential_is_kept_as_its_digest_alone() -> None:
    """Also one that is no ASCII."""
    plan = Scene(presents=False).but(headers=((b"X-Agent-Passport", b"caf\xe9"),)).decide()

    assert plan.credential == "café"
    assert plan.credential_digest() == sha256(b"caf\xe9").hexdigest()


class TestDerived:
    """What is kept with a passport holds only for what it was worked out from."""

    def passport(self, **changed: Any) -> Passport:
        scene = Scene().but(**claims(**changed))
        made = verify(credential(scene.claims), scene.trust(), Acceptance())
        assert isinstance(made, Passport)
        return made

    def test_is_kept_while_nothing_changes(self) -> None:
        """Every look-up of an action after the second is the second one's object."""
        scene, passport = Scene(), self.passport()
        policy, entry = scene.policy(), scene.trust().issuers["iss_lab"]

        derive(passport, entry, "api:search", policy, "127.0.0.1")
        assert len(passport.memo) == 0
        first = derive(passport, entry, "api:search", policy, "127.0.0.1")

        assert derive(passport, entry, "api:search", policy, "127.0.0.1") is first
        assert derive(passport, entry, "api:export", policy, "127.0.0.1") is not first

    def test_is_worked_out_anew_for_another_policy(self) -> None:
        """A reload that forbids something counts for passports that were seen before it."""
        scene, cache = Scene(), VerifiedCache()
        strict = scene.but(gate_constraints={"core:scope:method_allowlist": ["POST"]})
        request, trust = scene.good_request(), scene.trust()

        for _ in range(3):
            assert decide(request, scene.policy(), trust, NOW, cache).refusal is None
        refusal = decide(request, strict.policy(), trust, NOW, cache).refusal
        assert (cache.hits, cache.misses) == (3, 1)
        assert refusal is not None
        assert refusal.constraint == "core:scope:method_allowlist"
        assert decide(request, scene.policy(), trust, NOW, cache).refusal is None

    def test_keeps_no_policy_in_memory(self) -> None:
        """A passport that does not come again after a reload holds nothing of the one before it."""
        scene, passport = Scene(), self.passport()
        policy, entry = scene.policy(), scene.trust().issuers["iss_lab"]
        held = sys.getrefcount(policy)

        for _ in range(3):
            derive(passport, entry, "api:search", policy, "127.0.0.1")
            derive(passport, entry, "admin:all", policy, "127.0.0.1")

        assert sys.getrefcount(policy) == held

    def test_tells_a_policy_from_its_copy_with_changes(self) -> None:
        """What one policy is known by, another never is, however it was made."""
        policy = Scene().policy()

        assert replace(policy, name="another").mark is not policy.mark

    @pytest.mark.parametrize(
        "changes",
        [
            {"issuer": {"permissions": ("shop:*",)}},
            {"issuer_constraints": {"core:scope:method_allowlist": ["POST"]}},
            {"issuer": {"formats": frozenset({"envelope"})}},
            {"issuer": {"keys": key_set({KID: OTHER_KEY})}},
            {"revoked": {"passports": ["pass_01JZ0000000000000000000000"]}},
        ],
    )
    def test_is_worked_out_anew_for_another_entry_of_the_issuer(
        self, changes: dict[str, Any]
    ) -> None:
        """What the operator takes from an issuer is gone at once, cached passport or not."""
        scene, cache = Scene(), VerifiedCache()
        request, policy = scene.good_request(), scene.policy()

        for _ in range(3):
            assert decide(request, policy, scene.trust(), NOW, cache).refusal is None
        assert decide(request, policy, scene.but(**changes).trust(), NOW, cache).refusal is not None
        assert decide(request, policy, scene.trust(), NOW, cache).refusal is None

    def test_is_bounded(self) -> None:
        """An agent that asks for ever new actions costs no more memory than this."""
        scene = Scene(default_action="method_path").but(**claims(permissions=["*"]))
        passport = self.passport(permissions=["*"])
        policy, entry = scene.policy(), scene.trust().issuers["iss_lab"]

        for number in range(1000):
            derive(passport, entry, f"get:/{number}", policy, "127.0.0.1")
            assert len(passport.memo) <= 64
        kept = derive(passport, entry, "get:/999", policy, "127.0.0.1")
        assert derive(passport, entry, "get:/999", policy, "127.0.0.1") is kept

    def test_says_no_once_and_for_all(self) -> None:
        """A permission that is not there is kept like one that is."""
        scene, passport = Scene(), self.passport()

        derived = derive(
            passport, scene.trust().issuers["iss_lab"], "admin:all", scene.policy(), "127.0.0.1"
        )

        assert derived.denied == Refusal("permission_denied", required_permissions=("admin:all",))
        assert derived.compiled is None


def test_constraints_of_gate_and_issuer_are_one_count_of_the_agent() -> None:
    """The tighter of both counts, whichever passport of the agent it is."""
    scene = Scene(
        gate_constraints={"core:rate:max_per_minute": 5},
        issuer_constraints={"core:rate:max_per_minute": 3},
    )

    (charge,) = scene.decide().charges
    assert (charge.counter, charge.limit) == (f"rate/60/{AGENT}", 3)
    other = scene.but(**claims(jti="pass_other")).decide()
    assert other.charges == (charge,)


def test_nothing_is_decided_without_trust() -> None:
    """A gate that knows no issuer refuses every passport."""
    scene = Scene()

    plan = decide(scene.good_request(), scene.policy(), Trust({}), NOW)
    assert plan.refusal == Refusal("issuer_unknown")


def test_the_faults_are_put_into_a_gate_that_would_let_everything_pass() -> None:
    """Otherwise a refusal would prove nothing: each action of the scene may pass by itself."""
    for method, target in (
        ("GET", b"/v1/search"),
        ("POST", b"/v1/export"),
        ("GET", b"/v1/pay?amount=1"),
        ("GET", b"/v1/priced?cents=1"),
        ("PUT", b"/public/x"),
    ):
        assert verdict(Scene(method=method, target=target).judge()) == "allow"
