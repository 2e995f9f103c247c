"""What a ledger is: counters that are reserved all or none, settled, and released."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from passgate.core.constraints.base import Charge
from passgate.core.instant import Instant
from passgate.core.once import Once
from passgate.ledger.operations import Operation

HOLD_PREFIX: Final = "appr_"
"""What the ids of holds begin with: a reservation with such a `decision_id` is a hold's."""


@dataclass(init=False, slots=True)
class Reservation:
    """Charges that were taken together and are settled or released together, once.

    `taken_at` and `taken_ms` say when they count, by the ledger's own time. `decision_id` is its
    owner: the caller sets it in the turn of the loop in which it appends the decision's line to the
    log, so that a durable ledger can tell which lines to come belong to charges it has counted. A
    decision's never expires, however long its exchange lasts; a hold's ends with the hold.

    `repeated`: its operation had been charged before, and `charges` holds each spend with nothing.
    `counters` and `operation` are the ledger's own.
    """

    charges: tuple[Charge, ...]
    taken_at: Instant
    open: bool
    taken_ms: int
    decision_id: str
    counters: Sequence[Any]
    repeated: bool
    operation: Operation | None

    def __init__(
        self,
        charges: tuple[Charge, ...],
        taken_at: Instant,
        open: bool = True,  # noqa: A002 - the name of the field
        taken_ms: int = 0,
        decision_id: str = "",
        counters: Sequence[Any] = (),
        repeated: bool = False,
        operation: Operation | None = None,
    ) -> None:
        self.charges = charges
        self.taken_at = taken_at
        self.open = open
        self.taken_ms = taken_ms
        self.decision_id = decision_id
        self.counters = counters
        self.repeated = repeated
        self.operation = operation


@dataclass(frozen=True, slots=True)
class Shortfall:
    """Nothing was taken: `charge` is the first that does not fit.

    `retry_after_s` is when all charges could fit at the earliest, in whole seconds rounded up, or
    None if waiting does not help. `remaining` is what is left of that counter now.
    """

    charge: Charge
    remaining: int
    retry_after_s: int | None


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The counters are out of reach and the policy for their loss says no."""

    charge: Charge


@dataclass(frozen=True, slots=True)
class Conflict:
    """Nothing was taken: the operation of that name was another request."""

    once: Once


class Balance(NamedTuple):
    """What is left of one counter: `remaining` of `limit`, whole again in `reset_s` seconds.

    `reset_s` is None where time alone gives nothing back.
    """

    charge: Charge
    remaining: int
    reset_s: int | None


ReadLines: TypeAlias = Callable[[int | None], Iterator[Mapping[str, Any]]]
"""The log's lines from a number on; None: from the oldest that is kept. Raises DataError where the
line of that number is not kept any more."""

Taken: TypeAlias = Reservation | Shortfall | Unavailable | Conflict


class Ledger(Protocol):
    """Counters by name. Time only moves forward: an earlier `now` counts as the latest seen."""

    def reserve(
        self,
        charges: tuple[Charge, ...],
        now: Instant,
        once: Once | None = None,
    ) -> Taken | Awaitable[Taken]:
        """Take all charges or none; an awaitable only where a round trip cannot be avoided.

        A first charge of kind `free` is a choice, which is made in the same step (see
        `core.free_tier.choices`): where its counter has room it is taken, and every spend takes 0;
        where it has none it is not taken, and is not what a Shortfall names. The reservation's
        `charges` are then what was taken.

        `once`: a request whose operation is remembered takes no spend again, and everything else;
        where the operation was another request there is a conflict. The operation keeps its spend
        until all of its requests have ended and none of them reached the upstream: then it is
        forgotten. The first one that did settles it; others change nothing. Where counters are
        shared, the request that was charged settles it, and an operation that was repeated stays
        charged and remembered: what it took may be another gate's.
        """

    def settle(self, reservation: Reservation, spent_cents: int | None, now: Instant) -> None:
        """End a reservation whose request reached the upstream.

        Concurrency is given back; `spent_cents` replaces every spend amount where it is lower, None
        keeps them. Rates and totals stay.
        """

    def release(self, reservation: Reservation, now: Instant) -> None:
        """End a reservation of which no byte reached the upstream: everything is given back."""

    def left(self, reservation: Reservation) -> list[tuple[Charge, int, int | None]]:
        """What a reservation that was just taken has left of each counter: as in `Balance`."""

    def balances(self, charges: tuple[Charge, ...], now: Instant) -> tuple[Balance, ...]:
        """What is left of each charge's counter, in their order, changing nothing."""


class LedgerTally:
    """What a ledger with shared counters has done so far: for the operator.

    `leased` requests were decided by leases, `asked` by the server in `round_trips`; `losses` are
    charges that it could not be asked about, by (kind, what was done: `local` or `deny`).
    """

    __slots__ = ("asked", "disconnects", "leased", "losses", "round_trips")

    def __init__(self) -> None:
        self.leased = 0
        self.asked = 0
        self.round_trips = 0
        self.disconnects = 0
        self.losses: dict[tuple[str, str], int] = {}

    def lost(self, kind: str, rule: str) -> None:
        """Counts a charge that the server could not be asked about."""
        self.losses[kind, rule] = self.losses.get((kind, rule), 0) + 1


class SharedCounters:
    """How a ledger stands with the server that its counters are on.

    `up`: it answers. `answered_at` is when it last did, None before the first time. `error` says
    why it does not, or what is missing there, in one line, or "". `gates` share the counters, this
    one among them; `missing` of all that ever did have not said yet what they spent.
    """

    __slots__ = ("answered_at", "error", "gates", "missing", "server", "tally", "up")

    def __init__(self, server: str, tally: LedgerTally) -> None:
        self.server = server
        self.tally = tally
        self.up = False
        self.answered_at: Instant | None = None
        self.error = "not asked yet"
        self.gates = 1
        self.missing = 0


class StandingLedger(Ledger, Protocol):
    """A ledger with a life: it is started once before anything is reserved, and stopped once.

    `covered`: a later start reads no log line before this number, so all others must be kept.
    `forgotten`: so many of the log's first lines were gone when it started, and are not counted.
    `trouble`: what keeps it from being durable just now, in one line, or "".
    `shared`: how it stands with a server that its counters are on; None where there is none.
    """

    covered: int
    forgotten: int
    trouble: str
    shared: SharedCounters | None

    async def start(self, read_lines: ReadLines, log_size: int) -> None:
        """Becomes what it was, where it can. Raises DataError.

        `log_size` is how many lines the log has had so far; none is appended meanwhile.
        """

    def reopened(self) -> dict[str, Reservation]:
        """What `start` found reserved for holds, by their ids, each to be released once.

        A hold's reservation outlives the process by the log's lines alone: it is the ledger's where
        counters are a fold over these, and nothing where they are not.
        """

    async def stop(self) -> None:
        """Puts on disk what is to stay, and lets go of everything held. Raises DataError."""
