"""The catalog: which actions the gate offers, and on what terms. Check 12."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import rfc8785

from passgate.core.constraints import parse_constraints
from passgate.core.constraints.base import NO_CONSTRAINTS, ConstraintSet
from passgate.core.jws import is_name
from passgate.core.passport import CatalogPin
from passgate.core.reasons import Refusal

PRICE: Final = "core:pricing:per_call_cents"
TIERS: Final = ("L0", "L1", "L2", "L3")
"""Trust tiers, least first."""
RISK_LEVELS: Final = ("low", "medium", "high", "critical")

UNPUBLISHED: Final = 0
"""The version of a catalog that is served from its file alone."""

_MEMBERS: Final = frozenset(
    ("key", "display_name", "description", "risk_level", "min_trust_tier", "constraints")
)

_OTHER_CATALOG: Final = Refusal(
    "catalog_mismatch", "The passport is pinned to a catalog that this gate does not serve."
)
_NOT_OFFERED: Final = Refusal("action_not_in_catalog")
_LOW_TIER: Final = Refusal(
    "constraint_violated",
    "The catalog offers this action to a higher trust tier only.",
    constraint="min_trust_tier",
)


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One action on offer. `price_cents` is for one call, None where none is stated."""

    key: str
    constraints: ConstraintSet
    min_tier: str = "L0"
    price_cents: int | None = None


@dataclass(frozen=True, slots=True)
class Catalog:
    """What the gate offers, by action. `content_hash` is `sha256:<hex>` of the RFC 8785 bytes.

    `document` is the catalog as authored, which the hash is of.
    """

    entries: Mapping[str, CatalogEntry]
    content_hash: str
    document: Mapping[str, Any]
    version: int = UNPUBLISHED


def parse_catalog(document: object) -> Catalog:
    """Compiles a catalog as it was authored: `{permissions: [{key, ...}]}`.

    Raises `ValueError` whose `args` are one sentence per problem: unknown members, keys that are
    not actions or occur twice, and constraints that this version does not enforce.
    """
    if not isinstance(document, Mapping) or set(document) != {"permissions"}:
        raise ValueError("a catalog is an object with `permissions` and nothing else")
    listed = document["permissions"]
    if not isinstance(listed, list):
        raise ValueError("`permissions` must be a list")  # noqa: TRY004 - what was authored is wrong
    problems: list[str] = []
    entries: dict[str, CatalogEntry] = {}
    for number, item in enumerate(listed, start=1):
        try:
            entry = _entry(item)
        except ValueError as error:
            problems.append(f"entry {number} of the catalog: {error}")
            continue
        if entry.key in entries:
            problems.append(f"entry {number} of the catalog: {entry.key!r} is there already")
        entries[entry.key] = entry
    if problems:
        raise ValueError(*problems)
    try:
        canonical = rfc8785.dumps(document)
    except rfc8785.CanonicalizationError as inexpressible:
        raise ValueError(
            f"the catalog has no canonical JSON form: {inexpressible}"
        ) from inexpressible
    return Catalog(entries, "sha256:" + sha256(canonical).hexdigest(), document)


def _entry(item: object) -> CatalogEntry:
    if not isinstance(item, Mapping):
        raise ValueError("it must be an object")  # noqa: TRY004 - what was authored is wrong
    unknown = sorted(str(name) for name in item.keys() - _MEMBERS)
    if unknown:
        raise ValueError(f"unknown member {unknown[0]!r}")
    key = item.get("key")
    if not isinstance(key, str) or not is_name(key) or "*" in key:
        raise ValueError("`key` must name one action")
    for name in ("display_name", "description"):
        if not isinstance(item.get(name, ""), str):
            raise ValueError(f"`{name}` must be a text")  # noqa: TRY004 - as above
    if item.get("risk_level", "low") not in RISK_LEVELS:
        raise ValueError(f"`risk_level` must be one of {', '.join(RISK_LEVELS)}")
    min_tier = item.get("min_trust_tier", "L0")
    if min_tier not in TIERS:
        raise ValueError(f"`min_trust_tier` must be one of {', '.join(TIERS)}")
    authored = item.get("constraints", {})
    if not isinstance(authored, Mapping):
        raise ValueError("`constraints` must be an object")  # noqa: TRY004 - as above
    constraints = parse_constraints(authored) if authored else NO_CONSTRAINTS
    if constraints.unknown:
        raise ValueError(f"nothing here enforces {constraints.unknown[0]!r}")
    return CatalogEntry(key, constraints, min_tier, constraints.values.get(PRICE))


def check_catalog(
    pins: Mapping[str, CatalogPin],
    gate_id: str,
    catalog: Catalog | None,
    action: str,
    tier: str = "",
) -> Refusal | None:
    """Check 12: the passport's pin for this gate is the current catalog, and the action is in it.

    `tier` is that of the passport's issuer, "" for an anonymous request, which is below all. No
    catalog offers everything, and no pin can hold to it.
    """
    pin = pins.get(gate_id)
    if catalog is None:
        return None if pin is None else _OTHER_CATALOG
    if pin is not None and (
        pin.version != catalog.version or pin.content_hash != catalog.content_hash
    ):
        return _OTHER_CATALOG
    entry = catalog.entries.get(action)
    if entry is None:
        return _NOT_OFFERED
    if entry.min_tier != "L0" and (
        tier not in TIERS or TIERS.index(tier) < TIERS.index(entry.min_tier)
    ):
        return _LOW_TIER
    return None
