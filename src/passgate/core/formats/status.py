"""The claim `status`: where the issuer tells whether the passport is still good."""

from functools import lru_cache
from typing import Final

from passgate.core.jws import MalformedError, UnsupportedError, named
from passgate.core.status_list import StatusReference

MAX_URI_CHARACTERS: Final = 2048

_MECHANISMS: Final = frozenset({"status_list"})
_MEMBERS: Final = frozenset({"idx", "uri"})
_MOST: Final = 2**53 - 1


def read_status(value: object) -> StatusReference:
    """The place in a status list that the claim `status` names.

    Raises `UnsupportedError` for another mechanism, `MalformedError` for what names no place.
    """
    if type(value) is not dict:
        raise MalformedError("The claim `status` must be an object.")
    if not value.keys() <= _MECHANISMS:
        raise UnsupportedError(f"The claim `status` has {named(value.keys() - _MECHANISMS)}.")
    place = value.get("status_list")
    if type(place) is not dict:
        raise MalformedError(
            "The claim `status` needs `status_list`, an object of `idx` and `uri`."
        )
    if not place.keys() <= _MEMBERS:
        raise UnsupportedError(f"The status list has {named(place.keys() - _MEMBERS)}.")
    index, uri = place.get("idx"), place.get("uri")
    if type(index) is not int or not 0 <= index <= _MOST:
        raise MalformedError("The status list's `idx` must be a whole number, zero or greater.")
    if type(uri) is not str or not 0 < len(uri) <= MAX_URI_CHARACTERS or not uri.isprintable():
        raise MalformedError("The status list's `uri` must be the address of one.")
    return StatusReference(_shared(uri), index)


# All passports of an issuer name the same few lists: one text for all of them.
@lru_cache(maxsize=256)
def _shared(uri: str) -> str:
    return uri
