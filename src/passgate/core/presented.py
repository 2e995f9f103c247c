"""What counts as presented: every header that carries a credential, or belongs to one.

Whatever is presented keeps a request from being anonymous, also when it is empty, not enabled, or
of a kind that this version does not accept.
"""

import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, NamedTuple

from passgate.core.reasons import Refusal

READABLE_CARRIERS: Final = ("x-agent-passport", "authorization")
"""The headers that a credential is read from, in the order of the default `passport.headers`."""

# A scheme ends where a token does (RFC 9110 section 11.4), so `Passport,x` is a bad passport and
# not some other scheme that would pass unread.
_SCHEME: Final = re.compile(
    rb"(passport|dpop|bearer)(?![!#$%&'*+.^_`|~0-9a-z-])(.*)", re.IGNORECASE | re.DOTALL
)

_AMBIGUOUS: Final = Refusal("passport_ambiguous", "Several different credentials were presented.")
_ALONE: Final = Refusal("passport_missing", "A proof of possession came without a passport.")
_UNSUPPORTED: Final = {
    kind: Refusal("passport_unsupported", detail)
    for kind, detail in (
        ("chain", "This gate does not accept delegation chains."),
        ("reference", "This gate does not accept passports by reference."),
        ("unread", "This gate does not read passports from that header."),
    )
}


class Presented(NamedTuple):
    """One thing that was presented.

    `carrier` is the header's name in lower case. `kind` is `credential`, `dpop` (a credential that
    says it comes with a proof), `proof`, or what this version has no use for: `chain`, `reference`,
    or `unread` (a credential in a header that `passport.headers` leaves out).
    """

    carrier: str
    value: bytes
    kind: str


def in_authorization(value: bytes, *, accept_bearer: bool, read: bool) -> Presented | None:
    """What an Authorization header presents to the gate, or None where it is for the upstream.

    `Bearer` is the upstream's unless `accept_bearer`. `read` says whether `passport.headers` names
    this header.
    """
    match = _SCHEME.match(value)
    if match is None:
        return None
    scheme = match[1].lower()
    if scheme == b"bearer" and not accept_bearer:
        return None
    kind = "unread"
    if read:
        kind = "dpop" if scheme == b"dpop" else "credential"
    return Presented("authorization", match[2].strip(b" \t"), kind)


@dataclass(slots=True)
class Credential:
    """The `text` of a credential, with the hex SHA-256 that it is remembered by once verified.

    `digest` is worked out from the text itself, once, so it cannot be that of another one. It is
    for ASCII only, which every passport is.
    """

    text: str
    _digest: str = field(default="", init=False, repr=False, compare=False)

    @property
    def digest(self) -> str:
        """The SHA-256 of the text, in hex."""
        digest = self._digest
        if not digest:
            self._digest = digest = sha256(self.text.encode("ascii")).hexdigest()
        return digest


def choose_credential(presented: tuple[Presented, ...]) -> Credential | Refusal | None:
    """The one credential of a request; None where nothing at all was presented.

    The same credential in two headers is one. Bytes beyond ASCII come as Latin-1, for the check of
    its shape to refuse. Refuses two different ones with `passport_ambiguous`,
    and whatever this version does not accept with `passport_unsupported`.
    """
    if not presented:
        return None
    if len(presented) == 1 and presented[0].kind == "credential":
        return Credential(presented[0].value.decode("latin-1"))
    # A reference is never the same as a credential, whatever their bytes.
    credentials = {
        (item.kind == "reference", item.value)
        for item in presented
        if item.kind not in ("proof", "chain")
    }
    if len(credentials) > 1:
        return _AMBIGUOUS
    kinds = {item.kind for item in presented}
    for kind in ("chain", "reference"):
        if kind in kinds:
            return _UNSUPPORTED[kind]
    for item in presented:
        if item.kind in ("credential", "dpop"):
            return Credential(item.value.decode("latin-1"))
    return _UNSUPPORTED["unread"] if "unread" in kinds else _ALONE
