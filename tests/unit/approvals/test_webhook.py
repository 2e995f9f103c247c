"""The webhook: told at least once, in words that nobody can forge or play again, within bounds."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.awaiting import eventually, settled
from tests.support.house import House, body_of, inside

from passgate.approvals import Book, Courier, WebhookSettings
from passgate.approvals.held import Held
from passgate.approvals.letters import Letter, signature, verify_signature
from passgate.errors import DataError
from passgate.testing import FakeUpstream, ManualClock, Reply

SECRET = b"a secret of some length"
BODY = b'{"event":"hold.opened"}'


class TestSignature:
    """What the receiver checks."""

    def test_it_holds_for_these_bytes_now(self) -> None:
        """HMAC-SHA-256 over the time, a dot and the body; five minutes either way."""
        signed = signature(SECRET, BODY, 1_800_000_000)
        assert re.fullmatch(r"t=1800000000,v1=[0-9a-f]{64}", signed)
        for now in (1_800_000_000, 1_800_000_300, 1_799_999_700):
            assert verify_signature(signed, SECRET, BODY, now)

    @pytest.mark.parametrize(
        ("changes", "now"),
        [
            ({}, 1_800_000_301),
            ({}, 1_799_999_699),
            ({"body": BODY + b" "}, 1_800_000_000),
            ({"secret": b"another secret"}, 1_800_000_000),
            ({"value": "t=1800000001,v1=" + "0" * 64}, 1_800_000_000),
            ({"value": "v1=x"}, 1_800_000_000),
            ({"value": ""}, 1_800_000_000),
            ({"value": "t=" + "9" * 5000 + ",v1=x"}, 1_800_000_000),
            ({"value": "t=-1,v1=x"}, 1_800_000_000),
        ],
    )
    def test_it_holds_for_nothing_else(self, changes: dict[str, Any], now: int) -> None:
        """Attack: another body, another secret, an old letter played again, junk."""
        given = {"value": signature(SECRET, BODY, 1_800_000_000), "secret": SECRET, "body": BODY}
        given |= changes
        assert not verify_signature(**given, now=now)

    def test_the_recipe_of_the_page_agrees(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The lines that the documents give to a receiver accept what the gate signs."""
        page = Path(__file__).parents[3] / "docs" / "how-to" / "ask-a-person.md"
        (recipe,) = re.findall(r"^```python\n(.*?)```", page.read_text(), re.M | re.S)
        names: dict[str, Any] = {}
        exec(recipe, names)
        monkeypatch.setattr(names["time"], "time", lambda: 1_800_000_100)
        signed = signature(SECRET, BODY, 1_800_000_000)
        assert names["is_true"](signed, SECRET, BODY)
        assert not names["is_true"](signed, SECRET, BODY + b" ")
        assert not names["is_true"](signature(SECRET, BODY, 1_700_000_000), SECRET, BODY)


def letter(number: int = 1) -> Letter:
    return Letter(
        id=f"evt_{number:04d}",
        event="hold.opened",
        hold_id="appr_1",
        body=BODY.decode(),
        wall=1_800_000_000.0,
        due_wall=1_800_000_000.0,
    )


def carrying(
    directory: Path, url: str, work: Callable[[Courier, ManualClock, Book], Awaitable[None]]
) -> None:
    """Runs `work` with a courier to `url`, on a clock that a test moves."""

    async def whole() -> None:
        clock = ManualClock()
        book = Book(directory / "holds.db")
        _, letters = await book.open()
        webhook = WebhookSettings(url, SECRET)
        courier = Courier(book, clock, webhook, wait=clock.wait, chance=lambda: 1.0)
        courier.start(letters)
        try:
            await work(courier, clock, book)
        finally:
            await courier.stop()
            await book.close()

    asyncio.run(whole())


async def post(courier: Courier, book: Book, *letters: Letter) -> None:
    await book.write((), letters)
    courier.post(list(letters))


class TestCourier:
    """From the book to the webhook."""

    def test_a_letter_is_delivered_signed_and_forgotten(self, tmp_path: Path) -> None:
        """One POST with the event, the letter's id and a signature; then it is in no book."""
        with FakeUpstream(Reply(204, body=b"")) as hook:

            async def work(courier: Courier, clock: ManualClock, book: Book) -> None:
                await post(courier, book, letter())
                await eventually(lambda: not courier.letters())

            carrying(tmp_path, f"http://127.0.0.1:{hook.port}/in?x=1", work)
            (seen,) = hook.seen
            assert (seen.method, seen.target, seen.body) == ("POST", "/in?x=1", BODY)
            assert seen.header("Content-Type") == "application/json"
            assert seen.header("Passgate-Event") == "hold.opened"
            assert seen.header("Passgate-Delivery") == "evt_0001"
            signed = seen.header("Passgate-Signature")
            assert signed is not None
            assert verify_signature(signed, SECRET, seen.body, 1_800_000_000)

            async def after(courier: Courier, clock: ManualClock, book: Book) -> None:
                assert courier.letters() == []

            carrying(tmp_path, f"http://127.0.0.1:{hook.port}/", after)
            assert len(hook.seen) == 1

    @pytest.mark.parametrize("status", [302, 400, 404, 500])
    def test_what_is_not_taken_is_tried_again_and_at_last_dead(
        self, tmp_path: Path, status: int
    ) -> None:
        """Twelve times, with pauses that double up to five minutes; no redirect is followed."""
        elsewhere = (("Location", "/elsewhere"),)
        with FakeUpstream(Reply(status, elsewhere, b"no")) as hook:
            pauses: list[float] = []

            async def work(courier: Courier, clock: ManualClock, book: Book) -> None:
                await post(courier, book, letter())
                for attempt in range(1, 13):
                    await eventually(lambda n=attempt: courier.letters()[0]["attempts"] == n)
                    await settled()
                    (waiting,) = courier._waiting.values() or (None,)
                    if waiting is None:
                        break
                    pause = waiting.due_wall - clock.wall
                    pauses.append(pause)
                    assert f"answered {status}" in courier.trouble
                    clock.advance(pause - 0.01)
                    await settled()
                    assert len(hook.seen) == attempt
                    clock.advance(0.02)
                (dead,) = courier.letters()
                assert (dead["dead"], dead["attempts"]) == (True, 12)
                assert "passgate holds letters" in courier.trouble
                await book.write()  # behind the courier's own

            carrying(tmp_path, f"http://127.0.0.1:{hook.port}/in", work)
            assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
            assert {seen.target for seen in hook.seen} == {"/in"}
            assert len(hook.seen) == 12

            async def after(courier: Courier, clock: ManualClock, book: Book) -> None:
                assert [letter["dead"] for letter in courier.letters()] == [True]

            carrying(tmp_path, f"http://127.0.0.1:{hook.port}/in", after)

    def test_what_waits_is_delivered_after_a_restart(self, tmp_path: Path) -> None:
        """At least once: what nobody took is in the book."""

        async def nobody(courier: Courier, clock: ManualClock, book: Book) -> None:
            await post(courier, book, letter(1), letter(2))
            await eventually(lambda: all(each["attempts"] for each in courier.letters()))
            assert "cannot be reached" in courier.trouble

        carrying(tmp_path, "http://127.0.0.1:9/", nobody)
        with FakeUpstream(Reply(200)) as hook:

            async def somebody(courier: Courier, clock: ManualClock, book: Book) -> None:
                clock.advance(5)
                await eventually(lambda: not courier.letters())

            carrying(tmp_path, f"http://127.0.0.1:{hook.port}/", somebody)
            assert [seen.header("Passgate-Delivery") for seen in hook.seen] == [
                "evt_0001",
                "evt_0002",
            ]

    def test_dead_letters_are_sent_again_when_somebody_says_so(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One or all, with every attempt anew, on disk first, and no more than may wait."""
        monkeypatch.setattr("passgate.approvals.courier.MOST_WAITING", 2)
        with FakeUpstream(Reply(200)) as hook:

            async def work(courier: Courier, clock: ManualClock, book: Book) -> None:
                webhook = courier.webhook
                courier.adopt(None)
                for number in range(1, 5):
                    dead = letter(number)
                    dead.dead, dead.attempts, dead.error = True, 12, "no"
                    await post(courier, book, dead)
                for unknown in ("evt_0009", "appr_1", ""):
                    with pytest.raises(LookupError):
                        await courier.send_again(unknown)
                assert await courier.send_again("evt_0003") == ["evt_0003"]
                (waiting,) = courier._waiting.values()
                assert (waiting.attempts, waiting.due_wall) == (0, clock.wall)
                with pytest.raises(LookupError):
                    await courier.send_again("evt_0003")
                assert await courier.send_again("all") == ["evt_0001"]
                assert await courier.send_again("all") == []
                courier.adopt(webhook)
                await eventually(lambda: not courier._waiting)
                assert await courier.send_again("all") == ["evt_0002", "evt_0004"]
                await eventually(lambda: not courier.letters())
                assert await courier.send_again("all") == []

            carrying(tmp_path, f"http://127.0.0.1:{hook.port}/", work)
            assert [seen.header("Passgate-Delivery") for seen in hook.seen] == [
                "evt_0001",
                "evt_0003",
                "evt_0002",
                "evt_0004",
            ]

    def test_what_cannot_be_put_on_disk_stays_dead(self, tmp_path: Path) -> None:
        """Else it would be dead again after a restart, and nobody would know."""

        async def work(courier: Courier, clock: ManualClock, book: Book) -> None:
            dead = letter()
            dead.dead = True
            await post(courier, book, dead)
            await book.close()
            with pytest.raises(DataError):
                await courier.send_again("all")
            assert [each["dead"] for each in courier.letters()] == [True]

        carrying(tmp_path, "http://127.0.0.1:9/", work)

    def test_without_a_webhook_letters_wait_for_one(self, tmp_path: Path) -> None:
        """A reload that takes it away loses nothing; the next one has it delivered at once."""
        with FakeUpstream(Reply(200)) as hook:

            async def work(courier: Courier, clock: ManualClock, book: Book) -> None:
                webhook = courier.webhook
                courier.adopt(None)
                await post(courier, book, letter())
                await settled()
                assert (len(courier.letters()), hook.seen) == (1, [])
                courier.adopt(webhook)
                await eventually(lambda: not courier.letters())

            carrying(tmp_path, f"http://127.0.0.1:{hook.port}/", work)

    def test_the_queue_and_the_dead_are_bounded(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Beyond the bound there is no room, and of the dead the oldest go."""
        monkeypatch.setattr("passgate.approvals.courier.MOST_WAITING", 2)
        monkeypatch.setattr("passgate.approvals.courier.MOST_DEAD", 2)

        async def work(courier: Courier, clock: ManualClock, book: Book) -> None:
            courier.adopt(None)
            assert courier.has_room()
            await post(courier, book, letter(1), letter(2))
            assert not courier.has_room()
            for number in (3, 4, 5):
                dead = letter(number)
                dead.dead = True
                await post(courier, book, dead)
            found = [each["id"] for each in courier.letters() if each["dead"]]
            assert found == ["evt_0004", "evt_0005"]

        carrying(tmp_path, "http://127.0.0.1:9/", work)


def test_every_turn_of_a_hold_is_told_and_nothing_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opened, approved, used; opened, denied; and neither body, query nor passport in it."""
    monkeypatch.setenv("HOOK", SECRET.decode())
    with FakeUpstream(Reply(200)) as hook:

        async def work(house: House) -> None:
            passport = house.mint(constraints={"core:approval:required": True})
            for approve in (True, False):
                answer = await house.answered(
                    "POST", "/v1/search?secret=1", passport, body=b'{"secret": %d}' % approve
                )
                decided = await house.approvals.decide(
                    body_of(answer)["hold"]["id"], approve=approve, approver="ann", reason="so"
                )
                assert isinstance(decided, Held)
                if approve:
                    await house.forwarded(
                        "POST", "/v1/search?secret=1", passport, body=b'{"secret": 1}'
                    )
            house.clock.advance(2)
            await eventually(lambda: len(hook.seen) == 5)
            said = [json.loads(seen.body) for seen in hook.seen]
            assert sorted(each["event"] for each in said) == [
                "hold.approved",
                "hold.denied",
                "hold.opened",
                "hold.opened",
                "hold.used",
            ]
            assert all(b"secret" not in seen.body for seen in hook.seen)
            assert all(passport.encode() not in seen.body for seen in hook.seen)
            by_event = {each["event"]: each for each in said}
            assert by_event["hold.approved"]["hold"]["approver"] == "ann"
            assert by_event["hold.denied"]["gate_id"] == "gate_test"

        webhook = {"url": f"http://127.0.0.1:{hook.port}/", "secret": "env:HOOK"}
        inside(tmp_path, work, approvals={"webhook": webhook}, audit={"durability": "relaxed"})
