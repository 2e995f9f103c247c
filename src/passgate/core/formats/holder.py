"""The `cnf` claim: whose key a passport is bound to (RFC 7800 section 3)."""

import re
from typing import Final

from passgate.core.jwks import read_key, thumbprint_of
from passgate.core.jws import MalformedError, decode_base64url
from passgate.core.passport import Holder

_THUMBPRINT: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


def read_holder(value: object) -> Holder:
    """The holder that the claim names, by a key (`jwk`) or its thumbprint (`jkt`), not both.

    Raises `MalformedError` for anything else, weak keys and private ones among it.
    """
    if type(value) is not dict or len(value) != 1:
        raise MalformedError("The claim `cnf` must be an object with either `jwk` or `jkt`.")
    if "jwk" in value:
        jwk = value["jwk"]
        if type(jwk) is not dict:
            raise MalformedError("The member `jwk` of `cnf` must be a key.")
        try:
            key = read_key(jwk, "the key")
        except ValueError:
            # The sentence would repeat names that the passport's writer chose.
            raise MalformedError("The member `jwk` of `cnf` is no sound public key.") from None
        # Only Ed25519 signs native passports, so only with such a key can a holder delegate.
        return Holder(thumbprint_of(jwk), key if isinstance(key, bytes) else None)
    jkt = value.get("jkt")
    if type(jkt) is not str or _THUMBPRINT.fullmatch(jkt) is None:
        raise MalformedError("The claim `cnf` needs `jwk`, or `jkt` as an RFC 7638 thumbprint.")
    decode_base64url(jkt.encode("ascii"))  # only the canonical spelling can ever be equal to one
    return Holder(jkt, None)
