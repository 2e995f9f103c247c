"""The table of passport formats, and which of them a credential is in."""

from collections.abc import Callable
from typing import Final

from passgate.core import strict_json
from passgate.core.formats.base import Unverified
from passgate.core.formats.csp import is_csp, read_csp
from passgate.core.formats.envelope import read_envelope
from passgate.core.formats.jwt import read_jwt
from passgate.core.jws import MalformedError, UnsupportedError, decode_base64url
from passgate.core.presented import BESIDE

FORMATS: dict[str, Callable[[bytes], Unverified]] = {
    "jwt": read_jwt,
    "envelope": read_envelope,
    "csp": read_csp,
}
"""Each format's reader by the format's name in the configuration.

A reader takes the credential's text, with parents as `with_parents` puts them, and raises
`MalformedError`, `UnsupportedError` or `ChainError`; it believes nothing and verifies no signature.
"""

_BESIDE: Final = BESIDE.encode()
_WITH_PARENTS: Final = frozenset({"csp"})


def read(credential: bytes, accepted: frozenset[str]) -> Unverified:
    """What `credential` says, read in the one format that it is in, if that is in `accepted`.

    Raises `UnsupportedError` for a format that is not accepted or not built, and `MalformedError`
    for what is no passport at all. Three parts joined by dots are a JWS and nothing else; which
    format it is in, its claims say.
    """
    leaf = credential
    if _BESIDE in credential:
        leaf = credential[: credential.index(_BESIDE)]
    if leaf.count(b".") == 2:
        name = "csp" if is_csp(leaf) else "jwt"
    elif "envelope" in accepted or _is_envelope(leaf):
        name = "envelope"
    else:
        raise MalformedError("A passport is three parts of base64url, joined by dots.")
    if name not in accepted or name not in FORMATS:
        raise UnsupportedError("This gate does not accept passports in this format.")
    if leaf is not credential and name not in _WITH_PARENTS:
        raise UnsupportedError("A passport in this format has no parents in a header.")
    return FORMATS[name](credential)


def _is_envelope(credential: bytes) -> bool:
    """Whether this is the base64url of a JSON object with `passport_json`, as Modei v2 has it."""
    try:
        value = strict_json.loads(decode_base64url(credential))
    except ValueError:  # MalformedError is one too
        return False
    return type(value) is dict and "passport_json" in value


__all__ = ["FORMATS", "Unverified", "read"]
