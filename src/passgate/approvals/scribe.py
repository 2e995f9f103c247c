"""Scribe: puts what becomes of holds into the book, at once or soon, with the letters about it."""

from collections.abc import Callable
from typing import Final

import structlog

from passgate.approvals.book import Book
from passgate.approvals.courier import Courier
from passgate.approvals.held import Held
from passgate.approvals.letters import Letter
from passgate.errors import DataError

_logger: Final = structlog.get_logger("passgate")


class Scribe:
    """Writes for one `Approvals`; a letter that is in the book is handed to `courier`.

    `find` gives a hold by its id, None once it is forgotten. `busy` are the ids of holds of which a
    change is being written by whoever put them there: nothing else of these is written meanwhile.
    `trouble` is what keeps the book from being written just now, in one line, or "".
    """

    def __init__(self, book: Book, courier: Courier, find: Callable[[str], Held | None]) -> None:
        self.busy: set[str] = set()
        self.trouble = ""
        self._book = book
        self._courier = courier
        self._find = find
        self._unwritten: set[str] = set()
        self._letters: list[Letter] = []

    async def write(self, hold: Held, letter: Letter | None) -> bool:
        """Puts a hold and a letter about it into the book; False, and said so, where it fails."""
        letters = [] if letter is None else [letter]
        try:
            await self._book.write([hold], letters)
        except DataError as error:
            self._fail(error)
            return False
        self.trouble = ""
        self._courier.post(letters)
        return True

    def later(self, hold_id: str, letter: Letter | None = None) -> None:
        """Has `catch_up` write what a hold is then, or that it is forgotten, and a letter."""
        self._unwritten.add(hold_id)
        if letter is not None:
            self._letters.append(letter)

    async def catch_up(self) -> None:
        """Writes what changed by itself; what cannot be written now is tried again."""
        names, self._unwritten = self._unwritten, set()
        letters, self._letters = self._letters, []
        if not names and not letters:
            return
        # What is being changed just now is in that change.
        later = names & self.busy
        names -= later
        holds = [held for held in map(self._find, names) if held is not None]
        gone = names - {held.id for held in holds}
        try:
            await self._book.write(holds, letters, gone)
        except DataError as error:
            self._fail(error)
            self._unwritten |= names | later
            self._letters = letters + self._letters
            return
        self._unwritten |= later
        self._courier.post(letters)
        if not later:
            self.trouble = ""

    def _fail(self, error: DataError) -> None:
        if not self.trouble:
            _logger.warning("hold_not_written", error=str(error))
        self.trouble = str(error)
