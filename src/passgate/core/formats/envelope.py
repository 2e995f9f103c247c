"""Modei's envelope, version 2: a JSON object, and beside it a signature over its RFC 8785 bytes.

In a header it is the base64url of `{"passport_json": {...}, "signature": "<base64>"}`. Its parents
stand in it whole, each with its own parents again. Everything has exactly the type that the format
gives it, and what is not in the format refuses the envelope.
"""

import re
from binascii import Error, a2b_base64, b2a_base64
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final

import rfc8785

from passgate.core.constraints.base import NO_CONSTRAINTS
from passgate.core.ed25519 import key_problem
from passgate.core.formats.base import ChainError, Unverified
from passgate.core.formats.constraints import read_constraints
from passgate.core.formats.envelope_chain import Stated, is_same, judge_stated
from passgate.core.jwks import thumbprint
from passgate.core.jws import (
    A_NAME,
    MalformedError,
    UnsupportedError,
    decode_base64url,
    encode_base64url,
    is_name,
    named,
    read_object,
)
from passgate.core.passport import CatalogPin, Holder, Permission
from passgate.core.rfc3339 import parse_instant
from passgate.core.self_issued import hash_id, is_self_issued
from passgate.core.strict_json import MAX_INTEGER

MAX_DEPTH: Final = 5
"""The most parents that an envelope may have."""

SELF: Final = "self"
DELEGATE: Final = "delegate"
_TYPES: Final = frozenset({"self", "platform", "gate", "delegate"})

_CARRIER: Final = frozenset({"passport_json", "signature"})
_ENVELOPE: Final = frozenset({
    "schema_version", "passport_id", "identity", "permissions", "provenance",
    "delegation_authority", "verification_evidence",
})  # fmt: skip
_IDENTITY: Final = frozenset({"agent_id", "agent_name", "public_key"})
_PERMISSION: Final = frozenset({"permission_key", "constraints"})
_PROVENANCE: Final = frozenset({
    "issuer", "gate_id", "catalog_content_hash", "catalog_version", "delegation_chain",
    "issued_at", "expires_at",
})  # fmt: skip
_ISSUER: Final = frozenset({"type", "id", "key_id"})
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)


def agent_id_of(key: bytes) -> str:
    """The agent id that self-issued and delegated envelopes must have for this key."""
    return "agent_self_" + encode_base64url(sha256(key).digest())[:32].decode()


def read_envelope(credential: bytes) -> Unverified:
    """What the envelope says; nothing of it is believed yet.

    Raises `UnsupportedError` for members and versions that this gate does not know,
    `MalformedError` for what is missing or not of its type, and `ChainError` for parents that
    cannot be those of one chain. What its parents have against it is its `flaw`.
    """
    try:
        raw = decode_base64url(credential)
    except MalformedError:
        raise MalformedError(
            "A passport is three parts of base64url, joined by dots, or one that is an envelope."
        ) from None
    leaf = _stated(*_carried(read_object(raw, "envelope"), "The envelope"))
    elders = _elders(leaf)
    chain = b"null"
    before: list[bytes] = []
    links: list[Unverified] = []
    for each in (*elders, leaf):
        message = canonical_object({**each.members, "provenance": _provenance(each, chain)})
        links.append(_unverified(each, elders, message))
        signature = rfc8785.dumps(b2a_base64(each.signature, newline=False).decode())
        before.append(canonical_object({"passport_json": message, "signature": signature}))
        chain = b"[" + b",".join(before) + b"]"
    read = links.pop()
    if links:
        read.parents = tuple(links)
        read.flaw = judge_stated((*elders, leaf))
    return read


def canonical(value: object) -> bytes:
    """The RFC 8785 bytes of `value` as strict JSON reads it, with fractions as `Decimal`.

    Raises `MalformedError` for a number that no double is: what is signed would not be what is
    written.
    """
    return rfc8785.dumps(_with_doubles(value))


def canonical_object(members: dict[str, bytes]) -> bytes:
    """The RFC 8785 bytes of an object of ASCII names whose values are such bytes already."""
    return b"{" + b",".join([b'"%s":%s' % (n.encode(), members[n]) for n in sorted(members)]) + b"}"


def _with_doubles(value: Any) -> Any:
    if type(value) is dict:
        return {name: _with_doubles(part) for name, part in value.items()}
    if type(value) is list:
        return [_with_doubles(part) for part in value]
    return _double(value) if type(value) is Decimal else value


def _double(number: Decimal) -> float:
    double = float(number)
    # JSON knows no infinity, so this is the text of a number that is too large for a double.
    if abs(double) > MAX_INTEGER or Decimal(repr(double)) != number:
        raise MalformedError("The envelope holds a number that would not be signed as written.")
    return double


def _settled(value: Any) -> Any:
    """`value` with 10.0 as the 10 that is signed; its members are judged by that."""
    if type(value) is dict:
        return {name: _settled(part) for name, part in value.items()}
    if type(value) is list:
        return [_settled(part) for part in value]
    # The size is looked at first: a short text may be a number of millions of digits, for which
    # there is no int, and not even an absolute value.
    if type(value) is Decimal and -MAX_INTEGER <= value <= MAX_INTEGER and value == int(value):
        return int(value)
    return value


def _carried(carrier: Any, what: str) -> tuple[Any, bytes]:
    """The envelope and the 64 bytes of the signature that came together."""
    members = _members(carrier, _CARRIER, what)
    return members["passport_json"], _base64(members["signature"], 64, "signature")


def _elders(leaf: Stated) -> tuple[Stated, ...]:
    """The parents of `leaf`, root first, each exactly the child of those before it."""
    if leaf.chain is None:
        if leaf.type == DELEGATE:
            raise ChainError("chain_invalid", "A delegated envelope has no parents.")
        return ()
    if len(leaf.chain) > MAX_DEPTH:
        raise ChainError("chain_too_deep", f"The chain has more than {MAX_DEPTH} parents.")
    elders = tuple([_stated(*_carried(link, "A parent in the chain")) for link in leaf.chain])
    if not elders or elders[0].type == DELEGATE or elders[0].chain is not None:
        raise ChainError("chain_invalid", "The chain does not begin with a root.")
    root = elders[0]
    for place, each in enumerate((*elders[1:], leaf), 1):
        if each.type != DELEGATE or each.issuer != f"delegate:{root.id}":
            raise ChainError("chain_invalid", "An envelope in the chain is not below its root.")
        if each.key_id != root.key_id:
            raise ChainError("chain_invalid", "An envelope in the chain names another key.")
        # Its own parents are what was signed; others could not be judged, and must not be.
        if each is not leaf and not is_same(each.chain, leaf.chain[:place]):
            raise ChainError("chain_invalid", "A parent in the chain comes from another chain.")
    return elders


def _stated(value: Any, signature: bytes) -> Stated:
    """What one envelope says of itself, without its parents."""
    envelope = _members(value, _ENVELOPE, "The envelope")
    version = envelope["schema_version"]
    if type(version) is not int:  # type(True) is bool, and 2.0 is read as a Decimal
        raise MalformedError("The envelope's `schema_version` must be the number 2.")
    if version != 2:
        raise UnsupportedError("The envelope's `schema_version` is not 2.")
    identity = _members(envelope["identity"], _IDENTITY, "The envelope's `identity`")
    provenance = _members(envelope["provenance"], _PROVENANCE, "The envelope's `provenance`")
    issuer = _members(provenance["issuer"], _ISSUER, "The envelope's `issuer`")
    if type(envelope["delegation_authority"]) is not bool:
        raise MalformedError("The envelope's `delegation_authority` must be true or false.")
    if type(envelope["verification_evidence"]) is not list:
        raise MalformedError("The envelope's `verification_evidence` must be a list.")
    if envelope["verification_evidence"]:
        raise UnsupportedError("The envelope has evidence, which this gate cannot judge.")
    if type(identity["agent_name"]) not in (str, type(None)):
        raise MalformedError("The envelope's `agent_name` must be a string or null.")
    chain = provenance["delegation_chain"]
    if type(chain) not in (list, type(None)):
        raise MalformedError("The envelope's `delegation_chain` must be a list or null.")
    kind = issuer["type"]
    if type(kind) is not str or kind not in _TYPES:
        raise UnsupportedError("The envelope's issuer is of a type that this gate does not know.")
    key = _base64(identity["public_key"], 32, "public_key")
    if key_problem(key) is not None:
        raise MalformedError("The envelope's `public_key` is no sound Ed25519 key.")
    stated = Stated(
        type=kind,
        issuer=_name(issuer, "id"),
        key_id=_name(issuer, "key_id"),
        id=_name(envelope, "passport_id"),
        agent=_name(identity, "agent_id"),
        key=key,
        permissions=_permissions(envelope["permissions"]),
        pin=_pin(provenance),
        issued_at_ms=_moment(provenance, "issued_at"),
        expires_at_ms=_moment(provenance, "expires_at"),
        may_delegate=envelope["delegation_authority"],
        chain=chain,
        signature=signature,
        members={name: canonical(part) for name, part in envelope.items() if name != "provenance"},
        provenance={n: canonical(p) for n, p in provenance.items() if n != "delegation_chain"},
    )
    _check_derived(stated)
    return stated


def _check_derived(stated: Stated) -> None:
    """That who is named after a key is named after this one, and nobody else like it."""
    if stated.type in (SELF, DELEGATE) and stated.agent != agent_id_of(stated.key):
        raise MalformedError("The envelope's `agent_id` is not that of its key.")
    if stated.type == SELF:
        if stated.issuer != hash_id(stated.key) or stated.key_id != SELF:
            raise MalformedError("The envelope's issuer is not its own key.")
        if stated.pin is not None:
            raise MalformedError("A self-issued passport is pinned to no catalog.")
    elif is_self_issued(stated.issuer):
        raise MalformedError("The envelope's issuer has the name of a key.")
    if stated.type != DELEGATE and stated.chain is not None:
        raise ChainError("chain_invalid", "An envelope that is not delegated has parents.")


def _provenance(stated: Stated, chain: bytes) -> bytes:
    return canonical_object({**stated.provenance, "delegation_chain": chain})


def _unverified(stated: Stated, elders: tuple[Stated, ...], message: bytes) -> Unverified:
    """One link: who is below another is signed with its parent's key, whatever `key_id` says."""
    place = next((index for index, each in enumerate(elders) if each is stated), len(elders))
    root = elders[0] if elders else stated
    if place:
        key_id = thumbprint(elders[place - 1].key)
    else:
        key_id = thumbprint(root.key) if root.type == SELF else root.key_id
    pin = stated.pin
    return Unverified(
        "envelope",
        root.issuer,
        stated.agent,
        stated.id,
        key_id,
        stated.issued_at_ms // 1000,
        stated.expires_at_ms // 1000,
        None,
        (),
        tuple(
            [
                Permission(key, read_constraints(limits) if limits else NO_CONSTRAINTS, "exact")
                for key, limits in stated.permissions.items()
            ]
        ),
        NO_CONSTRAINTS,
        (),
        {} if pin is None else {pin[0]: CatalogPin(pin[1], pin[2])},
        # Its parents, which are passports of their own, are left out of what is kept of it.
        canonical_object({**stated.members, "provenance": canonical_object(stated.provenance)}),
        message,
        stated.signature,
        Holder(thumbprint(stated.key), stated.key),
        stated.may_delegate,
        own_keys={key_id: stated.key} if stated.type == SELF else None,
    )


def _members(value: Any, names: frozenset[str], what: str) -> dict[str, Any]:
    if type(value) is not dict:
        raise MalformedError(f"{what} must be an object.")
    if not value.keys() <= names:
        raise UnsupportedError(f"{what} has {named(value.keys() - names)}.")
    if len(value) != len(names):
        # No difference of sets: what a frozenset and a view of keys give is a plain set.
        raise MalformedError(
            f"{what} lacks `{min([name for name in names if name not in value])}`."
        )
    return value


def _name(members: dict[str, Any], name: str) -> str:
    value = members[name]
    if type(value) is not str or not is_name(value):
        raise MalformedError(f"The envelope's `{name}` must be {A_NAME}.")
    return value


def _base64(value: Any, length: int, name: str) -> bytes:
    """The bytes in their one standard encoding, padded (RFC 4648 sections 3.2, 3.3, 3.5)."""
    if type(value) is str and value.isascii():
        try:
            raw = a2b_base64(value)
        except Error:
            raw = b""
        if len(raw) == length and b2a_base64(raw, newline=False).decode() == value:
            return raw
    raise MalformedError(f"The envelope's `{name}` must be the padded base64 of {length} bytes.")


def _permissions(value: Any) -> dict[str, dict[str, Any]]:
    """The constraints of each permission by its key."""
    if type(value) is not list:
        raise MalformedError("The envelope's `permissions` must be a list.")
    permissions: dict[str, dict[str, Any]] = {}
    for entry in value:
        permission = _members(entry, _PERMISSION, "A permission of the envelope")
        key = _name(permission, "permission_key")
        if key in permissions:
            raise MalformedError("The envelope has a permission twice.")
        if type(permission["constraints"]) is not dict:
            raise MalformedError("The member `constraints` must be an object.")
        permissions[key] = _settled(permission["constraints"])
    return permissions


def _pin(provenance: dict[str, Any]) -> tuple[str, int, str] | None:
    """The catalog that the envelope was issued under; None where it names none."""
    version, content_hash = provenance["catalog_version"], provenance["catalog_content_hash"]
    gate = None if provenance["gate_id"] is None else _name(provenance, "gate_id")
    if version is None and content_hash is None:
        return None
    if gate is None or type(version) is not int or version < 0:
        raise MalformedError("The envelope's catalog must be named by gate, version and hash.")
    return gate, version, _name(provenance, "catalog_content_hash")


def _moment(provenance: dict[str, Any], name: str) -> int:
    """Unix time in milliseconds of the one notation that envelopes have."""
    value = provenance[name]
    try:
        if type(value) is str and _MOMENT.fullmatch(value) is not None:
            seconds = int(parse_instant(value[:-5] + "Z"))
            if seconds >= 0:
                return seconds * 1000 + int(value[-4:-1])
    except ValueError:
        pass
    raise MalformedError(
        f"The envelope's `{name}` must be a time such as 2026-04-22T00:00:00.000Z."
    )
