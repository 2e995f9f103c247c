"""What a constraint is, and what evaluating one can return."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

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
    and `now` for `concurrent`. `amount` and `limit` are counts, or cents for spend. A charge of
    kind `free` comes before all others: see `core.free_tier`.
    """

    counter: str
    kind: str  # "rate" | "total" | "concurrent" | "spend" | "free"
    window: int | str
    amount: int
    limit: int
    constraint: str


Outcome: TypeAlias = "Refusal | Hold | None"


# No dataclass, since one is made for each request; see "Code for two compilers" in CONTRIBUTING.md.
class Context:
    """What a judge may look at: this request, what it declares, and the moment."""

    __slots__ = ("action", "facts", "now", "request")

    def __init__(self, request: "Request", action: str, facts: "Facts", now: Instant) -> None:
        self.request = request
        self.action = action
        self.facts = facts
        self.now = now


@dataclass(frozen=True, slots=True)
class Constraint:
    """One row of the table: all that is known about one key.

    `parse` turns the YAML or JSON value into the compiled form, which is immutable and hashable,
    or raises `ValueError` with a sentence that says what the value must be. `merge` joins two
    compiled values of one subject so that whatever either refuses stays refused.

    A row does at most one of two things. `judge` looks at each request and returns None, a
    `Refusal` or a `Hold`. `charge` names, once per subject, the counters that each request takes
    from: an amount of 1, or of 0 cents for spend, to which the request's cost is added. A row that
    does neither is a term, which is recorded and never refuses; or the parameter of the row that
    `parameter_of` names: then `merge` puts it into that row's value.

    `value`, `refuses`, `merging`, `example` and `note` make the reference page. `judges_body` says
    that the request's body must be read whole before evaluation.
    """

    key: str
    order: int
    parse: Callable[[object], Any]
    merge: Callable[[Any, Any], Any]
    value: str
    refuses: str
    merging: str
    example: Any
    note: str = ""
    judge: Callable[[Any, Context], Outcome] | None = None
    charge: Callable[[Any, str], tuple[Charge, ...]] | None = None
    parameter_of: str = ""
    judges_body: bool = False


@dataclass(frozen=True, slots=True)
class ConstraintSet:
    """The constraints of one origin, parsed; `unknown` are the keys that nothing here enforces."""

    values: Mapping[str, Any]
    unknown: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.values or self.unknown)


NO_CONSTRAINTS: Final = ConstraintSet({})
