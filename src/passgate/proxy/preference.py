"""`Prefer: wait=N` (RFC 7240 section 4.3): how long a client would rather wait than ask again."""

import re
from collections.abc import Sequence
from typing import Final

MOST_WAIT_S: Final = 55
"""The longest that anybody waits: below the minute after which things in between give up."""

_WAIT: Final = re.compile(
    rb'[ \t]*wait[ \t]*=[ \t]*(?:"([0-9]{1,9})"|([0-9]{1,9}))[ \t]*(?:;.*)?', re.I
)


def wait_preferred(headers: Sequence[tuple[bytes, bytes]]) -> int:
    """The seconds of the first `wait` among the preferences, at most 55; 0 where there is none.

    A preference that cannot be read is none (RFC 7240 section 2): nobody is refused for it.
    """
    for name, value in headers:
        if name.lower() == b"prefer":
            for preference in value.split(b","):
                found = _WAIT.fullmatch(preference)
                if found is not None:
                    return min(int(found[1] or found[2]), MOST_WAIT_S)
    return 0
