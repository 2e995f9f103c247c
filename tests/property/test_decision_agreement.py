"""Decisions as laws: explanations agree, nothing raises, and adding a constraint never widens."""

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.craft import KEY, KID, NOW, OTHER_SEED, key_set
from tests.support.decisions import Scene

from passgate.core.anonymous import NO_ANONYMOUS, AnonymousPolicy
from passgate.core.catalog import parse_catalog
from passgate.core.decision import Plan, conclude, decide
from passgate.core.explanation import explain
from passgate.core.instant import Instant
from passgate.core.reasons import REASONS, Refusal
from passgate.core.request import Request
from passgate.core.verified_cache import VerifiedCache

# One of each kind that can say no, hold, or count; mostly values that let something through.
CONSTRAINTS = [
    ("core:time:blackout_windows", [{"from": "07:00", "to": "09:00"}]),
    ("core:time:operating_hours", {"from": "00:00", "to": "24:00"}),
    ("core:scope:action_allowlist", ["api:*"]),
    ("core:scope:action_blocklist", ["shop:pay"]),
    ("core:scope:domain_allowlist", ["api.example"]),
    ("core:scope:path_blocklist", ["/v1/pay"]),
    ("core:scope:method_allowlist", ["GET"]),
    ("core:scope:resource_allowlist", ["acme"]),
    ("core:scope:ip_allowlist", ["192.0.2.0/24"]),
    ("core:data:read_only", True),
    ("core:rate:max_per_minute", 3),
    ("core:rate:max_total", 0),
    ("core:cost:max_per_action", 40),
    ("core:cost:max_cumulative", 60),
    ("core:cost:approval_threshold", 20),
    ("core:approval:required", True),
    ("core:approval:for_actions", ["api:search"]),
    ("core:sla:response_time_ms", 5),
    ("core:no:such", 1),
]  # fmt: skip

one_constraint = st.sampled_from(CONSTRAINTS)
NOTHING: dict[str, Any] = {}
constraints = st.just(NOTHING) | st.lists(one_constraint, max_size=2).map(dict)
actions = st.sampled_from(["api:search", "api:export", "shop:pay", "shop:order", "public", "x:y"])
patterns = st.sampled_from(["*", "api:*", "shop:*", "api:search", "shop:order"])
permissions = st.lists(
    patterns
    | st.builds(
        lambda key, owed: {"permission_key": key, "constraints": owed}, patterns, constraints
    ),
    min_size=1,
    max_size=3,
)
grants = st.lists(
    st.fixed_dictionaries(
        {"resource": st.sampled_from(["api", "shop", "other"])},
        optional={
            "allowedActions": st.lists(st.sampled_from(["search", "pay", "order"]), max_size=2),
            "blockedActions": st.lists(st.sampled_from(["search", "shop:pay"]), max_size=1),
            "requiresApproval": st.booleans(),
            "maxAmount": st.integers(0, 9),
            "allowedVendors": st.lists(st.sampled_from(["acme", "b"]), max_size=1),
            "expiresAt": st.sampled_from(["2027-01-01T00:00:00Z", "2030-01-01T00:00:00Z"]),
        },
    ),
    max_size=2,
)
AT = int(NOW.wall)
STALE = Instant(NOW.wall - 3601, NOW.boot - 3601)

# What is wrong with a request before its permission is looked at; most examples have none of it.
FAULTS: list[dict[str, Any]] = [
    *({"headers": ((name, value),)} for name, value in (
        (b"X-Agent-Passport", b"x"),
        (b"X-Agent-Passport", b""),
        (b"Authorization", b"DPoP x"),
        (b"DPoP", b"x"),
        (b"X-Modei-Passport-ID", b"pass_x"),
    )),
    *({"claims": {name: value}} for name, value in (
        ("exp", AT - 31),
        ("exp", AT + 91 * 86400),
        ("nbf", AT + 31),
        ("aud", "gate_b"),
        ("iss", "iss_other"),
        ("sub", 7),
        ("cnf", {"jkt": "x"}),
        ("catalogs", {"gate_a": {"version": 1, "content_hash": "x"}}),
    )),
    {"jose": {"kid": "key-9"}},
    {"seed": OTHER_SEED},
    *({"issuer": {name: value}} for name, value in (
        ("permissions", ("api:*",)),
        ("permissions", ()),
        ("formats", frozenset()),
        ("keys", None),
        ("keys", key_set({})),
        ("keys", key_set({KID: KEY}, STALE)),
        ("revocations", None),
        ("tier", "L1"),
    )),
    *({"revoked": {name: value}} for name, value in (
        ("agents", ["agent-7"]),
        ("issuer_revoked", True),
        ("expires_at", NOW.wall),
    )),
    {"max_lifetime_s": 120.0},
    {"presents": False},
]  # fmt: skip
catalogs = st.none() | st.none() | st.lists(
    st.builds(
        lambda key, owed, tier: {
            "key": key,
            "min_trust_tier": tier,
            "constraints": {name: value for name, value in owed.items() if name != "core:no:such"},
        },
        actions,
        constraints,
        st.sampled_from(["L0", "L2"]),
    ),
    min_size=3,
    max_size=6,
    unique_by=lambda entry: entry["key"],
)  # fmt: skip
anonymous = st.just(NO_ANONYMOUS) | st.builds(
    AnonymousPolicy,
    enabled=st.just(True),
    allowed_actions=st.lists(patterns, max_size=2).map(tuple),
    blocked_actions=st.just(()) | st.just(("api:export",)),
    read_only=st.booleans(),
)
requests = st.sampled_from(
    [
        ("GET", b"/v1/search", None),
        ("POST", b"/v1/export", None),
        ("GET", b"/v1/pay?amount=5", None),
        ("GET", b"/v1/pay?amount=5&cents=30", None),
        ("GET", b"/v1/pay?amount=x", None),
        ("GET", b"/v1/priced", None),
        ("POST", b"/v1/orders", None),
        ("POST", b"/v1/orders", b'{"amount": 3, "to": "acme"}'),
        ("POST", b"/v1/orders", b'{"amount": 3, "amount": 4}'),
        ("POST", b"/v1/orders", b""),
        ("POST", b"/v1/transfers", None),
        ("POST", b"/v1/transfers", b"5 to acme"),
        ("PUT", b"/public/a/b", None),
        ("GET", b"/v2/nothing", None),
        ("GET", b"/v1/search%3b", None),
    ]
)


@st.composite
def scenes(draw: st.DrawFn) -> tuple[Scene, list[dict[str, Any]] | None]:
    """A scene, and the entries of its catalog."""
    method, target, body = draw(requests)
    entries = draw(catalogs)
    claims: dict[str, Any] = {"permissions": draw(permissions), "constraints": draw(constraints)}
    if draw(st.booleans()):
        claims["grants"] = draw(grants)
    scene = Scene(
        method=method,
        target=target,
        body=body,
        headers=((b"Host", b"api.example"), (b"Content-Type", b"application/json")),
        claims=claims,
        issuer_constraints=draw(constraints),
        gate_constraints=draw(constraints),
        catalog=None if entries is None else parse_catalog({"permissions": entries}),
        anonymous=draw(anonymous),
        default_action=draw(st.sampled_from(["deny", "method_path"])),
    )
    if draw(st.integers(0, 3)) == 0:
        for fault in draw(st.lists(st.sampled_from(FAULTS), min_size=1, max_size=2)):
            scene = scene.but(**fault)
    if draw(st.integers(0, 5)) == 0:
        scene = scene.but(presents=False)
    for key in draw(st.lists(st.sampled_from([b"k-1", b"k-2", b"", b"x" * 257]), max_size=2)):
        scene = scene.but(headers=((b"Idempotency-Key", key),))
    return scene, entries


@given(scenes())
@settings(max_examples=600)
def test_an_explanation_says_what_a_decision_says(drawn: tuple[Scene, object]) -> None:
    """The same refusal, the same hold, the same wait for the body, the same charges."""
    request = drawn[0].request()
    if not isinstance(request, Request):
        assert request.code == "request_malformed"
        return
    policy, trust = drawn[0].policy(), drawn[0].trust()

    plan = decide(request, policy, trust, NOW)
    found = explain(request, policy, trust, NOW)

    assert found.plan.refusal == plan.refusal
    assert found.plan.needs_body == plan.needs_body
    assert conclude(found.plan, None) == conclude(plan, None)
    rows = [row.code for row in found.checks if row.outcome == "refused"]
    assert rows[:1] == ([plan.refusal.code] if plan.refusal else [])
    assert [row.number for row in found.checks] == sorted(row.number for row in found.checks)
    assert {row.number for row in found.checks} == set(range(1, 18))
    for name in ("action", "route", "params", "presented", "access"):
        assert getattr(found.plan, name) == getattr(plan, name) or plan.refusal is not None
    if plan.refusal is None:
        assert found.plan == plan


@given(scenes())
@settings(max_examples=200)
def test_a_passport_seen_before_is_judged_as_if_it_were_new(drawn: tuple[Scene, object]) -> None:
    """Neither the cache of verified passports nor what is kept with one changes any decision."""
    request = drawn[0].request()
    if not isinstance(request, Request):
        return
    policy, trust, cache = drawn[0].policy(), drawn[0].trust(), VerifiedCache()
    before = Scene(claims=drawn[0].claims)

    for _ in range(3):  # of the first nothing is kept
        decide(request, before.policy(), before.trust(), NOW, cache)
    decide(request, policy, trust, NOW, cache)

    assert decide(request, policy, trust, NOW, cache) == decide(request, policy, trust, NOW)


credentials = st.binary(max_size=200) | st.text(max_size=80).map(str.encode)
field_value = bytes((9, *range(0x20, 0x7F), *range(0x80, 0x100)))


@given(credentials, st.sampled_from([b"X-Agent-Passport", b"Authorization"]))
@settings(max_examples=300)
@example(b"Passport ", b"Authorization")
@example(b"." * 100, b"X-Agent-Passport")
@example("Passport é.é.é".encode(), b"Authorization")
def test_no_credential_makes_a_decision_raise(raw: bytes, carrier: bytes) -> None:
    """Whatever is presented is refused with a code of the table, and is never anonymous."""
    value = bytes(byte for byte in raw if byte in field_value)
    if carrier == b"Authorization":
        value = b"Passport " + value
    scene = Scene(
        presents=False, anonymous=AnonymousPolicy(enabled=True, allowed_actions=("*",))
    ).but(headers=((carrier, value),))

    plan = scene.decide(VerifiedCache())

    assert plan.refusal is not None
    assert plan.refusal.code in REASONS
    assert plan.presented
    assert plan.access == "none"
    assert scene.explain().plan.refusal == plan.refusal


def strictness(plan: Plan) -> int:
    if plan.refusal is not None:
        return 2
    return 1 if plan.hold is not None else 0


PLACES = ("passport", "permissions", "gate", "issuer", "catalog")


@given(scenes(), one_constraint, st.sampled_from(PLACES))
@settings(max_examples=600)
def test_adding_a_constraint_never_widens(
    drawn: tuple[Scene, list[dict[str, Any]] | None], added: tuple[str, Any], place: str
) -> None:
    """Wherever it is added: what was refused stays refused, what was held is not let through, and
    no counter gets a higher limit."""
    scene, entries = drawn
    key, value = added
    if key == "core:no:such" and place == "catalog":
        return
    request = scene.request()
    if isinstance(request, Refusal):
        return
    before = scene.decide()

    stricter = _with(scene, entries, key, value, place)
    after = stricter.decide()

    assert not (before.refusal is None and before.needs_body and after.hold)
    assert strictness(after) >= strictness(before)
    if after.refusal is None:
        limits = {charge.counter: charge.limit for charge in after.charges}
        for charge in before.charges:
            assert limits[charge.counter] <= charge.limit


def _with(
    scene: Scene, entries: list[dict[str, Any]] | None, key: str, value: Any, place: str
) -> Scene:
    """The scene with one more constraint; where one of that key is there, both are owed."""
    if place == "gate":
        return _unless(key in scene.gate_constraints, scene, gate_constraints={key: value})
    if place == "issuer":
        return _unless(key in scene.issuer_constraints, scene, issuer_constraints={key: value})
    if place == "passport":
        there = key in scene.claims["constraints"]
        return _unless(there, scene, claims={"constraints": {key: value}})
    if place == "permissions":
        entries_of = [_entry_with(entry, key, value) for entry in scene.claims["permissions"]]
        return scene.but(claims={"permissions": entries_of})
    if entries is None:
        return scene
    return scene.but(
        catalog=parse_catalog(
            {
                "permissions": [
                    {**entry, "constraints": {key: value, **entry["constraints"]}}
                    for entry in entries
                ]
            }
        )
    )


def _unless(there: bool, scene: Scene, **changes: Any) -> Scene:
    return scene if there else scene.but(**changes)


def _entry_with(entry: Any, key: str, value: Any) -> dict[str, Any]:
    if isinstance(entry, str):
        return {"permission_key": entry, "constraints": {key: value}}
    return {**entry, "constraints": {key: value, **entry["constraints"]}}
