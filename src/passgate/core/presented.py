"""What counts as presented: every header that carries a credential, or belongs to one.

Whatever is presented keeps a request from being anonymous, also when it is empty, not enabled, or
of a kind that this version does not accept.
"""

import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, NamedTuple

from passgate.core.reasons import Refusal

BESIDE: Final = "\x1e"
"""What stands in the text of a credential before the parents that came beside it."""

READABLE_CARRIERS: Final = ("x-agent-passport", "authorization")
"""The headers that a credential is read from, in the order of the default `passport.headers`."""

# A scheme ends where a token does (RFC 9110 section 11.4), so `Passport,x` is a bad passport and
# not some other scheme that would pass unread.
_SCHEME: Final = re.compile(
    rb"(passport|dpop|bearer)(?![!#$%&'*+.^_`|~0-9a-z-])(.*)", re.IGNORECASE | re.DOTALL
)

_AMBIGUOUS: Final = Refusal("passport_ambiguous", "Several different credentials were presented.")
_ALONE: Final = Refusal("passport_missing", "A proof or a chain came without a passport.")
_UNSUPPORTED: Final = {
    kind: Refusal("passport_unsupported", detail)
    for kind, detail in (
        ("chain", "Parents come beside a passport, not beside its id."),
        ("unread", "This gate does not read passports from that header."),
    )
}


class Presented(NamedTuple):
    """One thing that was presented.

    `carrier` is the header's name in lower case. `kind` is `credential`, `dpop` (a credential that
    says it comes with a proof), `proof`, `chain` (parents of the credential), `reference` (the id
    of a passport), or `unread` (a credential in a header that `passport.headers` leaves out).
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


def with_parents(leaf: str, parents: str) -> str:
    """The text of a credential whose parents came beside it, joined by commas, root first.

    `BESIDE` between them can stand in no header, so no credential can be written that reads as
    another one with parents. White space around the commas means nothing (RFC 9110 section
    5.6.1), and is not kept.
    """
    return leaf + BESIDE + ",".join([parent.strip(" \t") for parent in parents.split(",")])


@dataclass(slots=True)
class Credential:
    """The `text` of a credential, with the hex SHA-256 that it is remembered by once verified.

    Parents that came in a header of their own belong to the text: see `with_parents`.

    `digest` is worked out from the text itself, once, so it cannot be that of another one. It is
    for ASCII only, which every passport is. Where it is `referred` to, the text is its id alone,
    which says nothing yet.
    """

    text: str
    referred: bool = False
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
    if "chain" in kinds and "reference" in kinds:
        return _UNSUPPORTED["chain"]
    for item in presented:
        if item.kind == "reference":
            return Credential(item.value.decode("latin-1"), referred=True)
        if item.kind in ("credential", "dpop"):
            text = item.value.decode("latin-1")
            if "chain" in kinds:
                chains = [each.value for each in presented if each.kind == "chain"]
                text = with_parents(text, b",".join(chains).decode("latin-1"))
            return Credential(text)
    return _UNSUPPORTED["unread"] if "unread" in kinds else _ALONE
