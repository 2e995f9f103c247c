"""What differs between two catalogs, and what of it breaks what holders agreed to.

Breaking is: a permission is removed, a price goes up, a promise of service goes down, a fee goes
up. Prices in another currency or by another model cannot be compared, and count as up.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import rfc8785

from passgate.core.catalog import CatalogEntry

_MEMBERS: Final = ("display_name", "description", "risk_level", "min_trust_tier")
_DEFAULTS: Final = {"min_trust_tier": "L0"}

# For each term: the name of what it is, and whether more of it is worse for who pays. A price or a
# fee that is not stated is 0; a promise that is not stated is none at all.
_AMOUNTS: Final = {
    "core:pricing:per_call_cents": ("price", True),
    "core:pricing:per_minute_cents": ("price", True),
    "core:pricing:subscription_cents": ("price", True),
    "core:pricing:free_tier_calls": ("price", False),
    "core:platform_fee:basis_points": ("fee", True),
}
_PROMISES: Final = {
    "core:sla:uptime_basis_points": False,
    "core:sla:response_time_ms": True,
    "core:sla:p99_response_ms": True,
    "core:sla:guaranteed_response_ms": True,
}
_INCOMPARABLE: Final = frozenset(("core:pricing:currency", "core:pricing:model"))


@dataclass(frozen=True, slots=True)
class Change:
    """One difference of one permission.

    `type` is `permission_added`, `permission_removed`, `price_up`, `price_down`, `sla_up`,
    `sla_down`, `fee_up`, `fee_down`, `terms_changed`, `constraint_added`, `constraint_removed`,
    `constraint_changed` or `member_changed`. `key` is the constraint or member, "" for a whole
    permission; `before` and `after` are as authored, None where there is none.
    """

    type: str
    permission_key: str
    key: str = ""
    before: Any = None
    after: Any = None
    breaking: bool = False

    def as_json(self) -> dict[str, Any]:
        """The change as published: `{type, permission_key, breaking, key?, from?, to?}`."""
        shown = {
            "type": self.type,
            "permission_key": self.permission_key,
            "breaking": self.breaking,
        }
        if self.key:
            shown.update({"key": self.key, "from": self.before, "to": self.after})
        return shown


def changes_between(
    before: Mapping[str, CatalogEntry], after: Mapping[str, CatalogEntry]
) -> list[Change]:
    """Every difference: what was removed, then what was added or changed, in the order of `after`.

    The order of entries and of members is no difference.
    """
    found = [Change("permission_removed", key, breaking=True) for key in before if key not in after]
    for key, entry in after.items():
        old = before.get(key)
        if old is None:
            found.append(Change("permission_added", key))
        elif old is not entry:
            found.extend(_of_entry(key, old.authored, entry.authored))
    return found


def _of_entry(key: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for member in _MEMBERS:
        before, after = (each.get(member, _DEFAULTS.get(member)) for each in (old, new))
        if before != after:
            yield Change("member_changed", key, member, before, after)
    terms: tuple[Mapping[str, Any], ...] = old.get("constraints", {}), new.get("constraints", {})
    for name in dict.fromkeys((*terms[0], *terms[1])):
        before, after = (each.get(name) for each in terms)
        if not _same(before, after):
            kind, breaking = _weighed(name, before, after)
            yield Change(kind, key, name, before, after, breaking)


def _same(before: Any, after: Any) -> bool:
    """Whether two values are one in JSON, where `true` is not 1 and 1.0 is."""
    return rfc8785.dumps(before) == rfc8785.dumps(after)


def _weighed(name: str, before: Any, after: Any) -> tuple[str, bool]:
    if name in _AMOUNTS:
        what, more_is_worse = _AMOUNTS[name]
        worse = ((after or 0) > (before or 0)) == more_is_worse and (after or 0) != (before or 0)
        return f"{what}_{'up' if worse else 'down'}", worse
    if name in _PROMISES:
        worse = after is None or (before is not None and (after > before) == _PROMISES[name])
        return ("sla_down" if worse else "sla_up"), worse
    if name in _INCOMPARABLE:
        return "terms_changed", True
    if name.startswith(("core:pricing:", "core:platform_fee:")):
        return "terms_changed", False
    if before is None:
        return "constraint_added", False
    return ("constraint_removed" if after is None else "constraint_changed"), False
