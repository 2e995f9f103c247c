"""What a constraint is, and what evaluating one can return."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from passgate.core.instant import Instant
from passgate.core.judged_body import judge_body
from passgate.core.personal_data import Personal, examine
from passgate.core.reasons import Refusal

if TYPE_CHECKING:
    from passgate.core.facts import Facts
    from passgate.core.request import Request
    from passgate.core.trust import Issuer


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


@dataclass(frozen=True, slots=True)
class Recall:
    """A person must decide first, unless all of `marks` were taken before.

    They are counters of which nothing is left over but that they were once charged: what remembers
    says which are new, and these are charged once the request is allowed, never while it is held.
    """

    constraint: str
    detail: str
    marks: tuple[Charge, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a body holds that is told and passes: `result` (`note` or `redact`) is for the record.

    `found` is how much of which kind. `body` is what to judge and forward in the body's place, or
    None where it stays as it is.
    """

    constraint: str
    result: str
    found: tuple[tuple[str, int], ...]
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Watch:
    """A pace to look at: a hold while `subject` is faster than `factor` times what it used to be.

    That is by its rate over the last `window_s` seconds and over the `baseline_s` before them.
    """

    constraint: str
    subject: str
    factor: int
    window_s: int
    baseline_s: int

    def exceeded(self, recent: int, before: int, over_s: int) -> bool:
        """Whether `recent` requests in the window are too many, after `before` of them in `over_s`
        seconds before it; never while these are fewer than 20."""
        return before >= _ENOUGH and recent * over_s > self.factor * before * self.window_s


_ENOUGH: Final = 20


class Bounds(NamedTuple):
    """The most bytes that a request's and an answer's body may have; `UNBOUNDED` for any number."""

    request: int
    response: int


UNBOUNDED: Final = 1 << 62

Outcome: TypeAlias = "Refusal | Hold | Recall | Finding | None"


# No dataclass, since one is made for each request; see "Code for two compilers" in CONTRIBUTING.md.
class Context:
    """What a judge may look at: this request, what it declares, who presents, and the moment.

    `issuer` is that of the passport and `agent` its subject, `issued_at` its time in Unix seconds;
    None and "" where none was presented.
    """

    __slots__ = ("_body", "action", "agent", "facts", "issued_at", "issuer", "now", "request")

    def __init__(
        self,
        request: "Request",
        action: str,
        facts: "Facts",
        now: Instant,
        issuer: "Issuer | None" = None,
        agent: str = "",
        issued_at: int | None = None,
    ) -> None:
        self.request = request
        self.action = action
        self.facts = facts
        self.now = now
        self.issuer = issuer
        self.agent = agent
        self.issued_at = issued_at
        self._body: tuple[Any, Personal] | Refusal | None = None

    def examined(self) -> "tuple[Any, Personal] | Refusal":
        """The body's JSON value, and the personal data in it and in the facts; looked at once.

        Without a body the value is None. Refuses a body that cannot be judged, as `judge_body`.
        """
        if self._body is None:
            self._body = self._examine()
        return self._body

    def _examine(self) -> "tuple[Any, Personal] | Refusal":
        facts = self.facts
        texts = tuple([text for text in (facts.vendor, facts.domain, facts.resource) if text])
        body = self.request.body
        document = judge_body(body, self.request.sorted) if body else None
        if isinstance(document, Refusal):
            return document
        return document, examine(document, texts)


@dataclass(frozen=True, slots=True)
class Constraint:
    """One row of the table: all that is known about one key.

    `parse` turns the YAML or JSON value into the compiled form, which is immutable and hashable,
    or raises `ValueError` with a sentence that says what the value must be. `merge` joins two
    compiled values of one subject so that whatever either refuses stays refused.

    A row may do one of three things. `judge` looks at each request and returns None, a `Refusal`,
    a `Hold`, a `Recall` or a `Finding`. `charge` names, once per subject, the counters that each
    request takes from: an amount of 1, or of 0 cents for spend, to which the request's cost is
    added. `watch` names, once per subject, the paces that are looked at. A row that does nothing is
    a term, which is recorded and never refuses; or the parameter of the row that `parameter_of`
    names: then `merge` puts it into that row's value.

    `bounds` is `request` or `response` where the value is also the most bytes of that body, which
    are counted while it streams.

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
    watch: Callable[[Any, str], tuple[Watch, ...]] | None = None
    bounds: str = ""
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
