"""Approvals: everything that is held, and the only place where its state changes.

A change counts once it is in the book, so a crash at any moment leaves a hold in the state before
or after it: a grant is never used twice, and an approval that was confirmed is not lost. What is
reserved for a hold is on the log's lines, as everything is that is charged.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from passgate.approvals.book import Book
from passgate.approvals.courier import Courier
from passgate.approvals.held import APPROVED, DENIED, LAPSED, LIVE, PENDING, USED, Held
from passgate.approvals.letters import Letter, write_letter
from passgate.approvals.reserves import Reserves
from passgate.approvals.roster import Roster
from passgate.approvals.scribe import Scribe
from passgate.approvals.settings import ApprovalSettings
from passgate.approvals.waiting import WaitingRoom
from passgate.clock import Clock
from passgate.core.instant import Instant
from passgate.ledger.protocol import HOLD_PREFIX, Reservation, StandingLedger
from passgate.log import Log
from passgate.ulid import UlidSource

NOBODY: Final = "Nobody decided in time."
_TICK_S: Final = 1.0
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class NotDecided:
    """Why a hold is as it was: `why` is `unknown`, `ended`, `agent` or `storage`."""

    why: str
    detail: str


class Approvals:
    """The holds of one gate. One event loop uses it.

    `find` and everything that a request asks see what is due as ended, whether or not it was swept
    already. A hold that is being written is nobody else's to change meanwhile.
    """

    def __init__(
        self,
        book: Book,
        ledger: StandingLedger,
        log: Log,
        clock: Clock,
        gate_id: str,
        settings: ApprovalSettings,
        *,
        wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
        boot_id: str | None = None,
    ) -> None:
        self.settings = settings
        self.courier = Courier(book, clock, settings.webhook, wait=wait)
        self._book = book
        self._log = log
        self._clock = clock
        self._gate_id = gate_id
        self._wait = wait
        self._boot_id = _machine_boot_id() if boot_id is None else boot_id
        self._ids = UlidSource(HOLD_PREFIX)
        self._letter_ids = UlidSource("evt_")
        self._roster = Roster()
        self._room = WaitingRoom(wait)
        self._reserves = Reserves(ledger, log)
        self._scribe = Scribe(book, self.courier, self._roster.get)
        self._keeping: asyncio.Task[None] | None = None

    @property
    def trouble(self) -> str:
        """What keeps holds from being put on disk just now, in one line, or ""."""
        return self._scribe.trouble

    # Its life.

    async def start(self) -> None:
        """Reads the book and reserves anew what the ledger has forgotten. Raises DataError."""
        holds, letters = await self._book.open()
        reopened = self._reserves.reopened()
        now = self._clock()
        for held in holds:
            self._rebase(held, now)
            self._roster.add(held)
            if held.state in LIVE:
                await self._restore(held, reopened.pop(held.id, None))
        for hold_id, reservation in reopened.items():
            self._reserves.lose(hold_id, reservation, now)
        self.courier.start(letters)
        self.sweep(now)
        self._keeping = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Writes what is not written yet and closes the book; what is held stays held."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
            self._keeping = None
            await self._scribe.catch_up()
        await self.courier.stop()
        await self._book.close()

    def drain(self) -> None:
        """Whoever waits for a person is answered now, and nobody waits any more."""
        self._room.close()

    def adopt(self, settings: ApprovalSettings) -> None:
        """Other settings, for what happens from now on."""
        self.settings = settings
        self.courier.adopt(settings.webhook)

    # What a request asks.

    def find(self, digest: str, now: Instant) -> Held | None:
        """The hold that counts for a request: it waits, has a grant, or was denied."""
        held = self._roster.of(digest)
        if held is not None:
            self._advance(held, now)
            held = self._roster.of(digest)
        return held

    def is_busy(self, held: Held) -> bool:
        """Whether a change of it is being written just now."""
        return held.id in self._scribe.busy

    def room_for(self, issuer: str, passport_id: str, now: Instant) -> bool:
        """Whether another hold of this passport may open."""
        if not self._roster.has_room(issuer, passport_id):
            self.sweep(now)
        return self._roster.has_room(issuer, passport_id)

    async def open(
        self, fields: dict[str, Any], reservation: Reservation | None, now: Instant
    ) -> Held | None:
        """Opens a hold for a request, and takes over what was reserved for it in this turn.

        None where it cannot be put on disk: then nothing is held and nothing is reserved.
        """
        ttl_s = self.settings.ttl_s
        charges = () if reservation is None else reservation.charges
        held = Held(
            **fields,
            id=self._ids.next(now.wall),
            charges=tuple(
                (c.counter, c.kind, c.window, c.amount, c.limit, c.constraint) for c in charges
            ),
            opened_wall=now.wall,
            ttl_s=ttl_s,
            wall=now.wall,
            boot=now.boot,
            boot_id=self._boot_id,
            lasts_s=ttl_s,
        )
        self._roster.add(held)
        self._scribe.busy.add(held.id)
        if reservation is not None:
            reservation.decision_id = held.id
            self._reserves.keep(held.id, reservation)
        members = {"decision": "request_hold", "state": PENDING, **_on_record(held)}
        members["constraint"] = held.constraint
        members["charges"] = [{"amount": c.amount, "counter": c.counter} for c in charges]
        members["expires_at"] = held.expires_at
        self._log.append_event("hold", members, now.wall)
        written = await self._scribe.write(held, self._letter(held, "opened", now))
        self._scribe.busy.discard(held.id)
        if written:
            return held
        self._release(held, "failed")
        self._forget(held)
        return None

    async def wait(self, held: Held, seconds: float, parked: asyncio.Future[None]) -> bool:
        """Waits until a person or time decides, `parked` is done, or for that long.

        False at once where too many wait already: see `WaitingRoom.stay`.
        """
        root = held.issuer, held.passport_id.partition("/")[0]
        return held.state != PENDING or await self._room.stay(held.id, root, seconds, parked)

    async def claim(self, held: Held, now: Instant) -> bool:
        """Takes the grant for one request, on disk first; False where that fails.

        From the call on it is nobody else's. Afterwards `spent` or `unclaim` ends it.
        """
        self._scribe.busy.add(held.id)
        used = msgspec.structs.replace(held)
        used.become(USED, now, held.ttl_s)
        if await self._scribe.write(used, None):
            return True
        self._scribe.busy.discard(held.id)
        return False

    def let_go(self, held: Held, now: Instant) -> None:
        """Gives back what is reserved for a claimed hold, for its request to be charged instead.

        In the turn of the loop in which that is reserved, and `spent` or `unclaim` follows.
        """
        self._reserves.give_back(held.id, now)

    def spent(self, held: Held, now: Instant) -> None:
        """The request that claimed the grant is charged and on record: the hold is over."""
        self._scribe.busy.discard(held.id)
        self._ends(held, USED, now)

    async def unclaim(self, held: Held, now: Instant) -> None:
        """The request that claimed the grant is refused after all: the grant is as it was."""
        if held.id not in self._reserves and held.charges:
            await self._reserves.renew(held, now)
        self._scribe.busy.discard(held.id)
        self._scribe.later(held.id)
        await self._scribe.catch_up()

    # What people ask.

    def listed(self, now: Instant) -> list[Held]:
        """Everything that is held or remembered, the newest first."""
        self.sweep(now)
        return sorted(self._roster.all(), key=lambda held: held.id, reverse=True)

    def known(self, hold_id: str, now: Instant) -> Held | None:
        """The hold with that id, while it is remembered."""
        held = self._roster.get(hold_id)
        if held is not None:
            self._advance(held, now)
        return self._roster.get(hold_id)

    def open_of(self, issuer: str, passport_id: str, agent: str, now: Instant) -> list[Held]:
        """What waits for a person, or was approved and not used yet, of one passport.

        The oldest first.
        """
        self.sweep(now)
        return sorted(
            [
                held
                for held in self._roster.all()
                if held.state in LIVE and held.is_of(issuer, passport_id, agent)
            ],
            key=lambda held: held.id,
        )

    async def decide(
        self, hold_id: str, *, approve: bool, approver: str, reason: str
    ) -> Held | NotDecided:
        """A person's word on a pending hold; it counts once it is in the book."""
        now = self._clock()
        held = self.known(hold_id, now)
        if held is None:
            return NotDecided("unknown", "No such hold is known.")
        if held.state != PENDING or held.id in self._scribe.busy:
            return NotDecided("ended", f"The hold is {held.state}; nothing was changed.")
        if _is_agent(approver, held.agent):
            return NotDecided("agent", "An agent does not decide about its own requests.")
        if not self._log.healthy:
            return NotDecided("storage", "The gate cannot keep its record now.")
        state = APPROVED if approve else DENIED
        lasts_s = self.settings.grant_ttl_s if approve else held.ttl_s
        decided = msgspec.structs.replace(
            held, approver=approver, reason=reason, decided_wall=now.wall
        )
        decided.become(state, now, lasts_s)
        self._scribe.busy.add(held.id)
        written = await self._scribe.write(decided, self._letter(decided, state, now))
        self._scribe.busy.discard(held.id)
        if not written:
            return NotDecided("storage", "The decision cannot be put on disk; nothing was changed.")
        held.approver, held.reason, held.decided_wall = approver, reason, now.wall
        self._roster.change(held, state, now, lasts_s)
        self._note_decision(held)
        self._room.wake(held.id)
        return held

    def counts(self) -> dict[str, int]:
        """How many holds are in each state, and how many requests wait for a person."""
        return {**self._roster.counts(), "waiting": self._room.count}

    # Time.

    def sweep(self, now: Instant) -> None:
        """Ends and forgets what is due."""
        for held in self._roster.all():
            self._advance(held, now)

    def _advance(self, held: Held, now: Instant) -> None:
        """Takes a hold through every state that ended by itself until now."""
        while held.id in self._roster and held.id not in self._scribe.busy and held.due(now):
            # It ended when it was due, and is remembered from then on, whenever that is noticed.
            ended = Instant(held.wall + held.lasts_s, held.boot + held.lasts_s)
            if held.state == PENDING:
                held.reason, held.decided_wall = NOBODY, ended.wall
                self._ends(held, DENIED, ended)
                self._room.wake(held.id)
            elif held.state == APPROVED:
                self._ends(held, LAPSED, ended)
            else:
                self._forget(held)

    def _ends(self, held: Held, state: str, at: Instant) -> None:
        """A state that needs no person's word: in memory at once, in the book soon."""
        self._roster.change(held, state, at, held.ttl_s)
        if state == DENIED:
            self._note_decision(held)
        else:
            self._release(held, state)
        self._scribe.later(held.id, self._letter(held, state, at))

    def _note_decision(self, held: Held) -> None:
        """Puts an approval or a denial on record; a denial gives back what was reserved."""
        denied = held.state == DENIED
        members = {
            "decision": held.state,
            "approver": held.approver,
            "reason": held.reason,
            **_on_record(held),
        }
        if denied:
            members["released"] = True
            self._reserves.give_back(held.id, self._clock())
        known = {name: value for name, value in members.items() if value not in (None, "")}
        self._log.append_event("approval", known)

    def _release(self, held: Held, state: str) -> None:
        """Gives back what is reserved for a hold, and says so on record."""
        self._reserves.give_back(held.id, self._clock())
        members = {"state": state, "released": True, **_on_record(held)}
        self._log.append_event("hold", members)

    # Memory and disk.

    def _forget(self, held: Held) -> None:
        self._roster.forget(held)
        self._scribe.later(held.id)

    def _letter(self, held: Held, what: str, at: Instant) -> Letter | None:
        if self.settings.webhook is None:
            return None
        letter_id = self._letter_ids.next(self._clock().wall)
        letter = write_letter(letter_id, f"hold.{what}", self._gate_id, held, at.wall)
        if not self.courier.has_room():
            letter.dead, letter.error = True, "too many events wait for the webhook"
        return letter

    async def _keep(self) -> None:
        while True:
            await self._wait(_TICK_S)
            self.sweep(self._clock())
            await self._scribe.catch_up()

    # After a restart.

    def _rebase(self, held: Held, now: Instant) -> None:
        """Puts the beginning of its state in terms of this boot, never later than it was."""
        if self._boot_id and held.boot_id == self._boot_id and held.boot <= now.boot:
            return
        # A wall clock that was set back says nothing about how long it has lain here.
        age = now.wall - held.wall if held.wall <= now.wall else held.lasts_s
        held.boot = now.boot - age
        held.boot_id = self._boot_id

    async def _restore(self, held: Held, reservation: Reservation | None) -> None:
        """Goes on with a hold of the run before, its spend reserved as it was or anew."""
        now = self._clock()
        if reservation is not None:
            self._reserves.keep(held.id, reservation)
        elif held.charges:
            await self._reserves.renew(held, now)
        members = {"state": held.state, "restored": True, "approver": held.approver}
        members |= _on_record(held)
        known = {name: value for name, value in members.items() if value not in (None, "")}
        self._log.append_event("hold", known, now.wall)


def _is_agent(approver: str, agent: str) -> bool:
    """Whether an approver goes by the agent's name, or by that of one that it acts for."""
    name, whole = approver.casefold(), agent.casefold()
    return whole == name or whole.startswith(name + "/")


def _on_record(held: Held) -> dict[str, Any]:
    """What every line about a hold says of it."""
    return {
        "hold_id": held.id,
        "decision_id": held.decision_id,
        "agent_id": held.agent,
        "issuer": held.issuer,
        "passport_id": held.passport_id,
        "action": held.action,
        "method": held.method,
        "target": held.target,
        "cost_cents": held.cost_cents,
    }


def _machine_boot_id() -> str:
    """What names this boot of the machine; "" where the system does not tell."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
