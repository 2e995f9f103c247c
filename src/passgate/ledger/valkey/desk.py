"""What waits to be said to the server, put into one batch; and what its answer means."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from passgate.core.constraints.base import Charge
from passgate.core.free_tier import FREE, choices, is_free
from passgate.core.once import Once
from passgate.ledger.calendar_window import CalendarWindow
from passgate.ledger.counters import Counter
from passgate.ledger.memory import repeated_charge
from passgate.ledger.protocol import Conflict, LedgerTally, Shortfall
from passgate.ledger.sliding_window import GREATEST, SlidingWindow
from passgate.ledger.valkey.owner import Owner
from passgate.ledger.valkey.settings import SharedSettings
from passgate.ledger.valkey.shares import Share, Shares
from passgate.ledger.valkey.windows import (
    CALENDAR,
    CONCURRENT,
    SLIDING,
    Shape,
    is_shared,
    key_of,
    period,
    shape_of,
)

_ASKS: Final = 256
_GIVES: Final = 1_000
_SYNCS: Final = 200
_TRIES: Final = 20
_MARGIN_S: Final = 0.002  # a request's moment is read a little before its charges are taken


class Unusable(Exception):  # noqa: N818 - the answer is what is unusable
    """The server's answer is none that this version could have caused."""


class Ask:
    """Charges that wait for the server.

    `answered` becomes True where all was granted: then `shares` holds, in the charges' order, the
    share that each came from (None: it takes nothing), `granted_s` when that was, and `repeated`
    says that the operation had been charged before, so that no money was taken. It becomes False
    where nobody has answered or can know. `needs` are what the server is asked for: the rest,
    `earmarked`, is spare that was set aside from a lease.
    """

    __slots__ = (
        "answered",
        "charges",
        "earmarked",
        "granted_s",
        "needs",
        "once",
        "repeated",
        "shares",
        "tried",
    )

    def __init__(
        self,
        charges: tuple[Charge, ...],
        needs: list[int],
        earmarked: list[tuple[Share, int]],
        once: Once | None,
        answered: asyncio.Future[bool | Shortfall | Conflict],
    ) -> None:
        self.charges = charges
        self.needs = needs
        self.earmarked = earmarked
        self.once = once
        self.answered = answered
        self.tried = 0
        self.granted_s = 0.0
        self.repeated = False
        self.shares: tuple[Share | None, ...] = ()


class Ending(NamedTuple):
    """The end of a request of an operation; `free` is called once nobody owes its money."""

    once: Once
    sent: bool
    free: Callable[[], None] | None


class Batch:
    """One message to the server: its keys, its payload but for the head, and what it is about."""

    __slots__ = ("asks", "done", "ends", "keys", "names", "rows", "slots")

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.rows: tuple[list[Any], ...] = ([], [], [], [])  # gives, syncs, asks, ends
        self.asks: list[Ask] = []
        self.slots: list[list[tuple[int, str, int]]] = []  # per ask: place, key, start
        self.ends: list[Ending] = []
        self.names: set[str] = set()
        self.done = False


class Desk:
    """All that is to be told to or asked of the server, and the shares that came of it."""

    def __init__(
        self, settings: SharedSettings, owner: Owner, book: Mapping[str, Counter], keep_s: float
    ) -> None:
        self.shares = Shares()
        self.counted = LedgerTally()
        self.must_report = False
        self._settings = settings
        self._owner = owner
        self._book = book
        self._keep_ms = int(keep_s * 1000)  # operations are known for so long
        self._asks: list[Ask] = []
        self._ends: list[Ending] = []
        self._gives: dict[tuple[str, str], tuple[str, int]] = {}
        self._tells: dict[str, None] = {}  # in order, each once
        self._leased_keys: dict[str, str] = {}  # of an earlier run of this gate: key, counter
        self._granted: dict[str, int] = {}  # and not yet booked

    @property
    def idle(self) -> bool:
        """Whether there is nothing to say."""
        return not (
            self._asks
            or self._gives
            or self._ends
            or self._tells
            or self._leased_keys
            or self.must_report
        )

    # From the ledger.

    def ask(self, charges: tuple[Charge, ...], boot: float, once: Once | None) -> Ask:
        """Puts charges in line; what a lease of this gate has of them is set aside for them.

        Nothing is set aside where money may not be needed: of an operation, which may be a repeat,
        and where a free call may be left.
        """
        needs: list[int] = []
        earmarked: list[tuple[Share, int]] = []
        certain = once is None and not is_free(charges)
        for charge in charges:
            need = charge.amount
            share = self.shares.by_name.get(charge.counter)
            if share is not None and share.spare and need:
                if charge.limit < share.limit:
                    self._return(share)  # granted under another limit, and in the way of this one
                elif share.type != SLIDING and boot < share.ends and certain:
                    part = min(need, share.spare)
                    share.spare -= part
                    need -= part
                    earmarked.append((share, part))
            needs.append(need)
        ask = Ask(charges, needs, earmarked, once, asyncio.get_running_loop().create_future())
        self._asks.append(ask)
        return ask

    def booked(self, ask: Ask) -> None:
        """What was granted to `ask` is in the book from now on."""
        for index, charge in enumerate(ask.charges):
            need = ask.needs[index]
            if need:
                left = self._granted.get(charge.counter, 0) - need
                if left > 0:
                    self._granted[charge.counter] = left
                else:
                    self._granted.pop(charge.counter, None)
        for share, part in ask.earmarked:
            left = self._granted.get(share.counter, 0) - part
            if left > 0:
                self._granted[share.counter] = left
            else:
                self._granted.pop(share.counter, None)

    def give_back(self, charge: Charge, amount: int, share: Share | None, boot: float) -> bool:
        """Takes `amount` of a charge back. Whether the server has to be told of it."""
        if share is None:
            self.tell(charge.counter)
            return True
        current = self.shares.by_name.get(charge.counter)
        if current is share and share.limit and boot < share.ends:
            share.spare += amount
            return False
        self._give(share, amount)
        return True

    def end(self, once: Once, sent: bool, free: Callable[[], None] | None) -> None:
        """Has the server told that a request of an operation has ended.

        `free` is called when it turns out that nobody owes what it took; never, where the server
        cannot say so.
        """
        self._ends.append(Ending(once, sent, free))

    def tell(self, counter: str) -> None:
        """Has the server told, in numbers that replace what it has, what was taken of `counter`."""
        if is_shared(counter):
            self._tells[counter] = None

    def return_ended(self, boot: float) -> None:
        """Gives back what was leased and is not needed any more."""
        for share in self.shares.ended(boot):
            self._return(share)

    def return_all(self) -> None:
        """Gives back every lease."""
        for share in self.shares.by_name.values():
            if share.spare:
                self._return(share)

    def _return(self, share: Share) -> None:
        spare, share.spare = share.spare, 0
        self._give(share, spare)

    def _give(self, share: Share, amount: int) -> None:
        current = self.shares.by_name.get(share.counter)
        if current is not None and current.key == share.key:
            current.used = max(0, current.used - amount)
        place = (share.key, share.field(self._owner.name))
        _, waiting = self._gives.get(place, ("", 0))
        self._gives[place] = (share.counter, waiting + amount)

    # From the link.

    def met(self, *, known: bool, must_report: bool, leased_keys: Sequence[str]) -> None:
        """A server has been greeted. `known`: this run of the gate has told it everything before.

        What may be wrong there is told: all that this gate took, where the server lacks some of it
        or this gate has just started; and what an earlier run of it had leased.
        """
        self.must_report = must_report
        if must_report:
            for name in self._book:
                self.tell(name)
        elif not known:
            for name in self._book:
                if shape_of(name).loss == "spend":
                    self.tell(name)
        for key in leased_keys:
            counter, _, _ = key.partition(":c:")[2].partition("@")
            share = self.shares.by_name.get(counter)
            if share is None or share.key != key:
                self._leased_keys[key] = counter

    def lost(self, batch: Batch | None) -> None:
        """Nobody will answer those that wait; and of `batch` nobody knows what has been done."""
        waiting = self._asks
        self._asks = []
        if batch is not None:
            waiting = batch.asks + waiting
            for name in batch.names:
                self.tell(name)
        for ask in waiting:
            self._refuse(ask, False)

    def compose(self, server_ms: float, boot: float) -> Batch:
        """The next batch: at most so much that the server is never held up for long."""
        batch = Batch()
        places: dict[str, int] = {}
        gives, _, asks, ends = batch.rows

        def place_of(key: str) -> int:
            place = places.get(key)
            if place is None:
                batch.keys.append(key)
                places[key] = place = len(batch.keys) + 4  # after the four that all have
            return place

        for (key, field), (counter, amount) in list(self._gives.items())[:_GIVES]:
            del self._gives[key, field]
            share = self.shares.by_name.get(counter)
            unleased = share is None or share.key != key or not share.spare
            gives.append((place_of(key), field, amount, int(unleased)))
            batch.names.add(counter)
        if not self._gives:  # numbers that replace must not meet some that are still to be deducted
            self._compose_syncs(batch, place_of, server_ms, boot)
        for ending in self._ends[:_GIVES]:
            ends.append((place_of(self._key_of(ending.once)), int(ending.sent)))
            batch.ends.append(ending)
        del self._ends[:_GIVES]
        for ask in self._asks[:_ASKS]:
            rows = []
            slots = []
            for index, charge in enumerate(ask.charges):
                need = ask.needs[index]
                if not need or not is_shared(charge.counter):
                    continue
                shape = shape_of(charge.counter)
                start, end = _span(shape, server_ms)
                key = key_of(self._settings.name, charge.counter, start if end else 0)
                lease = self._settings.lease_cents if shape.cents else self._settings.lease_calls
                rows.append(
                    (place_of(key), shape.type, start, end, need, -1 if lease is None else lease,
                     min(charge.limit, GREATEST), 2 if charge.kind == FREE else int(shape.cents))
                )  # fmt: skip
                slots.append((index, key, start if end else 0))
                batch.names.add(charge.counter)
            for share, _ in ask.earmarked:
                batch.names.add(share.counter)
            once = ask.once
            if once is None:
                asks.append((rows, 0, "", 0))
            else:
                place = place_of(self._key_of(once))
                asks.append((rows, place, once.digest, self._keep_ms))
            batch.asks.append(ask)
            batch.slots.append(slots)
        del self._asks[: len(batch.asks)]
        if self.must_report and not (self._gives or self._tells or self._leased_keys):
            batch.done = True
        return batch

    def _compose_syncs(self, batch: Batch, place_of: Any, server_ms: float, boot: float) -> None:
        syncs = batch.rows[1]
        for counter in list(self._tells)[:_SYNCS]:
            shape = shape_of(counter)
            start, end = _span(shape, server_ms)
            key = key_of(self._settings.name, counter, start if end else 0)
            fields = self._taken_of(counter, shape, key, start, server_ms)
            if fields is None:
                continue  # around midnight: it stays to be told
            del self._tells[counter]
            self._leased_keys.pop(key, None)
            expires = 0
            if shape.type == SLIDING:
                expires = int(server_ms) + shape.length_ms + shape.length_ms // 20 + 60_000
            elif shape.type == CONCURRENT:
                expires = int(server_ms) + 2_592_000_000
            elif end:
                expires = end + 86_400_000
            share = self.shares.by_name.get(counter)
            unleased = share is None or share.key != key or not share.spare
            syncs.append((place_of(key), shape.type, fields, expires, int(unleased)))
            batch.names.add(counter)
        for key in list(self._leased_keys)[:_SYNCS]:
            counter = self._leased_keys.pop(key)
            start = int(key.rpartition("@")[2]) if "@" in key else 0
            now_start, _ = _span(shape_of(counter), server_ms)
            if start == now_start:
                self._tells[counter] = None  # goes the way of all others, next time
            else:
                syncs.append((place_of(key), CALENDAR, [], 0, 1))  # that window is over

    def _taken_of(
        self, counter: str, shape: Shape, key: str, start: int, server_ms: float
    ) -> list[Any] | None:
        """The fields that this gate has in a counter's hash; None where that is not known now."""
        owner = self._owner.name
        share = self.shares.by_name.get(counter)
        spare = share.spare if share is not None and share.key == key else 0
        held = self._granted.get(counter, 0)
        for ask in self._asks:
            held += sum(part for s, part in ask.earmarked if s.counter == counter)
        book = self._book.get(counter)
        if isinstance(book, SlidingWindow):
            oldest = int(server_ms) * 60 // shape.length_ms - 60
            amounts = {bucket: amount for bucket, amount in book.amounts() if bucket >= oldest}
            newest = oldest + 60
            if held:
                amounts[newest] = amounts.get(newest, 0) + held
            if spare and share is not None:
                amounts[share.bucket] = amounts.get(share.bucket, 0) + spare
            fields: list[Any] = []
            for bucket, amount in amounts.items():
                if amount:
                    fields += (f"{bucket}:{owner}", amount)
            return fields
        used = 0
        if isinstance(book, CalendarWindow):
            book_ms = book.window[0] * 1000  # -inf of a counter that was never used
            if start and book.used and book_ms > start:
                return None
            if not start or book_ms == start:
                used = book.used
        elif book is not None:
            used = book.used
        total = used + spare + held
        return [owner, total] if total else []

    def _key_of(self, once: Once) -> str:
        return f"{{{self._settings.name}}}:o:{once.name}"

    def absorb(
        self,
        batch: Batch,
        answer: Sequence[Any],
        ended: Sequence[Any],
        boot: float,
        server_ms: int,
    ) -> None:
        """Acts on the answers to a batch that was sent at `boot`. Raises Unusable."""
        if len(answer) != len(batch.asks) or len(ended) != len(batch.ends):
            raise Unusable(f"{len(answer)} answers to {len(batch.asks)} questions")
        for ending, forgotten in zip(batch.ends, ended, strict=True):
            if forgotten == 1 and ending.free is not None:
                ending.free()
        again = []
        if batch.done:
            self.must_report = False
        for index, ask in enumerate(batch.asks):
            said = answer[index]
            slots = batch.slots[index]
            what = said[0]
            if what in (1, 5) and len(said) == len(slots) + 1:
                ask.repeated = what == 5
                self._granted_to(ask, slots, said[1:], boot, server_ms)
            elif what == 0 and ask.tried < _TRIES and self._let_go_for(ask):
                ask.tried += 1
                again.append(ask)
            elif what == 0:
                charge = ask.charges[slots[said[1]][0]]
                self._refuse(ask, self._shortfall(ask, charge, said[2], said[3], boot))
            elif what == 3 and ask.tried < _TRIES:
                ask.tried += 1
                again.append(ask)
            elif what in (2, 3):
                self._refuse(ask, False)
            elif what == 4 and ask.once is not None:
                self._refuse(ask, Conflict(ask.once))
            else:
                raise Unusable("an answer of an unknown kind")
        self._asks[:0] = again

    def _let_go_for(self, ask: Ask) -> bool:
        """Gives back what this gate has leased and the server counts against `ask`: whether any."""
        shares = [self.shares.by_name.get(charge.counter) for charge in ask.charges]
        spare = [share for share in shares if share is not None and share.spare]
        for share in spare:
            self._return(share)
        return bool(spare)

    def _shortfall(
        self, ask: Ask, charge: Charge, used: int, wait_ms: int, boot: float
    ) -> Shortfall:
        """What does not fit; what this gate has leased is used to the server, and not to it."""
        name, limit = charge.counter, min(charge.limit, GREATEST)
        own = sum([part for share, part in ask.earmarked if share.counter == name])
        share = self.shares.by_name.get(name)
        if share is not None and boot < share.ends:
            own += share.spare
        wanted = sum([other.amount for other in ask.charges if other.counter == name])
        wait_s = None if wait_ms < 0 or wanted > limit else max(1, -(-wait_ms // 1000))
        return Shortfall(charge, max(0, min(limit - used + own, wanted - 1)), wait_s)

    def _granted_to(
        self,
        ask: Ask,
        slots: list[tuple[int, str, int]],
        grants: Sequence[Any],
        boot: float,
        server_ms: int,
    ) -> None:
        shares: list[Share | None] = [None] * len(ask.charges)
        for share, part in ask.earmarked:
            self._granted[share.counter] = self._granted.get(share.counter, 0) + part
        for index, (place, key, start) in enumerate(slots):
            charge = ask.charges[place]
            granted, used, bucket, whole_ms = grants[index]
            need = ask.needs[place]
            if granted < need:  # nothing was needed of it after all
                need = ask.needs[place] = 0
            self._granted[charge.counter] = self._granted.get(charge.counter, 0) + need
            shares[place] = self._share(
                charge, key, start, bucket, granted - need, used, whole_ms, boot, server_ms
            )
        if is_free(ask.charges):
            gratis, priced = choices(ask.charges)
            if ask.needs[0]:
                ask.charges = gratis
            else:
                ask.charges = priced
                del shares[0], ask.needs[0]
        if ask.repeated:
            ask.charges = tuple([repeated_charge(charge) for charge in ask.charges])
        earmarks = {share.counter: share for share, _ in ask.earmarked}
        for index, charge in enumerate(ask.charges):
            if shares[index] is None and charge.amount:
                shares[index] = earmarks.get(charge.counter)
        if ask.answered.done():
            # Whoever asked has gone: the server is told what was taken without it.
            self.booked(ask)
            for charge in ask.charges:
                self.tell(charge.counter)
        else:
            ask.shares = tuple(shares)
            ask.granted_s = server_ms / 1000
            ask.answered.set_result(True)

    def _share(
        self,
        charge: Charge,
        key: str,
        start: int,
        bucket: int,
        extra: int,
        used: int,
        whole_ms: int,
        boot: float,
        server_ms: int,
    ) -> Share:
        """The share that a grant was put into, which is the counter's own or, where a sliding
        window has its lease in the bucket after, one that is only good for giving back."""
        name = charge.counter
        shape = shape_of(name)
        by_name = self.shares.by_name
        current = by_name.get(name)
        if shape.type == SLIDING:
            taken = Share(name, key, SLIDING, 0, bucket)
            if extra or current is None or boot >= current.ends:
                if current is None or current.bucket != bucket + 1 or not extra:
                    if current is not None and current.spare:
                        self._return(current)
                    current = Share(name, key, SLIDING, 0, bucket + 1 if extra else bucket)
                    current.ends = boot - _MARGIN_S
                    by_name[name] = current
                if extra:
                    current.ends = boot + shape.length_ms / 60_000 - _MARGIN_S
        else:
            if current is None or current.key != key:
                current = Share(name, key, shape.type, start, 0)
                end = _span(shape, server_ms)[1]
                if shape.type == CALENDAR and end:
                    current.ends = boot + (end - server_ms) / 1000 - _MARGIN_S
                by_name[name] = current
            taken = current
        if extra:
            current.limit = max(charge.limit, current.limit if current.spare else 0)
            current.spare += extra
        current.used = used
        current.whole_ms = whole_ms
        current.asked_at = boot
        return taken

    def _refuse(self, ask: Ask, answer: Shortfall | Conflict | bool) -> None:
        for share, part in ask.earmarked:
            share.spare += part
        if not ask.answered.done():
            ask.answered.set_result(answer)


def _span(shape: Shape, server_ms: float) -> tuple[int, int]:
    if shape.type == CALENDAR:
        return period(shape.unit, server_ms)
    return shape.length_ms, 0


ENCODE: Final = msgspec.msgpack.Encoder().encode
DECODE: Final = msgspec.msgpack.Decoder().decode
