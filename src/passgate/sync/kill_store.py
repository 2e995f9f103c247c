"""The kills in force, in `data_dir/kills`: on disk before they are confirmed, read before serving.

One line with a digest of the rest, then one JSON document. What the gate did not write refuses the
start, for nobody could tell any more what it was to stop.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Final

from passgate.core.kills import Kill, Kills, kills_of
from passgate.errors import DataError
from passgate.files import write_whole

_MAGIC: Final = "passgate-kills-1"


class KillStore:
    """One file of kills. Its methods block; while a gate runs they are called in a thread."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> Kills:
        """What is to be stopped; nothing where no kill was ever saved.

        Raises `DataError` for a file that cannot be read, or that the gate did not write.
        """
        try:
            head, _, body = self.path.read_bytes().partition(b"\n")
        except FileNotFoundError:
            return kills_of(())
        except OSError as error:
            raise DataError(
                f"{self.path} cannot be read: {error.strerror}; make it readable"
            ) from None
        if head != _head(body):
            raise self._damaged()
        try:
            return kills_of(Kill(**entry) for entry in json.loads(body)["kills"])
        except (ValueError, LookupError, TypeError):
            raise self._damaged() from None

    def save(self, entries: Iterable[Kill]) -> None:
        """Puts these kills on disk in place of those before. Raises `OSError`."""
        document = {"kills": [asdict(entry) for entry in entries]}
        body = json.dumps(document, separators=(",", ":")).encode() + b"\n"
        write_whole(self.path, [_head(body), b"\n", body], 0o600)

    def _damaged(self) -> DataError:
        return DataError(
            f"{self.path}:1: not what the gate wrote; restore it from a backup, or remove it and"
            " stop again whatever is to stay stopped"
        )


def _head(body: bytes) -> bytes:
    return f"{_MAGIC} {hashlib.sha256(body).hexdigest()}".encode()
