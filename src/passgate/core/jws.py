"""Compact JWS (RFC 7515 section 7.1) read strictly; the one reader of everything signed as a JWS.

One text has one reading: three parts, canonical base64url (no padding, no white space, unused bits
zero), JSON without duplicates, and no header member but `alg`, `typ` and `kid`. The reader is told
which `typ` it is to find, so that a revocation list can never be taken for a passport.
"""

import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from passgate.core import strict_json

PASSPORT_TYPES = frozenset({"passport+jwt", "JWT", ""})
"""What `typ` of a passport may say; "" stands for a header without `typ`."""

REVOCATIONS_TYPES = frozenset({"revocations+jwt"})
"""What `typ` of a signed revocation list must say; it can not be left out."""

MAX_NAME_BYTES = 256
"""The most that `kid`, and any other name of something, may have, in UTF-8."""

ED25519 = frozenset({"EdDSA", "Ed25519"})
"""The names of the native format's algorithm: of RFC 8037, and the full one of RFC 9864."""

_HEADER_MEMBERS = frozenset({"alg", "typ", "kid"})
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_FROM_STANDARD = bytes.maketrans(b"+/", b"-_")
_SIGNATURE_CHARACTERS = 86  # 64 bytes
_RSA_CHARACTERS = range(342, 1367)  # 2048 to 8192 bits
_PIECE_CHARACTERS = 256 * 1024  # whole groups of four, so that each piece decodes by itself
# By length modulo 4: padding, and what the last character may be so that its unused bits are zero
# (RFC 4648 section 3.5). A remainder of 1 encodes no whole byte.
_PADDING = (b"", None, b"==", b"=")
_LAST = (frozenset(_ALPHABET), None, frozenset(b"AQgw"), frozenset(b"AEIMQUYcgkosw048"))
# Control characters, and halves of surrogate pairs, which have no bytes in UTF-8.
_NOT_IN_NAMES = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SHORT_NAME = re.compile(r"[A-Za-z0-9_.:/#-]{1,80}", re.ASCII)


class MalformedError(ValueError):
    """The text is not what it claims to be; its message is one sentence, safe for anyone."""


class UnsupportedError(ValueError):
    """The text asks for something that this version does not do; one sentence, safe for anyone."""


class Jws(NamedTuple):
    """The parts of a compact JWS, nothing of it believed yet. `claims` is the decoded payload.

    `alg` is what the header says; which algorithm verifies is the key's to say.
    """

    alg: str
    kid: str
    typ: str
    claims: dict[str, Any]
    payload: bytes
    signing_input: bytes
    signature: bytes


def read(text: bytes, types: frozenset[str], algorithms: frozenset[str] = ED25519) -> Jws:
    """The parts of `text`: `typ` is one of `types` ("" in it: may be absent), `alg` as accepted.

    The signature is *not* verified here: that takes `passgate.core.ed25519` and a key. The
    caller limits the length. Raises `MalformedError`, or `UnsupportedError` where another
    algorithm or header member is asked for.
    """
    # One pass over the whole text: nothing outside the alphabet but exactly two dots.
    if text.translate(None, _ALPHABET) != b"..":
        raise MalformedError("A compact JWS is three parts of base64url, joined by dots.")
    head, body, tail = text.split(b".")
    if len(tail) != _SIGNATURE_CHARACTERS and algorithms is ED25519:
        raise MalformedError("The signature is not 64 bytes long.")
    alg, kid, typ = _read_header(head)
    if alg not in algorithms:
        raise UnsupportedError(f"The header's `alg` is neither {' nor '.join(sorted(algorithms))}.")
    if typ not in types:
        raise MalformedError("The header's `typ` is that of something else.")
    if alg == "RS256":
        if len(tail) not in _RSA_CHARACTERS:
            raise MalformedError("The signature is not as long as any RSA key's.")
    elif len(tail) != _SIGNATURE_CHARACTERS:
        raise MalformedError("The signature is not 64 bytes long.")
    payload = _decode(body)
    return Jws(
        alg,
        kid,
        typ,
        read_object(payload, "payload"),
        payload,
        text[: len(head) + 1 + len(body)],
        _decode(tail),
    )


class Parts(NamedTuple):
    """A compact JWS taken apart, nothing of it believed or copied; `decoded` reads `payload`."""

    kid: str
    typ: str
    payload: "memoryview"  # in quotes: mypyc does not find it among the builtins
    signing_input: "memoryview"
    signature: bytes


def take_apart(text: bytes, types: frozenset[str]) -> Parts:
    """`read` for a text of any size: the payload stays encoded, and is for after the signature.

    Raises as `read` does, for what is wrong with header and signature.
    """
    if text.count(b".") != 2:
        raise MalformedError("A compact JWS is three parts of base64url, joined by dots.")
    first, last = text.index(b"."), text.rindex(b".")
    if len(text) - last - 1 != _SIGNATURE_CHARACTERS:
        raise MalformedError("The signature is not 64 bytes long.")
    head = text[:first]
    if head.translate(None, _ALPHABET):
        raise MalformedError("A part of the JWS is not base64url.")
    alg, kid, typ = _read_header(head)
    if alg not in ED25519:
        raise UnsupportedError("The header's `alg` is neither Ed25519 nor EdDSA.")
    if typ not in types:
        raise MalformedError("The header's `typ` is that of something else.")
    whole = memoryview(text)
    signature = decode_base64url(text[last + 1 :])
    return Parts(kid, typ, whole[first + 1 : last], whole[:last], signature)


def decoded(payload: memoryview) -> Iterator[bytes]:
    """The bytes that `payload` encodes, in pieces; `MalformedError` as of `decode_base64url`."""
    for start in range(0, max(len(payload), 1), _PIECE_CHARACTERS):
        yield decode_base64url(bytes(payload[start : start + _PIECE_CHARACTERS]))


def decode_base64url(part: bytes) -> bytes:
    """The bytes that `part` encodes, at least one.

    Raises `MalformedError` unless it is their one canonical encoding: the URL-safe alphabet, no
    padding, no white space, unused bits zero (RFC 4648 sections 3.2, 3.3, 3.5).
    """
    if part.translate(None, _ALPHABET):
        raise MalformedError("A part of the JWS is not base64url.")
    return _decode(part)


def encode_base64url(raw: bytes) -> bytes:
    """The one encoding of `raw` that `decode_base64url` reads."""
    return b2a_base64(raw, newline=False).rstrip(b"=").translate(_FROM_STANDARD)


def _decode(part: bytes) -> bytes:
    """`decode_base64url` for what is known to hold nothing but the alphabet."""
    if not part:
        raise MalformedError("A part of the JWS is empty.")
    rest = len(part) & 3
    padding = _PADDING[rest]
    last = _LAST[rest]
    if padding is None or last is None or part[-1] not in last:
        raise MalformedError("A part of the JWS is not canonical base64url.")
    return a2b_base64(part.translate(_TO_STANDARD) + padding)


# All passports of one key have the same header, so it is nearly always one that was read before.
# Headers that are refused raise and are not kept; a header is as short as its names.
@lru_cache(maxsize=1024)
def _read_header(part: bytes) -> tuple[str, str, str]:
    """`alg`, `kid` and `typ` of the header ("" where there is no `typ`)."""
    if len(part) > 2048:
        raise MalformedError("The header is larger than any header needs.")
    header = read_object(_decode(part), "header")
    if not header.keys() <= _HEADER_MEMBERS:
        raise UnsupportedError(f"The header has {named(header.keys() - _HEADER_MEMBERS)}.")
    alg = header.get("alg")
    if type(alg) is not str:
        raise MalformedError("The header needs `alg` as a string.")
    typ = header.get("typ", "")
    if type(typ) is not str or (typ == "" and "typ" in header):
        raise MalformedError("The header's `typ` is not a type.")
    kid = header.get("kid")
    if type(kid) is not str or not is_name(kid):
        raise MalformedError(f"The header needs `kid` as {A_NAME}.")
    return alg, kid, typ


def split(text: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """Header, payload and signature of a compact JWS, decoded, and what the signature is over.

    For a JWS whose header is not that of a passport. Raises `MalformedError`.
    """
    if text.translate(None, _ALPHABET) != b"..":
        raise MalformedError("A compact JWS is three parts of base64url, joined by dots.")
    head, body, tail = text.split(b".")
    return _decode(head), _decode(body), _decode(tail), text[: len(head) + 1 + len(body)]


def read_object(raw: bytes, what: str) -> dict[str, Any]:
    """The JSON object that `raw` is; `MalformedError`, which calls it `what`, for anything else."""
    try:
        value = strict_json.loads(raw)
    except ValueError:
        # The parser's own words would repeat parts of the text; which part failed is enough.
        raise MalformedError(f"The {what} is not unambiguous JSON.") from None
    if type(value) is not dict:
        raise MalformedError(f"The {what} is not a JSON object.")
    return value


A_NAME = f"a string of 1 to {MAX_NAME_BYTES} bytes without control characters"
"""What `is_name` asks for, for sentences."""


def is_name(value: str) -> bool:
    """Whether `value` can name something: 1 to 256 bytes of UTF-8 without control characters."""
    if value.isascii() and value.isprintable():  # nearly all, and quick
        return 0 < len(value) <= MAX_NAME_BYTES
    return _NOT_IN_NAMES.search(value) is None and len(value.encode()) <= MAX_NAME_BYTES


def named(names: set[str]) -> str:
    """Words for a sentence on unknown member `names`: the first, quoted only if short and plain."""
    first = min(names)
    if _SHORT_NAME.fullmatch(first) is None:
        return "a member that this gate does not know"
    return f"`{first}`, which this gate does not support"
