"""Assertions: a signed statement, for the upstream, of what was decided about one request.

A header can be written by whoever reaches the upstream; this one can be checked with the gate's
public key, and fits no other request, no other upstream and no later minute.
"""

from binascii import b2a_base64
from hashlib import sha256
from typing import Any, Final

import msgspec

from passgate.core.jwks import thumbprint
from passgate.core.request import Request
from passgate.log import Signer
from passgate.record import Record

LIFETIME_S: Final = 60
"""How long an assertion is good, in seconds: the way to the upstream, and its clock being off."""

_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
_encode = msgspec.json.Encoder().encode


class Assertions:
    """Signs for one gate: compact JWS, `EdDSA`, typ `passgate-assertion+jwt`, `kid` as in `/keys`.

    The same key signs the log's checkpoints. Neither can be taken for the other: the text of a
    checkpoint has line breaks, which the signed part of a JWS (RFC 7515 section 5.1) never has.
    """

    __slots__ = ("_gate_id", "_head", "_signer")

    def __init__(self, gate_id: str, signer: Signer) -> None:
        self._gate_id = gate_id
        self._signer = signer
        header = {
            "alg": "EdDSA",
            "typ": "passgate-assertion+jwt",
            "kid": thumbprint(signer.public_key),
        }
        self._head = _base64url(_encode(header)) + b"."

    def line(self, request: Request, record: Record, audience: str) -> bytes:
        """The `X-Passport-Assertion` line for a request that may pass, ending in CRLF.

        It says what the `X-Passport-*` headers say, unescaped, and which request it is about:
        `method`, `host` and the SHA-256 (hex) of the request target, all as they are forwarded.
        `jti` is the decision's id; what only a passport has is absent from an anonymous request's.
        """
        issued_at = int(record.at.wall)
        claims: dict[str, Any] = {
            "iss": self._gate_id,
            "aud": audience,
            "iat": issued_at,
            "exp": issued_at + LIFETIME_S,
            "jti": record.decision_id,
            "access": record.access_mode,
            "action": record.action,
            "method": request.method,
            "host": (request.sorted.host or b"").decode("ascii"),
            "target_sha256": sha256(request.target).hexdigest(),
        }
        passport = record.passport
        if passport is not None:
            claims["sub"] = passport.agent
            claims["passport_id"] = passport.id
            claims["passport_issuer"] = passport.issuer
            claims["tier"] = record.tier
            principal = passport.principal
            if principal is not None:
                claims["principal"] = principal.subject
                if principal.levels:
                    claims["assurance"] = principal.levels
        signed = self._head + _base64url(_encode(claims))
        signature = _base64url(self._signer.sign(signed))
        return b"X-Passport-Assertion: %b.%b\r\n" % (signed, signature)


def _base64url(raw: bytes) -> bytes:
    return b2a_base64(raw, newline=False).rstrip(b"=").translate(_TO_URL)
