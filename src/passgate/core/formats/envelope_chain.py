"""What each envelope of a chain owes the one above it, so that it holds less and never more."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final, NamedTuple

from passgate.core.paths import judge_ids
from passgate.core.reasons import Refusal

LIMITS: Final = frozenset({
    "max_per_action_cost", "max_daily_cost", "max_total_cost", "rate_limit_per_minute",
    "rate_limit_per_hour",
})  # fmt: skip
"""Constraints that a child may set lower; of no other is it known which value is the lower."""

LISTS: Final = frozenset({"allowed_domains", "allowed_paths", "allowed_models"})
"""Constraints of which a child may list fewer."""

_MAY_NOT: Final = Refusal("chain_invalid", "A parent in the chain may not delegate.")
_WIDER: Final = Refusal(
    "chain_widened", "An envelope in the chain permits what its parent does not."
)
_LOOSER: Final = Refusal(
    "chain_widened", "An envelope in the chain has a constraint that is not its parent's."
)
_LONGER: Final = Refusal("chain_widened", "An envelope in the chain outlives its parent.")


class Stated(NamedTuple):
    """What one envelope says of itself, each of its type; `chain` is as read.

    `members` and `provenance` are the RFC 8785 bytes of its parts, without `delegation_chain`.
    Times are Unix milliseconds; `pin` is gate, version and hash.
    """

    type: str
    issuer: str
    key_id: str
    id: str
    agent: str
    key: bytes
    permissions: Mapping[str, Mapping[str, Any]]
    pin: tuple[str, int, str] | None
    issued_at_ms: int
    expires_at_ms: int
    may_delegate: bool
    chain: list[Any] | None
    signature: bytes
    members: dict[str, bytes]
    provenance: dict[str, bytes]


def judge_stated(links: Sequence[Stated]) -> Refusal | None:
    """Check 10 for the envelopes of a chain, the root first and the leaf last.

    `chain_invalid`: a parent that may not delegate, an id with a slash or one that occurs twice.
    `chain_widened`: a permission that the parent has not under the same key, a constraint that the
    parent has not or has another value of (a lower limit and a shorter list are fine, where it is
    known which that is), and a time that ends after the parent's. What a child leaves out it owes
    all the same.
    """
    flaw = judge_ids([link.id for link in links])
    if flaw is not None:
        return flaw
    for parent, child in pairwise(links):
        if not parent.may_delegate:
            return _MAY_NOT
        if not child.permissions.keys() <= parent.permissions.keys():
            return _WIDER
        for key, limits in child.permissions.items():
            if not _within(limits, parent.permissions[key]):
                return _LOOSER
        if child.expires_at_ms > parent.expires_at_ms:
            return _LONGER
    return None


def _within(limits: Mapping[str, Any], wider: Mapping[str, Any]) -> bool:
    return all(name in wider and _tightens(name, limits[name], wider[name]) for name in limits)


def _tightens(name: str, value: Any, parents: Any) -> bool:
    if name in LIMITS:
        return _is_number(value) and _is_number(parents) and bool(value <= parents)
    if name in LISTS:
        return (
            type(value) is list
            and type(parents) is list
            and all(any(is_same(each, other) for other in parents) for each in value)
        )
    return is_same(value, parents)


def _is_number(value: Any) -> bool:
    return type(value) in (int, Decimal)  # type(True) is bool


def is_same(one: Any, other: Any) -> bool:
    """Whether two values as read are the same, types and all: 1 is neither true nor 1.0."""
    if type(one) is not type(other):
        return False
    if type(one) is dict:
        return one.keys() == other.keys() and all(is_same(one[name], other[name]) for name in one)
    if type(one) is list:
        return len(one) == len(other) and all(map(is_same, one, other))
    return bool(one == other)
