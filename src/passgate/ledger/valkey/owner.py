"""Who a gate is on the server, kept in its data directory, so that what it took stays its own."""

import secrets
from dataclasses import dataclass
from pathlib import Path

import msgspec

from passgate.errors import DataError
from passgate.files import write_whole


class _Kept(msgspec.Struct, forbid_unknown_fields=True):
    owner: str
    epoch: str = ""
    known: list[str] = []


@dataclass(slots=True)
class Owner:
    """A gate's name on the server, made once, and what it remembers of the others there.

    `epoch` is the run of the counters that it has last been part of, "" before the first. `known`
    are the owners that took part in it: should the server come back empty, the counters are whole
    only once all of these have said what they spent.
    """

    path: Path
    name: str
    epoch: str = ""
    known: frozenset[str] = frozenset()

    @classmethod
    def of(cls, path: Path) -> "Owner":
        """Reads the file at `path`, or makes it. Raises DataError where it cannot be used."""
        try:
            if not path.exists():
                owner = cls(path, secrets.token_hex(8))
                owner.keep("", frozenset())
                return owner
            kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
            if not (kept.owner.isascii() and kept.owner.isalnum()):
                raise msgspec.ValidationError("its owner is no name")
        except OSError as error:
            raise DataError(f"{path}: cannot be read or made ({error.strerror})") from error
        except msgspec.MsgspecError as error:
            raise DataError(
                f"{path}: is damaged ({error}); put it back from a copy. Without it this gate is "
                "another one to the server, and what it had taken there and not used stays spent"
            ) from error
        return cls(path, kept.owner, kept.epoch, frozenset(kept.known))

    def keep(self, epoch: str, known: frozenset[str]) -> None:
        """Remembers these, also after a crash. Raises OSError."""
        if (epoch, known) == (self.epoch, self.known) and self.path.exists():
            return
        kept = _Kept(self.name, epoch, sorted(known))
        write_whole(self.path, [msgspec.json.encode(kept)])
        self.epoch, self.known = epoch, known
