"""A ledger that several gates share: counters on a server, leased so that few requests ask it."""

import asyncio
from collections.abc import Callable, Coroutine
from math import inf
from pathlib import Path
from typing import Any, Final

from passgate.core.constraints.base import Charge
from passgate.core.free_tier import FREE, choices, is_free
from passgate.core.instant import Instant
from passgate.core.once import Once
from passgate.ledger.calendar_window import CalendarWindow
from passgate.ledger.embedded import EmbeddedLedger
from passgate.ledger.operations import ONCE, Remembering
from passgate.ledger.protocol import (
    Balance,
    Conflict,
    ReadLines,
    Reservation,
    Shortfall,
    Taken,
    Unavailable,
)
from passgate.ledger.valkey.desk import Ask, Desk
from passgate.ledger.valkey.fold_slack import with_slack
from passgate.ledger.valkey.link import Link
from passgate.ledger.valkey.owner import Owner
from passgate.ledger.valkey.settings import SharedSettings
from passgate.ledger.valkey.shares import Share
from passgate.ledger.valkey.windows import is_shared, shape_of

_FULL_TABLE_RETRY_S: Final = 60
_FULL_FOR_S: Final = 1.0


class ValkeyLedger(EmbeddedLedger):
    """Shared counters. What this gate took of them is in its own book, an embedded ledger.

    The server holds for each counter what each owner, that is each gate's data directory, has taken
    or leased. A request that the lease covers is decided at once; others ask, all that wait in one
    round trip, each all or none. The book's time is the server's. After a crash the book, which is
    a fold over this gate's log, says what of its leases was spent, and the rest goes back.

    While the server is away leases can be spent, and `OnLoss` says what happens to other charges;
    what is counted here meanwhile is told to the server later.
    """

    def __init__(
        self,
        path: Path,
        log_position: Callable[[], int],
        log_durable: Callable[[], int],
        settings: SharedSettings,
        clock: Callable[[], Instant],
        remembering: Remembering = Remembering(),  # noqa: B008 - a value, never changed
    ) -> None:
        super().__init__(path, log_position, log_durable, remembering=remembering)
        self._keep_s = remembering.keep_s
        self._settings = settings
        self._on_loss = settings.on_loss
        self._clock = clock
        self._owner_path = path.with_name("ledger-owner.json")
        self._slots: dict[int, tuple[Share | None, ...]] = {}
        self._onces: dict[int, Once] = {}
        self._desk: Desk
        self._link: Link
        self._linking: asyncio.Task[None] | None = None

    async def start(self, read_lines: ReadLines, log_size: int) -> None:
        """Reads the own book, and begins to look for the server; does not wait for it.

        Raises DataError for a damaged data directory.
        """
        owner = Owner.of(self._owner_path)
        await super().start(with_slack(read_lines), log_size)
        self._desk = Desk(self._settings, owner, self._by_name, self._keep_s)
        self._link = Link(self._settings, owner, self._desk, self._clock)
        self.shared = self._link.state
        self._linking = asyncio.get_running_loop().create_task(
            self._link.run(), name="shared ledger"
        )

    async def stop(self) -> None:
        """Gives every lease back, where the server is there, and closes the own book."""
        if self._linking is not None:
            self._linking.cancel()
            await asyncio.gather(self._linking, return_exceptions=True)
            self._linking = None
            await self._link.leave()
        await super().stop()

    def reserve(  # type: ignore[override] # an awaitable, too, as `Ledger` allows
        self,
        charges: tuple[Charge, ...],
        now: Instant,
        once: Once | None = None,
    ) -> Taken | Coroutine[Any, Any, Taken]:
        """Takes all charges or none; see `Ledger.reserve`.

        An awaitable where no lease covers them.
        """
        if once is None:
            desk = self._desk
            leased: tuple[Charge, ...] | None = charges
            if charges and charges[0].kind == FREE:
                leased = self._choice(charges, now.boot, _FULL_FOR_S)
            if leased is not None:
                covered = desk.shares.cover(leased, now.boot)
                if covered is not None:
                    desk.counted.leased += 1
                    return self._book(leased, self._server_time(now), covered)
        return self._unleased(charges, now, once)

    def settle(self, reservation: Reservation, spent_cents: int | None, now: Instant) -> None:
        """Ends a reservation whose request reached the upstream; see `Ledger.settle`."""
        super().settle(reservation, spent_cents, now)
        self._slots.pop(id(reservation), None)
        once = self._onces.pop(id(reservation), None)
        if once is not None:
            self._desk.end(once, True, None)
            self._link.wake()

    def release(self, reservation: Reservation, now: Instant) -> None:
        """Ends a reservation of which nothing reached the upstream; see `Ledger.release`.

        The money of an operation comes back once the server knows of no other request of it.
        """
        once = self._onces.pop(id(reservation), None)
        if once is None or not reservation.open:
            super().release(reservation, now)
            self._slots.pop(id(reservation), None)
            return
        charges = reservation.charges
        money = tuple([charge for charge in charges if charge.counter.startswith(ONCE)])
        reservation.charges = tuple([c for c in charges if not c.counter.startswith(ONCE)])
        super().release(reservation, now)
        reservation.charges = charges
        name = id(reservation)
        shares = self._slots.pop(name, ())

        def free() -> None:
            if self._copy is not None:
                self._copy.keep(money)
            self._slots[name] = shares
            for charge in money:
                self._give_back(charge, charge.amount, reservation)
            del self._slots[name]

        self._desk.end(once, False, None if reservation.repeated else free)
        self._link.wake()

    def left(self, reservation: Reservation) -> list[tuple[Charge, int, int | None]]:
        """What a reservation has left of each counter, by the server's last word and this gate's
        charges since; see `Ledger.left`."""
        shares = self._desk.shares.by_name
        lead = self._link.lead
        found = []
        boot = reservation.taken_at.boot
        for charge in reservation.charges:
            share = shares.get(charge.counter)
            if share is None or lead is None:
                found.append(self._own_left(charge, reservation.taken_ms, reservation.taken_at))
            else:
                found.append((charge, *_left_of(share, charge.limit, boot + lead)))
        return found

    def balances(self, charges: tuple[Charge, ...], now: Instant) -> tuple[Balance, ...]:
        """What is left of each charge's counter, by the server's last word on it.

        Of a counter that this gate has not used for a while it knows its own part only.
        """
        at = self._server_time(now)
        ms = self._time.see(at)
        lead = self._link.lead
        shares = self._desk.shares.by_name
        found = []
        for charge in charges:
            share = shares.get(charge.counter)
            if share is None or lead is None:
                found.append(Balance(*self._own_left(charge, ms, at)))
            else:
                found.append(Balance(charge, *_left_of(share, charge.limit, now.boot + lead)))
        return tuple(found)

    def _choice(
        self, charges: tuple[Charge, ...], boot: float, full_for_s: float
    ) -> tuple[Charge, ...] | None:
        """What charges with a free call before them come to, None where only the server knows.

        That no free call is left is taken for true for a while: one comes back only where a request
        never reached the upstream.
        """
        share = self._desk.shares.by_name.get(charges[0].counter)
        if share is None:
            return None
        gratis, priced = choices(charges)
        if share.covers(charges[0], boot):
            return gratis
        full = share.used >= charges[0].limit and not share.spare
        return priced if full and boot - share.asked_at < full_for_s else None

    def _own_left(self, charge: Charge, ms: int, at: Instant) -> tuple[Charge, int, int | None]:
        counter = self._by_name.get(charge.counter)
        if counter is None:
            counter = self._counters.unused(charge.counter)
        return (charge, *counter.left(ms, at.wall, charge.limit))

    def _unleased(
        self,
        charges: tuple[Charge, ...],
        now: Instant,
        once: Once | None,
    ) -> Taken | Coroutine[Any, Any, Taken]:
        at = self._server_time(now)
        ms = self._time.see(at)
        shared = 0
        for charge in charges:
            name = charge.counter
            if charge.amount < 0:
                raise ValueError(f"{name}: an amount of {charge.amount} is none")
            shape_of(name)
            if not is_shared(name):
                continue
            shared += 1
            # Subjects that anybody can invent share a bounded number of places, here as elsewhere.
            if (
                charge.amount
                and name not in self._by_name
                and self._counters.admit(name, ms, self._time.wall) is None
            ):
                return Shortfall(charge, 0, _FULL_TABLE_RETRY_S)
        if not shared and once is None:
            return EmbeddedLedger.reserve(self, charges, at, None)
        if not self._link.up:
            return self._without_server(charges, now, once)
        ask = self._desk.ask(charges, now.boot, once)
        self._link.wake()
        return self._asked(ask, now)

    async def _asked(self, ask: Ask, now: Instant) -> Taken:
        """The server's answer, or what `OnLoss` says where there is none."""
        answer = await ask.answered
        if answer is False:
            return self._without_server(ask.charges, now, ask.once)
        if not isinstance(answer, bool):
            return answer
        self._desk.booked(ask)
        at = self._server_time(now)
        if at.wall < ask.granted_s:  # it waited, perhaps over midnight
            at = Instant(ask.granted_s, now.boot)
        taken = self._book(ask.charges, at, ask.shares)
        taken.repeated = ask.repeated
        if ask.once is not None:
            self._onces[id(taken)] = ask.once
        return taken

    def _book(
        self,
        charges: tuple[Charge, ...],
        at: Instant,
        shares: tuple[Share | None, ...],
    ) -> Reservation:
        """Puts into the own book what the server has granted, or what is counted here for once."""
        if self._copy is not None:
            self._copy.keep(charges)
        time = self._time
        ms = time.see(at)
        wall = time.wall
        by_name = self._by_name
        for charge in charges:
            amount = charge.amount
            if amount:
                counter = by_name.get(charge.counter)
                if counter is None:
                    counter = self._counters.any(charge.counter, ms, wall)
                counter.put(ms, wall, amount)
        taken = Reservation(charges, at if at.wall == wall else Instant(wall, at.boot), True, ms)
        self._open[id(taken)] = taken
        self._slots[id(taken)] = shares
        return taken

    def _give_back(self, charge: Charge, amount: int, reservation: Reservation) -> None:
        super()._give_back(charge, amount, reservation)
        share: Share | None = None
        shares = self._slots.get(id(reservation))
        if shares is not None:
            for other in shares:
                if other is not None and other.counter == charge.counter:
                    share = other
        if (
            amount
            and is_shared(charge.counter)
            and self._desk.give_back(charge, amount, share, self._clock().boot)
        ):
            self._link.wake()

    def _server_time(self, now: Instant) -> Instant:
        """`now` by the server's clock; by this machine's until the server was met."""
        lead = self._link.lead
        return now if lead is None else Instant(now.boot + lead, now.boot)

    def _without_server(
        self,
        charges: tuple[Charge, ...],
        now: Instant,
        once: Once | None,
    ) -> Taken:
        """Counts here what may be counted here, up to this gate's part of each limit."""
        desk = self._desk
        if once is not None:
            desk.counted.lost("replay", "deny")
            return Unavailable(charges[0]) if charges else Conflict(once)
        at = self._server_time(now)
        ms = self._time.see(at)
        wall = self._time.wall
        if is_free(charges):
            chosen = self._choice(charges, now.boot, inf)
            if chosen is None:
                desk.counted.lost("spend", self._on_loss.spend)
                if self._on_loss.spend == "deny":
                    return Unavailable(charges[0])
                chosen = self._chosen(charges, ms, wall)
            charges = chosen
        covers: list[Share | None] = []
        refused: Shortfall | Unavailable | None = None
        wanted: dict[str, int] = {}
        for charge in charges:
            name, amount = charge.counter, charge.amount
            share = desk.shares.by_name.get(name)
            if not amount:
                covers.append(None)
                continue
            if share is not None and share.covers(charge, now.boot):
                share.spare -= amount
                covers.append(share)
                continue
            loss = shape_of(name).loss
            rule = self._on_loss.of(loss)
            if is_shared(name):
                desk.counted.lost(loss, rule)
                if rule == "deny":
                    refused = Unavailable(charge)
                    break
            limit = self._part_of(charge, share)
            counter = self._by_name.get(name) or self._counters.unused(name)
            needed = wanted[name] = wanted.get(name, 0) + amount
            used = counter.used_at(ms, wall)
            if used + needed > limit:
                wait_s = counter.wait_s(ms, wall, needed, limit)
                refused = Shortfall(charge, max(0, limit - used), wait_s)
                break
            covers.append(None)
        if refused is not None:
            for index, share in enumerate(covers):
                if share is not None:
                    share.spare += charges[index].amount
            return refused
        for index, charge in enumerate(charges):
            if covers[index] is None and charge.amount:
                desk.tell(charge.counter)
        return self._book(charges, at, tuple(covers))

    def _part_of(self, charge: Charge, share: Share | None) -> int:
        """What this gate may use of a limit by itself: an equal part, and nothing known as used."""
        if not is_shared(charge.counter):
            return charge.limit
        part = max(1, charge.limit // self._link.state.gates)
        counter = self._by_name.get(charge.counter)
        if share is None or not isinstance(counter, CalendarWindow):
            return part
        others = max(0, share.used - share.spare - counter.used)
        return min(part, charge.limit - others)


def _left_of(share: Share, limit: int, server_s: float) -> tuple[int, int | None]:
    """What is left of `limit` as far as this share knows, and whole seconds until all of it is."""
    left = limit - share.used + share.spare
    reset_s = None if not share.whole_ms else max(0, -int((server_s - share.whole_ms / 1000) // 1))
    return (left if left > 0 else 0), reset_s
