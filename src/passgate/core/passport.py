"""The passport: a statement that has been verified. Nothing else in the program is called one."""

from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field
from typing import Any

from passgate.core.constraints.base import ConstraintSet
from passgate.core.few import Few
from passgate.core.keys import PublicKey
from passgate.core.reasons import Refusal
from passgate.core.status_list import StatusReference
from passgate.core.strict_json import loads, without_fractions

# Known to `passgate.core.verification` alone; a test looks that nothing else names it.
_BY_VERIFICATION = object()


@dataclass(frozen=True, slots=True)
class Permission:
    """One entry of a passport's `permissions`: a pattern and the constraints it comes with.

    `grammar` is how the pattern is read: see `passgate.core.permissions`. A `catch_all` names
    nothing at all, in a format where only some issuers may write such.
    """

    pattern: str
    constraints: ConstraintSet
    grammar: str = "prefix"
    catch_all: bool = False


@dataclass(frozen=True, slots=True)
class Grant:
    """One entry of `grants`: it restricts what `permissions` allow, and never adds to it.

    `max_amount` is an exact decimal in the request's own unit as (digits, scale), or None;
    `expires_at` is Unix time in seconds, or None.
    """

    resource: str
    allowed_actions: frozenset[str]
    blocked_actions: frozenset[str]
    requires_approval: bool
    max_amount: tuple[int, int] | None
    allowed_vendors: frozenset[str]
    expires_at: float | None


@dataclass(frozen=True, slots=True)
class CatalogPin:
    """The catalog version that the holder agreed to, for one gate."""

    version: int
    content_hash: str


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose key a passport is bound to (`cnf`, RFC 7800): the key's RFC 7638 `thumbprint`.

    `key` is the 32 bytes of an Ed25519 key, None for another kind, or where the passport names the
    thumbprint alone.
    """

    thumbprint: str
    key: bytes | None


@dataclass(frozen=True, slots=True)
class Principal:
    """The person whom an agent acts for, as the issuer names them.

    `assurance` is how sure that is: identity, authenticator and federation level (NIST SP 800-63),
    1 to 3 each, None where one is not known.
    """

    subject: str
    assurance: tuple[int | None, int | None, int | None]

    @property
    def levels(self) -> str:
        """The levels that are known, as text: `ial=2,aal=2`."""
        named = zip(("ial", "aal", "fal"), self.assurance, strict=True)
        return ",".join([f"{name}={level}" for name, level in named if level is not None])


@dataclass(frozen=True, slots=True)
class Passport:
    """What one issuer signed about one agent.

    Only `passgate.core.verification` makes one: construction without its seal raises `TypeError`,
    and the seal is not kept, so that no copy can be made from a passport either. Times are Unix
    seconds. `digest` is the hex SHA-256 of the presented credential. `payload` is the JSON text
    that was signed; `claims` reads it again each time, since the record wants it once and a
    hundred thousand decoded copies would fill the memory. `key_version` is that of the key set that
    the signature was found to fit under. `memo` belongs to `decide()`: what it worked out for this
    passport and an action under one policy, so that a passport seen again costs no second
    derivation. `key` is the issuer's key that verified it, where it was one of the issuer's.

    A delegated passport has the passports of its ancestors in `chain`, root first. Its `id` is the
    path of ids from the root, joined by slashes, `expires_at` the least of the chain. `holder` is
    whose key it is bound to, if it is; `flaw` is what check 10 has against it. `status` is where
    its issuer tells whether it is still good, beside the lists of what was revoked. `principal` is
    the person it acts for and `model` what the agent runs, in formats that say so.
    """

    seal: InitVar[object]
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
    digest: str
    payload: bytes
    key_version: str = field(compare=False, repr=False)
    chain: "tuple[Passport, ...]" = ()
    holder: Holder | None = None
    may_delegate: bool = False
    flaw: Refusal | None = None
    status: StatusReference | None = None
    principal: Principal | None = None
    model: str | None = None
    memo: Few[str, Any] = field(default_factory=Few, compare=False, repr=False)
    key: PublicKey | None = field(default=None, compare=False, repr=False)

    @property
    def oldest_at(self) -> int:
        """When the oldest passport of the lineage was issued: no child is younger for a rule."""
        issued_at = self.issued_at
        for parent in self.chain:
            issued_at = min(issued_at, parent.issued_at)
        return issued_at

    @property
    def kept_pins(self) -> "Mapping[str, CatalogPin]":
        """The catalogs whose terms count: those that the root was issued with.

        What is below it was signed by its holder, who could name any older price.
        """
        return self.chain[0].pins if self.chain else self.pins

    def __post_init__(self, seal: object) -> None:
        if seal is not _BY_VERIFICATION:
            raise TypeError("a Passport is made by verifying one, not by calling Passport()")

    @property
    def lineage(self) -> "tuple[Passport, ...]":
        """Everyone who answers for this passport: its ancestors, root first, and itself."""
        return (*self.chain, self)

    @property
    def claims(self) -> dict[str, Any]:
        """The signed claims as read; numbers with a fraction are texts (records hold integers).

        The parents in `chain`, which are credentials, are left out: they are records of their own.
        """
        claims: dict[str, Any] = without_fractions(loads(self.payload))
        claims.pop("chain", None)
        return claims
