"""The catalog: which actions the gate offers, and on what terms. Check 12.

One version is in force. A passport that is pinned to an older one keeps that version's terms, and
nothing else of it: membership and limits hold in both.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

import rfc8785

from passgate.core.constraints import CONSTRAINTS, parse_constraints
from passgate.core.constraints.base import NO_CONSTRAINTS, ConstraintSet
from passgate.core.constraints.sets import merge
from passgate.core.generations import Generations
from passgate.core.jws import is_name
from passgate.core.passport import CatalogPin
from passgate.core.pricing import NO_TERMS, Terms, read_terms
from passgate.core.reasons import Refusal
from passgate.core.tiers import TIERS

RISK_LEVELS: Final = ("low", "medium", "high", "critical")

UNPUBLISHED: Final = 0
"""The version of a catalog that is served from its file alone."""

_FIRST_TERM: Final = 80
"""Where terms begin in the order of constraints."""

_MEMBERS: Final = frozenset(
    ("key", "display_name", "description", "risk_level", "min_trust_tier", "constraints")
)

_OTHER_CATALOG: Final = Refusal(
    "catalog_mismatch", "The passport is pinned to a catalog that this gate does not serve."
)
_TOO_OLD: Final = Refusal(
    "catalog_mismatch",
    "The passport is pinned to a version of the catalog that this gate no longer honours.",
)
_NOT_OFFERED: Final = Refusal("action_not_in_catalog")
_NOT_AGREED: Final = Refusal(
    "action_not_in_catalog", "The catalog that the passport is pinned to does not offer this."
)
_LOW_TIER: Final = Refusal(
    "constraint_violated",
    "The catalog offers this action to a higher trust tier only.",
    constraint="min_trust_tier",
)


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One action on offer. `terms` are what it costs.

    `authored` is the entry as it stands in the document.
    """

    key: str
    constraints: ConstraintSet
    min_tier: str = "L0"
    terms: Terms = NO_TERMS
    authored: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Catalog:
    """What the gate offers, by action, in the order in which it was authored.

    `content_hash` is `sha256:<hex>` of the RFC 8785 bytes of what was published, or of the document
    where it is served from its file. `older` are the versions published before, by their hashes;
    pins to versions below `min_version` are not honoured.
    """

    entries: Mapping[str, CatalogEntry]
    content_hash: str
    version: int = UNPUBLISHED
    older: "Mapping[str, Catalog]" = field(default_factory=dict, compare=False, repr=False)
    min_version: int = UNPUBLISHED

    def pinned(self, pin: CatalogPin) -> "Catalog | None":
        """The version that a pin names by both number and hash, if it was ever in force."""
        same = pin.content_hash == self.content_hash
        found = self if same else self.older.get(pin.content_hash)
        return found if found is not None and found.version == pin.version else None


def parse_catalog(document: object) -> Catalog:
    """Compiles a catalog as it was authored: `{permissions: [{key, ...}]}`.

    Raises `ValueError` whose `args` are one sentence per problem: unknown members, keys that are
    not actions or occur twice, and constraints that this version does not enforce.
    """
    return compile_catalog(document)[0]


def compile_catalog(document: object) -> tuple[Catalog, bytes]:
    """As `parse_catalog`, with the RFC 8785 bytes that the hash is of."""
    if not isinstance(document, Mapping) or set(document) != {"permissions"}:
        raise ValueError("a catalog is an object with `permissions` and nothing else")
    entries = parse_permissions(document["permissions"])
    try:
        canonical = rfc8785.dumps(document)
    except rfc8785.CanonicalizationError as inexpressible:
        raise ValueError(
            f"the catalog has no canonical JSON form: {inexpressible}"
        ) from inexpressible
    return Catalog(entries, content_hash(canonical)), canonical


def parse_permissions(
    listed: object, known: Mapping[str, CatalogEntry] | None = None
) -> dict[str, CatalogEntry]:
    """Compiles the entries of a catalog; those that `known` has already, word for word, are shared.

    Raises `ValueError` as `parse_catalog` does.
    """
    if not isinstance(listed, list):
        raise ValueError("`permissions` must be a list")  # noqa: TRY004 - what was authored is wrong
    problems: list[str] = []
    entries: dict[str, CatalogEntry] = {}
    for number, item in enumerate(listed, start=1):
        try:
            entry = _known_entry(item, known) or _entry(item)
        except ValueError as error:
            problems += [f"entry {number} of the catalog: {said}" for said in error.args]
            continue
        if entry.key in entries:
            problems.append(f"entry {number} of the catalog: {entry.key!r} is there already")
        entries[entry.key] = entry
    if problems:
        raise ValueError(*problems)
    return entries


def _known_entry(item: object, known: Mapping[str, CatalogEntry] | None) -> CatalogEntry | None:
    if not known or not isinstance(item, Mapping):
        return None
    key = item.get("key")
    entry = known.get(key) if isinstance(key, str) else None
    return entry if entry is not None and entry.authored == item else None


def content_hash(canonical: bytes) -> str:
    """What a pin names a catalog by: `sha256:<hex>` of its RFC 8785 bytes."""
    return "sha256:" + sha256(canonical).hexdigest()


def _entry(item: object) -> CatalogEntry:
    if not isinstance(item, Mapping):
        raise ValueError("it must be an object")  # noqa: TRY004 - what was authored is wrong
    problems = _shape_problems(item)
    if problems:
        raise ValueError(*problems)
    key, authored = item["key"], item.get("constraints", {})
    min_tier = item.get("min_trust_tier", "L0")
    constraints = parse_constraints(authored, guardrails=True) if authored else NO_CONSTRAINTS
    if constraints.unknown:
        raise ValueError(f"nothing here enforces {constraints.unknown[0]!r}")
    return CatalogEntry(key, constraints, min_tier, read_terms(constraints.values), item)


def _shape_problems(item: Mapping[str, object]) -> list[str]:
    """Everything that is wrong with an entry, but for its constraints."""
    problems = [f"unknown member {name!r}" for name in sorted(map(str, item.keys() - _MEMBERS))]
    key = item.get("key")
    if not isinstance(key, str) or not is_name(key) or "*" in key:
        problems.append("`key` must name one action")
    problems += [
        f"`{name}` must be a text"
        for name in ("display_name", "description")
        if not isinstance(item.get(name, ""), str)
    ]
    if item.get("risk_level", "low") not in RISK_LEVELS:
        problems.append(f"`risk_level` must be one of {', '.join(RISK_LEVELS)}")
    if item.get("min_trust_tier", "L0") not in TIERS:
        problems.append(f"`min_trust_tier` must be one of {', '.join(TIERS)}")
    if not isinstance(item.get("constraints", {}), Mapping):
        problems.append("`constraints` must be an object")
    return problems


def check_catalog(
    pins: Mapping[str, CatalogPin],
    gate_id: str,
    catalog: Catalog | None,
    action: str,
    tier: str = "",
) -> Refusal | None:
    """Check 12: the passport's pin for this gate is honoured, and the action is offered to it.

    `tier` is that of the passport's issuer, "" for an anonymous request, which is below all. What
    is offered must be so in the catalog in force and in the one of the pin. No catalog offers
    everything, and no pin can hold to it.
    """
    pin = pins.get(gate_id) if pins else None
    if catalog is None:
        return None if pin is None else _OTHER_CATALOG
    if pin is not None:
        agreed = catalog.pinned(pin)
        if agreed is None:
            return _OTHER_CATALOG
        if agreed.version < catalog.min_version:
            return _TOO_OLD
        if agreed is not catalog:
            entry = agreed.entries.get(action)
            if entry is None:
                return _NOT_AGREED
            if _is_above(entry, tier):
                return _LOW_TIER
    entry = catalog.entries.get(action)
    if entry is None:
        return _NOT_OFFERED
    return _LOW_TIER if _is_above(entry, tier) else None


def _is_above(entry: CatalogEntry, tier: str) -> bool:
    return entry.min_tier != "L0" and (
        tier not in TIERS or TIERS.index(tier) < TIERS.index(entry.min_tier)
    )


def offered_to(
    pins: Mapping[str, CatalogPin], gate_id: str, catalog: Catalog | None, action: str
) -> CatalogEntry | None:
    """What counts for a passport of these pins: the terms it was pinned to, and the limits of both.

    None without a catalog, and for what check 12 refuses.
    """
    if catalog is None:
        return None
    entry = catalog.entries.get(action)
    pin = pins.get(gate_id) if pins else None
    if entry is None or pin is None or pin.content_hash == catalog.content_hash:
        return entry
    agreed = catalog.older.get(pin.content_hash)
    kept = None if agreed is None else agreed.entries.get(action)
    return None if kept is None else _with_terms_of(kept, entry)


_joined: Final[Generations[tuple[int, int], tuple[CatalogEntry, CatalogEntry, CatalogEntry]]] = (
    Generations(1024)
)


def _with_terms_of(kept: CatalogEntry, entry: CatalogEntry) -> CatalogEntry:
    """The limits of both entries, and the terms of `kept` alone, also those that it lacks."""
    if kept is entry:
        return entry
    # One for all passports of a pin. By identity, since values are no keys; the pair is kept too,
    # so that neither number becomes another entry's.
    known = _joined.find((id(kept), id(entry)))
    if known is None:
        limits = ConstraintSet(
            {
                key: value
                for key, value in entry.constraints.values.items()
                if CONSTRAINTS[key].order < _FIRST_TERM
            }
        )
        both = CatalogEntry(
            entry.key,
            merge(limits, kept.constraints),
            max(entry.min_tier, kept.min_tier),
            kept.terms,
            entry.authored,
        )
        known = kept, entry, both
        _joined.keep((id(kept), id(entry)), known)
    return known[2]
