"""What a constraint is, and what evaluating one can return."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from passgate.core.instant import Instant
from passgate.core.reasons import Refusal

if TYPE_CHECKING:
    from passgate.core.facts import Facts
    from passgate.core.request import Request


@dataclass(frozen=True, slots=True)
class Hold:
    """A person must decide first; `constraint` is the key (or `grants`) that says so."""

    constraint: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Charge:
    """What a request would take from one counter, if it passes.

    `counter` names the counter and is all that a fold over the log needs: it is
    `<kind>/<window>/<subject>`, where `window` is a length in seconds for sliding windows
    (`rate/60/...`, `spend/3600/...`), `daily`, `weekly`, `monthly` or `total` for calendar ones,
    and `now` for `concurrent`. `amount` and `limit` are counts, or cents for spend.
    """

    counter: str
    kind: str  # "rate" | "total" | "concurrent" | "spend"
    window: int | str
    amount: int
    limit: int
    constraint: str


Outcome: TypeAlias = "None | Refusal | Hold | Charge | tuple[Charge, ...]"


@dataclass(frozen=True, slots=True)
class Context:
    """What an evaluator may look at: this request, whom it counts for, and the moment.

    `subject` is the counting subject of the constraint's origin, ready to be put into a counter's
    name; `key` is the constraint being evaluated; `agent_model` is "" when not known.
    """

    request: "Request"
    action: str
    facts: "Facts"
    subject: str
    now: Instant


@dataclass(frozen=True, slots=True)
class Constraint:
    """One row of the table: all that is known about one key.

    `parse` turns the YAML or JSON value into the compiled form, or raises `ValueError` with a
    sentence that says what the value must be. `merge` joins two compiled values of one subject so
    that whatever either refuses stays refused. `evaluate` is None for a term, which is recorded and
    never refuses. `judges_body` says that the request's body must be read whole before evaluation.
    """

    key: str
    order: int
    parse: Callable[[object], Any]
    merge: Callable[[Any, Any], Any]
    evaluate: Callable[[Any, Context], Outcome] | None
    example: object
    summary: str
    judges_body: bool = False


@dataclass(frozen=True, slots=True)
class ConstraintSet:
    """The constraints of one origin, parsed; `unknown` are the keys that nothing here enforces."""

    values: Mapping[str, Any]
    unknown: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.values or self.unknown)


NO_CONSTRAINTS = ConstraintSet({})
