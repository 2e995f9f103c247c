"""Trust bundles: what one gate knows of its issuers in one signed file, for gates without network.

A bundle is a compact JWS with `typ` `trust-bundle+jwt`, signed by the exporting gate's key. Nothing
of it is read before its signature was found to fit, and its payload has one spelling alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from passgate.core.ed25519 import signature_fits
from passgate.core.instant import Instant
from passgate.core.jwks import thumbprint
from passgate.core.jws import A_NAME, decoded, encode_base64url, is_name, take_apart
from passgate.core.keys import PublicKey
from passgate.sync.sources import BUNDLE, KINDS
from passgate.sync.store import Copy

BUNDLE_TYPE: Final = "trust-bundle+jwt"

MAX_BUNDLE_BYTES: Final = 256 << 20
"""The longest bundle, as it stands in its file."""

MAX_AHEAD_S: Final = 120
"""How far the clock of who exports may run before that of who imports."""

MAX_AGE_S: Final = 365 * 86_400
"""The greatest `max_age_s` of a part."""

_GREATEST_VERSION: Final = 2**53 - 1


class Signer(Protocol):
    """The key of the gate that exports."""

    @property
    def public_key(self) -> bytes:
        """The 32 bytes that verify."""

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of an Ed25519 signature."""


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one source of one issuer taught the exporter: `body` as it was read, byte for byte.

    `source` is where, for people. `read_at` is when it was last read or confirmed, in Unix seconds;
    older than `max_age_s` it counts nowhere. `highest_iat` and `signed_by` are as in `store.Copy`.
    """

    issuer: str
    kind: str
    source: str
    read_at: int
    max_age_s: int
    highest_iat: int | None
    signed_by: tuple[str, str] | None
    body: str


class CatalogPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The published versions of one gate's catalog, oldest first, as they are served."""

    gate_id: str
    versions: list[str]


class Bundle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of one bundle: `iss` is the gate that exported it, `iat` when, in Unix seconds.

    A later bundle has a higher `version`.
    """

    iss: str
    iat: int
    version: int
    parts: list[Part]
    catalogs: list[CatalogPart]


@dataclass(frozen=True, slots=True)
class Imported:
    """A bundle that was verified: with the key `signer`, and put in place at this gate at `at`."""

    bundle: Bundle
    signer: bytes
    at: Instant

    def without_parts(self) -> "Imported":
        """The same without keys and lists, which may be large."""
        return Imported(msgspec.structs.replace(self.bundle, parts=[]), self.signer, self.at)

    def copy_of(self, part: Part) -> Copy:
        """The part as a last good copy of this gate's own would be: as old as at the exporter, and
        older by all the time since."""
        gone = max(0.0, self.at.wall - part.read_at)
        return Copy(
            part.issuer,
            part.kind,  # type: ignore[arg-type]  # one of KINDS, as `_check` has seen
            BUNDLE,
            part.body.encode(),
            None,
            Instant(float(part.read_at), self.at.boot - gone),
            part.highest_iat,
            part.signed_by,
        )


def write_bundle(bundle: Bundle, signer: Signer) -> bytes:
    """The text of `bundle`. Raises `ValueError` for one that no gate would read."""
    _check(bundle)
    head = msgspec.json.encode(
        {"alg": "EdDSA", "kid": thumbprint(signer.public_key), "typ": BUNDLE_TYPE}
    )
    signed = encode_base64url(head) + b"." + encode_base64url(_encode(bundle))
    text = signed + b"." + encode_base64url(signer.sign(signed)) + b"\n"
    if len(text) > MAX_BUNDLE_BYTES:
        raise ValueError(f"the bundle would be larger than {MAX_BUNDLE_BYTES} bytes")
    return text


def read_bundle(raw: bytes, keys: Mapping[str, PublicKey]) -> tuple[Bundle, bytes]:
    """The bundle in `raw`, and which of `keys` signed it; keys go by their thumbprints.

    Raises `ValueError` with a sentence for anything that is not one whole bundle of theirs.
    """
    if len(raw) > MAX_BUNDLE_BYTES:
        raise ValueError(f"the bundle is larger than {MAX_BUNDLE_BYTES} bytes")
    jws = take_apart(raw.removesuffix(b"\n"), frozenset({BUNDLE_TYPE}))
    known = {thumbprint(key): key for key in keys.values() if isinstance(key, bytes)}
    key = known.get(jws.kid)
    if key is None:
        raise ValueError("the bundle is signed by a key that is not among the trusted ones")
    if not signature_fits(jws.signature, jws.signing_input, key):
        raise ValueError("the signature of the bundle does not verify")
    return _decoded(jws.payload), key


def look_into(raw: bytes) -> tuple[Bundle, str]:
    """What `raw` says, and the thumbprint of the key that it says signed it; nothing is verified.

    Raises `ValueError` for what is no bundle.
    """
    if len(raw) > MAX_BUNDLE_BYTES:
        raise ValueError(f"the bundle is larger than {MAX_BUNDLE_BYTES} bytes")
    jws = take_apart(raw.removesuffix(b"\n"), frozenset({BUNDLE_TYPE}))
    return _decoded(jws.payload), jws.kid


def _decoded(encoded: memoryview) -> Bundle:
    payload = b"".join(decoded(encoded))
    try:
        bundle = msgspec.json.decode(payload, type=Bundle)
        again = _encode(bundle)
    except (msgspec.DecodeError, UnicodeError, ValueError) as error:
        raise ValueError(f"the payload is not that of a bundle: {error}") from None
    if again != payload:
        # A member given twice, and whatever else two readers could take for two things.
        raise ValueError("the payload of the bundle is not in its one spelling")
    _check(bundle)
    return bundle


def _check(bundle: Bundle) -> None:
    """Raises `ValueError` for what has the form of a bundle and makes no sense."""
    if not is_name(bundle.iss):
        raise ValueError(f"the bundle's `iss` is not {A_NAME}")
    if not 0 < bundle.version <= _GREATEST_VERSION or not 0 <= bundle.iat <= _GREATEST_VERSION:
        raise ValueError("the bundle's `version` or `iat` is out of range")
    seen: set[tuple[str, str]] = set()
    for number, part in enumerate(bundle.parts, start=1):
        name = f"part {number} of the bundle"
        if not is_name(part.issuer):
            raise ValueError(f"{name} has an issuer that is not {A_NAME}")
        if part.kind not in KINDS:
            raise ValueError(f"{name} is of a kind that this version does not know")
        if (part.issuer, part.kind) in seen:
            raise ValueError(f"{name} is of the same issuer and kind as another")
        seen.add((part.issuer, part.kind))
        if not 0 <= part.read_at <= bundle.iat:
            raise ValueError(f"{name} was read after the bundle was made, or before all time")
        if not 0 < part.max_age_s <= MAX_AGE_S:
            raise ValueError(f"{name} has a `max_age_s` out of range")
        if part.highest_iat is not None and not 0 <= part.highest_iat <= _GREATEST_VERSION:
            raise ValueError(f"{name} has a `highest_iat` out of range")
    gates = [each.gate_id for each in bundle.catalogs]
    if len(set(gates)) < len(gates) or not all(map(is_name, gates)):
        raise ValueError("the catalogs of the bundle are not of one named gate each")


_encode = msgspec.json.Encoder().encode
