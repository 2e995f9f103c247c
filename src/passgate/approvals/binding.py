"""What an approval is for: one digest over everything that makes a request this very request.

A request that differs in any of it is another one and needs an approval of its own.
"""

from hashlib import sha256
from typing import Final

from passgate.core.decision import Plan
from passgate.core.passport import Passport
from passgate.core.request import Request

_VERSION: Final = b"passgate-hold-1"


def binding(request: Request, plan: Plan, passport: Passport) -> str:
    """The hex SHA-256 over agent, passport, issuer, action, method, host, target, Content-Type,
    Content-Encoding, cost, every declared fact, and the SHA-256 of the body.

    Facts are in it because they may stand in a header: who approved a purchase of 10 has not
    approved one of 10,000. The request's body must have been read whole.
    """
    body = request.body
    assert body is not None, "a request is bound with its body"
    facts = plan.facts
    amount = "" if facts.amount is None else f"{facts.amount[0]}e-{facts.amount[1]}"
    headers = request.sorted
    parts: list[bytes] = [
        _VERSION,
        _text(passport.issuer),
        _text(passport.id),
        _text(passport.agent),
        _text(plan.action),
        _text(request.method),
        (headers.host or b"").lower(),
        request.target,
        headers.content_type,
        headers.content_encoding,
        b"%d" % facts.cost_cents,
        b"%d" % facts.minute_cents,
        _text(amount),
        *[
            b"-" if value is None else b"+" + _text(value)
            for value in (facts.vendor, facts.resource, facts.domain, facts.currency)
        ],
        sha256(body).digest(),
    ]
    digest = sha256()
    for part in parts:
        # Lengths keep two different lists of parts from being one text.
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def _text(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")
