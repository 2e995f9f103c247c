"""What an authority pushes: the difference between each of its lists and the one before, signed.

The list on disk is the truth, whoever wrote it there: it is looked at, and what was added to it is
made into a delta. What is no mere addition is no delta; then gates read the list.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from passgate.authority.keys import REVOCATIONS_FILE, Signer, load_issuer
from passgate.authority.revoking import keys_of
from passgate.core.jws import REVOCATIONS_TYPES, read
from passgate.core.revocation import read_revocation_list
from passgate.core.revocation_delta import MAX_DELTA_BYTES
from passgate.errors import DataError

DELTA_TYP: Final = "revocations-delta+jwt"

BACKLOG: Final = 1024
"""How many deltas are kept for gates that come back; who missed more reads the list."""


@dataclass(frozen=True, slots=True)
class _State:
    """The list as it was last seen, who signs then, and the deltas that led there, with their
    numbers.
    """

    signer: Signer
    number: int = 0
    expires_at: int = 0
    deltas: tuple[tuple[int, str], ...] = ()


class Pushing:
    """The deltas of one issuer's list, from the moment on that it is first looked at.

    `look` blocks, and is called in a thread; everything else may be called meanwhile, and knows the
    state before or after it.
    """

    def __init__(self, directory: Path, signer: Signer) -> None:
        self._directory = directory
        self._path = directory / REVOCATIONS_FILE
        self._known: set[int] = set()
        self._state = _State(signer)

    @property
    def number(self) -> int:
        """The `iat` of the list."""
        return self._state.number

    def look(self, now: float) -> bool:
        """Reads the list again; whether it is another one. `now` is Unix seconds.

        Raises `DataError` for what is not the list of this issuer, newer than what was seen before,
        and `KeyFileError` where its key is gone: whoever changes it signs the list anew.
        """
        old = self._state
        signer = load_issuer(self._directory)
        if signer.issuer != old.signer.issuer:
            raise DataError(f"{self._directory} is another issuer's now: {signer.issuer}")
        try:
            raw = self._path.read_bytes()
        except OSError as error:
            raise DataError(f"{self._path} cannot be read: {error.strerror}") from None
        try:
            keys = keys_of(self._directory, signer)
            found = read_revocation_list(raw, signer.issuer, keys, now=now, plain_allowed=False)
        except ValueError as error:
            raise DataError(f"{self._path}: {str(error).rstrip('.')}") from None
        if found.issued_at is None or found.expires_at is None or found.statuses is not None:
            raise DataError(f"{self._path} is no list that deltas could add to")
        if found.issued_at < old.number:
            raise DataError(f"{self._path} is older than the list that was there before")
        if found.issued_at == old.number:
            return False
        entries: list[dict[str, Any]] = read(raw.strip(), REVOCATIONS_TYPES).claims["revoked"]
        listed = {_identity(entry) for entry in entries}
        deltas: tuple[tuple[int, str], ...] = ()
        state = _State(signer, found.issued_at, found.expires_at)
        if old.number and self._known <= listed:
            new = [entry for entry in entries if _identity(entry) not in self._known]
            delta = self._sign(state, old.number, new, now)
            # Without it there is a gap, which gates close by the list.
            if len(delta) <= MAX_DELTA_BYTES:
                deltas = (*old.deltas, (state.number, delta))[-BACKLOG:]
        self._known = listed
        self._state = replace(state, deltas=deltas)
        return True

    def after(self, number: int) -> list[tuple[int, str]]:
        """The deltas, each with its number, for a gate whose list has `number`."""
        return [each for each in self._state.deltas if each[0] > number]

    def heartbeat(self, now: float) -> tuple[int, str]:
        """A delta that adds nothing, and says that the list is the newest `now`."""
        state = self._state
        return state.number, self._sign(state, state.number, [], now)

    def _sign(self, state: _State, before: int, entries: list[dict[str, Any]], now: float) -> str:
        return state.signer.sign(
            DELTA_TYP,
            {
                "iss": state.signer.issuer,
                "iat": int(now),
                "exp": state.expires_at,
                "before": before,
                "after": state.number,
                "revoked": entries,
            },
        )


def _identity(entry: Mapping[str, Any]) -> int:
    return hash((entry["kind"], entry["id"]))
