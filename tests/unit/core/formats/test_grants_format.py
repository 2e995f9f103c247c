"""The `grants` claim, of exact types, with amounts that never pass through a binary float."""

from typing import Any

import pytest

from passgate.core.formats.grants import read_grants
from passgate.core.jws import MalformedError, UnsupportedError
from passgate.core.passport import Grant
from passgate.core.strict_json import loads


def read(member: str, text: str) -> Any:
    """The one grant for `shop` with this member as JSON text."""
    [grant] = read_grants(loads(f'[{{"resource":"shop","{member}":{text}}}]'.encode()))
    return grant


def test_every_member_is_read() -> None:
    """Lists become sets, an instant becomes Unix seconds, an amount becomes (digits, scale)."""
    [grant] = read_grants(
        [
            {
                "resource": "shop",
                "allowedActions": ["buy", "list"],
                "blockedActions": ["sell"],
                "requiresApproval": True,
                "maxAmount": "7.42",
                "allowedVendors": ["acme.example"],
                "expiresAt": "2026-01-31T10:00:00+01:00",
            }
        ]
    )

    assert grant == Grant(
        resource="shop",
        allowed_actions=frozenset({"buy", "list"}),
        blocked_actions=frozenset({"sell"}),
        requires_approval=True,
        max_amount=(742, 2),
        allowed_vendors=frozenset({"acme.example"}),
        expires_at=1_769_850_000,
    )


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", (0, 0)),
        ("500", (500, 0)),
        ("7.42", (742, 2)),
        ("7.420", (7420, 3)),
        ("0.1", (1, 1)),
        ("0.10", (10, 2)),
        ("0.000000000000000001", (1, 18)),
        ("999999999999999.999", (999_999_999_999_999_999, 3)),
        ('"7.42"', (742, 2)),
        ('"500"', (500, 0)),
        ('"007.50"', (750, 2)),
        ('"999999999999999999"', (999_999_999_999_999_999, 0)),
        ('"0.10000000000000001"', (10_000_000_000_000_001, 17)),
    ],
)
def test_amounts_are_exact(text: str, amount: tuple[int, int]) -> None:
    """A number and a text mean the decimal that they show, digit by digit."""
    assert read("maxAmount", text).max_amount == amount


@pytest.mark.parametrize(
    ("member", "text"),
    [
        ("maxAmount", "-1"),
        ("maxAmount", "-0.5"),
        ("maxAmount", "-0.0"),
        ("maxAmount", "1e3"),
        ("maxAmount", "1e-19"),
        ("maxAmount", "1234567890123456.789"),
        ("maxAmount", "true"),
        ("maxAmount", "null"),
        ("maxAmount", "[1]"),
        ("maxAmount", '""'),
        ("maxAmount", '"-1"'),
        ("maxAmount", '"+1"'),
        ("maxAmount", '" 1"'),
        ("maxAmount", '"1 "'),
        ("maxAmount", '"1."'),
        ("maxAmount", '".5"'),
        ("maxAmount", '"1e3"'),
        ("maxAmount", '"1,000"'),
        ("maxAmount", '"٣"'),
        ("maxAmount", '"NaN"'),
        ("maxAmount", '"1234567890123456789"'),
        ("maxAmount", '"1234567890.123456789"'),
        ("resource", "1"),
        ("requiresApproval", "1"),
        ("requiresApproval", '"true"'),
        ("requiresApproval", "null"),
        ("allowedActions", "null"),
        ("allowedActions", '"buy"'),
        ("allowedActions", "[1]"),
        ("allowedActions", '[""]'),
        ("blockedActions", "{}"),
        ("blockedActions", '["a\\n"]'),
        ("allowedVendors", "[null]"),
        ("expiresAt", "1769850000"),
        ("expiresAt", "null"),
        ("expiresAt", '"2026-01-31"'),
        ("expiresAt", '"tomorrow"'),
    ],
)
def test_a_member_of_another_type_is_malformed(member: str, text: str) -> None:
    """Exact types, plain decimals of at most 18 digits, instants with an offset."""
    if member == "resource":
        with pytest.raises(MalformedError):
            read_grants([{"resource": 1}])
        return
    with pytest.raises(MalformedError):
        read(member, text)


@pytest.mark.parametrize("value", [None, {}, "shop", [1], [None], [[]], [{}], [{"resource": ""}]])
def test_what_is_no_list_of_grants_is_malformed(value: Any) -> None:
    """A grant is an object with a resource."""
    with pytest.raises(MalformedError):
        read_grants(value)


@pytest.mark.parametrize(
    "member", ["action", "allowedPaths", "deniedCommands", "MaxAmount", "scope"]
)
def test_an_unknown_member_is_unsupported(member: str) -> None:
    """A restriction that is not enforced here is never read over."""
    with pytest.raises(UnsupportedError):
        read(member, "[]")
