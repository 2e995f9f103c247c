"""The catalog: what is offered, and check 12."""

from typing import Any

import pytest
import rfc8785

from passgate.core.catalog import check_catalog, parse_catalog
from passgate.core.passport import CatalogPin

DOCUMENT: dict[str, Any] = {
    "permissions": [
        {
            "key": "api:search",
            "display_name": "Search",
            "description": "Full text",
            "risk_level": "low",
            "constraints": {"core:pricing:per_call_cents": 5, "core:rate:max_per_minute": 3},
        },
        {"key": "api:export", "min_trust_tier": "L2", "constraints": {}},
        {"key": "api:free"},
    ]
}
CATALOG = parse_catalog(DOCUMENT)


def test_a_catalog_is_what_was_authored() -> None:
    assert list(CATALOG.entries) == ["api:search", "api:export", "api:free"]
    search = CATALOG.entries["api:search"]
    assert search.price_cents == 5
    assert search.constraints.values["core:rate:max_per_minute"] == 3
    assert CATALOG.entries["api:export"].min_tier == "L2"
    assert CATALOG.entries["api:free"].price_cents is None
    assert CATALOG.version == 0
    assert CATALOG.document is DOCUMENT


def test_the_hash_is_of_the_canonical_bytes() -> None:
    """The order of members does not count, their values do."""
    assert CATALOG.content_hash.startswith("sha256:")
    turned = {"permissions": [dict(reversed(entry.items())) for entry in DOCUMENT["permissions"]]}
    assert parse_catalog(turned).content_hash == CATALOG.content_hash
    less = {"permissions": DOCUMENT["permissions"][:2]}
    assert parse_catalog(less).content_hash != CATALOG.content_hash
    assert rfc8785.dumps({"b": 1, "a": 2}) == b'{"a":2,"b":1}'


@pytest.mark.parametrize(
    "document", [None, [], {}, {"permissions": {}}, {"permissions": [], "version": 1}]
)
def test_what_is_no_catalog_is_refused(document: object) -> None:
    with pytest.raises(ValueError, match="permissions"):
        parse_catalog(document)


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("api:search", "must be an object"),
        ({}, "`key`"),
        ({"key": 5}, "`key`"),
        ({"key": ""}, "`key`"),
        ({"key": "api:*"}, "`key`"),
        ({"key": "a:b", "price": 5}, "unknown member 'price'"),
        ({"key": "a:b", "display_name": 5}, "`display_name`"),
        ({"key": "a:b", "description": None}, "`description`"),
        ({"key": "a:b", "risk_level": "grave"}, "`risk_level`"),
        ({"key": "a:b", "min_trust_tier": "L9"}, "`min_trust_tier`"),
        ({"key": "a:b", "min_trust_tier": ["L2"]}, "`min_trust_tier`"),
        ({"key": "a:b", "constraints": []}, "`constraints`"),
        ({"key": "a:b", "constraints": {"core:rate:max_per_minute": "3"}}, "max_per_minute"),
        ({"key": "a:b", "constraints": {"core:no:such": 3}}, "'core:no:such'"),
        ({"key": "api:search"}, "there already"),
    ],
)
def test_an_entry_that_nothing_enforces_is_refused(entry: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as caught:
        parse_catalog({"permissions": [*DOCUMENT["permissions"], entry]})
    assert caught.value.args[0].startswith("entry 4 of the catalog: ")


def test_every_problem_is_told() -> None:
    with pytest.raises(ValueError, match="entry") as caught:
        parse_catalog({"permissions": [5, {"key": "a:b"}, {"key": "a:b"}]})
    assert len(caught.value.args) == 2


def test_a_catalog_without_canonical_form_is_refused() -> None:
    constraints = {"core:rate:max_per_minute": 3, "core:sla:uptime_basis_points": 3}
    document = {
        "permissions": [{"key": "a:b", "description": "\ud800", "constraints": constraints}]
    }
    with pytest.raises(ValueError, match="canonical"):
        parse_catalog(document)


def check(
    action: str = "api:search",
    pin: CatalogPin | None = None,
    tier: str = "L1",
    gate: str = "gate_a",
) -> str | None:
    refusal = check_catalog({gate: pin} if pin else {}, "gate_a", CATALOG, action, tier)
    return None if refusal is None else refusal.code


PIN = CatalogPin(0, CATALOG.content_hash)


def test_the_current_pin_passes() -> None:
    assert check() is None
    assert check(pin=PIN) is None


@pytest.mark.parametrize(
    "pin",
    [
        CatalogPin(1, CATALOG.content_hash),
        CatalogPin(0, "sha256:" + "0" * 64),
        CatalogPin(0, CATALOG.content_hash.upper()),
    ],
)
def test_another_pin_is_refused(pin: CatalogPin) -> None:
    assert check(pin=pin) == "catalog_mismatch"
    assert check(pin=pin, gate="gate_b") is None


def test_a_pin_without_a_catalog_is_refused() -> None:
    refusal = check_catalog({"gate_a": PIN}, "gate_a", None, "api:search")
    assert refusal is not None
    assert refusal.code == "catalog_mismatch"
    assert check_catalog({"gate_b": PIN}, "gate_a", None, "anything") is None


def test_an_action_that_is_not_offered_is_refused() -> None:
    assert check("api:other") == "action_not_in_catalog"
    assert check("api:other", PIN) == "action_not_in_catalog"


@pytest.mark.parametrize(
    ("tier", "code"),
    [
        ("L0", "constraint_violated"),
        ("L1", "constraint_violated"),
        ("L2", None),
        ("L3", None),
        ("", "constraint_violated"),
        ("L10", "constraint_violated"),
    ],
)
def test_a_lower_tier_is_refused(tier: str, code: str | None) -> None:
    assert check("api:export", tier=tier) == code
    assert check("api:free", tier=tier) is None
