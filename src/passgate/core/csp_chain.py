"""What a chain of csp-agent-passport tokens must keep to: check 10 for the format `csp`.

The rules are those of its verifier, and the stricter ones that its issuer keeps to anyway: one
person behind all links, who acts for whom told the same by all, and one issuer.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

from passgate.core.formats.base import Succession, Unverified
from passgate.core.passport import Permission
from passgate.core.permissions import glob_covers, is_glob
from passgate.core.reasons import Refusal


def _invalid(sentence: str) -> Refusal:
    return Refusal("chain_invalid", sentence)


NO_PARENTS: Final = _invalid("The passport was delegated, and its parents did not come with it.")
"""What is said to a delegated token that comes alone."""

ACTS_FOR: Final = _invalid("A passport in the chain acts for others than its parents' agents.")
"""What is said where `act` does not say what the chain says."""

_NOT_DELEGATED: Final = _invalid("Parents came with a passport that was not delegated.")
_ROOT: Final = _invalid("The first passport of the chain was delegated itself.")
_PARENT: Final = _invalid("A passport in the chain names another parent than the one before it.")
_ISSUER: Final = _invalid("A passport in the chain names another issuer than its root.")
_ID: Final = _invalid("An id in the chain holds a slash, which joins ids to a path.")
_TWICE: Final = _invalid("A passport stands in the chain twice.")
_PERSON: Final = _invalid("A passport in the chain acts for another person than its parent.")
_ASSURANCE: Final = _invalid("A passport in the chain claims more assurance than its parent.")
_WIDENED: Final = Refusal(
    "chain_widened", "A passport in the chain permits what its parent does not."
)


def judge_csp_chain(links: Sequence[Unverified]) -> Refusal | None:
    """Check 10 for the links of a chain, root first, at least two.

    `chain_invalid`: a link that does not name the one before it as its parent, another issuer or
    person, an `acr` that changes, an `act` that is not the parent's with the agent before it, an
    assurance level that rises or appears, an id with a slash or that occurs twice. `chain_widened`:
    a scope that no scope of the parent implies.
    """
    if _of(links[-1]).parent is None:
        return _NOT_DELEGATED
    for parent, child in reversed(list(pairwise(links))):
        if _of(child).parent != parent.id:
            return _PARENT
        if not implied(child.permissions, parent.permissions):
            return _WIDENED
        refusal = _judge_person(parent, child)
        if refusal is not None:
            return refusal
    root = links[0]
    if _of(root).parent is not None:
        return _ROOT
    if _of(root).actors != (root.agent,):
        return ACTS_FOR
    if any(link.issuer != root.issuer for link in links):
        return _ISSUER
    ids = [link.id for link in links]
    if any("/" in each for each in ids):
        return _ID
    return _TWICE if len(set(ids)) < len(ids) else None


def _judge_person(parent: Unverified, child: Unverified) -> Refusal | None:
    """Whether child and parent act for one person, and the child claims no more of them."""
    before, after = parent.principal, child.principal
    assert before is not None
    assert after is not None
    for least, level in zip(before.assurance, after.assurance, strict=True):
        if level is not None and (least is None or level > least):
            return _ASSURANCE
    if after.subject != before.subject or _of(child).acr != _of(parent).acr:
        return _PERSON
    if _of(child).actors != (child.agent, *_of(parent).actors):
        return ACTS_FOR
    return None


def _of(link: Unverified) -> Succession:
    succession = link.succession
    assert succession is not None
    return succession


def implied(child: Iterable[Permission], parent: Sequence[Permission]) -> bool:
    """Whether each scope of `child` is one of `parent`'s, or a name that one of these covers.

    A pattern is implied by the same pattern and by `*` alone, as csp's own verifier has it.
    """
    wider = {entry.pattern for entry in parent}
    if "*" in wider:
        return True
    globs = [pattern for pattern in wider if is_glob(pattern)]
    return all(
        entry.pattern in wider
        or (
            not is_glob(entry.pattern)
            and any(glob_covers(pattern, entry.pattern) for pattern in globs)
        )
        for entry in child
    )
