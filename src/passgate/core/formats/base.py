"""What every passport format is read into before anything of it is believed."""

from collections.abc import Mapping
from typing import NamedTuple

from passgate.core.constraints.base import ConstraintSet
from passgate.core.passport import CatalogPin, Grant, Permission


class Unverified(NamedTuple):
    """What a credential *says*: well-formed, and not yet anything else.

    The fields are those of `Passport`, with what verification needs besides: `signature` (64 bytes
    of Ed25519) over `message` under the issuer's key `key_id`. `payload` is the signed JSON text.
    """

    format: str
    issuer: str
    agent: str
    id: str
    key_id: str
    issued_at: int
    expires_at: int
    not_before: int | None
    audience: tuple[str, ...]
    permissions: tuple[Permission, ...]
    constraints: ConstraintSet
    grants: tuple[Grant, ...]
    pins: Mapping[str, CatalogPin]
    payload: bytes
    message: bytes
    signature: bytes
