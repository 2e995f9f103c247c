"""What the gate makes of a presented passport: what it may do, what it owes, and what is left."""

from typing import TYPE_CHECKING, Any, Final

from passgate.approvals.held import Held
from passgate.core.catalog import Catalog, check_catalog
from passgate.core.decision import check_pins, derive, free_call, judge_lineage, terms_of
from passgate.core.facts import NO_FACTS
from passgate.core.passport import Passport
from passgate.core.permissions import GRAMMARS
from passgate.core.policy import Policy
from passgate.core.reasons import Refusal
from passgate.core.request import Request
from passgate.core.trust import Issuer
from passgate.ledger.protocol import Balance
from passgate.proxy.world import World

if TYPE_CHECKING:
    from passgate.proxy.case import Case

_CLOSED: Final = frozenset({"action_blocked", "permission_denied"})


def standing(case: "Case", request: Request, passport: Passport) -> dict[str, Any]:
    """The answer of `GET /passport`: every action that is open, with the constraints owed for it
    as authored, and exactly what is left of each counter that a request for it takes from; and the
    holds that something may still become of, whose cost is reserved.
    """
    policy = case.world.policy
    issuer = case.trust.issuer_of(passport.issuer)
    assert issuer is not None
    asking = case.asking()
    actions: dict[str, Any] = {}
    for action in _known_actions(policy):
        compiled = derive(passport, issuer, action, policy, request.client).compiled
        if compiled is None or _is_closed(passport, issuer, action, case):
            continue
        charges = compiled.charges
        terms = terms_of(policy, action, passport)
        if terms.facts.free_calls:
            charges = (free_call(passport, issuer, action, terms.facts, request), *charges)
        actions[action] = {
            "constraints": _owed(passport, issuer, action, case.world),
            "left": [_shown(balance) for balance in asking.balances(charges)],
        }
    return {
        "id": passport.id,
        "agent": passport.agent,
        "issuer": passport.issuer,
        "tier": issuer.tier,
        "expires_at": passport.expires_at,
        "permissions": [entry.pattern for entry in passport.permissions],
        "actions": actions,
        "holds": [
            {**hold_state(held), "status_url": f"{policy.agent_prefix}/holds/{held.id}"}
            for held in asking.open_holds(passport)
        ],
    }


def hold_state(held: Held) -> dict[str, Any]:
    """What an agent is told of a hold of its own: what became of it, never who decided."""
    known: dict[str, Any] = {
        "id": held.id,
        "state": held.state,
        "action": held.action,
        "cost_cents": held.cost_cents,
        "opened_at": int(held.opened_wall),
        "expires_at": held.expires_at,
    }
    if held.reason:
        known["reason"] = held.reason
    return known


def _shown(balance: Balance) -> dict[str, Any]:
    """One counter; `counter` names it as records do, and so whom it counts."""
    charge = balance.charge
    return {
        "constraint": charge.constraint,
        "kind": charge.kind,
        "window": charge.window,
        "limit": charge.limit,
        "remaining": balance.remaining,
        "reset_s": balance.reset_s,
        "counter": charge.counter,
    }


def _is_closed(passport: Passport, issuer: Issuer, action: str, case: "Case") -> bool:
    """Whether kill switch, catalog or grants refuse an action, whatever a request for it says."""
    policy = case.world.policy
    if (
        case.trust.kills.judge_action(action)
        or check_catalog(passport.pins, policy.gate_id, policy.catalog, action, issuer.tier)
        or (check_pins(passport, policy) if passport.chain else None)
    ):
        return True
    granted = judge_lineage(passport, action, NO_FACTS, case.now)
    return isinstance(granted, Refusal) and granted.code in _CLOSED


def _owed(passport: Passport, issuer: Issuer, action: str, world: World) -> dict[str, Any]:
    """The constraints that this passport owes for `action`, by who demands them, as authored."""
    catalog = world.policy.catalog
    pin = passport.kept_pins.get(world.policy.gate_id)
    agreed = None if catalog is None or pin is None else catalog.pinned(pin)
    ancestors = {parent.id: _claimed(parent, action) for parent in passport.chain}
    owed = {
        "gate": world.gate_constraints,
        "issuer": world.issuer_constraints.get("" if issuer.self_issued else issuer.id, {}),
        "catalog": _authored(catalog, action),
        "pinned_catalog": {} if agreed is catalog else _authored(agreed, action),
        **_claimed(passport, action),
        "ancestors": {name: limits for name, limits in ancestors.items() if limits},
    }
    return {origin: limits for origin, limits in owed.items() if limits}


def _claimed(passport: Passport, action: str) -> dict[str, Any]:
    """What a passport itself demands for `action`: of all of it, and of the entries that cover."""
    claims = passport.claims
    covering = {
        entry.pattern
        for entry in passport.permissions
        if GRAMMARS[entry.grammar](entry.pattern, action)
    }
    entries = {
        entry["permission_key"]: entry.get("constraints", {})
        for entry in claims.get("permissions", [])
        if isinstance(entry, dict) and entry["permission_key"] in covering
    }
    claimed = {
        "passport": claims.get("constraints", {}),
        "permissions": {pattern: limits for pattern, limits in entries.items() if limits},
    }
    return {origin: limits for origin, limits in claimed.items() if limits}


def _authored(catalog: Catalog | None, action: str) -> Any:
    entry = None if catalog is None else catalog.entries.get(action)
    return {} if entry is None else entry.authored.get("constraints", {})


def _known_actions(policy: Policy) -> list[str]:
    """Every action that the routes or the catalog name, once, in their order."""
    names = [route.action for route in policy.routes.routes]
    if policy.catalog is not None:
        names += policy.catalog.entries
    return list(dict.fromkeys(names))
