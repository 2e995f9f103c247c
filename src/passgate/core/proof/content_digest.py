"""`Content-Digest` (RFC 9530): whether a body is the one that was signed."""

import hmac
from hashlib import sha256, sha512
from typing import Final

from passgate.core.structured import read_dictionary

_HASHES: Final = {"sha-256": sha256, "sha-512": sha512}


def digest_fits(field: bytes, body: bytes) -> bool:
    """Whether every digest in `field` is that of `body`, and at least one is sha-256 or sha-512.

    Another algorithm is refused: RFC 9530 section 5 calls all others insecure.
    """
    try:
        digests = read_dictionary(field.decode("ascii"))
    except ValueError:
        return False
    for name, digest in digests.items():
        made = _HASHES.get(name)
        if made is None or digest.octets is None or digest.parameters:
            return False
        if not hmac.compare_digest(made(body).digest(), digest.octets):
            return False
    return True
