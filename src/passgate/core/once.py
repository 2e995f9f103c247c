"""Once: which operation a request is of, told by its idempotency key, so that a repeat is known.

A route says with `idempotent: true` that its upstream honours the header `Idempotency-Key`
(draft-ietf-httpapi-idempotency-key-header): requests with one key are one operation there.
"""

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from passgate.core.constraints.subjects import subject_of_agent
from passgate.core.facts import Facts
from passgate.core.passport import Passport
from passgate.core.reasons import Refusal
from passgate.core.request import Request
from passgate.core.routes import Route
from passgate.core.sources import Source

LONGEST_KEY: Final = 256
_PRINTABLE: Final = bytes(range(0x20, 0x7F))
_BAD_KEY: Final = Refusal(
    "request_malformed",
    f"The Idempotency-Key header must come once, with 1 to {LONGEST_KEY} printable characters.",
)


@dataclass(frozen=True, slots=True)
class Once:
    """An operation that is to be charged once, however often its request comes.

    `name` says whose it is and which: `<subject>/<hash of the key>`, where the subject is one of
    `core.constraints.subjects` and holds no slash. `digest` says what is asked: requests of one
    name and of different digests are in conflict. Neither tells the key or the body.
    """

    name: str
    digest: str


def read_key(request: Request) -> bytes | Refusal | None:
    """The request's idempotency key; None where it has none.

    Refuses with `request_malformed` one that is repeated, empty, longer than 256 bytes, or holds
    anything but printable ASCII: what the upstream would make of it nobody knows.
    """
    keys = request.sorted.idempotency_keys
    if not keys:
        return None
    key = keys[0]
    if len(keys) > 1 or not 0 < len(key) <= LONGEST_KEY or key.translate(None, _PRINTABLE):
        return _BAD_KEY
    return key


def once_of(passport: Passport, request: Request, route: Route, facts: Facts) -> Once | None:
    """The operation of a request whose body is there whole; None where it has no key.

    A key is the agent's, so that a new passport of the same agent repeats what the last one began.
    What is asked is the method, host, target and body as they are forwarded; and the cost where
    the request declares it, since a header could. The digest is over the key as well: who reads it
    in a log cannot tell a short body by trying all.
    """
    key = read_key(request)
    if key is None or isinstance(key, Refusal):
        return None
    subject = subject_of_agent(passport.issuer, passport.agent)
    declared = b""
    if isinstance(route.cost, Source):
        declared = f"{facts.cost_cents} {facts.currency or ''}".encode()
    asked = _hash(
        key,
        request.method.encode(),
        (request.sorted.host or b"").lower(),
        request.target,
        request.body or b"",
        declared,
    )
    return Once(f"{subject}/{_hash(subject.encode(), key)}", asked)


def _hash(*parts: bytes) -> str:
    """SHA-256 of the parts, each after its length, so that no two lists of parts look alike."""
    digest = sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
