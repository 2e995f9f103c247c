"""Multikeys: an Ed25519 public key in one word, `z6Mk…`, as DIDs write it."""

import re
from typing import Final

from passgate.core.ed25519 import key_problem

_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_ED25519_PREFIX: Final = b"\xed\x01"  # the multicodec of an Ed25519 public key, as a varint
# 34 bytes that begin with the prefix are always 47 characters of base58btc, and begin so.
_MULTIKEY: Final = re.compile(rf"z6Mk[{_BASE58}]{{44}}", re.ASCII)


def write_multikey(key: bytes) -> str:
    """The multikey of a 32-byte Ed25519 public key: base58btc, with `z` for that before it."""
    number = int.from_bytes(_ED25519_PREFIX + key, "big")
    characters: list[str] = []
    while number:
        number, digit = divmod(number, 58)
        characters.append(_BASE58[digit])
    return "z" + "".join(reversed(characters))


def read_multikey(text: str) -> bytes:
    """The 32 bytes of the key, of which each has one multikey.

    Raises `ValueError` for any other kind of key, for another spelling and for a weak key.
    """
    if _MULTIKEY.fullmatch(text) is None:
        raise ValueError("is not the multikey of an Ed25519 key")
    number = 0
    for character in text[1:]:
        number = number * 58 + _BASE58.index(character)
    key = number.to_bytes(35, "big")[3:]
    if write_multikey(key) != text:
        raise ValueError("is not the multikey of an Ed25519 key")
    problem = key_problem(key)
    if problem is not None:
        raise ValueError(problem)
    return key
