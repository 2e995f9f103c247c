"""Record: all that is known about one request; log lines and metrics are renderings of it."""

from dataclasses import dataclass, field
from typing import Any

from passgate.core.constraints.base import Charge
from passgate.core.instant import Instant
from passgate.core.passport import Passport


@dataclass(slots=True)
class Record:
    """One request, filled in along its straight line: first the decision, later the outcome.

    `decision` is `allow`, `block` or `request_hold`; `access_mode` `passport`, `anonymous` or
    `none`; `anonymous` says that no credential was presented, whatever became of the request.
    `query` is raw and leaves the process only as its keyed hash; `target` is the judged path,
    already redacted. `evaluated` are (constraint key, result) pairs in order. `facts` holds only
    integers and strings. `route` is a catalog or route name for metrics, else `other`.
    """

    decision_id: str
    at: Instant
    method: str = ""
    target: str = ""
    query: bytes = b""
    client: str = ""
    decision: str = "block"
    reason_code: str = ""
    constraint: str = ""
    access_mode: str = "none"
    anonymous: bool = False
    action: str = ""
    route: str = "other"
    passport: Passport | None = None
    passport_hash: str = ""
    tier: str = ""
    cost_cents: int = 0
    charges: tuple[Charge, ...] = ()
    evaluated: tuple[tuple[str, str], ...] = ()
    catalog: str = ""
    policy: str = ""
    trust_age_s: int = 0
    trace_id: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    enforced: bool = True
    # The outcome, once there is one.
    outcome: str = ""  # completed | refused | cut | client_gone | upstream_failed
    status: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    ms: int = 0
    settled_cents: int | None = None
    released: bool = False
