"""Reserves: what is reserved of the ledger for holds, until each passes or is over."""

from collections.abc import Awaitable
from typing import Any

from passgate.approvals.held import Held
from passgate.core.instant import Instant
from passgate.ledger.protocol import Reservation, StandingLedger
from passgate.log import Log


class Reserves:
    """Reservations by the ids of their holds, each released once; the log's lines say which."""

    def __init__(self, ledger: StandingLedger, log: Log) -> None:
        self._ledger = ledger
        self._log = log
        self._by_hold: dict[str, Reservation] = {}

    def __contains__(self, hold_id: str) -> bool:
        return hold_id in self._by_hold

    def reopened(self) -> dict[str, Reservation]:
        """What the ledger found for holds of the run before: to be kept, or released as lost."""
        return dict(self._ledger.reopened())

    def keep(self, hold_id: str, reservation: Reservation) -> None:
        """Takes over what is reserved for a hold."""
        self._by_hold[hold_id] = reservation

    def give_back(self, hold_id: str, now: Instant) -> None:
        """Releases what is reserved for a hold, if anything is."""
        reservation = self._by_hold.pop(hold_id, None)
        if reservation is not None:
            self._ledger.release(reservation, now)

    def lose(self, hold_id: str, reservation: Reservation, now: Instant) -> None:
        """Releases what is reserved for a hold that never came into the book, or ended there."""
        self._ledger.release(reservation, now)
        members = {"hold_id": hold_id, "released": True, "state": "lost"}
        self._log.append_event("hold", members, now.wall)

    async def renew(self, held: Held, now: Instant) -> None:
        """Reserves again what a hold is to have; where it does not fit any more, that is said."""
        taken = self._ledger.reserve(held.reserved(), now)
        if isinstance(taken, Awaitable):
            taken = await taken
        members: dict[str, Any] = {"hold_id": held.id, "state": held.state}
        if isinstance(taken, Reservation):
            taken.decision_id = held.id
            self._by_hold[held.id] = taken
            members["charges"] = [{"amount": c.amount, "counter": c.counter} for c in taken.charges]
        else:
            members["released"] = True
        self._log.append_event("hold", members, now.wall)
