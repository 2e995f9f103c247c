"""Whether what a passport holds covers an action: permissions, the issuer's ceiling, grants.

An action is a catalog key such as `shop:purchase`. Its *name* is the part after the last colon;
its *namespaces* are all parts before a colon: those of `a:b:c` are `a:b` and `a`, since documents
mean either, and a restriction must not be escaped by reading it the other way.
"""

import operator
import re
from collections.abc import Callable, Iterable
from fnmatch import translate
from functools import lru_cache
from typing import Final

from passgate.core.constraints.base import Hold
from passgate.core.facts import Facts
from passgate.core.instant import Instant
from passgate.core.jws import is_name
from passgate.core.passport import Grant, Permission
from passgate.core.reasons import Refusal

_CATCH_ALL: Final = Refusal(
    "permission_denied",
    "The passport's scope names nothing, and its issuer is not trusted with such a scope.",
)
# A class as `fnmatch` reads it; possessive, since `[]` and `[!]` open one and close none.
_CLASS: Final = re.compile(r"\[!?+\]?+[^\]]*+\]", re.DOTALL)
_GLOB: Final = re.compile(r"[*?\[]")
_APPROVAL = Hold("grants", "A grant of the passport asks for a person's approval.")


def is_pattern(text: str) -> bool:
    """Whether `text` is a permission key: exact, `*`, or a prefix with a final `:*`.

    At most 256 bytes without control characters; a star anywhere else would look as if it matched.
    """
    if "*" not in text:
        return is_name(text)
    return text == "*" or (
        len(text) > 2 and text.endswith(":*") and text.count("*") == 1 and is_name(text)
    )


def covers(pattern: str, action: str) -> bool:
    """Whether `pattern` covers `action`: exact, `*`, or `a:*` for `a:b` and `a:b:c` but not `a`."""
    if pattern == action or pattern == "*":
        return True
    if pattern.endswith(":*"):
        prefix = pattern[:-1]
        return action.startswith(prefix) and len(action) > len(prefix)
    return False


def is_glob(pattern: str) -> bool:
    """Whether `pattern`, as csp has them, may cover another text than itself."""
    return _GLOB.search(pattern) is not None


def glob_covers(pattern: str, action: str) -> bool:
    """Whether `pattern` covers `action` as csp has it: `fnmatch.fnmatchcase` of Python.

    `*` is any text, also with `:` and `/` in it, `?` any character, `[a-c]` and `[!a]` classes.
    """
    return _compiled(pattern).match(action) is not None


def is_catch_all(pattern: str) -> bool:
    """Whether `pattern`, as csp has them, names nothing: wild cards, classes and colons alone."""
    return not _CLASS.sub("", pattern).strip("*?:")


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))


GRAMMARS: Final[dict[str, Callable[[str, str], bool]]] = {
    "prefix": covers,
    "exact": operator.eq,
    "glob": glob_covers,
}
"""How patterns are read, by the name of their grammar; each says whether one covers an action."""


def judge_catch_all(permissions: Iterable[Permission], *, allowed: bool) -> Refusal | None:
    """Refuses a passport with an entry that names nothing, unless its issuer is `allowed` such."""
    if allowed or not any(entry.catch_all for entry in permissions):
        return None
    return _CATCH_ALL


def covering(
    permissions: Iterable[Permission], ceiling: Iterable[str], action: str
) -> tuple[Permission, ...] | Refusal:
    """The entries of a passport that cover `action`, at least one, or `permission_denied`.

    `ceiling` is the most that the passport's issuer may grant; it must cover the action too. The
    constraints of every entry returned are owed.
    """
    entries = tuple(
        [entry for entry in permissions if GRAMMARS[entry.grammar](entry.pattern, action)]
    )
    if not entries:
        return Refusal("permission_denied", required_permissions=(action,))
    if not any(covers(pattern, action) for pattern in ceiling):
        return Refusal(
            "permission_denied",
            "The passport's issuer may not grant this here.",
            required_permissions=(action,),
        )
    return entries


def judge_grants(
    grants: tuple[Grant, ...], action: str, facts: Facts, now: Instant
) -> Refusal | Hold | None:
    """What the passport's grants say to `action`: nothing, a refusal, or a hold by `grants`.

    * `action_blocked`: any grant, also an expired one, whose `blockedActions` names the action,
      whatever its resource and whatever other grants allow.
    * `permission_denied`: grants for the resource exist, and all have expired, or none of the
      active ones names the action (an empty `allowedActions` names every action).
    * `constraint_violated` with constraint `grants`: an active grant that names the action limits
      amount or vendor, and the request is over it, outside it, or declares none.
    * a hold: an active grant that names the action requires approval.

    A grant is for the resource if its `resource` is a namespace of the action or the resource that
    the request declares; with no such grant, grants say nothing. Of several that name the action
    every condition is owed. Actions are named by their name or whole.
    """
    if not grants:
        return None
    name = action.rpartition(":")[2]
    for grant in grants:
        if name in grant.blocked_actions or action in grant.blocked_actions:
            return Refusal("action_blocked")
    resources = _resources(action, facts)
    concerned = [grant for grant in grants if grant.resource in resources]
    if not concerned:
        return None
    wall = now.wall
    active = [g for g in concerned if g.expires_at is None or wall < g.expires_at]
    if not active:
        return Refusal("permission_denied", "The passport's grants for this resource have expired.")
    naming = [
        grant
        for grant in active
        if not grant.allowed_actions
        or name in grant.allowed_actions
        or action in grant.allowed_actions
    ]
    if not naming:
        return Refusal("permission_denied", "No grant of the passport for this resource names it.")
    for grant in naming:
        refusal = _over_limits(grant, facts)
        if refusal is not None:
            return refusal
    return _APPROVAL if any(grant.requires_approval for grant in naming) else None


def _resources(action: str, facts: Facts) -> set[str]:
    resources = set()
    if facts.resource is not None:
        resources.add(facts.resource)
    namespace = action
    while ":" in namespace:
        namespace = namespace.rpartition(":")[0]
        resources.add(namespace)
    return resources


def _over_limits(grant: Grant, facts: Facts) -> Refusal | None:
    if grant.max_amount is not None:
        if facts.amount is None:
            return _limited("A grant limits the amount, and the request declares none.")
        if exceeds(facts.amount, grant.max_amount):
            return _limited("The amount is above what a grant allows.")
    if grant.allowed_vendors:
        if facts.vendor is None:
            return _limited("A grant limits the vendor, and the request declares none.")
        if facts.vendor not in grant.allowed_vendors:
            return _limited("The vendor is not among those of a grant.")
    return None


def _limited(detail: str) -> Refusal:
    return Refusal("constraint_violated", detail, constraint="grants")


def exceeds(amount: tuple[int, int], limit: tuple[int, int]) -> bool:
    """Whether one exact decimal is above another, each (digits, scale): (742, 2) is 7.42."""
    digits, scale = amount
    limit_digits, limit_scale = limit
    left: int = digits * 10**limit_scale
    right: int = limit_digits * 10**scale
    return left > right
