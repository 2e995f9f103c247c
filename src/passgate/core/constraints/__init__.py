"""Constraints: what a passport, a catalog or the gate demands of a request, one file per family.

`CONSTRAINTS` is the one table. All that is known about a constraint is in its family's file;
reading, merging, evaluation, reference pages and tests go by the table.
"""

from passgate.core.constraints import (
    approval,
    cost,
    data,
    identity,
    pii,
    rate,
    safety,
    scope,
    terms,
    time,
)
from passgate.core.constraints.base import Constraint

CONSTRAINTS: dict[str, Constraint] = {
    row.key: row
    for row in sorted(
        (
            *safety.ROWS,
            *time.ROWS,
            *scope.ROWS,
            *rate.ROWS,
            *cost.ROWS,
            *approval.ROWS,
            *data.ROWS,
            *pii.ROWS,
            *identity.ROWS,
            *terms.ROWS,
        ),
        key=lambda row: row.order,
    )
}
"""Every constraint by its key, in evaluation order."""

# After the table, because they read it.
from passgate.core.constraints.evaluation import (  # noqa: E402 - needs CONSTRAINTS
    Compiled,
    Evaluated,
    Explained,
    Owed,
    compile_owed,
)
from passgate.core.constraints.sets import (  # noqa: E402 - needs CONSTRAINTS
    ConstraintValueError,
    merge,
    parse_constraints,
    problems,
)
from passgate.core.constraints.shortfalls import refusal_for  # noqa: E402 - after its neighbours

__all__ = [
    "CONSTRAINTS",
    "Compiled",
    "ConstraintValueError",
    "Evaluated",
    "Explained",
    "Owed",
    "compile_owed",
    "merge",
    "parse_constraints",
    "problems",
    "refusal_for",
]
