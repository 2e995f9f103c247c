"""What every passport format is read into before anything of it is believed."""

from collections.abc import Mapping

from passgate.core.constraints.base import ConstraintSet
from passgate.core.passport import CatalogPin, Grant, Holder, Permission
from passgate.core.status_list import StatusReference


class ChainError(ValueError):
    """A delegation chain cannot be one; `code` is its reason, the message one safe sentence."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


# No dataclass, since one is made for each passport that is new; see "Code for two compilers".
class Unverified:
    """What a credential *says*: well-formed, and not yet anything else.

    The fields are those of `Passport`, with what verification needs besides: `signature` (64 bytes
    of Ed25519) over `message` under the key `key_id`, which is one of the issuer's, or where there
    are `parents` the last one's `holder`. They stand root first, and none of them has any itself.
    `payload` is the signed JSON text, `id` the last component of the passport's.
    """

    __slots__ = (
        "agent",
        "audience",
        "constraints",
        "expires_at",
        "format",
        "grants",
        "holder",
        "id",
        "issued_at",
        "issuer",
        "key_id",
        "may_delegate",
        "message",
        "not_before",
        "parents",
        "payload",
        "permissions",
        "pins",
        "signature",
        "status",
    )

    def __init__(
        self,
        format: str,  # noqa: A002 - the name of the field
        issuer: str,
        agent: str,
        id: str,  # noqa: A002 - the name of the field
        key_id: str,
        issued_at: int,
        expires_at: int,
        not_before: int | None,
        audience: tuple[str, ...],
        permissions: tuple[Permission, ...],
        constraints: ConstraintSet,
        grants: tuple[Grant, ...],
        pins: Mapping[str, CatalogPin],
        payload: bytes,
        message: bytes,
        signature: bytes,
        holder: Holder | None = None,
        may_delegate: bool = False,
        parents: "tuple[Unverified, ...]" = (),
        status: StatusReference | None = None,
    ) -> None:
        self.format = format
        self.issuer = issuer
        self.agent = agent
        self.id = id
        self.key_id = key_id
        self.issued_at = issued_at
        self.expires_at = expires_at
        self.not_before = not_before
        self.audience = audience
        self.permissions = permissions
        self.constraints = constraints
        self.grants = grants
        self.pins = pins
        self.payload = payload
        self.message = message
        self.signature = signature
        self.holder = holder
        self.may_delegate = may_delegate
        self.parents = parents
        self.status = status
