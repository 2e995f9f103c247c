"""From the constraint sets that a request owes to what it may do, holds for, and is charged.

What depends on the passport, the action and the policy alone is worked out once, by `compile_owed`:
the order, the counters, and the whole answer for a request that nothing stops. Evaluation then
costs one call per constraint that looks at the request, and none for those that only count.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

from passgate.core.constraints import CONSTRAINTS
from passgate.core.constraints.base import Charge, ConstraintSet, Context, Hold, Outcome
from passgate.core.constraints.sets import merge
from passgate.core.facts import Facts
from passgate.core.instant import Instant
from passgate.core.reasons import Refusal
from passgate.core.request import Request

Owed: TypeAlias = tuple[str, ConstraintSet]
"""A counting subject (see `subjects`) and the constraints owed for it."""

Results: TypeAlias = tuple[tuple[str, str], ...]
"""Each constraint's key and `allow`, `hold`, `block`, `charge` or `term`, in evaluation order."""

_MAX_PRICES: Final = 4


class Evaluated(NamedTuple):
    """What the constraints say to one request.

    With a `refusal` there are no holds and no charges, and `results` end with the one that blocks.
    """

    refusal: Refusal | None
    holds: tuple[Hold, ...]
    charges: tuple[Charge, ...]
    results: Results


class Explained(NamedTuple):
    """What every constraint says to one request, also after the first that blocks.

    `charges` are those that the request would owe if nothing blocked it.
    """

    refusals: tuple[Refusal, ...]
    holds: tuple[Hold, ...]
    charges: tuple[Charge, ...]
    results: Results


class _Step(NamedTuple):
    """A constraint that looks at the request, and its place among the results."""

    judge: Callable[[Any, Context], Outcome]
    value: Any
    place: int


@dataclass(frozen=True, slots=True)
class Compiled:
    """What one passport owes for one action under one policy; made by `compile_owed`.

    `charges` are without the request's cost. `judges_body` says that the body must be read whole
    before evaluation.
    """

    steps: tuple[_Step, ...]
    charges: tuple[Charge, ...]
    results: Results
    spends: bool
    judges_body: bool
    passed: Evaluated
    prices: dict[int, Evaluated] = field(default_factory=dict, compare=False, repr=False)

    def evaluate(self, request: Request, action: str, facts: Facts, now: Instant) -> Evaluated:
        """What the constraints say to this request: the first block ends it, a hold is remembered.

        Raises `ValueError` for a negative cost, which would give budget back.
        """
        held: list[tuple[int, Hold]] | None = None
        if self.steps:
            context = Context(request, action, facts, now)
            for judge, value, place in self.steps:
                outcome = judge(value, context)
                if outcome is not None:
                    if isinstance(outcome, Refusal):
                        return self._blocked(outcome, held or [], place)
                    held = held or []
                    held.append((place, outcome))
        passed = self._priced(facts.cost_cents)
        if held is None:
            return passed
        return passed._replace(
            holds=tuple(hold for _, hold in held), results=_with(self.results, held, "hold")
        )

    def evaluate_all(self, request: Request, action: str, facts: Facts, now: Instant) -> Explained:
        """What every constraint says to this request, for a person who asks why."""
        context = Context(request, action, facts, now)
        held: list[tuple[int, Hold]] = []
        blocking: list[tuple[int, Refusal]] = []
        for judge, value, place in self.steps:
            outcome = judge(value, context)
            if isinstance(outcome, Refusal):
                blocking.append((place, outcome))
            elif outcome is not None:
                held.append((place, outcome))
        return Explained(
            refusals=tuple(refusal for _, refusal in blocking),
            holds=tuple(hold for _, hold in held),
            charges=self._priced(facts.cost_cents).charges,
            results=_with(_with(self.results, held, "hold"), blocking, "block"),
        )

    def _priced(self, cost_cents: int) -> Evaluated:
        """The answer for a request that nothing stops, with its cost in every spend charge."""
        if cost_cents < 0:
            raise ValueError("a cost is never negative")
        if cost_cents == 0 or not self.spends:
            return self.passed
        # A route mostly has one price, so the charges of a price are built once. A cost that
        # clients declare varies as they like, hence the low bound: this is kept for each passport.
        prices = self.prices
        known = prices.get(cost_cents)
        if known is None:
            known = self.passed._replace(
                charges=tuple(
                    replace(charge, amount=cost_cents) if charge.kind == "spend" else charge
                    for charge in self.charges
                )
            )
            if len(prices) >= _MAX_PRICES:
                prices.clear()
            prices[cost_cents] = known
        return known

    def _blocked(self, refusal: Refusal, held: list[tuple[int, Hold]], place: int) -> Evaluated:
        results = _with(self.results[: place + 1], held, "hold")
        return Evaluated(refusal, (), (), _with(results, [(place, refusal)], "block"))


def compile_owed(owed: Iterable[Owed]) -> Compiled:
    """Everything owed in evaluation order, with sets of one subject merged first.

    Sets of different subjects each hold on their own. A term is recorded once. Unknown keys come
    first, and each refuses.
    """
    by_subject: dict[str, ConstraintSet] = {}
    for subject, constraints in owed:
        known = by_subject.get(subject)
        by_subject[subject] = constraints if known is None else merge(known, constraints)

    unknown = sorted({key for each in by_subject.values() for key in each.unknown})
    steps = [_Step(_judge_unknown, key, place) for place, key in enumerate(unknown)]
    results = [_result(key, "allow") for key in unknown]
    charges: list[Charge] = []
    judges_body = False
    terms: set[str] = set()
    # Sorting is stable, so that equal keys stay in the order in which their sets are owed.
    for row, subject, value in sorted(
        (
            (CONSTRAINTS[key], subject, value)
            for subject, constraints in by_subject.items()
            for key, value in constraints.values.items()
        ),
        key=lambda item: item[0].order,
    ):
        if row.judge is not None:
            steps.append(_Step(row.judge, value, len(results)))
            results.append(_result(row.key, "allow"))
            judges_body = judges_body or row.judges_body
        elif row.charge is not None:
            charges.extend(row.charge(value, subject))
            results.append(_result(row.key, "charge"))
        elif row.key not in terms:
            terms.add(row.key)
            results.append(_result(row.key, "term"))
    taken = tuple(charges)
    said = tuple(results)
    return Compiled(
        steps=tuple(steps),
        charges=taken,
        results=said,
        spends=any(charge.kind == "spend" for charge in taken),
        judges_body=judges_body,
        passed=Evaluated(None, (), taken, said),
    )


# One pair for all passports that owe the same constraint: there may be a hundred thousand of them.
@lru_cache(maxsize=1024)
def _result(key: str, said: str) -> tuple[str, str]:
    return key, said


def refusal_for(charge: Charge, retry_after_s: int | None) -> Refusal:
    """The refusal for a charge that does not fit, with when it could at the earliest."""
    return _SHORTFALLS[charge.kind](charge.constraint, retry_after_s)


def _judge_unknown(key: str, _context: Context) -> Refusal:
    return Refusal("constraint_unknown", "The gate has no such constraint.", key)


def _with(results: Results, changed: list[tuple[int, Any]], result: str) -> Results:
    changes = {place for place, _ in changed}
    return tuple(
        (key, result if place in changes else said) for place, (key, said) in enumerate(results)
    )


def _rate_limited(key: str, retry_after_s: int | None) -> Refusal:
    return Refusal("rate_limited", "Too many requests.", key, retry_after_s)


def _used_up(key: str, _retry_after_s: int | None) -> Refusal:
    return Refusal("rate_limited", "The requests that were allowed are used up.", key)


def _concurrency_limited(key: str, retry_after_s: int | None) -> Refusal:
    return Refusal(
        "concurrency_limited", "Too many requests at the same time.", key, retry_after_s or 1
    )


def _budget_exhausted(key: str, retry_after_s: int | None) -> Refusal:
    return Refusal("budget_exhausted", "The budget does not cover this.", key, retry_after_s)


_SHORTFALLS: dict[str, Callable[[str, int | None], Refusal]] = {
    "rate": _rate_limited,
    "total": _used_up,
    "concurrent": _concurrency_limited,
    "spend": _budget_exhausted,
}
