"""What a child owes, whatever it says of itself: at least all that its parent owes."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.craft import issuer, key_set, trust
from tests.property.test_constraints import CUMULATIVE, VALUES, WINDOW, Case, cases, severity_of
from tests.vectors.chains import below, bound, root

from passgate.core.decision import derive
from passgate.core.passport import Passport
from passgate.core.policy import Policy
from passgate.core.verification import Acceptance, verify

POLICY = Policy(gate_id="gate_a", hash="", audience=frozenset({"gate_a"}))


@st.composite
def limits(draw: st.DrawFn) -> dict[str, Any]:
    keys = draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=3, unique=True))
    found = {key: draw(VALUES[key]) for key in keys}
    if WINDOW in found:
        found.setdefault(CUMULATIVE, 3)
    return found


@given(limits(), limits(), limits(), cases)
@settings(max_examples=60)
def test_a_child_never_may_what_its_parent_may_not(
    above: dict[str, Any], entry: dict[str, Any], below_it: dict[str, Any], case: Case
) -> None:
    """Refused or held above is refused or held below, by the parent's limits and counters."""
    top = root(constraints=above, permissions=[{"permission_key": "api:*", "constraints": entry}])
    child = verify(
        below(top, constraints=below_it, permissions=["api:*"], **bound("a")), trust(), Acceptance()
    )
    assert isinstance(child, Passport), child
    known = issuer(keys=key_set())
    (parent,) = child.chain
    owed = [
        derive(each, known, "api:search", POLICY, "127.0.0.1").compiled for each in (parent, child)
    ]
    mine, its = owed
    assert mine is not None
    assert its is not None

    assert severity_of(its, case) >= severity_of(mine, case)
    limits_below = {charge.counter: charge.limit for charge in its.charges}
    for charge in mine.charges:
        assert limits_below[charge.counter] <= charge.limit
