"""What a request may do to data."""

from passgate.core.constraints.base import Constraint, Context
from passgate.core.constraints.values import flag
from passgate.core.reasons import Refusal

READ_ONLY = "core:data:read_only"

READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""The methods that ask for no change (safe ones, RFC 9110 section 9.2.1)."""

_WRITING_VERBS = (
    "write", "create", "update", "delete", "send", "post", "put", "patch", "remove",
)  # fmt: skip

_WRITES = Refusal("constraint_violated", "The request would write, and may only read.", READ_ONLY)


def _either(left: bool, right: bool) -> bool:
    return left or right


def _judge_read_only(read_only: bool, context: Context) -> Refusal | None:
    if not read_only:
        return None
    # casefold: `shop:Delete_all` writes as much as `shop:delete_all`.
    name = context.action.rpartition(":")[2].casefold()
    if context.request.method in READING_METHODS and not name.startswith(_WRITING_VERBS):
        return None
    return _WRITES


ROWS = (
    Constraint(
        key=READ_ONLY,
        order=60,
        parse=flag,
        merge=_either,
        value="true (false asks for nothing)",
        refuses=(
            "the method is not GET, HEAD or OPTIONS, or the action's last part begins with a"
            f" writing verb ({', '.join(_WRITING_VERBS)})"
        ),
        merging="true if either is",
        example=True,
        note="The verb is compared without regard to case: `shop:delete_item`, `shop:PostOrder`.",
        judge=_judge_read_only,
    ),
)
"""The rows of this family."""
