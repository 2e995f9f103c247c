"""Which requests wait for a person, whatever they cost."""

from passgate.core.constraints.base import Constraint, Context, Hold
from passgate.core.constraints.patterns import ActionPatterns, forbid, forbidden_patterns
from passgate.core.constraints.values import flag

REQUIRED = "core:approval:required"
FOR_ACTIONS = "core:approval:for_actions"

_REQUIRED = Hold(REQUIRED, "A person must approve every request.")
_FOR_ACTIONS = Hold(FOR_ACTIONS, "A person must approve this action.")


def _either(left: bool, right: bool) -> bool:
    return left or right


def _union(left: ActionPatterns, right: ActionPatterns) -> ActionPatterns:
    return left | right


def _judge_required(required: bool, _context: Context) -> Hold | None:
    return _REQUIRED if required else None


def _judge_for_actions(patterns: ActionPatterns, context: Context) -> Hold | None:
    # Read as leniently as a list that forbids: a spelling must not avoid the person either.
    return _FOR_ACTIONS if forbid(patterns, context.action) else None


ROWS = (
    Constraint(
        key=REQUIRED,
        order=50,
        parse=flag,
        merge=_either,
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
)
"""The rows of this family."""
