"""What this gate has of the server's counters: leases that are spent without asking."""

from collections.abc import Iterator
from math import inf
from typing import Final

from passgate.core.constraints.base import Charge
from passgate.ledger.valkey.windows import CALENDAR, SLIDING

_SWEPT: Final = 2_000  # looked at in one go, so that forgetting never holds anybody up
_IDLE_S: Final = 5.0


class Share:
    """This gate's part of one counter, as of the server's last word on it.

    `spare` is leased and not spent: the server counts it as used. It may be spent until `ends` (by
    the boot clock) by charges of at least `limit`. `used` is all that the server counted, this
    spare among it, and `whole_ms` when, by its clock, all of it will have come back, 0 for never.
    `bucket` is where a sliding window has the lease, `start_ms` when a calendar window began.
    """

    __slots__ = (
        "asked_at",
        "bucket",
        "counter",
        "ends",
        "key",
        "limit",
        "spare",
        "start_ms",
        "touched",
        "type",
        "used",
        "whole_ms",
    )

    def __init__(self, counter: str, key: str, type: int, start_ms: int, bucket: int) -> None:  # noqa: A002 - the name of the field
        self.counter = counter
        self.key = key
        self.type = type
        self.start_ms = start_ms
        self.bucket = bucket
        self.spare = 0
        self.limit = 0
        self.ends = inf
        self.used = 0
        self.whole_ms = 0
        self.touched = 0.0  # by the boot clock: when it was last spent from
        self.asked_at = 0.0  # likewise: when the server last said something

    def covers(self, charge: Charge, boot: float) -> bool:
        """Whether a charge may be taken from what is leased."""
        return charge.amount <= self.spare and charge.limit >= self.limit and boot < self.ends

    def field(self, owner: str) -> str:
        """Where in the counter's hash the server keeps this share."""
        return f"{self.bucket}:{owner}" if self.type == SLIDING else owner


class Shares:
    """The shares by counter. A counter that is neither leased nor touched is forgotten in time."""

    def __init__(self) -> None:
        self.by_name: dict[str, Share] = {}
        self._unswept: list[str] = []

    def cover(self, charges: tuple[Charge, ...], boot: float) -> tuple[Share | None, ...] | None:
        """Takes all charges from what is leased, or nothing and returns None.

        The shares come back in the charges' order; None stands for a charge of nothing.
        """
        by_name = self.by_name
        taken: list[Share | None] = []
        for charge in charges:
            amount = charge.amount
            if not amount:
                taken.append(None)
                continue
            share = by_name.get(charge.counter)
            if (
                share is None
                or amount > share.spare
                or charge.limit < share.limit
                or boot >= share.ends
                or amount < 0
            ):
                for index, done in enumerate(taken):
                    if done is not None:
                        done.spare += charges[index].amount
                return None
            share.spare -= amount
            share.touched = boot
            taken.append(share)
        return tuple(taken)

    def ended(self, boot: float) -> Iterator[Share]:
        """Those with a spare whose lease has ended or that nobody has spent from for a while, and
        those without one that are forgotten for it.

        Looks at some of all shares each time.
        """
        names = self._unswept
        if not names:
            self._unswept = names = list(self.by_name)
        for _ in range(min(_SWEPT, len(names))):
            share = self.by_name.get(names.pop())
            if share is None:
                continue
            idle = boot - max(share.touched, share.asked_at) > _IDLE_S
            if share.spare:
                if idle or boot >= share.ends:
                    yield share
            elif idle:
                del self.by_name[share.counter]
                if share.type == CALENDAR:
                    yield share
