"""One held request: what the person sees, what it is bound to, and what became of it."""

from base64 import b64encode
from typing import Any, Final

import msgspec

from passgate.core.constraints.base import Charge
from passgate.core.instant import Instant

PENDING: Final = "pending"
APPROVED: Final = "approved"
DENIED: Final = "denied"
USED: Final = "used"
LAPSED: Final = "lapsed"
STATES: Final = (PENDING, APPROVED, DENIED, USED, LAPSED)
"""Waits for a person; has a grant; was denied, also by time; its grant was used; was not used."""

LIVE: Final = frozenset({PENDING, APPROVED})
"""The states in which something may still become of it, and its spend is reserved."""


class Held(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One hold, as it stands in the book.

    `digest` is what it is bound to. `state` holds since `wall` and `boot` (of the boot `boot_id`),
    for `lasts_s` seconds; `ttl_s` is for how long its end is remembered. `requested` and `body` are
    what the person sees of target and body, empty once somebody or time has decided. `target` is
    the judged path, redacted as in records. `charges` are what is reserved: spend alone.
    """

    id: str
    digest: str
    decision_id: str
    issuer: str
    passport_id: str
    agent: str
    action: str
    method: str
    host: str
    target: str
    client: str
    constraint: str
    detail: str
    cost_cents: int
    amount: str
    vendor: str | None
    resource: str | None
    domain: str | None
    currency: str | None
    content_type: str
    body_bytes: int
    body_sha256: str
    requested_bytes: int
    requested: bytes
    body: bytes
    charges: tuple[tuple[str, str, int | str, int, int, str], ...]
    opened_wall: float
    ttl_s: float
    state: str = PENDING
    wall: float
    boot: float
    boot_id: str
    lasts_s: float
    decided_wall: float | None = None
    approver: str = ""
    reason: str = ""

    @property
    def since(self) -> Instant:
        """When its state began."""
        return Instant(self.wall, self.boot)

    @property
    def expires_at(self) -> int:
        """When its state ends by itself, in Unix seconds."""
        return int(self.wall + self.lasts_s)

    def is_of(self, issuer: str, passport_id: str, agent: str) -> bool:
        """Whether it is a hold of this passport, which alone is told of it."""
        return (self.issuer, self.passport_id, self.agent) == (issuer, passport_id, agent)

    def due(self, now: Instant) -> bool:
        """Whether its state has ended by itself."""
        return now.age_of(self.since) >= self.lasts_s

    def left_s(self, now: Instant) -> int:
        """Whole seconds until its state ends by itself, at least 1."""
        return max(1, int(self.lasts_s - now.age_of(self.since)))

    def become(self, state: str, since: Instant, lasts_s: float) -> None:
        """Another state from then on; nobody needs to see its target and body any more."""
        self.state = state
        self.wall = since.wall
        self.boot = since.boot
        self.lasts_s = lasts_s
        self.requested = self.body = b""

    def reserved(self) -> tuple[Charge, ...]:
        """What is to be reserved for it."""
        return tuple(
            Charge(counter, kind, window, amount, limit, constraint)
            for counter, kind, window, amount, limit, constraint in self.charges
        )

    def told(self) -> dict[str, Any]:
        """What anyone may know who may know of it at all: no whole target, no body, no client."""
        known: dict[str, Any] = {
            "id": self.id,
            "state": self.state,
            "opened_at": int(self.opened_wall),
            "expires_at": self.expires_at,
            "agent_id": self.agent,
            "issuer": self.issuer,
            "passport_id": self.passport_id,
            "action": self.action,
            "method": self.method,
            "host": self.host,
            "target": self.target,
            "constraint": self.constraint,
            "detail": self.detail,
            "cost_cents": self.cost_cents,
            "amount": self.amount,
            "vendor": self.vendor,
            "resource": self.resource,
            "domain": self.domain,
            "currency": self.currency,
            "content_type": self.content_type,
            "body_bytes": self.body_bytes,
            "body_sha256": self.body_sha256,
            "decision_id": self.decision_id,
            "approver": self.approver,
            "reason": self.reason,
        }
        if self.decided_wall is not None:
            known["decided_at"] = int(self.decided_wall)
        return {key: value for key, value in known.items() if value not in (None, "")}

    def shown(self) -> dict[str, Any]:
        """What the person who decides sees."""
        known = self.told()
        known["client"] = self.client
        if self.state == PENDING:
            known["requested"] = _readable(self.requested, self.requested_bytes)
            known["body"] = _readable(self.body, self.body_bytes)
        return known


def _readable(part: bytes, whole: int) -> dict[str, Any]:
    """Bytes as text where they are text (cut in the middle of a character or not), else base64."""
    cut = len(part) < whole
    try:
        text = part.decode()
    except UnicodeDecodeError as error:
        if not (cut and error.end == len(part) and error.reason == "unexpected end of data"):
            return {"base64": b64encode(part).decode(), "cut": cut}
        text = part[: error.start].decode()
    return {"text": text, "cut": cut}
