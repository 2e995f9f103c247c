"""The anonymous tier: what may pass without a passport, and how often. Checks 3 and 13."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from passgate.core.constraints.base import Charge, Hold
from passgate.core.constraints.patterns import (
    ActionPatterns,
    action_patterns,
    forbid,
    forbidden_patterns,
)
from passgate.core.constraints.subjects import subject_of_address
from passgate.core.facts import Facts
from passgate.core.reasons import Refusal
from passgate.core.request import Request

_READS: Final = frozenset(("GET", "HEAD", "OPTIONS"))


@dataclass(frozen=True, slots=True)
class AnonymousPolicy:
    """Section `anonymous`: exactly the documented fields and their defaults.

    `allowed_actions` and `blocked_actions` are action patterns; nothing is allowed that is not
    listed. Raises `ValueError` for a list that holds anything but patterns.
    """

    enabled: bool = False
    allowed_actions: tuple[str, ...] = ()
    blocked_actions: tuple[str, ...] = ()
    read_only: bool = True
    rate_limit_per_minute: int = 5
    rate_limit_per_hour: int = 50
    upgrade_message: str | None = None
    upgrade_url: str | None = None
    _allowed: ActionPatterns = field(init=False, repr=False, compare=False)
    _blocked: ActionPatterns = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_allowed", action_patterns(self.allowed_actions))
        object.__setattr__(self, "_blocked", forbidden_patterns(self.blocked_actions))

    def offers(self, action: str) -> bool:
        """Whether the action is listed and not blocked."""
        return self._allowed.cover(action) and not forbid(self._blocked, action)


NO_ANONYMOUS: Final = AnonymousPolicy()


def judge_anonymous(
    request: Request, action: str, policy: AnonymousPolicy
) -> Refusal | tuple[Charge, ...]:
    """What an anonymous request is charged, or `passport_missing`.

    Only for a request that presented nothing at all. Charged are a minute's and an hour's rate of
    the client's address. Once the request's cost is known, `judge_price` has its say too.
    """
    if (
        not policy.enabled
        or not policy.offers(action)
        or (policy.read_only and request.method not in _READS)
    ):
        return Refusal("passport_missing", required_permissions=(action,))
    return _rates(request.client, policy.rate_limit_per_minute, policy.rate_limit_per_hour)


def judge_price(action: str, facts: Facts) -> Refusal | None:
    """`passport_missing` for an anonymous request that costs anything."""
    if not facts.cost_cents:
        return None
    return Refusal(
        "passport_missing", "What costs anything needs a passport.", required_permissions=(action,)
    )


def judge_hold(action: str, hold: Hold | None) -> Refusal | None:
    """`passport_missing` for an anonymous request that a person would have to approve.

    An approval is somebody's, and nobody can tell who comes again from the same address.
    """
    if hold is None:
        return None
    return Refusal(
        "passport_missing",
        "What a person must approve needs a passport.",
        hold.constraint,
        required_permissions=(action,),
    )


# The same few clients come again; what they are charged never differs.
@lru_cache(maxsize=4096)
def _rates(client: str, per_minute: int, per_hour: int) -> tuple[Charge, ...]:
    # A subject of its own: the gate's constraints count the bare address.
    subject = "anonymous|" + subject_of_address(client)
    return (
        Charge(f"rate/60/{subject}", "rate", 60, 1, per_minute, "anonymous:rate_limit_per_minute"),
        Charge(f"rate/3600/{subject}", "rate", 3600, 1, per_hour, "anonymous:rate_limit_per_hour"),
    )
