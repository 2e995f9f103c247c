"""The native format: a compact JWS whose payload holds the claims of the passport specification.

Every claim has exactly the type that the specification gives it, and a claim that is not in it
refuses the passport: what an issuer meant as a limit is never read over.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from passgate.core.constraints import parse_constraints
from passgate.core.constraints.base import NO_CONSTRAINTS, ConstraintSet
from passgate.core.formats.base import Unverified
from passgate.core.formats.grants import read_grants
from passgate.core.generations import Generations
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

MAX_TIME = 2**53 - 1
"""The latest second that a time claim may name; all readers hold it exactly."""

_TRIO = frozenset({"gate_id", "catalog_version", "catalog_content_hash"})
_CLAIMS = _TRIO | {
    "iss", "sub", "jti", "iat", "exp", "nbf", "aud", "agent_name", "metadata", "permissions",
    "constraints", "trust_tier", "catalogs", "grants", "may_delegate",
}  # fmt: skip
_PIN_MEMBERS = frozenset({"version", "content_hash"})
_PERMISSION_MEMBERS = frozenset({"permission_key", "constraints"})
_NO_PINS: Mapping[str, CatalogPin] = {}
_LONGEST_SHARED: Final = 2048
_sets: Final[Generations[str, ConstraintSet]] = Generations(1024)
# A sentence of a constraint's parser goes out only if it can do no harm in a header.
_SAFE_SENTENCE = re.compile(r"[A-Za-z0-9 ,.;:'`()/_<>=*+#-]{1,200}", re.ASCII)


def read_jwt(credential: bytes) -> Unverified:
    """What the claims of `credential` say, each of its exact type; nothing is believed yet.

    Raises `UnsupportedError` for a claim that this version does not know (key binding, chains and
    status lists among them) and `MalformedError` for a claim that is missing or not of its type.
    """
    jws = read(credential, PASSPORT_TYPES)
    claims = jws.claims
    if not claims.keys() <= _CLAIMS:
        raise UnsupportedError(f"The passport has {named(claims.keys() - _CLAIMS)}.")
    if "may_delegate" in claims:
        _may_delegate(claims["may_delegate"])
    if "agent_name" in claims and type(claims["agent_name"]) is not str:
        raise MalformedError("The claim `agent_name` must be a string.")
    if "trust_tier" in claims and type(claims["trust_tier"]) is not str:
        raise MalformedError("The claim `trust_tier` must be a string.")
    if "metadata" in claims and type(claims["metadata"]) is not dict:
        raise MalformedError("The claim `metadata` must be an object.")
    return Unverified(
        format="jwt",
        issuer=_name(claims, "iss"),
        agent=_name(claims, "sub"),
        id=_name(claims, "jti"),
        key_id=jws.kid,
        issued_at=_time(claims, "iat"),
        expires_at=_time(claims, "exp"),
        not_before=_time(claims, "nbf") if "nbf" in claims else None,
        audience=_audience(claims["aud"]) if "aud" in claims else (),
        permissions=_permissions(claims.get("permissions")),
        constraints=(
            _constraints(claims["constraints"]) if "constraints" in claims else NO_CONSTRAINTS
        ),
        grants=read_grants(claims["grants"]) if "grants" in claims else (),
        pins=_pins(claims),
        payload=jws.payload,
        message=jws.signing_input,
        signature=jws.signature,
    )


def _may_delegate(value: object) -> None:
    if value is True:
        raise UnsupportedError("The passport may delegate, which this gate does not support.")
    if value is not False:
        raise MalformedError("The claim `may_delegate` must be true or false.")


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
    return Permission(bare.pattern, _constraints(entry["constraints"]))


def _constraints(value: object) -> ConstraintSet:
    if type(value) is not dict:
        raise MalformedError("The member `constraints` must be an object.")
    # An issuer mostly sets the same limits: equal ones are read once, and kept once.
    text = repr(value)
    known = _sets.find(text) if len(text) <= _LONGEST_SHARED else None
    if known is not None:
        return known
    try:
        read_set = parse_constraints(value)
    except ValueError as error:
        sentence = str(error)
        if _SAFE_SENTENCE.fullmatch(sentence) is None:
            sentence = "its value is not of the right kind"
        raise MalformedError(f"A constraint cannot be read: {sentence}") from None
    if len(text) <= _LONGEST_SHARED:
        _sets.keep(text, read_set)
    return read_set


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
