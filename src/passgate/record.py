"""Record: all that is known about one request; log lines and metrics are renderings of it."""

from dataclasses import dataclass
from typing import Any

from passgate.core.constraints.base import Charge
from passgate.core.instant import Instant
from passgate.core.once import Once
from passgate.core.passport import Passport


@dataclass(init=False, slots=True)
class Record:
    """One request, filled in along its straight line: first the decision, later the outcome.

    `decision` is `allow`, `block` or `request_hold`; `access_mode` `passport`, `anonymous` or
    `none`; `anonymous` says that no credential was presented, whatever became of the request.
    `query` is raw and leaves the process only as its keyed hash; `target` is the judged path,
    already redacted. `evaluated` are (constraint key, result) pairs in order. `facts` holds only
    integers and strings. `once` is the operation that this is one request of, `repeated` says that
    it had been charged before. `route` is a catalog or route name for metrics, else `other`.
    `fee_basis_points` of what the request costs are the platform's. `bundle` is the version of the
    trust bundle that it was judged under, 0 without one.
    """

    decision_id: str
    at: Instant
    method: str
    target: str
    query: bytes
    client: str
    decision: str
    reason_code: str
    constraint: str
    access_mode: str
    anonymous: bool
    action: str
    route: str
    passport: Passport | None
    passport_hash: str
    tier: str
    cost_cents: int
    charges: tuple[Charge, ...]
    once: Once | None
    repeated: bool
    evaluated: tuple[tuple[str, str], ...]
    catalog: str
    catalog_version: int
    policy: str
    trust_age_s: int
    trace_id: str
    facts: dict[str, Any]
    enforced: bool
    fee_basis_points: int
    bundle: int
    # The outcome, once there is one.
    outcome: str  # completed | refused | cut | client_gone | upstream_failed
    status: int
    bytes_in: int
    bytes_out: int
    ms: int
    settled_cents: int | None
    released: bool
    minutes: int  # that began, where it was charged by the minute
    cost_correction: str  # applied | clamped | malformed | ignored, where the upstream stated one

    def __init__(
        self,
        decision_id: str,
        at: Instant,
        method: str = "",
        target: str = "",
        query: bytes = b"",
        client: str = "",
        decision: str = "block",
        reason_code: str = "",
        constraint: str = "",
        access_mode: str = "none",
        anonymous: bool = False,
        action: str = "",
        route: str = "other",
        passport: Passport | None = None,
        passport_hash: str = "",
        tier: str = "",
        cost_cents: int = 0,
        charges: tuple[Charge, ...] = (),
        once: Once | None = None,
        repeated: bool = False,
        evaluated: tuple[tuple[str, str], ...] = (),
        catalog: str = "",
        catalog_version: int = 0,
        policy: str = "",
        trust_age_s: int = 0,
        trace_id: str = "",
        facts: dict[str, Any] | None = None,
        enforced: bool = True,
        fee_basis_points: int = 0,
        bundle: int = 0,
        outcome: str = "",
        status: int = 0,
        bytes_in: int = 0,
        bytes_out: int = 0,
        ms: int = 0,
        settled_cents: int | None = None,
        released: bool = False,
        minutes: int = 0,
        cost_correction: str = "",
    ) -> None:
        self.decision_id = decision_id
        self.at = at
        self.method = method
        self.target = target
        self.query = query
        self.client = client
        self.decision = decision
        self.reason_code = reason_code
        self.constraint = constraint
        self.access_mode = access_mode
        self.anonymous = anonymous
        self.action = action
        self.route = route
        self.passport = passport
        self.passport_hash = passport_hash
        self.tier = tier
        self.cost_cents = cost_cents
        self.charges = charges
        self.once = once
        self.repeated = repeated
        self.evaluated = evaluated
        self.catalog = catalog
        self.catalog_version = catalog_version
        self.policy = policy
        self.trust_age_s = trust_age_s
        self.trace_id = trace_id
        self.facts = {} if facts is None else facts
        self.enforced = enforced
        self.fee_basis_points = fee_basis_points
        self.bundle = bundle
        self.outcome = outcome
        self.status = status
        self.bytes_in = bytes_in
        self.bytes_out = bytes_out
        self.ms = ms
        self.settled_cents = settled_cents
        self.released = released
        self.minutes = minutes
        self.cost_correction = cost_correction
