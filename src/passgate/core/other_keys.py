"""P-256 and RSA keys. Imported where one occurs: it takes 7 MB, and most gates have none."""

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from passgate.core.keys import ES256, RS256, OtherKey

_SHA256: Final = SHA256()
_ECDSA: Final = ec.ECDSA(_SHA256)
_PKCS1: Final = PKCS1v15()


def p256_key(x: bytes, y: bytes) -> OtherKey:
    """The key at this point of P-256, both coordinates of 32 bytes, for ES256.

    Raises `ValueError` where there is no such point.
    """
    numbers = ec.EllipticCurvePublicNumbers(
        int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1()
    )
    key = numbers.public_key()
    return OtherKey(ES256, _encoded(key), _Elliptic(key).verifies)


def rsa_key(modulus: int, exponent: int) -> OtherKey:
    """The RSA key of these numbers, which the caller has found sound, for RS256."""
    key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    return OtherKey(RS256, _encoded(key), _Rsa(key).verifies)


def _encoded(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


class _Elliptic:
    def __init__(self, key: ec.EllipticCurvePublicKey) -> None:
        self._key = key

    def verifies(self, signature: bytes, message: bytes) -> bool:
        if len(signature) != 64:  # r and s of 32 bytes each (RFC 7518 section 3.4)
            return False
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        try:
            self._key.verify(encode_dss_signature(r, s), message, _ECDSA)
        except InvalidSignature:
            return False
        return True


class _Rsa:
    def __init__(self, key: rsa.RSAPublicKey) -> None:
        self._key = key

    def verifies(self, signature: bytes, message: bytes) -> bool:
        try:
            self._key.verify(signature, message, _PKCS1, _SHA256)
        except InvalidSignature:
            return False
        return True
