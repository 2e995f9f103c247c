"""The embedded ledger: what it keeps, what it refuses to start from, and that it does not block."""

import asyncio
import sqlite3
import stat
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from passgate.core.constraints.base import Charge
from passgate.core.instant import Instant
from passgate.core.once import Once
from passgate.errors import DataError
from passgate.ledger import LEDGERS, Premises
from passgate.ledger.embedded import EmbeddedLedger
from passgate.ledger.operations import Remembering
from passgate.ledger.protocol import Conflict, Reservation
from passgate.testing import ManualClock

NOW = Instant(1_800_000_000.0, 1_000.0)
AT = "2027-01-15T08:00:00.000Z"


class Log:
    """Lines in memory, all of which are on disk unless `durable` says otherwise."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.durable: int | None = None
        self.asked_from: int | None = -1
        self.oldest = 0

    def size(self) -> int:
        return len(self.lines)

    def on_disk(self) -> int:
        return len(self.lines) if self.durable is None else self.durable

    def read(self, start: int | None) -> Iterator[Mapping[str, Any]]:
        self.asked_from = start
        if start is not None and start < self.oldest:
            raise DataError(f"line {start} is not kept")
        return iter(self.lines[self.oldest if start is None else start :])

    def append(self, kind: str, **members: Any) -> None:
        self.lines.append({"kind": kind, "seq": len(self.lines), "time": AT, **members})

    def allow(self, ledger: EmbeddedLedger, decision_id: str, *charges: Charge) -> Reservation:
        taken = ledger.reserve(charges, NOW)
        assert isinstance(taken, Reservation)
        taken.decision_id = decision_id
        self.append(
            "decision",
            decision="allow",
            decision_id=decision_id,
            charges=[{"counter": c.counter, "amount": c.amount} for c in charges],
        )
        return taken

    def end(
        self, ledger: EmbeddedLedger, taken: Reservation, *, released: bool = False,
        settled: int | None = None,
    ) -> None:  # fmt: skip
        if released:
            ledger.release(taken, NOW)
        else:
            ledger.settle(taken, settled, NOW)
        members = {} if settled is None else {"settled_cents": settled}
        self.append("outcome", decision_id=taken.decision_id, released=released, **members)


def spend(amount: int, subject: str = "agent|i|a") -> Charge:
    return Charge(f"spend/daily/{subject}", "spend", "daily", amount, 1000, "k")


def rate(subject: str = "agent|i|a") -> Charge:
    return Charge(f"rate/60/{subject}", "rate", 60, 1, 1000, "k")


def spent(ledger: EmbeddedLedger, charge: Charge) -> int:
    return charge.limit - ledger.balances((charge,), NOW)[0].remaining


_MADE: list[EmbeddedLedger] = []


def made(path: Path, log: Log, **options: Any) -> EmbeddedLedger:
    _MADE.append(EmbeddedLedger(path / "ledger.db", log.size, log.on_disk, **options))
    return _MADE[-1]


async def killed(ledger: EmbeddedLedger) -> None:
    """Ends it as kill -9 would: no last snapshot."""
    if ledger._keeping is not None:
        ledger._keeping.cancel()
        await asyncio.gather(ledger._keeping, return_exceptions=True)
    await ledger._file.close()


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        try:
            async with asyncio.timeout(60):
                await scenario()
        finally:  # where a scenario failed, the files' threads would outlive it
            while _MADE:
                await killed(_MADE.pop())

    asyncio.run(bounded())


def test_what_was_spent_is_still_spent_after_a_stop(tmp_path: Path) -> None:
    async def scenario() -> None:
        log = Log()
        ledger = made(tmp_path, log)
        await ledger.start(log.read, 0)
        log.end(ledger, log.allow(ledger, "a", spend(50), rate()))
        await ledger.stop()
        assert ledger.covered == 2
        ledger = made(tmp_path, log)
        await ledger.start(log.read, 2)
        assert log.asked_from == 2
        assert (spent(ledger, spend(0)), spent(ledger, rate())) == (50, 1)
        await ledger.stop()

    run(scenario)


def test_what_was_spent_is_still_spent_after_a_kill(tmp_path: Path) -> None:
    """Without any snapshot the whole log is folded."""

    async def scenario() -> None:
        log = Log()
        ledger = made(tmp_path, log)
        await ledger.start(log.read, 0)
        log.allow(ledger, "a", spend(50))
        log.end(ledger, log.allow(ledger, "b", spend(30)), settled=10)
        log.end(ledger, log.allow(ledger, "c", spend(30)), released=True)
        await killed(ledger)
        ledger = made(tmp_path, log)
        await ledger.start(log.read, log.size())
        assert (log.asked_from, spent(ledger, spend(0))) == (None, 60)
        await killed(ledger)

    run(scenario)


def test_outcomes_after_a_snapshot_reach_decisions_before_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        log = Log()
        ledger = made(tmp_path, log)
        await ledger.start(log.read, 0)
        settled, released, silent = (log.allow(ledger, i, spend(100), rate()) for i in "abc")
        await ledger.snapshot()
        log.end(ledger, settled, settled=30)
        log.end(ledger, released, released=True)
        assert silent.open
        await killed(ledger)
        ledger = made(tmp_path, log)
        await ledger.start(log.read, log.size())
        assert (spent(ledger, spend(0)), spent(ledger, rate())) == (130, 2)
        await killed(ledger)

    run(scenario)


@pytest.mark.parametrize("snapshots", [False, True])
def test_what_is_reserved_for_a_hold_stays_so_until_the_hold_ends(
    tmp_path: Path, snapshots: bool
) -> None:
    """Across kills, with a snapshot or without; of a request under way nothing is handed out."""

    async def scenario() -> None:
        log = Log()
        ledger = made(tmp_path, log)
        await ledger.start(log.read, 0)
        assert ledger.reopened() == {}
        log.allow(ledger, "att_1", spend(5))
        taken = ledger.reserve((spend(50),), NOW)
        assert isinstance(taken, Reservation)
        taken.decision_id = "appr_1"
        charges = [{"counter": spend(0).counter, "amount": 50}]
        log.append("hold", hold_id="appr_1", charges=charges)
        for _ in range(2):
            if snapshots:
                await ledger.snapshot()
            await killed(ledger)
            ledger = made(tmp_path, log)
            await ledger.start(log.read, log.size())
            assert spent(ledger, spend(0)) == 55
        assert list(ledger.reopened()) == ["appr_1"]
        ledger.release(ledger.reopened()["appr_1"], NOW)
        log.append("hold", hold_id="appr_1", released=True)
        assert spent(ledger, spend(0)) == 5
        await ledger.stop()
        ledger = made(tmp_path, log)
        await ledger.start(log.read, log.size())
        assert (ledger.reopened(), spent(ledger, spend(0))) == ({}, 5)
        await ledger.stop()

    run(scenario)


def test_a_snapshot_is_of_one_moment_though_the_counters_go_on_changing(tmp_path: Path) -> None:
    """Every turn of the loop takes, settles and releases while it is written."""

    async def scenario() -> None:
        log = Log()
        ledger = made(tmp_path, log)
        await ledger.start(log.read, 0)
        subjects = [f"agent|i|a{i}" for i in range(2_000)]
        waiting = [log.allow(ledger, f"{i}", spend(10, s), rate(s)) for i, s in enumerate(subjects)]
        writing = asyncio.create_task(ledger.snapshot())
        await asyncio.sleep(0)
        assert ledger._copy is not None
        turns = 0
        while not writing.done():
            subject = subjects[turns * 37 % 2_000]
            log.allow(ledger, f"new{turns}", spend(5, subject), rate(f"{subject}new"))
            if waiting:
                log.end(
                    ledger,
                    waiting.pop(turns * 7919 % len(waiting)),
                    released=turns % 2 == 0,
                    settled=3 if turns % 2 else None,
                )
            ledger.balances((spend(0, subjects[turns % 2_000]),), NOW)
            turns += 1
            await asyncio.sleep(0)
        assert turns > 8
        assert ledger.covered == 2_000
        await killed(ledger)
        again = made(tmp_path, log)
        await again.start(log.read, log.size())
        for subject in subjects:
            for charge in (spend(0, subject), rate(subject), rate(f"{subject}new")):
                assert spent(again, charge) == spent(ledger, charge), charge.counter
        await killed(again)

    run(scenario)


def test_a_counter_emptied_and_forgotten_during_a_snapshot_is_in_it(tmp_path: Path) -> None:
    """The release may be lost with its line in a crash; then the charge counts."""

    async def scenario() -> None:
        log = Log()
        ledger = made(tmp_path, log)
        await ledger.start(log.read, 0)
        taken = log.allow(ledger, "a", spend(10))
        writing = asyncio.create_task(ledger.snapshot())
        await asyncio.sleep(0)
        ledger.release(taken, NOW)
        log.allow(ledger, "b", spend(10, "agent|i|b"))
        assert spend(10).counter not in ledger._by_name
        await writing
        await killed(ledger)
        del log.lines[1:]
        ledger = made(tmp_path, log)
        await ledger.start(log.read, 1)
        assert spent(ledger, spend(0)) == 10
        await killed(ledger)

    run(scenario)


def test_a_log_cut_below_what_was_on_disk_stops_the_start(tmp_path: Path) -> None:
    """Attack: someone removes the newest lines, and with them what was spent."""

    async def scenario() -> None:
        log = Log()
        ledger = made(tmp_path, log)
        await ledger.start(log.read, 0)
        log.allow(ledger, "a", spend(50))
        log.allow(ledger, "b", spend(50))
        await ledger.stop()
        del log.lines[1:]
        ledger = made(tmp_path, log)
        with pytest.raises(DataError, match=r"had 2 lines on disk.*has 1.*cut off") as caught:
            await ledger.start(log.read, 1)
        assert str(tmp_path / "ledger.db") in str(caught.value)
        assert "move this file away" in str(caught.value)

    run(scenario)


def test_a_snapshot_waits_for_the_log_to_be_on_disk(tmp_path: Path) -> None:
    """`relaxed`: what a snapshot says and the log on disk does not must not survive a crash."""

    async def scenario() -> None:
        log = Log()
        waits = []

        async def catches_up(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 3:
                log.durable = None
            await asyncio.sleep(0)

        ledger = made(tmp_path, log, wait=catches_up, every_s=1e9)
        await ledger.start(log.read, 0)
        log.allow(ledger, "a", spend(50))
        log.durable = 0
        await ledger.snapshot()
        assert len(waits) >= 3
        assert ledger.covered == 1
        await killed(ledger)

    run(scenario)


def test_a_log_that_never_reaches_the_disk_keeps_the_snapshot_before(tmp_path: Path) -> None:
    """It is told in one line, and the counters go on."""

    async def scenario() -> None:
        log = Log()

        async def at_once(_: float) -> None:
            await asyncio.sleep(0)

        ledger = made(tmp_path, log, wait=at_once, every_s=1e9)
        await ledger.start(log.read, 0)
        log.allow(ledger, "a", spend(50))
        await ledger.snapshot()
        log.allow(ledger, "b", spend(7))
        log.durable = 1
        with pytest.raises(DataError, match="not written to disk"):
            await ledger.snapshot()
        assert ledger.covered == 1
        assert spent(ledger, spend(0)) == 57
        await killed(ledger)
        del log.lines[1:]
        ledger = made(tmp_path, log)
        await ledger.start(log.read, 1)
        assert spent(ledger, spend(0)) == 50
        await killed(ledger)

    run(scenario)


def test_lines_that_the_log_no_longer_keeps_are_in_the_snapshot_or_known_to_be_missing(
    tmp_path: Path,
) -> None:
    """The way out that the messages name, moving the file away, works on an old log too."""

    async def scenario() -> None:
        log = Log()
        ledger = made(tmp_path, log)
        await ledger.start(log.read, 0)
        for decision_id in "abc":
            log.allow(ledger, decision_id, spend(50))
        await ledger.stop()
        log.oldest = 2
        ledger = made(tmp_path, log)
        await ledger.start(log.read, 3)
        assert (spent(ledger, spend(0)), ledger.forgotten) == (150, 0)
        await killed(ledger)
        (tmp_path / "ledger.db").unlink()
        ledger = made(tmp_path, log)
        await ledger.start(log.read, 3)
        assert (spent(ledger, spend(0)), ledger.forgotten) == (50, 2)
        await ledger.snapshot()
        await killed(ledger)
        log.append("start")
        log.oldest = 4
        with pytest.raises(DataError, match="line 3 is not kept"):
            await made(tmp_path, log).start(log.read, 4)

    run(scenario)


def test_a_log_that_cannot_be_read_to_its_end_stops_the_start(tmp_path: Path) -> None:
    async def scenario() -> None:
        log = Log()
        log.append("start")
        with pytest.raises(DataError, match="has 2 lines, of which only 1"):
            await made(tmp_path, log).start(log.read, 2)

    run(scenario)


def test_a_line_that_cannot_be_counted_stops_the_start(tmp_path: Path) -> None:
    async def scenario() -> None:
        log = Log()
        log.append("lease")
        with pytest.raises(DataError, match="log line 0"):
            await made(tmp_path, log).start(log.read, 1)

    run(scenario)


def test_a_flipped_byte_of_a_snapshot_is_found_or_harmless(tmp_path: Path) -> None:
    """Attack or decay: a lower number in the file must never become a lower counter."""

    async def scenario() -> None:
        log = Log()
        ledger = made(tmp_path, log)
        await ledger.start(log.read, 0)
        log.allow(ledger, "a", spend(50), rate())
        await ledger.stop()
        file = tmp_path / "ledger.db"
        whole = file.read_bytes()
        written = [at for at, byte in enumerate(whole) if byte]
        found = 0
        for at in written[::3]:
            file.write_bytes(whole[:at] + bytes((whole[at] ^ 1,)) + whole[at + 1 :])
            ledger = made(tmp_path, log)
            try:
                await ledger.start(log.read, 1)
            except DataError as error:
                assert str(file) in str(error)  # noqa: PT017 either way is right
                found += 1
            else:
                assert spent(ledger, spend(0)) == 50
                await killed(ledger)
        assert found > 150

    run(scenario)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE part SET body = replace(body, ',50,', ',10,') WHERE number = 1",
        "DELETE FROM part WHERE number = 0",
        "UPDATE part SET number = number + 2",
        "UPDATE head SET body = replace(body, '\"position\":1', '\"position\":0')",
        "INSERT INTO part SELECT 2, body, digest FROM part WHERE number = 1",
        "DROP TABLE part",
    ],
)
def test_a_changed_snapshot_stops_the_start_and_is_named(tmp_path: Path, statement: str) -> None:
    async def scenario() -> None:
        log = Log()
        ledger = made(tmp_path, log)
        await ledger.start(log.read, 0)
        log.allow(ledger, "a", spend(50))
        await ledger.stop()
        with sqlite3.connect(tmp_path / "ledger.db") as db:
            assert db.execute(statement).rowcount
        db.close()
        with pytest.raises(DataError, match="damaged") as caught:
            await made(tmp_path, log).start(log.read, 1)
        assert str(tmp_path / "ledger.db") in str(caught.value)
        assert "move it away" in str(caught.value)

    run(scenario)


def test_a_file_that_is_no_database_stops_the_start_and_is_named(tmp_path: Path) -> None:
    async def scenario() -> None:
        (tmp_path / "ledger.db").write_bytes(b"no database" * 100)
        log = Log()
        with pytest.raises(DataError, match=r"ledger\.db: cannot be opened.*move it away"):
            await made(tmp_path, log).start(log.read, 0)

    run(scenario)


def test_a_snapshot_of_another_version_stops_the_start(tmp_path: Path) -> None:
    async def scenario() -> None:
        db = sqlite3.connect(tmp_path / "ledger.db")
        db.execute("PRAGMA user_version = 9")
        db.close()
        log = Log()
        with pytest.raises(DataError, match="format 9"):
            await made(tmp_path, log).start(log.read, 0)

    run(scenario)


def test_a_second_process_cannot_own_the_same_counters(tmp_path: Path) -> None:
    """State per process would let every limit pass once for each of them."""

    async def scenario() -> None:
        log = Log()
        ledger = made(tmp_path, log)
        await ledger.start(log.read, 0)
        with pytest.raises(DataError, match="another process uses it"):
            await made(tmp_path, log).start(log.read, 0)
        await ledger.stop()
        ledger = made(tmp_path, log)
        await ledger.start(log.read, 0)
        await ledger.stop()

    run(scenario)


def test_a_directory_that_is_missing_is_named(tmp_path: Path) -> None:
    async def scenario() -> None:
        log = Log()
        with pytest.raises(DataError, match=r"gone/ledger\.db: cannot be opened"):
            await made(tmp_path / "gone", log).start(log.read, 0)

    run(scenario)


def test_who_spent_what_is_nobody_elses_to_read(tmp_path: Path) -> None:
    async def scenario() -> None:
        log = Log()
        ledger = made(tmp_path, log)
        await ledger.start(log.read, 0)
        await ledger.stop()
        assert stat.S_IMODE((tmp_path / "ledger.db").stat().st_mode) == 0o600

    run(scenario)


async def covers(ledger: EmbeddedLedger, position: int) -> None:
    while ledger.covered != position or ledger._copy is not None:  # noqa: ASYNC110 bounded by run
        await asyncio.sleep(0.001)


def test_snapshots_come_after_a_time_or_after_many_lines_and_only_for_new_lines(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        log, clock = Log(), ManualClock()
        ledger = made(tmp_path, log, every_s=5.0, every_lines=10, wait=clock.wait)
        await ledger.start(log.read, 0)

        async def seconds(count: int) -> None:
            for _ in range(count):
                while not clock._sleepers:  # noqa: ASYNC110 bounded by run
                    await asyncio.sleep(0.001)
                clock.advance(1.0)

        for number in range(9):
            log.append("start", number=number)
        await seconds(4)
        assert ledger.covered == 0
        await seconds(1)
        await covers(ledger, 9)
        for _ in range(10):
            log.append("start")
        await seconds(1)
        await covers(ledger, 19)
        changes = ledger._file._db.total_changes
        await seconds(20)
        assert ledger._file._db.total_changes == changes
        await ledger.stop()

    run(scenario)


def test_a_snapshot_that_fails_is_told_and_the_one_before_stays(tmp_path: Path) -> None:
    async def scenario() -> None:
        log, clock = Log(), ManualClock()
        ledger = made(tmp_path, log, every_s=1.0, wait=clock.wait)
        await ledger.start(log.read, 0)
        log.allow(ledger, "a", spend(50))
        await ledger.snapshot()
        # As a full disk would: the file may not grow any more.
        pages = await ledger._file._row("PRAGMA page_count")
        assert pages is not None
        await ledger._file._db.execute(f"PRAGMA max_page_count = {pages[0]}")
        for i in range(3_000):
            log.allow(ledger, f"b{i}", spend(1, f"agent|i|{i}"))
        while not ledger.trouble:
            clock.advance(1.0)
            await asyncio.sleep(0.001)
        assert str(tmp_path / "ledger.db") in ledger.trouble
        assert ledger.covered == 1
        await ledger._file._db.execute("PRAGMA max_page_count = 100000")
        while ledger.trouble:
            clock.advance(1.0)
            await asyncio.sleep(0.001)
        assert ledger.covered == 3_001
        await ledger.stop()

    run(scenario)


@pytest.mark.parametrize("at", [1, 2, 3, 10, 30, 100, 300])
def test_a_stop_in_the_middle_of_a_snapshot_leaves_a_whole_one(tmp_path: Path, at: int) -> None:
    async def scenario() -> None:
        log = Log()
        ledger = made(tmp_path, log)
        await ledger.start(log.read, 0)
        for i in range(3_000):
            log.allow(ledger, f"b{i}", spend(1, f"agent|i|{i}"))
        writing = asyncio.create_task(ledger.snapshot())
        for _ in range(at):
            await asyncio.sleep(0)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        assert ledger._copy is None
        await ledger.stop()
        ledger = made(tmp_path, log)
        await ledger.start(log.read, 3_000)
        assert log.asked_from == 3_000
        assert all(spent(ledger, spend(0, f"agent|i|{i}")) == 1 for i in range(3_000))
        await ledger.stop()

    run(scenario)


def test_the_table_of_ledgers_makes_each_of_them(tmp_path: Path) -> None:
    """Those that need no server, here; what `valkey` makes has its own tests."""

    async def scenario() -> None:
        assert set(LEDGERS) == {"memory", "embedded", "valkey"}
        log = Log()
        for kind in ("memory", "embedded"):
            ledger = LEDGERS[kind](Premises(tmp_path / "ledger.db", log.size, log.on_disk))
            await ledger.start(log.read, 0)
            assert isinstance(ledger.reserve((rate(),), NOW), Reservation)
            assert (ledger.covered, ledger.trouble, ledger.reopened()) == (0, "", {})
            await ledger.stop()

    run(scenario)


@pytest.mark.parametrize("kind", ["memory", "embedded"])
def test_keys_are_known_for_as_long_as_is_configured(tmp_path: Path, kind: str) -> None:
    """An upstream that forgets after an hour does again what would be free for a day."""

    async def scenario() -> None:
        log = Log()
        path = tmp_path / "ledger.db"
        remembering = Remembering(keep_s=3600)
        ledger = LEDGERS[kind](Premises(path, log.size, log.on_disk, remembering=remembering))
        await ledger.start(log.read, 0)
        for seconds, repeated in ((0, False), (3599.9, True), (3600, False)):
            now = Instant(NOW.wall + seconds, NOW.boot + seconds)
            taken = ledger.reserve((spend(5),), now, Once("agent|i|a/k", "digest"))
            assert isinstance(taken, Reservation)
            assert taken.repeated == repeated
            ledger.settle(taken, None, now)
        await ledger.stop()

    run(scenario)


def test_a_snapshot_in_the_middle_of_a_stream_knows_its_minutes(tmp_path: Path) -> None:
    """A kill after it leaves all of them charged; an outcome after it ends each of them."""

    async def scenario() -> None:
        for ended in (False, True):
            directory = tmp_path / str(ended)
            directory.mkdir()
            log = Log()
            ledger = made(directory, log)
            await ledger.start(log.read, 0)
            log.allow(ledger, "a", spend(7))
            for number in (2, 3):
                taken = ledger.reserve((spend(2),), NOW)
                assert isinstance(taken, Reservation)
                taken.decision_id = f"a+{number}"
                charges = [{"counter": spend(2).counter, "amount": 2}]
                log.append("charge", decision_id="a", minute=number, charges=charges)
            await ledger.snapshot()
            if ended:
                log.append("outcome", decision_id="a", minutes=2, settled_cents=8)
            await killed(ledger)
            ledger = made(directory, log)
            await ledger.start(log.read, log.size())
            assert spent(ledger, spend(0)) == (8 if ended else 11)
            await killed(ledger)

    run(scenario)


ONCE = Once("agent|i|a/k", "d")


def keyed(log: Log, ledger: EmbeddedLedger, decision_id: str, once: Once = ONCE) -> Reservation:
    """A request under a key that costs 50 cents, and its line."""
    taken = ledger.reserve((spend(50), rate()), NOW, once)
    assert isinstance(taken, Reservation)
    taken.decision_id = decision_id
    key: dict[str, Any] = {"name": once.name, "digest": once.digest}
    if taken.repeated:
        key["repeated"] = True
    charges = [{"counter": c.counter, "amount": c.amount} for c in taken.charges]
    log.append(
        "decision", decision="allow", decision_id=decision_id, charges=charges, idempotency=key
    )
    return taken


@pytest.mark.parametrize("snapshots", [False, True])
def test_a_key_is_known_after_a_kill(tmp_path: Path, snapshots: bool) -> None:
    """Ended or not, by the log alone or by a snapshot: a repeat is charged nothing."""

    async def scenario() -> None:
        log = Log()
        ledger = made(tmp_path, log)
        await ledger.start(log.read, 0)
        log.end(ledger, keyed(log, ledger, "a"), settled=30)
        keyed(log, ledger, "b", Once("agent|i|a/open", "d"))
        if snapshots:
            await ledger.snapshot()
        await killed(ledger)
        ledger = made(tmp_path, log)
        await ledger.start(log.read, len(log.lines))
        assert spent(ledger, spend(0)) == 80
        for once in (ONCE, Once("agent|i|a/open", "d")):
            taken = keyed(log, ledger, "c", once)
            assert taken.repeated
            log.end(ledger, taken, released=True)
        assert spent(ledger, spend(0)) == 80, "the one that was open may have been sent"
        assert ledger.reserve((spend(1),), NOW, Once(ONCE.name, "e")) == Conflict(
            Once(ONCE.name, "e")
        )
        await ledger.stop()

    run(scenario)


@pytest.mark.parametrize(
    ("first", "second", "left"),
    [
        ({"released": True}, {"released": True}, 0),
        ({"released": True}, {"settled": 30}, 30),
        ({"settled": 30}, {"released": True}, 30),
        ({"settled": 30}, {"settled": 10}, 30),
        ({"released": True}, None, 50),
        (None, None, 50),
    ],
    ids=str,
)
def test_requests_of_one_key_that_end_after_a_snapshot_end_the_same_way_after_a_kill(
    tmp_path: Path, first: Any, second: Any, left: int
) -> None:
    """Their lines are all there is of it; what the snapshot has of them must fit."""

    async def scenario() -> None:
        log = Log()
        ledger = made(tmp_path, log)
        await ledger.start(log.read, 0)
        one, two = keyed(log, ledger, "a"), keyed(log, ledger, "b")
        await ledger.snapshot()
        if first is not None:
            log.end(ledger, one, **first)
        if second is not None:
            log.end(ledger, two, **second)
        assert spent(ledger, spend(0)) == left
        await killed(ledger)
        ledger = made(tmp_path, log)
        await ledger.start(log.read, len(log.lines))
        assert log.asked_from == 2
        assert spent(ledger, spend(0)) == left
        await ledger.stop()

    run(scenario)


def test_a_snapshot_under_way_has_what_was_and_not_what_becomes(tmp_path: Path) -> None:
    """A key settled and one given up while it is written: the lines after it say so once more."""

    async def scenario() -> None:
        log = Log()
        ledger = made(tmp_path, log)
        await ledger.start(log.read, 0)
        one, two = keyed(log, ledger, "a"), keyed(log, ledger, "b", Once("agent|i|a/l", "d"))
        # Of another passport: its repeat ends what another subject's counter spent.
        again = ledger.reserve((), NOW, Once("agent|i|a/l", "d"))
        assert isinstance(again, Reservation)
        again.decision_id = "c"
        log.append(
            "decision", decision="allow", decision_id="c", charges=[],
            idempotency={"name": "agent|i|a/l", "digest": "d", "repeated": True},
        )  # fmt: skip
        log.end(ledger, two, released=True)
        writing = asyncio.create_task(ledger.snapshot())
        await asyncio.sleep(0)
        log.end(ledger, again, released=True)
        log.end(ledger, one, settled=30)
        await writing
        assert spent(ledger, spend(0)) == 30
        await killed(ledger)
        ledger = made(tmp_path, log)
        await ledger.start(log.read, len(log.lines))
        assert spent(ledger, spend(0)) == 30
        assert ledger.reserve((), NOW, Once("agent|i|a/l", "e")).__class__ is Reservation
        await ledger.stop()

    run(scenario)


def test_a_snapshot_of_the_format_before_is_read(tmp_path: Path) -> None:
    """It knew no keys."""

    async def scenario() -> None:
        log = Log()
        ledger = made(tmp_path, log)
        await ledger.start(log.read, 0)
        log.allow(ledger, "a", spend(50))
        await ledger.stop()
        with sqlite3.connect(tmp_path / "ledger.db") as file:
            file.execute("PRAGMA user_version = 1")
        file.close()
        ledger = made(tmp_path, log)
        await ledger.start(log.read, 1)
        assert spent(ledger, spend(0)) == 50
        await ledger.stop()

    run(scenario)
