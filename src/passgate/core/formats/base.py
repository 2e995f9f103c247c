"""What every passport format is read into before anything of it is believed."""

from collections.abc import Mapping
from typing import NamedTuple

from passgate.core.constraints.base import ConstraintSet
from passgate.core.keys import EDDSA
from passgate.core.passport import CatalogPin, Grant, Holder, Permission, Principal
from passgate.core.reasons import Refusal
from passgate.core.status_list import StatusReference


class ChainError(ValueError):
    """A delegation chain cannot be one; `code` is its reason, the message one safe sentence."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class Succession(NamedTuple):
    """What a link says of those above it, in formats whose links name them.

    `parent` is the id of its parent (None: it has none), `actors` are the agents that act, the
    newest first, and `acr` is the authentication that the person behind them went through.
    """

    parent: str | None
    actors: tuple[str, ...]
    acr: str | None


# No dataclass, since one is made for each passport that is new; see "Code for two compilers".
class Unverified:
    """What a credential *says*: well-formed, and not yet anything else.

    The fields are those of `Passport`, with what verification needs besides: `signature` over
    `message` by `algorithm` and the key `key_id`, whose key that is being the format's to say.
    `parents` stand root first, and none of them has any itself. `payload` is the signed JSON text,
    `id` the last component of the passport's. Where the issuer is the key that signs, `own_keys`
    are what its signature may be by, in place of an issuer's. `flaw` is what check 10 has against
    it that its format's rules do not find, `succession` what they compare where it has parents.
    """

    __slots__ = (
        "agent",
        "algorithm",
        "audience",
        "constraints",
        "expires_at",
        "flaw",
        "format",
        "grants",
        "holder",
        "id",
        "issued_at",
        "issuer",
        "key_id",
        "may_delegate",
        "message",
        "model",
        "not_before",
        "own_keys",
        "parents",
        "payload",
        "permissions",
        "pins",
        "principal",
        "signature",
        "status",
        "succession",
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
        algorithm: str = EDDSA,
        principal: Principal | None = None,
        model: str | None = None,
        succession: Succession | None = None,
        flaw: Refusal | None = None,
        own_keys: Mapping[str, bytes] | None = None,
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
        self.algorithm = algorithm
        self.principal = principal
        self.model = model
        self.succession = succession
        self.own_keys = own_keys
        self.flaw = flaw
