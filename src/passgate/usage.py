"""What one agent has used and spent, counter by counter, as the ledger has it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from passgate.core.constraints import compile_owed, merge, parse_constraints
from passgate.core.constraints.base import NO_CONSTRAINTS, Charge, ConstraintSet
from passgate.core.constraints.subjects import (
    subject_of_agent,
    subject_of_catalog,
    subject_of_passport,
    subject_of_permission,
)
from passgate.core.decision import offer_of
from passgate.core.free_tier import free_charge
from passgate.core.instant import Instant
from passgate.core.passport import Passport
from passgate.core.policy import Policy
from passgate.core.trust import Issuer
from passgate.ledger.protocol import Ledger
from passgate.log import newest_lines

MOST_LINES: Final = 50_000
"""How many of the newest log lines are read for passports that the gate does not have at hand."""

_GREATEST: Final = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Known:
    """A passport of the agent: whose, which, and what it demands. Its signature is not looked at:
    the log holds claims of verified passports alone."""

    issuer: str
    id: str
    constraints: ConstraintSet
    permissions: tuple[tuple[str, ConstraintSet], ...]
    delegated: bool = False


def known_of(passport: Passport) -> Known:
    """What is known of a passport that the gate has at hand."""
    entries = tuple((entry.pattern, entry.constraints) for entry in passport.permissions)
    delegated = bool(passport.chain)
    return Known(passport.issuer, passport.id, passport.constraints, entries, delegated)


def on_record(directory: Path, agent: str) -> tuple[list[Known], bool]:
    """The agent's passports in the newest lines of the log, and whether these were all of it.

    Blocks. Raises `DataError` for a line that is not the log's.
    """
    found: list[Known] = []
    for count, line in enumerate(newest_lines(directory)):
        if count >= MOST_LINES:
            return found, False
        if line["kind"] == "passport" and line["agent_id"] == agent:
            found.append(_known(line))
    return found, True


def _known(line: dict[str, Any]) -> Known:
    claims = line["claims"]
    entries = tuple(
        (entry["permission_key"], _parsed(entry.get("constraints", {})))
        for entry in claims.get("permissions", [])
        if isinstance(entry, dict)
    )
    constraints = _parsed(claims.get("constraints", {}))
    # On record by the path from its root, while its claims say what it is called itself.
    delegated = claims.get("jti", claims.get("passport_id")) != line["passport_id"]
    return Known(line["issuer"], line["passport_id"], constraints, entries, delegated)


def _parsed(constraints: dict[str, Any]) -> ConstraintSet:
    """What a passport demands, by the rules of now; nothing where these cannot read it any more."""
    try:
        return parse_constraints(constraints)
    except ValueError:
        return NO_CONSTRAINTS


def usage_of(
    agent: str,
    issuer: Issuer,
    passports: Iterable[Known],
    policy: Policy,
    ledger: Ledger,
    now: Instant,
) -> dict[str, Any]:
    """What `agent` of `issuer` has used: of its own counters, and of those of its `passports`.

    `limit` is the one in force; `used` may be above it where it was lowered.
    """
    mine = {known.id: known for known in passports if known.issuer == issuer.id}
    charges = _charges(agent, issuer, mine.values(), policy)
    # Against a limit that nothing reaches, what is left tells what is used.
    open_ended = tuple(replace(charge, limit=_GREATEST) for charge in charges)
    rows = []
    for charge, balance in zip(charges, ledger.balances(open_ended, now), strict=True):
        used = _GREATEST - balance.remaining
        rows.append(
            {
                "counter": charge.counter,
                "constraint": charge.constraint,
                "kind": charge.kind,
                "window": charge.window,
                "limit": charge.limit,
                "used": used,
                "remaining": max(0, charge.limit - used),
                "reset_s": balance.reset_s,
            }
        )
    return {"issuer": issuer.id, "passports": sorted(mine), "counters": rows}


def _charges(
    agent: str, issuer: Issuer, passports: Iterable[Known], policy: Policy
) -> tuple[Charge, ...]:
    """Every counter that a request of this agent may be charged to, each once."""
    owed = [(subject_of_agent(issuer.id, agent), merge(policy.constraints, issuer.constraints))]
    free = []
    actions = () if policy.catalog is None else policy.catalog.entries
    for action in actions:
        offered = offer_of(policy, action)
        if offered is not None:
            subject = subject_of_catalog(issuer.id, agent, action)
            owed.append((subject, offered.constraints))
            if offered.terms.facts.free_calls:
                free.append(free_charge(subject, offered.terms.facts.free_calls))
    for known in passports:
        delegated = known.delegated
        subject = subject_of_passport(issuer.id, known.id, delegated=delegated)
        owed.append((subject, known.constraints))
        owed += [
            (
                subject_of_permission(issuer.id, known.id, pattern, delegated=delegated),
                constraints,
            )
            for pattern, constraints in known.permissions
        ]
    charges = (*free, *compile_owed(owed).charges)
    return tuple({charge.counter: charge for charge in charges}.values())
