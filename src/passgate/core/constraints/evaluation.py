"""From the constraint sets that a request owes to what it may do, holds for, and is charged.

What depends on the passport, the action and the policy alone is worked out once, by `compile_owed`:
the order, the counters, and the whole answer for a request that nothing stops. Evaluation then
costs one call per constraint that looks at the request, and none for those that only count.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from passgate.core.constraints import CONSTRAINTS
from passgate.core.constraints.base import (
    UNBOUNDED,
    Bounds,
    Charge,
    ConstraintSet,
    Context,
    Finding,
    Hold,
    Outcome,
    Recall,
    Watch,
)
from passgate.core.constraints.sets import merge
from passgate.core.facts import Facts
from passgate.core.few import Few
from passgate.core.generations import Generations
from passgate.core.instant import Instant
from passgate.core.reasons import Refusal
from passgate.core.request import Request

if TYPE_CHECKING:
    from passgate.core.trust import Issuer

Owed: TypeAlias = tuple[str, ConstraintSet]
"""A counting subject (see `subjects`) and the constraints owed for it."""

Results: TypeAlias = tuple[tuple[str, str], ...]
"""Each constraint's key and what it came to, in evaluation order: `allow`, `hold`, `block`,
`charge`, `watch`, `recall`, `note`, `redact`, `bound` or `term`."""

_Said: TypeAlias = Hold | Recall | Finding
"""What a judge can say that does not refuse."""

_MAX_PRICES: Final = 4
_MAX_SHAPES: Final = 1024


class Evaluated(NamedTuple):
    """What the constraints say to one request.

    With a `refusal` there is nothing else, and `results` end with the one that blocks.
    """

    refusal: Refusal | None
    holds: tuple[Hold, ...]
    charges: tuple[Charge, ...]
    results: Results
    recalls: tuple[Recall, ...] = ()
    findings: tuple[Finding, ...] = ()


class Explained(NamedTuple):
    """What every constraint says to one request, also after the first that blocks.

    `charges` are those that the request would owe if nothing blocked it.
    """

    refusals: tuple[Refusal, ...]
    holds: tuple[Hold, ...]
    charges: tuple[Charge, ...]
    results: Results
    recalls: tuple[Recall, ...] = ()
    findings: tuple[Finding, ...] = ()


class _Step(NamedTuple):
    """A constraint that looks at the request, and its place among the results."""

    judge: Callable[[Any, Context], Outcome]
    value: Any
    place: int


class _Shape(NamedTuple):
    """What is the same for everyone who owes the same constraints.

    `charges` are those of a subject without a name: the place of the subject among those who owe,
    and what is charged, with a counter's name that ends where the subject's own begins. `watches`
    likewise.
    """

    steps: tuple[_Step, ...]
    charges: tuple[tuple[int, Charge], ...]
    watches: tuple[tuple[int, Watch], ...]
    bounds: Bounds | None
    results: Results
    spends: bool
    judges_body: bool


# No dataclass, since there is one for each passport; what it shares with others is in its shape.
class Compiled:
    """What one passport owes for one action under one policy; made by `compile_owed`."""

    __slots__ = ("_counters", "_prices", "_shape", "watches")

    def __init__(self, shape: _Shape, subjects: list[str]) -> None:
        self._shape = shape
        self._counters = tuple(
            [charge.counter + subjects[place] for place, charge in shape.charges]
        )
        self._prices: Few[int, Evaluated] = Few()
        self.watches: tuple[Watch, ...] = ()
        if shape.watches:
            self.watches = tuple(
                [replace(watch, subject=subjects[place]) for place, watch in shape.watches]
            )

    @property
    def charges(self) -> tuple[Charge, ...]:
        """What is charged, without the request's cost."""
        return self._priced(0).charges

    @property
    def results(self) -> Results:
        """What the constraints say to a request that nothing stops."""
        return self._shape.results

    @property
    def judges_body(self) -> bool:
        """Whether the body must be read whole before evaluation."""
        return self._shape.judges_body

    @property
    def bounds(self) -> Bounds | None:
        """The most bytes of both bodies, where any constraint says so."""
        return self._shape.bounds

    def evaluate(
        self,
        request: Request,
        action: str,
        facts: Facts,
        now: Instant,
        issuer: "Issuer | None" = None,
        agent: str = "",
        issued_at: int | None = None,
    ) -> Evaluated:
        """What the constraints say to this request: the first block ends it, a hold is remembered.

        Raises `ValueError` for a negative cost, which would give budget back.
        """
        said: list[tuple[int, _Said]] | None = None
        steps = self._shape.steps
        if steps:
            context = Context(request, action, facts, now, issuer, agent, issued_at)
            for judge, value, place in steps:
                outcome = judge(value, context)
                if outcome is not None:
                    if isinstance(outcome, Refusal):
                        return self._blocked(outcome, said or [], place)
                    said = said or []
                    said.append((place, outcome))
        passed = self._priced(facts.cost_cents)
        if said is None:
            return passed
        return passed._replace(
            holds=_holds(said),
            results=_with(self.results, said),
            recalls=_recalls(said),
            findings=_findings(said),
        )

    def evaluate_all(
        self,
        request: Request,
        action: str,
        facts: Facts,
        now: Instant,
        issuer: "Issuer | None" = None,
        agent: str = "",
        issued_at: int | None = None,
    ) -> Explained:
        """What every constraint says to this request, for a person who asks why."""
        context = Context(request, action, facts, now, issuer, agent, issued_at)
        said: list[tuple[int, _Said]] = []
        blocking: list[tuple[int, Refusal]] = []
        for judge, value, place in self._shape.steps:
            outcome = judge(value, context)
            if isinstance(outcome, Refusal):
                blocking.append((place, outcome))
            elif outcome is not None:
                said.append((place, outcome))
        return Explained(
            refusals=tuple(refusal for _, refusal in blocking),
            holds=_holds(said),
            charges=self._priced(facts.cost_cents).charges,
            results=_with(_with(self.results, said), blocking),
            recalls=_recalls(said),
            findings=_findings(said),
        )

    def _priced(self, cost_cents: int) -> Evaluated:
        """The answer for a request that nothing stops, with its cost in every spend charge."""
        if cost_cents < 0:
            raise ValueError("a cost is never negative")
        shape = self._shape
        if not shape.spends:
            cost_cents = 0
        # A route mostly has one price, so the charges of a price are built once. A cost that
        # clients declare varies as they like, hence the low bound: this is kept for each passport.
        known = self._prices.find(cost_cents)
        if known is None:
            charges = []
            for counter, (_, charge) in zip(self._counters, shape.charges, strict=True):
                amount = cost_cents if charge.kind == "spend" else charge.amount
                charges.append(
                    Charge(
                        counter,
                        charge.kind,
                        charge.window,
                        amount,
                        charge.limit,
                        charge.constraint,
                    )
                )
            known = Evaluated(None, (), tuple(charges), shape.results)
            self._prices.keep(cost_cents, known, _MAX_PRICES)
        return known

    def _blocked(self, refusal: Refusal, said: list[tuple[int, _Said]], place: int) -> Evaluated:
        results = _with(self.results[: place + 1], said)
        return Evaluated(refusal, (), (), _with(results, [(place, refusal)]))


def compile_owed(owed: Iterable[Owed]) -> Compiled:
    """Everything owed in evaluation order, with sets of one subject merged first.

    Sets of different subjects each hold on their own. A term is recorded once. Unknown keys come
    first, and each refuses.
    """
    by_subject: dict[str, ConstraintSet] = {}
    for subject, constraints in owed:
        known = by_subject.get(subject)
        by_subject[subject] = constraints if known is None else merge(known, constraints)
    return Compiled(_shape_of(tuple(by_subject.values())), list(by_subject))


# By identity, since a set's values are no keys; each entry holds the sets, so that none of the
# numbers becomes another one's. Passports with equal constraints share the sets that were read.
_shapes: Final[Generations[tuple[int, ...], tuple[tuple[ConstraintSet, ...], _Shape]]] = (
    Generations(_MAX_SHAPES)
)


def _shape_of(sets: tuple[ConstraintSet, ...]) -> _Shape:
    """What these sets come to, each for a subject of its own, in this order."""
    key = tuple([id(each) for each in sets])
    known = _shapes.find(key)
    if known is None:
        known = sets, _make_shape(sets)
        _shapes.keep(key, known)
    return known[1]


def _make_shape(sets: tuple[ConstraintSet, ...]) -> _Shape:
    unknown = sorted({key for each in sets for key in each.unknown})
    steps = [_Step(_judge_unknown, key, place) for place, key in enumerate(unknown)]
    results = [_result(key, "allow") for key in unknown]
    charges: list[tuple[int, Charge]] = []
    watches: list[tuple[int, Watch]] = []
    most = {"request": UNBOUNDED, "response": UNBOUNDED}
    judges_body = False
    terms: set[str] = set()
    # Sorting is stable, so that equal keys stay in the order in which their sets are owed.
    for row, subject, value in sorted(
        (
            (CONSTRAINTS[key], subject, value)
            for subject, constraints in enumerate(sets)
            for key, value in constraints.values.items()
        ),
        key=lambda item: item[0].order,
    ):
        if row.bounds:
            most[row.bounds] = min(most[row.bounds], value)
        if row.judge is not None:
            steps.append(_Step(row.judge, value, len(results)))
            results.append(_result(row.key, "allow"))
            judges_body = judges_body or row.judges_body
        elif row.watch is not None:
            watches.extend([(subject, watch) for watch in row.watch(value, "")])
            results.append(_result(row.key, "watch"))
        elif row.charge is not None:
            charges.extend([(subject, charge) for charge in row.charge(value, "")])
            results.append(_result(row.key, "charge"))
        elif row.bounds:
            results.append(_result(row.key, "bound"))
        elif row.key not in terms:
            terms.add(row.key)
            results.append(_result(row.key, "term"))
    return _Shape(
        tuple(steps),
        tuple(charges),
        tuple(watches),
        Bounds(**most) if min(most.values()) < UNBOUNDED else None,
        tuple(results),
        any(charge.kind == "spend" for _, charge in charges),
        judges_body,
    )


# One pair for all passports that owe the same constraint: there may be a hundred thousand of them.
@lru_cache(maxsize=1024)
def _result(key: str, said: str) -> tuple[str, str]:
    return key, said


def _judge_unknown(key: str, _context: Context) -> Refusal:
    return Refusal("constraint_unknown", "The gate has no such constraint.", key)


def _with(results: Results, said: Sequence[tuple[int, _Said | Refusal]]) -> Results:
    changes = {place: _word(outcome) for place, outcome in said}
    return tuple([(key, changes.get(place, as_is)) for place, (key, as_is) in enumerate(results)])


def _word(outcome: _Said | Refusal) -> str:
    if isinstance(outcome, Finding):
        return outcome.result
    if isinstance(outcome, Recall):
        return "recall"
    return "block" if isinstance(outcome, Refusal) else "hold"


def _holds(said: Sequence[tuple[int, _Said]]) -> tuple[Hold, ...]:
    return tuple([outcome for _, outcome in said if isinstance(outcome, Hold)])


def _recalls(said: Sequence[tuple[int, _Said]]) -> tuple[Recall, ...]:
    return tuple([outcome for _, outcome in said if isinstance(outcome, Recall)])


def _findings(said: Sequence[tuple[int, _Said]]) -> tuple[Finding, ...]:
    return tuple([outcome for _, outcome in said if isinstance(outcome, Finding)])
