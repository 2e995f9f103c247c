"""Delegation: what a chain of passports must keep to, so that a child holds less and never more.

A link is what one agent handed to the next. Signatures are the business of `verification`; here is
what each child owes its parent besides: check 10. That every ancestor's constraints are owed, and
what is charged to whom, follows from `Passport.lineage`.
"""

from collections.abc import Container, Iterable, Sequence
from itertools import pairwise
from typing import Final

from passgate.core.formats.base import Unverified
from passgate.core.passport import Permission
from passgate.core.paths import judge_ids
from passgate.core.reasons import Refusal

_INVALID: Final = {
    what: Refusal("chain_invalid", sentence)
    for what, sentence in (
        ("issuer", "A passport in the chain names another issuer than its root."),
        ("delegate", "A parent in the chain may not delegate."),
        ("agent", "An agent in the chain is not named below its parent."),
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
    flaw = judge_ids([link.id for link in links])
    if flaw is not None:
        return flaw
    root = links[0]
    if any(link.issuer != root.issuer for link in links):
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


def within(child: Iterable[Permission], parent: Iterable[Permission]) -> bool:
    """Whether each of `child`'s permissions is whole inside one of `parent`'s.

    Two of a parent's that together cover one of a child's are not enough: which actions exist is
    nothing that a passport knows. Takes as long as both are, not as their product: whoever may
    delegate writes as many as a credential has room for.
    """
    wider = {entry.pattern for entry in parent}
    return all(pattern_within(entry.pattern, wider) for entry in child)


def pattern_within(pattern: str, wider: Container[str]) -> bool:
    """Whether one of the patterns `wider` covers every action that `pattern` covers."""
    if pattern in wider or "*" in wider:
        return True
    # `a:*` covers `a:b` and `a:b:*`, and not `a` or `a:`; of `*` only `*` is wide enough.
    colon = pattern.find(":")
    while 0 <= colon < len(pattern) - 1:
        if pattern[: colon + 1] + "*" in wider:
            return True
        colon = pattern.find(":", colon + 1)
    return False
