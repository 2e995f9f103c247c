"""Which requests wait for a person, whatever they cost."""

from passgate.core.constraints.base import Charge, Constraint, Context, Hold, Recall
from passgate.core.constraints.patterns import ActionPatterns, forbid, forbidden_patterns
from passgate.core.constraints.subjects import subject_of_counterparty
from passgate.core.constraints.values import either, flag

REQUIRED = "core:approval:required"
FOR_ACTIONS = "core:approval:for_actions"
NEW_COUNTERPARTY = "core:approval:new_counterparty"

_REQUIRED = Hold(REQUIRED, "A person must approve every request.")
_SILENT = Hold(NEW_COUNTERPARTY, "The request does not say with whom it deals.")
_NOBODY = Hold(NEW_COUNTERPARTY, "Nobody is known here to have dealt with anyone before.")
_NEW = "A person must approve the first request that deals with this counterparty."
_FOR_ACTIONS = Hold(FOR_ACTIONS, "A person must approve this action.")


MOST_DEALINGS = 2**31
"""A limit that no counter of dealings reaches: what counts is whether there were any."""


def _union(left: ActionPatterns, right: ActionPatterns) -> ActionPatterns:
    return left | right


def _judge_required(required: bool, _context: Context) -> Hold | None:
    return _REQUIRED if required else None


def _judge_for_actions(patterns: ActionPatterns, context: Context) -> Hold | None:
    # Read as leniently as a list that forbids: a spelling must not avoid the person either.
    return _FOR_ACTIONS if forbid(patterns, context.action) else None


def _judge_new_counterparty(asked: bool, context: Context) -> Hold | Recall | None:
    if not asked:
        return None
    facts = context.facts
    # A route that asks for them is not answered by silence, which nobody could have approved.
    if "vendor" in facts.missing or "domain" in facts.missing:
        return _SILENT
    parties = [
        (kind, name)
        for kind, name in (("vendor", facts.vendor), ("domain", facts.domain))
        if name is not None
    ]
    if not parties:
        return None
    issuer = context.issuer
    if issuer is None:
        return _NOBODY
    return Recall(
        NEW_COUNTERPARTY,
        _NEW,
        tuple(
            Charge(
                f"total/total/{subject_of_counterparty(issuer.id, context.agent, kind, name)}",
                "total",
                "total",
                1,
                MOST_DEALINGS,
                NEW_COUNTERPARTY,
            )
            for kind, name in parties
        ),
    )


ROWS = (
    Constraint(
        key=REQUIRED,
        order=50,
        parse=flag,
        merge=either,
        value="true (false asks for nothing)",
        refuses="holds, every request (`approval_required`)",
        merging="true if either is",
        example=True,
        judge=_judge_required,
    ),
    Constraint(
        key=FOR_ACTIONS,
        order=51,
        parse=forbidden_patterns,
        merge=_union,
        value="a list of actions, `namespace:*` or `*`",
        refuses="holds, when the action matches (`approval_required`)",
        merging="the union",
        example=["shop:purchase", "admin:*"],
        note=(
            "`a:*` covers `a:b` and `a:b:c`, not `a`. Compared as `core:scope:action_blocklist` is,"
            " also as a lenient server would read the action."
        ),
        judge=_judge_for_actions,
    ),
    Constraint(
        key=NEW_COUNTERPARTY,
        order=52,
        parse=flag,
        merge=either,
        value="true (false asks for nothing)",
        refuses=(
            "holds, when the request declares a vendor or a domain for which no request of this"
            " agent was ever allowed before (`approval_required`)"
        ),
        merging="true if either is",
        example=True,
        note=(
            "A route declares them with `vendor` and `domain`; both must be known, each is compared"
            " exactly, and a request that leaves out what its route has a source for is held."
            " Who dealt with whom is remembered where counters are, by agent: a new passport"
            " forgets nothing; what is not remembered is new. Each entry follows an approval, and"
            " nothing else adds one."
        ),
        judge=_judge_new_counterparty,
    ),
)
"""The rows of this family."""
