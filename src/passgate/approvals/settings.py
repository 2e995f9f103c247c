"""What the configuration tells about holds."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Where events are posted, and the secret that they are signed with."""

    url: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ApprovalSettings:
    """How long a hold waits and is remembered, how long a grant can be used, what is shown.

    `preview_bytes` bounds what is kept of the body, and of the target, for the person who decides.
    """

    ttl_s: float = 300.0
    grant_ttl_s: float = 1800.0
    preview_bytes: int = 4096
    webhook: WebhookSettings | None = None
