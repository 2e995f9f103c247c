"""What an operator has stopped: everything, an action, or whose passports; frozen, swapped whole.

A kill is judged beside the issuers' own revocations and needs nobody but the operator. However many
there are, judging a request costs the same few look-ups, and nothing at all while there are none.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from passgate.core.constraints.patterns import ActionPatterns, forbid, forbidden_patterns
from passgate.core.jws import A_NAME, is_name
from passgate.core.reasons import Refusal

KINDS: Final = ("agent", "passport", "action", "issuer", "all")
"""What can be stopped."""

MAX_KILLS: Final = 10_000
"""How many may be in force at a time; the one that stops everything always finds room."""

MAX_REASON: Final = 500
"""The longest reason, in characters."""

ALL_RETRY_S: Final = 60
"""After how many seconds a refusal because everything is stopped asks to be tried again."""

_EVERYTHING: Final = Refusal(
    "killed", "Everything here has been stopped.", retry_after_s=ALL_RETRY_S, status=503
)
_ACTION: Final = Refusal("killed", "This action has been stopped.")
_ISSUER: Final = Refusal("killed", "Passports of this issuer have been stopped.")
_AGENT: Final = Refusal("killed", "This agent has been stopped.")
_PASSPORT: Final = Refusal("killed", "This passport has been stopped.")


class Link(NamedTuple):
    """One passport of a chain, as it can be stopped."""

    issuer: str
    agent: str
    passport: str


@dataclass(frozen=True, slots=True)
class Kill:
    """One order to stop, which stands until it is lifted.

    `target` is an agent, a passport, an issuer or an action (also `shop:*`), and "" for `all`. Ids
    of agents and passports are an issuer's; `issuer` "" stops that id whoever issued it. `by` is
    the name of whoever ordered it, `reason` is for people, `at` is Unix time in seconds.
    """

    id: str
    kind: str
    target: str
    issuer: str
    reason: str
    by: str
    at: int

    @property
    def stops(self) -> tuple[str, str, str]:
        """What it stops; of two kills that stop the same, one is enough."""
        return self.kind, self.target, self.issuer


@dataclass(frozen=True, slots=True)
class Kills:
    """All kills in force, in their order, and what judging needs of them; see `kills_of`.

    `active` is False while there are none, and then nothing else need be asked.
    """

    entries: tuple[Kill, ...]
    active: bool
    everything: bool
    actions: ActionPatterns | None
    issuers: frozenset[str]
    agents: frozenset[tuple[str, str]]
    passports: frozenset[tuple[str, str]]

    def judge_everything(self) -> Refusal | None:
        """What is said to whatever is asked, where everything is stopped."""
        return _EVERYTHING if self.everything else None

    def judge_action(self, action: str) -> Refusal | None:
        """What is judged before the credential, of whomever the request is."""
        if self.everything:
            return _EVERYTHING
        if self.actions is not None and forbid(self.actions, action):
            return _ACTION
        return None

    def judge_links(self, links: Iterable[Link]) -> Refusal | None:
        """What is judged by check 9: a chain is stopped where any link of it is."""
        for issuer, agent, passport in links:
            if issuer in self.issuers:
                return _ISSUER
            if (issuer, agent) in self.agents or ("", agent) in self.agents:
                return _AGENT
            if (issuer, passport) in self.passports or ("", passport) in self.passports:
                return _PASSPORT
        return None


def kills_of(entries: Iterable[Kill]) -> Kills:
    """What these kills come to. Raises `ValueError` as `check_order` does."""
    kept = tuple(entries)
    actions: list[str] = []
    issuers: set[str] = set()
    agents: set[tuple[str, str]] = set()
    passports: set[tuple[str, str]] = set()
    for kill in kept:
        check_order(kill.kind, kill.target, kill.issuer, kill.reason)
        if kill.kind == "action":
            actions.append(kill.target)
        elif kill.kind == "issuer":
            issuers.add(kill.target)
        elif kill.kind == "agent":
            agents.add((kill.issuer, kill.target))
        elif kill.kind == "passport":
            passports.add((kill.issuer, kill.target))
    return Kills(
        kept,
        bool(kept),
        any(kill.kind == "all" for kill in kept),
        forbidden_patterns(actions) if actions else None,
        frozenset(issuers),
        frozenset(agents),
        frozenset(passports),
    )


def check_order(kind: str, target: str, issuer: str, reason: str) -> None:
    """Raises `ValueError` with a sentence for an order that could not be carried out as it is."""
    if kind not in KINDS:
        raise ValueError(f"the kind must be one of {', '.join(KINDS)}")
    if kind == "all":
        if target:
            raise ValueError("all stops everything and takes no id")
    elif not is_name(target):
        raise ValueError(f"the id of the {kind} must be {A_NAME}")
    if kind == "action":
        if target == "*":
            raise ValueError("every action is stopped by the kind all")
        try:
            forbidden_patterns([target])
        except ValueError:
            raise ValueError("an action is its whole name, or a prefix such as shop:*") from None
    if issuer and kind not in ("agent", "passport"):
        raise ValueError("an issuer can be named for an agent or a passport only")
    if issuer and not is_name(issuer):
        raise ValueError(f"the issuer must be {A_NAME}")
    if len(reason) > MAX_REASON or (reason and not reason.isprintable()):
        raise ValueError(f"the reason must be printable text of at most {MAX_REASON} characters")


NO_KILLS: Final = kills_of(())
"""Nothing is stopped."""
