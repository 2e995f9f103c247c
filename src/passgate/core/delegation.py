"""Delegation: what a chain of passports must keep to, so that a child holds less and never more.

A link is what one agent handed to the next. Signatures are the business of `verification`; here is
what each child owes its parent besides: check 10. That every ancestor's constraints are owed, and
what is charged to whom, follows from `Passport.lineage`.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

from passgate.core.formats.base import Unverified
from passgate.core.passport import Permission
from passgate.core.reasons import Refusal

_INVALID: Final = {
    what: Refusal("chain_invalid", sentence)
    for what, sentence in (
        ("issuer", "A passport in the chain names another issuer than its root."),
        ("delegate", "A parent in the chain may not delegate."),
        ("agent", "An agent in the chain is not named below its parent."),
        ("id", "An id in the chain holds a slash, which joins ids to a path."),
        ("twice", "A passport stands in the chain twice."),
    )
}
_WIDENED: Final = Refusal(
    "chain_widened", "A passport in the chain permits what its parent does not."
)


def path_of(ids: Sequence[str]) -> str:
    """How the last of these links is identified, counted and revoked: the ids from the root on."""
    return "/".join(ids)


def judge_chain(links: Sequence[Unverified]) -> Refusal | None:
    """Check 10 for the links of a chain, at least two, the root first and the leaf last.

    `chain_invalid`: a parent that may not delegate, an agent that is not `<parent>/<name>`, another
    issuer, an id with a slash, or one that occurs twice. `chain_widened`: a permission that no
    single permission of the parent covers whole.
    """
    root = links[0]
    seen: set[str] = set()
    for link in links:
        if "/" in link.id:
            return _INVALID["id"]
        if link.id in seen:
            return _INVALID["twice"]
        seen.add(link.id)
        if link.issuer != root.issuer:
            return _INVALID["issuer"]
    for parent, child in pairwise(links):
        if not parent.may_delegate:
            return _INVALID["delegate"]
        name = child.agent.removeprefix(parent.agent + "/")
        if name == child.agent or not name or "/" in name:
            return _INVALID["agent"]
        if not within(child.permissions, parent.permissions):
            return _WIDENED
    return None


def within(child: Iterable[Permission], parent: Sequence[Permission]) -> bool:
    """Whether each of `child`'s permissions is whole inside one of `parent`'s.

    Two of a parent's that together cover one of a child's are not enough: which actions exist is
    nothing that a passport knows.
    """
    return all(
        any(pattern_within(each.pattern, wider.pattern) for wider in parent) for each in child
    )


def pattern_within(pattern: str, wider: str) -> bool:
    """Whether every action that `pattern` covers is covered by `wider`."""
    if wider in ("*", pattern):
        return True
    if not wider.endswith(":*"):
        return False
    prefix = wider[:-1]
    # `a:*` covers `a:b` and `a:b:*`, and not `a`; of `*` only `*` is wide enough.
    return pattern.startswith(prefix) and len(pattern) > len(prefix)
