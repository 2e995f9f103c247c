"""What a passport's permissions, its issuer's ceiling and its grants say to an action."""

from typing import Any

import pytest
from tests.craft import NOW

from passgate.core.constraints.base import NO_CONSTRAINTS, ConstraintSet, Hold
from passgate.core.facts import NO_FACTS, Facts
from passgate.core.passport import Grant, Permission
from passgate.core.permissions import covering, covers, exceeds, is_pattern, judge_grants
from passgate.core.reasons import Refusal


@pytest.mark.parametrize(
    ("pattern", "action", "expected"),
    [
        ("a:b", "a:b", True),
        ("a:b", "a:bc", False),
        ("a:b", "a:B", False),
        ("a:b", "a:b:c", False),
        ("*", "anything:at:all", True),
        ("*", "a", True),
        ("a:*", "a:b", True),
        ("a:*", "a:b:c", True),
        ("a:*", "a", False),
        ("a:*", "a:", False),
        ("a:*", "ab:c", False),
        ("a:*", "b:a:c", False),
        ("a:b:*", "a:b:c", True),
        ("a:b:*", "a:b", False),
        ("a:b:*", "a:bc:d", False),
    ],
)
def test_patterns_cover_exactly_what_the_contract_says(
    pattern: str, action: str, expected: bool
) -> None:
    """Exact, everything, or everything below a prefix that ends with a colon."""
    assert covers(pattern, action) is expected


@pytest.mark.parametrize("text", ["a", "a:b", "*", "a:*", "a:b:*", "a" * 256, "get:/v1/x y"])
def test_permission_keys_are_patterns(text: str) -> None:
    """Keys, the star alone, and a star after a final colon."""
    assert is_pattern(text)


@pytest.mark.parametrize(
    "text",
    ["", ":*", "**", "a*", "*:a", "a:*:b", "a:**", "*:*", "a*:*", "a:b*", "a\n", "a:*\n", "a" * 257,
     "a" * 255 + ":*", "\x00:*"],
)  # fmt: skip
def test_stars_elsewhere_are_no_pattern(text: str) -> None:
    """What looks as if it matched more, or cannot name anything, is refused when read."""
    assert not is_pattern(text)


def held(*patterns: str) -> tuple[Permission, ...]:
    return tuple(Permission(pattern, NO_CONSTRAINTS) for pattern in patterns)


def test_every_entry_that_covers_is_owed() -> None:
    """A wide entry without limits does not free from the narrow one with limits."""
    limited = Permission("shop:buy", ConstraintSet({"core:rate:max_per_minute": 1}))
    permissions = (*held("*", "other:*"), limited, *held("shop:*"))

    assert covering(permissions, ("*",), "shop:buy") == (permissions[0], limited, permissions[3])


def test_without_a_covering_entry_nothing_is_permitted() -> None:
    """An empty list permits nothing, and neither does another action's entry."""
    denied = Refusal("permission_denied", required_permissions=("shop:buy",))

    assert covering((), ("*",), "shop:buy") == denied
    assert covering(held("shop:sell", "shop"), ("*",), "shop:buy") == denied


def test_the_issuers_ceiling_bounds_what_it_grants() -> None:
    """A passport that holds everything is worth no more than its issuer may give."""
    permissions = held("*")

    assert covering(permissions, ("api:*", "shop:buy"), "shop:buy") == permissions
    for ceiling in [(), ("api:*",), ("shop",)]:
        refusal = covering(permissions, ceiling, "shop:buy")
        assert isinstance(refusal, Refusal)
        assert refusal.code == "permission_denied"
        assert refusal.required_permissions == ("shop:buy",)


def grant(resource: str = "shop", **members: Any) -> Grant:
    return Grant(
        resource=resource,
        allowed_actions=frozenset(members.pop("allowed", ())),
        blocked_actions=frozenset(members.pop("blocked", ())),
        requires_approval=members.pop("approval", False),
        max_amount=members.pop("max_amount", None),
        allowed_vendors=frozenset(members.pop("vendors", ())),
        expires_at=members.pop("expires_at", None),
    )


def code(*grants: Grant, action: str = "shop:buy", facts: Facts = NO_FACTS) -> str | None:
    """The code of the refusal, "hold", or None."""
    outcome = judge_grants(grants, action, facts, NOW)
    if isinstance(outcome, Hold):
        assert outcome.constraint == "grants"
        return "hold"
    return None if outcome is None else outcome.code


PAST, FUTURE = NOW.wall - 1, NOW.wall + 1


def test_grants_say_nothing_to_what_they_do_not_concern() -> None:
    """No grants, or grants for other resources only, leave permissions as they are."""
    assert code() is None
    assert code(grant("mail", allowed=["send"], approval=True, max_amount=(0, 0))) is None
    assert code(grant("shop", allowed=["sell"]), action="buy") is None


def test_a_block_counts_whatever_else_allows() -> None:
    """Named by name or whole; also by a grant for another resource, and by an expired one."""
    allowing = grant(allowed=["buy"])

    assert code(allowing, grant(blocked=["buy"])) == "action_blocked"
    assert code(grant(blocked=["shop:buy"]), allowing) == "action_blocked"
    assert code(allowing, grant("mail", blocked=["buy"])) == "action_blocked"
    assert code(allowing, grant(blocked=["buy"], expires_at=PAST)) == "action_blocked"
    assert code(allowing, grant(blocked=["sell"])) is None


def test_a_grant_for_the_resource_must_name_the_action() -> None:
    """With several active grants one that names it is enough; an empty list names everything."""
    assert code(grant(allowed=["buy", "sell"])) is None
    assert code(grant(allowed=["shop:buy"])) is None
    assert code(grant()) is None
    assert code(grant(allowed=["sell"])) == "permission_denied"
    assert code(grant(allowed=["sell"]), grant(allowed=["buy"])) is None


def test_the_resource_is_a_namespace_or_what_the_request_declares() -> None:
    """`a:b:c` lies in `a:b` and in `a`; a declared resource is compared as it is."""
    only_list = [grant("shop", allowed=["list"])]

    assert code(*only_list, action="shop:orders:buy") == "permission_denied"
    assert code(grant("shop:orders", allowed=["list"]), action="shop:orders:buy") == (
        "permission_denied"
    )
    assert code(*only_list, action="api:buy") is None
    assert code(*only_list, action="api:buy", facts=Facts(resource="shop")) == "permission_denied"
    assert code(*only_list, action="api:list", facts=Facts(resource="shop")) is None
    assert code(*only_list, action="api:buy", facts=Facts(resource="shop2")) is None


def test_an_expired_grant_allows_nothing() -> None:
    """A resource whose grants have all expired is refused; equal to now is expired."""
    assert code(grant(expires_at=FUTURE)) is None
    assert code(grant(expires_at=PAST)) == "permission_denied"
    assert code(grant(expires_at=NOW.wall)) == "permission_denied"
    assert code(grant(expires_at=PAST), grant("mail")) == "permission_denied"
    assert code(grant(expires_at=PAST), grant(allowed=["sell"])) == "permission_denied"
    assert code(grant(expires_at=PAST), grant(allowed=["buy"])) is None


def test_amounts_are_compared_exactly() -> None:
    """A limit is inclusive, and makes an amount compulsory."""
    limit = grant(max_amount=(1000, 2))

    assert code(limit, facts=Facts(amount=(10, 0))) is None
    assert code(limit, facts=Facts(amount=(100, 1))) is None
    assert code(limit, facts=Facts(amount=(10001, 3))) == "constraint_violated"
    assert code(limit) == "constraint_violated"


def test_vendors_are_compared_exactly() -> None:
    """A list of vendors makes a vendor compulsory."""
    limit = grant(vendors=["acme.example"])

    assert code(limit, facts=Facts(vendor="acme.example")) is None
    assert code(limit, facts=Facts(vendor="ACME.example")) == "constraint_violated"
    assert code(limit) == "constraint_violated"


def test_approval_holds_after_every_limit() -> None:
    """Every condition of every grant that names the action is owed; a refusal beats a hold."""
    assert code(grant(approval=True)) == "hold"
    assert code(grant(), grant(approval=True)) == "hold"
    assert code(grant(approval=True), grant(max_amount=(1, 0))) == "constraint_violated"
    assert code(grant(allowed=["buy"]), grant(allowed=["sell"], approval=True)) is None
    assert code(grant(allowed=["buy"]), grant(approval=True, expires_at=PAST)) is None


def test_a_refusal_by_limits_names_grants() -> None:
    """The record and the answer say which rule it was."""
    outcome = judge_grants((grant(max_amount=(1, 0)),), "shop:buy", NO_FACTS, NOW)

    assert isinstance(outcome, Refusal)
    assert outcome.constraint == "grants"


@pytest.mark.parametrize(
    ("amount", "limit", "expected"),
    [
        ((742, 2), (742, 2), False),
        ((743, 2), (742, 2), True),
        ((7420, 3), (742, 2), False),
        ((7421, 3), (742, 2), True),
        ((8, 0), (742, 2), True),
        ((999_999_999_999_999_999, 18), (1, 0), False),
        ((1, 0), (999_999_999_999_999_999, 18), True),
        ((0, 0), (0, 5), False),
    ],
)
def test_exact_decimals_compare_by_value(
    amount: tuple[int, int], limit: tuple[int, int], expected: bool
) -> None:
    """Whatever their scales."""
    assert exceeds(amount, limit) is expected
