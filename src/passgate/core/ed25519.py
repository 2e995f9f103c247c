"""Ed25519 by the strict rule: what two sound verifiers could judge differently is refused.

A public key counts only if it is canonically encoded and lies in the prime-order subgroup; that is
settled when keys are loaded. A signature counts only if S < L and R is the exact encoding that the
verification equation gives (RFC 8032 section 5.1.7, without the cofactor); libsodium does both.
"""

from nacl.bindings import crypto_core_ed25519_is_valid_point, crypto_sign_open
from nacl.exceptions import BadSignatureError

_P = 2**255 - 19
_SIGN_BIT = 1 << 255


def key_problem(key: bytes) -> str | None:
    """What is wrong with `key` as an Ed25519 public key, as the end of a sentence; None if nothing.

    Refused are keys that are not 32 bytes, whose y is not below p (RFC 8032 section 5.1.3), that
    are no point of the curve, and that lie outside the prime-order subgroup, so every key of small
    order: under those one signature fits many messages, and verifiers disagree.
    """
    if len(key) != 32:
        return "is not 32 bytes long"
    if int.from_bytes(key, "little") & ~_SIGN_BIT >= _P:
        return "is not canonically encoded"
    if not crypto_core_ed25519_is_valid_point(key):
        return "is no point of prime order on the curve"
    return None


def signature_fits(signature: bytes, message: bytes | memoryview, key: bytes) -> bool:
    """Whether the 64 bytes `signature` are `key`'s on `message`; `key` has passed `key_problem`."""
    try:
        crypto_sign_open(signature + message, key)
    except BadSignatureError:
        return False
    return True
