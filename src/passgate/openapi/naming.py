"""Names of actions: `namespace:action`, by the first tag and the operation's id, each once."""

import re
from hashlib import sha256
from typing import Final

_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_OTHER: Final = re.compile(r"[^\w.-]+")
_LONGEST_SPACE: Final = 80
_LONGEST_NAME: Final = 150


class Names:
    """The names that were given so far."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def give(self, tag: str, operation_id: str, method: str, path: str) -> tuple[str, str]:
        """A name that no other operation has, and the one that it would have had alone.

        The namespace is the first tag, else the first fixed segment of the path, else `api`. The
        action is the id without the namespace before it, else method and path.
        """
        fixed = [part for part in path.split("/") if part and "{" not in part]
        space = _slug(tag) or (_slug(fixed[0]) if fixed else "") or "api"
        of_path = f"{method.lower()}_{_slug(path) or 'root'}"
        name = _slug(operation_id) or of_path
        rest = name.removeprefix(space)
        if rest[:1] in ("_", ".", "-") and rest != name:
            name = rest.lstrip("_.-") or name
        asked = f"{_short(space, _LONGEST_SPACE)}:{_short(name, _LONGEST_NAME)}"
        given = asked
        number = 2
        while given in self._given:
            given = f"{asked}_{number}"
            number += 1
        self._given.add(given)
        return given, asked


def _slug(text: str) -> str:
    """Lower case, and `_` for whatever is no letter, digit, dot or hyphen."""
    return _OTHER.sub("_", _HUMP.sub("_", text)).lower().strip("_.-")


def _short(text: str, most: int) -> str:
    """`text` in at most `most` bytes; what is cut is told apart by its hash."""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= most:
        return raw.decode()
    return raw[: most - 9].decode("utf-8", "ignore") + "_" + sha256(raw).hexdigest()[:8]
