"""The passport: a statement that has been verified. Nothing else in the program is called one."""

from dataclasses import dataclass, field
from typing import Any

from passgate.core.constraints.base import ConstraintSet

_BY_VERIFICATION = object()


@dataclass(frozen=True, slots=True)
class Permission:
    """One entry of a passport's `permissions`: a pattern and the constraints it comes with."""

    pattern: str
    constraints: ConstraintSet


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
class Passport:
    """What one issuer signed about one agent.

    Only `passgate.core.verification` makes one: construction without its seal raises `TypeError`.
    Times are Unix seconds. `digest` is the hex SHA-256 of the presented credential. `claims` are
    the signed claims as read, for the record. `memo` belongs to `decide()`: what it worked out for
    this passport under one policy, so that a passport seen again costs no second derivation.
    """

    seal: object
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
    pins: dict[str, CatalogPin]
    digest: str
    claims: dict[str, Any]
    memo: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.seal is not _BY_VERIFICATION:
            raise TypeError("a Passport is made by verifying one, not by calling Passport()")
