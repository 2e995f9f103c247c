"""Carries letters to the webhook: at least once each, or kept as dead letters for people to see."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, Final

import aiohttp
import msgspec
import structlog

from passgate.approvals.book import Book
from passgate.approvals.letters import Letter, signature
from passgate.approvals.settings import WebhookSettings
from passgate.clock import Clock
from passgate.errors import DataError

MOST_WAITING: Final = 1000
MOST_DEAD: Final = 1000
MOST_ATTEMPTS: Final = 12
EVERY_LETTER: Final = "all"
"""What stands for the id of a letter where all dead ones are meant."""

_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 300.0
_TIMEOUT_S: Final = 10.0
_MAX_ERROR: Final = 200
_logger: Final = structlog.get_logger("passgate")


class Courier:
    """Letters that stand in the book already, one at a time, each again until it is taken.

    Taken is what a 2xx answers; no redirect is followed and nothing of an answer's body is read.
    After each failure the pause doubles from a second up to five minutes, by half of it at random;
    after twelve the letter is dead. Beyond a thousand that wait a new one is dead at once; of the
    dead the newest thousand are kept. Without a webhook letters wait for one.
    """

    def __init__(
        self,
        book: Book,
        clock: Clock,
        webhook: WebhookSettings | None,
        *,
        wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.webhook = webhook
        self._book = book
        self._clock = clock
        self._wait = wait
        self._chance = chance
        self._waiting: dict[str, Letter] = {}
        self._dead: dict[str, Letter] = {}
        self._gone: list[str] = []
        self._more = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._session: aiohttp.ClientSession | None = None

    @property
    def trouble(self) -> str:
        """What keeps letters from arriving, in one line, or ""."""
        failing = [letter for letter in self._waiting.values() if letter.error]
        if self._dead:
            return f"{len(self._dead)} events could not be delivered; see `passgate holds letters`"
        if failing:
            return f"{len(failing)} events wait for the webhook ({failing[0].error})"
        return ""

    def letters(self) -> list[dict[str, Any]]:
        """Every letter that was not taken yet, the oldest first."""
        return [
            letter.told()
            for letter in sorted(
                (*self._dead.values(), *self._waiting.values()), key=lambda letter: letter.id
            )
        ]

    def start(self, letters: list[Letter]) -> None:
        """Goes on with what the book holds."""
        self.post(letters)
        self._running = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Ends; what was not taken is in the book."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
            self._running = None
        await self._hang_up()

    async def _hang_up(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def adopt(self, webhook: WebhookSettings | None) -> None:
        """Another webhook from now on, for letters that wait as well."""
        if webhook != self.webhook:
            self.webhook = webhook
            now = self._clock().wall
            for letter in self._waiting.values():
                letter.due_wall = now
            self._more.set()

    def has_room(self) -> bool:
        """Whether another letter may wait; else it is to be written as a dead one."""
        return len(self._waiting) < MOST_WAITING

    def post(self, letters: list[Letter]) -> None:
        """Takes over letters that stand in the book."""
        for letter in letters:
            (self._dead if letter.dead else self._waiting)[letter.id] = letter
        self._gone += self._too_many_dead()
        if letters:
            self._more.set()

    async def send_again(self, name: str) -> list[str]:
        """Puts a dead letter in line again, or `all` of them, as far as there is room; their ids.

        Each has all of its attempts once more. Raises LookupError where no dead letter has that
        name, and DataError where it cannot be put on disk: then they stay dead.
        """
        if name != EVERY_LETTER and name not in self._dead:
            raise LookupError("no dead letter has this id")
        names = sorted(self._dead) if name == EVERY_LETTER else [name]
        now = self._clock().wall
        again = [
            msgspec.structs.replace(self._dead[each], attempts=0, due_wall=now, dead=False)
            for each in names[: max(0, MOST_WAITING - len(self._waiting))]
        ]
        await self._book.write((), again)
        # Meanwhile somebody else may have done the same, or newer ones have pushed it out.
        again = [letter for letter in again if self._dead.pop(letter.id, None) is not None]
        self.post(again)
        return [letter.id for letter in again]

    async def _run(self) -> None:
        while True:
            self._more.clear()
            if self._gone:
                gone, self._gone = self._gone, []
                await self._write(forget=gone)
            now = self._clock().wall
            letter = self._next()
            if self.webhook is None or letter is None:
                await self._more.wait()
            elif letter.due_wall > now:
                # A clock that was set back must not keep a letter for longer than a pause.
                await self._pause(min(letter.due_wall - now, _LONGEST_PAUSE_S))
            else:
                await self._deliver(letter, self.webhook)

    def _next(self) -> Letter | None:
        return min(
            self._waiting.values(), key=lambda letter: (letter.due_wall, letter.id), default=None
        )

    async def _pause(self, seconds: float) -> None:
        """Until then, or until there is more to carry."""
        tasks = [
            asyncio.ensure_future(self._wait(seconds)),
            asyncio.ensure_future(self._more.wait()),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            # Afterwards, since a sleeper that is let go must be gone with this task.
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _deliver(self, letter: Letter, webhook: WebhookSettings) -> None:
        error = await self._send(letter, webhook)
        if not error:
            self._waiting.pop(letter.id, None)
            await self._write(forget=[letter.id])
            return
        letter.attempts += 1
        letter.error = error[:_MAX_ERROR]
        pause = min(_FIRST_PAUSE_S * 2 ** (letter.attempts - 1), _LONGEST_PAUSE_S)
        letter.due_wall = self._clock().wall + pause * (0.5 + self._chance() / 2)
        if letter.attempts >= MOST_ATTEMPTS:
            letter.dead = True
            self._waiting.pop(letter.id, None)
            self._dead[letter.id] = letter
            self._gone += self._too_many_dead()
            _logger.warning("letter_dead", letter=letter.id, hold=letter.hold_id, error=error)
        await self._write([letter])

    def _too_many_dead(self) -> list[str]:
        """Lets go of the oldest dead letters beyond the bound."""
        gone = sorted(self._dead)[: max(0, len(self._dead) - MOST_DEAD)]
        for each in gone:
            del self._dead[each]
        return gone

    async def _write(self, letters: list[Letter] = [], forget: list[str] = []) -> None:  # noqa: B006 - never changed
        try:
            # Not given up half-way when the gate stops: what was taken need not be sent again.
            await asyncio.shield(self._book.write((), letters, forget))
        except DataError as error:
            # It is delivered again after a restart, which "at least once" allows.
            _logger.warning("letter_not_written", error=str(error))

    async def _send(self, letter: Letter, webhook: WebhookSettings) -> str:
        """Posts a letter; why it was not taken, or ""."""
        body = letter.body.encode()
        headers = {
            "Content-Type": "application/json",
            "Passgate-Event": letter.event,
            "Passgate-Delivery": letter.id,
            "Passgate-Signature": signature(webhook.secret, body, int(self._clock().wall)),
        }
        try:
            async with self._ready().post(
                webhook.url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                if 200 <= answer.status < 300:
                    return ""
                return f"the webhook answered {answer.status}"
        except TimeoutError:
            return "the webhook did not answer in time"
        except (OSError, aiohttp.ClientError, ValueError) as error:
            return f"the webhook cannot be reached: {type(error).__name__}"

    def _ready(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # Certificates are verified; a connection each time, so that no answer whose body
                # was never read can be taken for the next one.
                connector=aiohttp.TCPConnector(ssl=True, limit=1, force_close=True),
                timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session
