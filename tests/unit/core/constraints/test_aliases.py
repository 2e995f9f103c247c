"""Other systems' names: each comes to rows of the table, exactly, or is refused."""

import pytest

from passgate.core.constraints import ConstraintValueError, parse_constraints, problems
from passgate.core.constraints.aliases import aliases

DAILY = {"core:cost:max_cumulative": 5, "core:cost:cumulative_window": "daily"}


@pytest.mark.parametrize(
    ("name", "value", "same"),
    [
        ("max_per_action_cost", 5, {"core:cost:max_per_action": 5}),
        ("max_daily_cost", 5, DAILY),
        (
            "max_total_cost",
            5,
            {"core:cost:max_cumulative": 5, "core:cost:cumulative_window": "total"},
        ),
        ("rate_limit_per_minute", 5, {"core:rate:max_per_minute": 5}),
        ("rate_limit_per_hour", 5, {"core:rate:max_per_hour": 5}),
        ("allowed_domains", ["a.example"], {"core:scope:domain_allowlist": ["a.example"]}),
        ("allowed_paths", ["/a/*"], {"core:scope:path_allowlist": ["/a/*"]}),
        ("allowed_models", ["m"], {"core:scope:model_allowlist": ["m"]}),
        (
            "operating_hours",
            {"from": "09:00", "to": "17:00"},
            {"core:time:operating_hours": {"from": "09:00", "to": "17:00"}},
        ),
    ],
)
def test_a_delegation_name_is_its_row(name: str, value: object, same: dict[str, object]) -> None:
    """Wherever constraints are read, a passport's too."""
    assert parse_constraints({name: value}) == parse_constraints(same)
    assert problems({name: value}) == []
    assert name in aliases(guardrails=False)


@pytest.mark.parametrize(
    ("name", "value", "same"),
    [
        (
            "rate_limits",
            {
                "requests_per_minute": 1,
                "requests_per_hour": 2,
                "requests_per_day": 3,
                "concurrent_requests": 4,
            },
            {
                "core:rate:max_per_minute": 1,
                "core:rate:max_per_hour": 2,
                "core:rate:max_per_day": 3,
                "core:rate:max_concurrent": 4,
            },
        ),
        (
            "spend_limits",
            {"per_transaction_usd": 7.42, "require_approval_above_usd": "2.5"},
            {
                "core:cost:max_per_action": 742,
                "core:cost:approval_threshold": 250,
                "core:cost:currency": "USD",
            },
        ),
        ("spend_limits", {"daily_usd": 0.05}, {**DAILY, "core:cost:currency": "USD"}),
        (
            "spend_limits",
            {"per_transaction_usd": 500, "currency": "JPY"},
            {"core:cost:max_per_action": 500, "core:cost:currency": "JPY"},
        ),
        (
            "spend_limits",
            {"per_transaction_usd": "1.234", "currency": "KWD"},
            {"core:cost:max_per_action": 1234, "core:cost:currency": "KWD"},
        ),
        (
            "spend_limits",
            {"per_transaction_usd": "90071992547409.91"},
            {"core:cost:max_per_action": 2**53 - 1, "core:cost:currency": "USD"},
        ),
        (
            "domain_controls",
            {"allowed_domains": ["a.example"], "blocked_domains": ["b.example"]},
            {
                "core:scope:domain_allowlist": ["a.example"],
                "core:scope:domain_blocklist": ["b.example"],
            },
        ),
        ("pii_controls", {"mode": "redact"}, {"core:data:pii_mode": "redact"}),
        ("enforce_permission_scope", True, {}),
        (
            "guardrails",
            {"pii_controls": {"mode": "block"}, "enforce_permission_scope": True},
            {"core:data:pii_mode": "block"},
        ),
    ],
)
def test_a_guardrail_is_its_rows(name: str, value: object, same: dict[str, object]) -> None:
    """In a catalog and among the gate's own constraints, and nowhere else."""
    assert parse_constraints({name: value}, guardrails=True) == parse_constraints(same)
    assert problems({name: value}, guardrails=True) == []
    assert parse_constraints({name: value}).unknown == (name,)
    assert name in set(aliases(guardrails=True)) - set(aliases(guardrails=False))


def test_both_spend_windows_are_owed() -> None:
    """A limit by day and one by month stand beside each other."""
    both = parse_constraints(
        {"spend_limits": {"daily_usd": 10, "monthly_usd": 100, "currency": "EUR"}}, guardrails=True
    )

    assert both.values["core:cost:max_cumulative"] == (("daily", 1000), ("monthly", 10000))
    assert both.values["core:cost:currency"] == {"EUR"}


def test_a_name_beside_its_row_is_owed_too() -> None:
    """Neither replaces the other: the stricter counts, and windows stay with their limits."""
    read = parse_constraints(
        {
            "rate_limit_per_minute": 5,
            "core:rate:max_per_minute": 9,
            "core:rate:max_per_hour": 9,
            "rate_limit_per_hour": 20,
            "core:cost:max_cumulative": 7,
            "core:cost:cumulative_window": "weekly",
            "max_daily_cost": 3,
        }
    )

    assert read.values == {
        "core:rate:max_per_minute": 5,
        "core:rate:max_per_hour": 9,
        "core:cost:max_cumulative": (("daily", 3), ("weekly", 7)),
    }


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("max_daily_cost", -1, "must be a whole number"),
        ("max_per_action_cost", 1.5, "must be a whole number"),
        ("rate_limit_per_minute", "5", "must be a whole number"),
        ("allowed_domains", "a.example", "must be a list"),
        ("rate_limits", {"requests_per_second": 1}, "must be an object"),
        ("rate_limits", [], "must be an object"),
        ("rate_limits", {"requests_per_minute": None}, "must be a whole number"),
        ("spend_limits", {"yearly_usd": 1}, "must be an object"),
        ("spend_limits", {"daily_usd": -1}, "must have a daily_usd that is a plain decimal"),
        ("spend_limits", {"daily_usd": True}, "must have a daily_usd that is a plain decimal"),
        ("spend_limits", {"daily_usd": "$5"}, "must have a daily_usd that is a plain decimal"),
        ("spend_limits", {"daily_usd": 1e300}, "must have a daily_usd that is a plain decimal"),
        ("spend_limits", {"daily_usd": float("nan")}, "must have a daily_usd that is a plain"),
        ("spend_limits", {"daily_usd": 90071992547409.94}, "must have a daily_usd that is a plain"),
        ("spend_limits", {"daily_usd": "1.005"}, "must have a daily_usd that is of at most 2"),
        ("spend_limits", {"daily_usd": 1.5, "currency": "JPY"}, "must have a daily_usd that is of"),
        ("spend_limits", {"daily_usd": "90071992547409.92"}, "must be a whole number"),
        ("spend_limits", {"currency": "usd"}, "must be a currency"),
        ("domain_controls", {"allowed": []}, "must be an object"),
        ("pii_controls", {"mode": "encrypt"}, "must have a mode"),
        ("pii_controls", {}, "must be an object"),
        ("enforce_permission_scope", False, "must be true"),
        ("enforce_permission_scope", 1, "must be true or false"),
        ("guardrails", {"guardrails": {}}, "must be an object"),
        ("guardrails", {"pii_controls": {"mode": "encrypt"}}, "holds pii_controls, which must"),
    ],
)
def test_what_maps_to_nothing_is_refused(name: str, value: object, sentence: str) -> None:
    """A limit that cannot be understood is never skipped, and the name as written is told."""
    with pytest.raises(ConstraintValueError) as caught:
        parse_constraints({name: value}, guardrails=True)

    assert caught.value.key == name
    assert caught.value.sentence.startswith(sentence)
    assert problems({name: value}, guardrails=True) == [str(caught.value)]


def test_a_near_miss_names_the_alias() -> None:
    """Whoever mistypes one is told."""
    assert problems({"max_dayly_cost": 1}) == [
        "max_dayly_cost: no such constraint in this version; did you mean max_daily_cost?"
    ]
