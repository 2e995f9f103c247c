"""Whom a counter counts: one unambiguous text per subject, ready to be put into a counter's name.

Every component is percent-encoded (RFC 3986 section 2.1, all but unreserved characters), so a
subject holds no `/`, no space, no control character, and `|` only between its components: no two
different subjects share a text, whatever an issuer writes into its ids.
"""

import re
from typing import Final
from urllib.parse import quote

from passgate.core.client_address import counted_address, normal_address

# RFC 3986 section 2.3: what stays as it is; most ids are nothing else, and quoting takes long.
_UNRESERVED: Final = re.compile(r"[A-Za-z0-9._~-]*")


# The first word of passports that another one's holder made: whoever may delegate invents them.
_DELEGATED: Final = "delegated"


def subject_of_passport(issuer: str, jti: str, *, delegated: bool = False) -> str:
    """Whom a passport's own constraints count: this passport.

    `jti` is the path of ids from the root where it is `delegated`; an id that merely looks like
    such a path is another subject.
    """
    return _subject(_DELEGATED if delegated else "passport", issuer, jti)


def subject_of_permission(
    issuer: str, jti: str, permission: str, *, delegated: bool = False
) -> str:
    """Whom a permission entry's constraints count: this passport, for this entry."""
    return _subject(_DELEGATED if delegated else "permission", issuer, jti, permission)


def root_of(subject: str) -> str:
    """Whose holder made a delegated passport that is counted, or ""; for its permissions as well.

    All that goes back to one passport has one root, which is no subject itself.
    """
    if not subject.startswith("delegated|"):
        return ""
    _, issuer, path, *_rest = subject.split("|")
    return f"{issuer}|{path.partition('%2F')[0]}"


def subject_of_catalog(issuer: str, agent: str, action: str) -> str:
    """Whom a catalog entry's constraints count: this agent, for this action."""
    return _subject("catalog", issuer, agent, action)


def subject_of_agent(issuer: str, agent: str) -> str:
    """Whom an issuer's and the gate's constraints count: the agent, so a reissue resets nothing."""
    return _subject("agent", issuer, agent)


def subject_of_counterparty(issuer: str, agent: str, kind: str, name: str) -> str:
    """Whom it says an agent has dealt with: `kind` is `vendor` or `domain`."""
    return _subject("counterparty", issuer, agent, kind, name)


def subject_of_address(address: str, action: str = "") -> str:
    """Who is counted where nobody is identified: a client address, for one action or for all.

    `address` is a request's `client`. IPv6 counts by /64, which one customer has whole.
    """
    normal = normal_address(address)
    place = address if normal is None else counted_address(normal)
    return _subject("address", place, action) if action else _subject("address", place)


def _subject(*components: str) -> str:
    # surrogatepass: a lone surrogate from a JSON escape must not become an exception here.
    return "|".join(
        [
            part if _UNRESERVED.fullmatch(part) else quote(part, safe="", errors="surrogatepass")
            for part in components
        ]
    )
