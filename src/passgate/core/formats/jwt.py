"""The native format: a compact JWS whose payload holds the claims of the passport specification.

Every claim has exactly the type that the specification gives it, and a claim that is not in it
refuses the passport: what an issuer meant as a limit is never read over.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from passgate.core.constraints.base import NO_CONSTRAINTS
from passgate.core.formats.base import ChainError, Unverified
from passgate.core.formats.constraints import read_constraints
from passgate.core.formats.grants import read_grants
from passgate.core.formats.holder import read_holder
from passgate.core.formats.status import read_status
from passgate.core.jws import (
    A_NAME,
    PASSPORT_TYPES,
    MalformedError,
    UnsupportedError,
    is_name,
    named,
    read,
)
from passgate.core.passport import CatalogPin, Permission
from passgate.core.permissions import is_pattern
from passgate.core.self_issued import is_self_issued, own_keys

MAX_DEPTH: Final = 5
"""The most parents that a passport may have."""

MAX_TIME = 2**53 - 1
"""The latest second that a time claim may name; all readers hold it exactly."""

_TRIO = frozenset({"gate_id", "catalog_version", "catalog_content_hash"})
_CLAIMS = _TRIO | {
    "iss", "sub", "jti", "iat", "exp", "nbf", "aud", "agent_name", "metadata", "permissions",
    "constraints", "trust_tier", "catalogs", "grants", "may_delegate", "cnf", "chain", "status",
}  # fmt: skip
_PIN_MEMBERS = frozenset({"version", "content_hash"})
_PERMISSION_MEMBERS = frozenset({"permission_key", "constraints"})
_NO_PINS: Mapping[str, CatalogPin] = {}


def read_jwt(credential: bytes) -> Unverified:
    """What the claims of `credential` say, each of its exact type; nothing is believed yet.

    Raises `UnsupportedError` for a claim that this version does not know,
    `MalformedError` for a claim that is missing or not of its type, and `ChainError` for parents
    that cannot be those of one chain.
    """
    return _read_jwt(credential, None)


def _read_jwt(credential: bytes, elders: tuple[bytes, ...] | None) -> Unverified:
    """A passport, or with `elders` the parent in a chain that follows those; the root has ()."""
    jws = read(credential, PASSPORT_TYPES)
    claims = jws.claims
    if not claims.keys() <= _CLAIMS:
        raise UnsupportedError(f"The passport has {named(claims.keys() - _CLAIMS)}.")
    may_delegate = claims.get("may_delegate", False)
    if type(may_delegate) is not bool:
        raise MalformedError("The claim `may_delegate` must be true or false.")
    if "agent_name" in claims and type(claims["agent_name"]) is not str:
        raise MalformedError("The claim `agent_name` must be a string.")
    if "trust_tier" in claims and type(claims["trust_tier"]) is not str:
        raise MalformedError("The claim `trust_tier` must be a string.")
    if "metadata" in claims and type(claims["metadata"]) is not dict:
        raise MalformedError("The claim `metadata` must be an object.")
    parents: tuple[Unverified, ...] = ()
    if elders is not None:
        parents = _no_stranger(claims, elders)
    elif "chain" in claims:
        parents = _parents(claims["chain"])
    issuer = _name(claims, "iss")
    holder = read_holder(claims["cnf"]) if "cnf" in claims else None
    own: dict[str, bytes] | None = None
    # Below a root that is its own issuer others sign, each with its parent's key.
    if is_self_issued(issuer) and not parents and not elders:
        own = own_keys(issuer, None if holder is None else holder.key)
        if "catalogs" in claims or not _TRIO.isdisjoint(claims):
            raise MalformedError("A self-issued passport is pinned to no catalog.")
    return Unverified(
        "jwt",
        issuer,
        _name(claims, "sub"),
        _name(claims, "jti"),
        jws.kid,
        _time(claims, "iat"),
        _time(claims, "exp"),
        _time(claims, "nbf") if "nbf" in claims else None,
        _audience(claims["aud"]) if "aud" in claims else (),
        _permissions(claims.get("permissions")),
        read_constraints(claims["constraints"]) if "constraints" in claims else NO_CONSTRAINTS,
        read_grants(claims["grants"]) if "grants" in claims else (),
        _pins(claims),
        jws.payload,
        jws.signing_input,
        jws.signature,
        holder,
        may_delegate,
        parents,
        read_status(claims["status"]) if "status" in claims else None,
        own_keys=own,
    )


def _parents(value: object) -> tuple[Unverified, ...]:
    """The parents that the claim `chain` of a presented passport lists, root first."""
    listed = _chain(value)
    if len(listed) > MAX_DEPTH:
        raise ChainError("chain_too_deep", f"The chain has more than {MAX_DEPTH} parents.")
    parents: list[Unverified] = []
    before: tuple[bytes, ...] = ()
    for raw in listed:
        parents.append(_read_jwt(raw, before))
        before = (*before, raw)
    return tuple(parents)


def _no_stranger(claims: dict[str, Any], elders: tuple[bytes, ...]) -> tuple[Unverified, ...]:
    """A parent's own chain must be what stands before it: other parents would be judged by nobody.

    The same bytes have been read already, so they are not read again.
    """
    own = _chain(claims["chain"]) if "chain" in claims else ()
    if own != elders:
        raise ChainError("chain_invalid", "A parent in the chain comes from another chain.")
    return ()


def _chain(value: object) -> tuple[bytes, ...]:
    if type(value) is not list or not value or not all(_is_ascii(each) for each in value):
        raise MalformedError("The claim `chain` must be a list of passports, the root first.")
    return tuple([each.encode("ascii") for each in value])


def _is_ascii(value: object) -> bool:
    return type(value) is str and value.isascii()


def _name(claims: dict[str, Any], claim: str) -> str:
    value = claims.get(claim)
    if type(value) is not str or not is_name(value):
        raise MalformedError(f"The claim `{claim}` must be {A_NAME}.")
    return value


def _time(claims: dict[str, Any], claim: str) -> int:
    value = claims.get(claim)
    if type(value) is not int or not 0 <= value <= MAX_TIME:  # type(True) is bool
        raise MalformedError(f"The claim `{claim}` must be a time in whole seconds.")
    return value


def _audience(value: object) -> tuple[str, ...]:
    entries: list[Any] = value if isinstance(value, list) else [value]
    # An empty list would mean "for nobody" and must not be taken for "for everybody".
    if not entries or not all(type(entry) is str and is_name(entry) for entry in entries):
        raise MalformedError("The claim `aud` must be a string or a list of strings.")
    return _only(entries[0]) if len(entries) == 1 else tuple(entries)


# Most passports are for one audience, and all for this gate are for the same.
@lru_cache(maxsize=1024)
def _only(audience: str) -> tuple[str, ...]:
    return (audience,)


def _permissions(value: object) -> tuple[Permission, ...]:
    if type(value) is not list:
        raise MalformedError("The claim `permissions` must be a list.")
    if len(value) <= 16 and all(type(entry) is str for entry in value):
        return _all_bare(tuple(value))
    return tuple([_bare(entry) if type(entry) is str else _permission(entry) for entry in value])


# Passports of an issuer mostly hold the same permissions: they share the tuple and its entries.
@lru_cache(maxsize=1024)
def _all_bare(patterns: tuple[str, ...]) -> tuple[Permission, ...]:
    return tuple([_bare(pattern) for pattern in patterns])


@lru_cache(maxsize=4096)
def _bare(pattern: str) -> Permission:
    if not is_pattern(pattern):
        raise MalformedError(
            "A permission must be a key of 1 to 256 bytes; `*` stands alone or ends it as `:*`."
        )
    return Permission(pattern, NO_CONSTRAINTS)


def _permission(entry: object) -> Permission:
    if type(entry) is not dict or type(entry.get("permission_key")) is not str:
        raise MalformedError("A permission must be a string or an object with `permission_key`.")
    if not entry.keys() <= _PERMISSION_MEMBERS:
        unknown = named(entry.keys() - _PERMISSION_MEMBERS)
        raise UnsupportedError(f"A permission of the passport has {unknown}.")
    bare = _bare(entry["permission_key"])
    if "constraints" not in entry:
        return bare
    return Permission(bare.pattern, read_constraints(entry["constraints"]))


def _pins(claims: dict[str, Any]) -> Mapping[str, CatalogPin]:
    """Catalog pins by gate id, of `catalogs` and of the older trio of claims together."""
    trio = claims.keys() & _TRIO
    if not trio and "catalogs" not in claims:
        return _NO_PINS
    value = claims.get("catalogs", {})
    if type(value) is not dict:
        raise MalformedError("The claim `catalogs` must be an object.")
    pins = {gate: _pin(gate, entry) for gate, entry in value.items()}
    if trio:
        if trio != _TRIO:
            raise MalformedError(
                "The claims `gate_id`, `catalog_version` and `catalog_content_hash` go together."
            )
        gate = _name(claims, "gate_id")
        pin = _pin(
            gate,
            {"version": claims["catalog_version"], "content_hash": claims["catalog_content_hash"]},
        )
        if pins.setdefault(gate, pin) != pin:
            raise MalformedError("The passport is pinned to two catalogs of one gate.")
    return pins


def _pin(gate: str, entry: object) -> CatalogPin:
    if type(entry) is not dict or not is_name(gate):
        raise MalformedError("A catalog pin must be an object under the gate's id.")
    if not entry.keys() <= _PIN_MEMBERS:
        raise UnsupportedError(f"A catalog pin has {named(entry.keys() - _PIN_MEMBERS)}.")
    version, content_hash = entry.get("version"), entry.get("content_hash")
    if type(version) is not int or version < 0:
        raise MalformedError("A catalog pin's version must be a whole number, zero or greater.")
    if type(content_hash) is not str or not is_name(content_hash):
        raise MalformedError(f"A catalog pin's content hash must be {A_NAME}.")
    return CatalogPin(version, content_hash)
