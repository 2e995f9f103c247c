"""Explanations: every check's outcome, and the same verdict as a decision."""

from dataclasses import replace

import pytest
from tests.craft import OTHER_SEED
from tests.support.decisions import Scene, catalog

from passgate.core.anonymous import AnonymousPolicy
from passgate.core.explanation import CHECKS, Checked, Explanation
from passgate.core.facts import Facts

OPEN = AnonymousPolicy(enabled=True, allowed_actions=("*",))


def outcomes(found: Explanation) -> str:
    """A letter per row, in order: o(k), r(efused), h(eld), s(kipped), or `?` for open."""
    return "".join("?" if row.outcome == "open" else row.outcome[0] for row in found.checks)


def refusals(found: Explanation) -> list[tuple[int, str]]:
    return [(row.number, row.code) for row in found.checks if row.outcome == "refused"]


def test_every_check_of_a_good_request_is_there_once() -> None:
    """Seventeen rows in their order; the last two are open, since only the gate can know."""
    found = Scene().explain()

    assert [(row.number, row.name) for row in found.checks] == list(CHECKS.items())
    assert outcomes(found) == "o" * 15 + "??"
    assert found.plan == Scene().decide()


def test_all_refusals_are_shown_and_the_first_decides() -> None:
    """What is wrong with the request is told in one go."""
    scene = Scene(gate_constraints={"core:scope:domain_allowlist": ["x"]}).but(
        claims={
            "exp": 1_800_000_000 - 31,
            "aud": "gate_b",
            "permissions": ["*"],
            "grants": [{"resource": "api", "blockedActions": ["search"]}],
            "constraints": {
                "core:scope:method_allowlist": ["POST"],
                "core:approval:required": True,
            },
        },
        revoked={"agents": ["agent-7"]},
        catalog=catalog("api:other"),
    )

    found = scene.explain()

    assert refusals(found) == [
        (7, "passport_expired"),
        (8, "audience_mismatch"),
        (9, "passport_revoked"),
        (12, "action_not_in_catalog"),
        (13, "action_blocked"),
        (14, "constraint_violated"),
        (14, "constraint_violated"),
    ]
    assert outcomes(found) == "oooooo" + "rrr" + "oo" + "r" + "r" + "rr" + "h" + "??"
    assert found.plan.refusal is not None
    assert found.plan.refusal == scene.decide().refusal
    assert found.plan.hold is not None
    assert found.checks[-3] == Checked(
        15,
        "approval",
        "held",
        "approval_required",
        "A person must approve every request.",
        "core:approval:required",
    )


def test_a_refusal_shows_what_it_would_answer() -> None:
    """Its own sentence, or the title of its code."""
    (row,) = [row for row in Scene(target=b"/v2").explain().checks if row.number == 2]

    assert row == Checked(
        2, "action", "refused", "action_unknown", "This request is no action that the gate knows."
    )


@pytest.mark.parametrize(
    ("scene", "shown"),
    [
        (Scene(target=b"/v2"), "or" + "s" * 15),
        (Scene().but(headers=((b"X-Agent-Passport", b"x"),)), "oor" + "s" * 14),
        (Scene().but(claims={"sub": 7}), "ooor" + "s" * 13),
        (Scene().but(claims={"iss": "iss_other"}), "oooor" + "s" * 12),
        (Scene().but(seed=OTHER_SEED), "ooooor" + "s" * 11),
        (Scene().but(revoked={"issuer_revoked": True}), "oooor" + "o" * 10 + "??"),
        (Scene().but(claims={"permissions": []}), "o" * 12 + "r" + "ssss"),
        (Scene(target=b"/v1/pay?amount=x"), "o" * 12 + "r" + "ssss"),
        (Scene(method="POST", target=b"/v1/orders"), "o" * 12 + "?????"),
        (Scene(presents=False), "oor" + "s" * 14),
        (Scene(presents=False, anonymous=OPEN), "ooo" + "s" * 8 + "oooo" + "??"),
        (
            Scene(presents=False, anonymous=OPEN, target=b"/v1/pay?amount=x"),
            "ooo" + "s" * 8 + "or" + "ssss",
        ),
        (
            Scene(presents=False, anonymous=OPEN, target=b"/v1/pay?amount=1&cents=1"),
            "ooo" + "s" * 8 + "or" + "oo" + "??",
        ),
        (
            Scene(
                presents=False,
                anonymous=OPEN,
                catalog=catalog("api:other"),
                gate_constraints={
                    "core:scope:domain_allowlist": ["x"],
                    "core:approval:required": True,
                },
            ),
            "ooo" + "s" * 8 + "ro" + "rr" + "??",
        ),
    ],
)
def test_what_cannot_be_known_is_skipped(scene: Scene, shown: str) -> None:
    """As far as checks can be explained they are, and no further."""
    assert outcomes(scene.explain()) == shown


def test_a_body_that_is_not_there_leaves_open_what_depends_on_it() -> None:
    """Nothing is judged on facts that the body would have declared."""
    order = Scene(method="POST", target=b"/v1/orders").but(
        claims={"constraints": {"core:scope:resource_allowlist": ["acme"]}},
        headers=((b"Content-Type", b"application/json"),),
    )

    found = order.explain()
    assert (found.plan.needs_body, found.plan.refusal) == (True, None)
    assert found.plan == order.decide()
    expired = order.but(claims={"exp": 1_800_000_000 - 31}).explain()
    assert (expired.plan.needs_body, refusals(expired)) == (False, [(7, "passport_expired")])
    assert refusals(order.but(body=b'{"to": "other"}').explain()) == [(14, "constraint_violated")]
    assert refusals(order.but(body=b'{"to": "acme"}').explain()) == []


def test_a_dry_run_is_of_the_given_action_and_facts() -> None:
    """The route of the request does not matter, and its body neither."""
    scene = Scene(target=b"/").but(claims={"constraints": {"core:cost:max_cumulative": 100}})

    found = scene.explain(action="shop:order", facts=Facts(cost_cents=30))

    assert outcomes(found) == "o" * 15 + "??"
    assert (found.plan.action, found.plan.route) == ("shop:order", None)
    (charge,) = found.plan.charges
    assert (charge.kind, charge.amount) == ("spend", 30)
    assert found.checks[1].detail == "given: shop:order"


def test_a_dry_run_without_facts_costs_what_the_catalog_says() -> None:
    """There is no route whose sources could be read."""
    priced = catalog("api:search", search={"core:pricing:per_call_cents": 3})

    assert Scene(catalog=priced).explain(action="api:search").plan.facts == Facts(cost_cents=3)


def test_a_dry_run_knows_no_action_that_no_request_can_be() -> None:
    """Whatever a passport permits: the gate would not forward it."""
    scene = Scene().but(claims={"permissions": ["*"]})

    assert refusals(scene.explain(action="no:such", facts=Facts())) == [(2, "action_unknown")]
    open_default = scene.but(default_action="method_path")
    assert refusals(open_default.explain(action="get:/x", facts=Facts())) == []


def test_holds_of_constraints_come_before_those_of_grants() -> None:
    """As in a decision, where the first hold is the one that is named."""
    scene = Scene().but(
        claims={
            "constraints": {"core:approval:required": True},
            "grants": [{"resource": "api", "requiresApproval": True}],
        }
    )

    found = scene.explain()

    held = [row.constraint for row in found.checks if row.outcome == "held"]
    assert held == ["core:approval:required", "grants"]
    assert found.plan == replace(scene.decide(), evaluated=found.plan.evaluated)


def test_a_dry_run_without_a_price_gets_that_of_the_terms() -> None:
    """With its free calls and its minutes; one that states a price keeps it."""
    priced = catalog(
        "api:search",
        search={
            "core:pricing:per_call_cents": 3,
            "core:pricing:per_minute_cents": 2,
            "core:pricing:free_tier_calls": 9,
            "core:pricing:currency": "EUR",
        },
    )
    scene = Scene(catalog=priced)
    asked = {"action": "api:search", "facts": Facts(cost_cents=1, vendor="x")}

    assert scene.explain(**asked).plan.facts == Facts(1, vendor="x")
    found = scene.explain(**asked, priced=False).plan
    assert found.facts == Facts(5, vendor="x", currency="EUR", minute_cents=2, free_calls=9)
    assert [charge.kind for charge in found.charges] == ["free"]


def test_what_memory_decides_is_open() -> None:
    """A pace is the running gate's to know: nothing is refused, and nothing promised."""
    scene = Scene(gate_constraints={"core:safety:anomaly_suspend": True})

    found = scene.explain()

    assert found.checks[14] == Checked(
        15, "approval", "open", detail="depends on what the gate remembers"
    )
    assert len(found.plan.watches) == 1
    assert found.plan == scene.decide()
