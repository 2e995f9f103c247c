"""The catalog: what is offered, and check 12."""

from dataclasses import replace
from typing import Any

import pytest
import rfc8785

from passgate.core.catalog import (
    Catalog,
    check_catalog,
    offered_to,
    parse_catalog,
    parse_permissions,
)
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
    assert search.terms.call_cents == 5
    assert search.constraints.values["core:rate:max_per_minute"] == 3
    assert CATALOG.entries["api:export"].min_tier == "L2"
    assert CATALOG.entries["api:free"].terms.call_cents is None
    assert CATALOG.version == 0
    assert [entry.authored for entry in CATALOG.entries.values()] == DOCUMENT["permissions"]


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
    with pytest.raises(ValueError, match="`key`") as caught:
        parse_catalog({"permissions": [{"b": 1, "a": 1, "risk_level": "no", "constraints": 5}]})
    assert [each.rpartition(": ")[2][:13] for each in caught.value.args] == [
        "unknown membe",
        "unknown membe",
        "`key` must na",
        "`risk_level` ",
        "`constraints`",
    ]


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


def published(version: int, *entries: dict[str, Any], older: tuple[Catalog, ...] = ()) -> Catalog:
    """A version as the gate publishes it; its hash is made of its number."""
    return Catalog(
        parse_catalog({"permissions": list(entries)}).entries,
        f"sha256:{version:064}",
        version,
        {each.content_hash: each for each in older},
    )


def entry(key: str = "api:search", tier: str = "L0", **constraints: int) -> dict[str, Any]:
    """One entry; `__` in a name stands for a colon."""
    named = {name.replace("__", ":"): value for name, value in constraints.items()}
    return {"key": key, "min_trust_tier": tier, "constraints": named}


FIRST = published(
    1,
    entry(core__pricing__per_call_cents=5, core__rate__max_per_minute=9),
    entry("api:gone"),
    entry("api:strict", tier="L2"),
    entry("api:free"),
)
SECOND = published(
    2,
    entry(
        core__pricing__per_call_cents=8,
        core__pricing__free_tier_calls=3,
        core__rate__max_per_minute=3,
        core__rate__max_per_hour=20,
    ),
    entry("api:new"),
    entry("api:strict"),
    entry("api:free", tier="L3", core__pricing__per_call_cents=1),
    older=(FIRST,),
)
AT_FIRST = {"gate_a": CatalogPin(1, FIRST.content_hash)}
AT_SECOND = {"gate_a": CatalogPin(2, SECOND.content_hash)}


def judged(
    pins: dict[str, CatalogPin], action: str, tier: str = "L1", catalog: Catalog = SECOND
) -> str | None:
    refusal = check_catalog(pins, "gate_a", catalog, action, tier)
    return None if refusal is None else refusal.code


@pytest.mark.parametrize("pins", [{}, AT_FIRST, AT_SECOND])
def test_a_pin_to_any_published_version_is_good(pins: dict[str, CatalogPin]) -> None:
    """Old terms are kept as long as the version is honoured."""
    assert judged(pins, "api:search") is None


@pytest.mark.parametrize(
    ("version", "content_hash"),
    [
        (1, SECOND.content_hash),
        (2, FIRST.content_hash),
        (0, FIRST.content_hash),
        (3, "sha256:" + "3" * 64),
        (1, FIRST.content_hash.upper()),
        (1, FIRST.content_hash.removeprefix("sha256:")),
        (1, ""),
    ],
)
def test_number_and_hash_of_a_pin_belong_together(version: int, content_hash: str) -> None:
    """Neither a known number nor a known hash is enough."""
    pin = {"gate_a": CatalogPin(version, content_hash)}
    assert judged(pin, "api:search") == "catalog_mismatch"


@pytest.mark.parametrize(("least", "code"), [(0, None), (1, None), (2, "catalog_mismatch")])
def test_versions_below_the_least_are_not_honoured(least: int, code: str | None) -> None:
    """`catalog.min_version` refuses older pins, and those alone."""
    catalog = replace(SECOND, min_version=least)
    assert judged(AT_FIRST, "api:search", catalog=catalog) == code
    assert judged(AT_SECOND, "api:search", catalog=catalog) is None
    assert judged({}, "api:search", catalog=catalog) is None


def test_membership_holds_in_both_versions() -> None:
    """A pin neither keeps what was taken away nor gives what came later."""
    assert judged(AT_FIRST, "api:gone") == "action_not_in_catalog"
    assert judged(AT_FIRST, "api:new") == "action_not_in_catalog"
    assert judged({}, "api:new") is None


def test_the_tier_holds_in_both_versions() -> None:
    """A pin keeps no lower tier, and a lower tier since does not help a pin."""
    assert judged(AT_FIRST, "api:strict") == "constraint_violated"
    assert judged({}, "api:strict") is None
    assert judged(AT_FIRST, "api:free") == "constraint_violated"
    assert judged(AT_FIRST, "api:free", "L3") is None


def test_a_pin_keeps_its_terms_and_owes_the_limits_of_both() -> None:
    """The price is the old one, and nothing of the new terms comes in beside it."""
    offered = offered_to(AT_FIRST, "gate_a", SECOND, "api:search")
    assert offered is not None
    assert offered.terms.call_cents == 5
    assert offered.constraints.values == {
        "core:pricing:per_call_cents": 5,
        "core:rate:max_per_minute": 3,
        "core:rate:max_per_hour": 20,
    }
    assert offered_to(AT_FIRST, "gate_a", SECOND, "api:search") is offered


def test_what_was_free_stays_free() -> None:
    """A price that came later is no term of an older pin."""
    offered = offered_to(AT_FIRST, "gate_a", SECOND, "api:free")
    assert offered is not None
    assert offered.terms.call_cents is None
    assert offered.min_tier == "L3"
    assert not offered.constraints


@pytest.mark.parametrize("pins", [{}, AT_SECOND, {"gate_b": CatalogPin(1, FIRST.content_hash)}])
def test_everybody_else_has_the_catalog_in_force(pins: dict[str, CatalogPin]) -> None:
    """Without a pin for this gate, or with one to it, its own entry counts."""
    assert offered_to(pins, "gate_a", SECOND, "api:search") is SECOND.entries["api:search"]


def test_what_is_refused_is_offered_to_nobody() -> None:
    """No terms count where check 12 refuses."""
    unknown = {"gate_a": CatalogPin(1, "sha256:x")}
    assert offered_to(unknown, "gate_a", SECOND, "api:search") is None
    assert offered_to(AT_FIRST, "gate_a", SECOND, "api:new") is None
    assert offered_to(AT_FIRST, "gate_a", SECOND, "api:gone") is None
    assert offered_to({}, "gate_a", None, "api:search") is None


def test_an_entry_that_did_not_change_is_joined_with_nothing() -> None:
    """Versions share what is equal, and its pin costs nothing."""
    third = replace(SECOND, version=3, content_hash="sha256:3", older={SECOND.content_hash: SECOND})
    same = third.entries["api:search"]
    assert offered_to(AT_SECOND, "gate_a", third, "api:search") is same


def test_entries_that_are_known_word_for_word_are_shared() -> None:
    """However many versions there are, what did not change is there once."""
    listed = [*DOCUMENT["permissions"], {"key": "api:new"}]
    changed = [{**listed[0], "risk_level": "high"}, *listed[1:]]
    entries = parse_permissions(changed, CATALOG.entries)
    assert entries["api:export"] is CATALOG.entries["api:export"]
    assert entries["api:search"] is not CATALOG.entries["api:search"]
    assert list(entries) == ["api:search", "api:export", "api:free", "api:new"]
    assert parse_permissions(changed) == entries


@pytest.mark.parametrize("item", [5, {}, {"key": 5}, {"key": []}])
def test_what_is_no_entry_is_none_among_known_ones(item: object) -> None:
    """It is told as a problem, as anywhere."""
    with pytest.raises(ValueError, match="entry 1 of the catalog"):
        parse_permissions([item], CATALOG.entries)
