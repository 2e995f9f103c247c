"""Overseer: a running gate as its operator sees it, through the admin listener."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from passgate.admin.operations import Readiness, RecordQuery, Reloaded, Stopped
from passgate.approvals.desk import NotDecided
from passgate.core.constraints.patterns import forbid, forbidden_patterns
from passgate.core.instant import Instant
from passgate.core.keys import algorithm_of
from passgate.core.kills import KINDS, Kill, Kills
from passgate.core.policy import DENY
from passgate.log import newest_lines
from passgate.usage import known_of, on_record, usage_of

if TYPE_CHECKING:
    from passgate.gate import Gate


_LEDGER_METRICS = (
    "passgate_ledger_up",
    "passgate_ledger_gates",
    "passgate_ledger_missing_gates",
    "passgate_ledger_requests_total",
    "passgate_ledger_round_trips_total",
    "passgate_ledger_disconnects_total",
    "passgate_ledger_losses_total",
)


class Overseer:
    """The admin listener's `Operations`, read from a gate at the moment of asking."""

    def __init__(self, gate: "Gate") -> None:
        self._gate = gate
        self.tally = gate.tally

    async def reload(self) -> Reloaded:
        """See `Gate.reload`."""
        return await self._gate.reload()

    def readiness(self) -> Readiness:
        """Ready while serving, with a log that can be written, every source of trust read at least
        once, and at least one issuer (where there are any) that is not stale. The upstream is shown
        and does not count: without it the gate still decides, and says what is wrong.

        `age_s` says how long ago what stands there was last true: a connection accepted needs none,
        the log its last commit, the ledger its last snapshot, a configuration its loading, a source
        its last reading. A certificate that ends is told, and makes nothing unready.
        """
        gate = self._gate
        now = gate.clock()
        log = gate.log.status()
        ledger = gate.ledger
        rows: list[dict[str, Any]] = [
            {"name": "listener", "ok": gate.serving, "connections": gate.proxy.connections},
            {
                "name": "log",
                "ok": log.healthy,
                "age_s": int(now.age_of(gate.committed_at)),
                "error": "" if log.healthy else log.error,
                "lines": log.size,
                "waiting": log.waiting,
                "volume_percent": log.volume_percent,
                "warning": "the log volume is over 90 % full" if log.volume_full else "",
            },
            {
                "name": "ledger",
                "ok": True,
                "lines_after_snapshot": log.size - ledger.covered,
                # Counters go on in memory; what is at risk is their next start.
                "warning": ledger.trouble
                or (
                    f"the first {ledger.forgotten} log lines were gone and are not counted"
                    if ledger.forgotten
                    else ""
                ),
            },
            *self._shared_ledger(now),
            {
                "name": "holds",
                "ok": True,
                "pending": gate.approvals.counts()["pending"],
                "warning": gate.approvals.trouble or gate.approvals.courier.trouble,
            },
            {
                "name": "configuration",
                "ok": True,
                "age_s": int(now.age_of(gate.loaded_at)),
                "warning": gate.reload_error,
            },
        ]
        catalog = gate.enforcer.world.policy.catalog
        if catalog is not None:
            rows.append(
                {
                    "name": "catalog",
                    "ok": True,
                    "version": catalog.version,
                    "content_hash": catalog.content_hash,
                    # Agents are judged by what was published; who wrote the file may not know.
                    "warning": "; ".join(gate.offer.warnings),
                }
            )
        rows.append(_switch(gate.keeper.trust.kills))
        rows += self._bundle(now)
        rows += [
            {
                "name": f"certificate of {use}",
                "ok": now.wall < validity.ends_at,
                "expires_at": int(validity.ends_at),
                "warning": validity.warning(now.wall),
            }
            for use, validity in gate.proxy.validities.items()
        ]
        rows.append(self._upstream())
        loaded = True
        stale_issuers: dict[str, bool] = {}
        for row in gate.keeper.status():
            # Ages are whole seconds here, rounded down; requests are refused in that very second.
            limit = self._max_stale_s(row["issuer"], row["kind"])
            limit = min(limit, row["max_age_s"] or limit)
            stale = row["age_s"] is None or row["age_s"] >= limit
            expired = row["expires_at"] is not None and row["expires_at"] <= now.wall
            ok = not (stale or expired)
            rows.append({"name": f"{row['issuer']} {row['kind']}", "ok": ok, **row})
            loaded = loaded and row["loaded"]
            stale_issuers[row["issuer"]] = stale_issuers.get(row["issuer"], False) or not ok
        # One issuer whose sources are away must not take the others' agents away with it.
        served = loaded and (not stale_issuers or not all(stale_issuers.values()))
        return Readiness(gate.serving and log.healthy and served, tuple(rows))

    def _bundle(self, now: Instant) -> list[dict[str, Any]]:
        """The row of the trust bundle; one that could not be taken makes nothing unready."""
        imported, error = self._gate.keeper.bundle, self._gate.bundle_error
        if imported is None:
            return [{"name": "trust bundle", "ok": True, "warning": error}] if error else []
        bundle = imported.bundle
        return [
            {
                "name": "trust bundle",
                "ok": True,
                "version": bundle.version,
                "exported_by": bundle.iss,
                "age_s": max(0, int(now.wall - bundle.iat)),
                "warning": error,
            }
        ]

    def _shared_ledger(self, now: Instant) -> list[dict[str, Any]]:
        """The row of the server that counters are shared on, where there is one.

        Without it the gate still decides as `ledger.on_loss` says, so it makes nothing unready: all
        gates would be at once.
        """
        shared = self._gate.ledger.shared
        if shared is None:
            return []
        met = shared.answered_at
        return [
            {
                "name": "shared ledger",
                "ok": shared.up and not shared.missing,
                "age_s": None if met is None else int(now.age_of(met)),
                "server": shared.server,
                "gates": shared.gates,
                "missing": shared.missing,
                "warning": shared.error,
            }
        ]

    def _ledger_measurements(self) -> dict[str, Any]:
        shared = self._gate.ledger.shared
        if shared is None:
            return {name: {} for name in _LEDGER_METRICS}
        tally = shared.tally
        return {
            "passgate_ledger_up": int(shared.up),
            "passgate_ledger_gates": shared.gates,
            "passgate_ledger_missing_gates": shared.missing,
            "passgate_ledger_requests_total": {
                ("lease",): tally.leased,
                ("server",): tally.asked,
            },
            "passgate_ledger_round_trips_total": tally.round_trips,
            "passgate_ledger_disconnects_total": tally.disconnects,
            "passgate_ledger_losses_total": dict(tally.losses),
        }

    def _upstream(self) -> dict[str, Any]:
        """The upstream's row: every address with its state, every name that is not resolved."""
        proxy = self._gate.proxy
        addresses = [
            {
                "address": str(address.endpoint),
                "state": address.state,
                "connections": address.total,
                "failures": address.failures,
                "error": address.error if address.failures else "",
            }
            for address in proxy.upstream_addresses
        ]
        unresolved = {name: error for name, error in proxy.upstream_names.items() if error}
        down = [row for row in addresses if row["state"] != "up"]
        warnings = [f"{name} cannot be resolved: {error}" for name, error in unresolved.items()]
        if down:
            warnings.insert(0, f"{len(down)} of {len(addresses)} addresses do not do their work")
        return {
            "name": "upstream",
            "ok": len(down) < len(addresses),
            "addresses": addresses,
            "warning": "; ".join(warnings),
        }

    def _max_stale_s(self, issuer: str, kind: str) -> float:
        entry = self._gate.keeper.trust.issuers.get(issuer)
        if entry is None:
            return 0.0
        if kind == "revocations":
            return min(entry.max_stale_s, entry.list_max_stale_s)
        return entry.max_stale_s

    def trust_status(self) -> list[dict[str, Any]]:
        """Each source of each issuer, as the keeper sees it; of keys also which there are."""
        keeper = self._gate.keeper
        rows: list[dict[str, Any]] = []
        for row in keeper.status():
            issuer = keeper.trust.issuers.get(row["issuer"])
            shown: dict[str, Any] = dict(row)
            if row["kind"] == "keys" and issuer is not None and issuer.keys is not None:
                shown["keys"] = {kid: algorithm_of(key) for kid, key in issuer.keys.keys.items()}
            rows.append(shown)
        return rows

    def kills(self) -> tuple[Kill, ...]:
        """See `Operations.kills`."""
        return self._gate.switch.kills

    async def stop(self, kind: str, target: str, issuer: str, reason: str, by: str) -> Stopped:
        """See `Operations.stop`; warns about an issuer or action that the gate does not know."""
        kill, new = await self._gate.switch.stop(kind, target, issuer, reason, by)
        warnings = []
        named = target if kind == "issuer" else issuer
        if named and named not in self._gate.keeper.trust.issuers:
            warnings.append(f"no issuer {named} is configured: check the name")
        if kind == "action" and not self._is_known(target):
            warnings.append(f"no route or catalog entry is {target}: check the name")
        return Stopped(kill, new, tuple(warnings))

    def _is_known(self, action: str) -> bool:
        """Whether a kill of this action stops one that the configuration names, or may make."""
        policy = self._gate.enforcer.world.policy
        known = {route.action for route in policy.routes.routes}
        if policy.catalog is not None:
            known |= policy.catalog.entries.keys()
        pattern = forbidden_patterns([action])
        return policy.default_action != DENY or any(forbid(pattern, each) for each in known)

    async def lift(self, name: str, by: str) -> Kill:
        """See `Operations.lift`."""
        return await self._gate.switch.lift(name, by)

    async def usage(self, agent: str, issuer: str) -> dict[str, Any]:
        """See `Operations.usage`; `complete` says that all of the log was read for passports."""
        gate = self._gate
        trust, policy = gate.keeper.trust, gate.enforcer.world.policy
        if issuer and issuer not in trust.issuers:
            raise LookupError(f"no issuer {issuer} is configured")
        directory = gate.config.gate.data_dir / "log"
        recorded, complete = await asyncio.to_thread(on_record, directory, agent)
        known = [known_of(each) for each in gate.enforcer.cache.of_agent(agent)] + recorded
        names = {issuer} if issuer else {each.issuer for each in known} & trust.issuers.keys()
        if not names:
            raise LookupError("no passport of this agent is known here; name its issuer")
        now = gate.clock()
        found = [
            usage_of(agent, trust.issuers[name], known, policy, gate.ledger, now)
            for name in sorted(names)
        ]
        return {"agent": agent, "complete": complete, "usage": found}

    async def records(self, query: RecordQuery) -> list[dict[str, Any]]:
        """The newest matching lines; read in a thread, for the log may be large."""
        directory = self._gate.config.gate.data_dir / "log"
        return await asyncio.to_thread(_matching, directory, query)

    def holds(self, state: str) -> list[dict[str, Any]]:
        """What is held or remembered, in one state or in all."""
        held = self._gate.approvals.listed(self._gate.clock())
        return [each.shown() for each in held if state in ("", each.state)]

    def hold(self, hold_id: str) -> dict[str, Any] | None:
        """One hold with what the person who decides sees of it."""
        held = self._gate.approvals.known(hold_id, self._gate.clock())
        return None if held is None else held.shown()

    async def decide_hold(
        self, hold_id: str, *, approve: bool, approver: str, reason: str
    ) -> dict[str, Any] | NotDecided:
        """A person's word on a hold; see `Approvals.decide`."""
        held = await self._gate.approvals.decide(
            hold_id, approve=approve, approver=approver, reason=reason
        )
        return held if isinstance(held, NotDecided) else held.shown()

    def letters(self) -> list[dict[str, Any]]:
        """Events that the webhook has not taken."""
        return self._gate.approvals.courier.letters()

    async def resend(self, letter: str) -> list[str]:
        """Send dead letters again; see `Operations`."""
        return await self._gate.approvals.courier.send_again(letter)

    def measurements(self) -> dict[str, Any]:
        """What is read at the moment of a scrape rather than counted along the way."""
        gate = self._gate
        log = gate.log.status()
        cache = gate.enforcer.cache
        rows = gate.keeper.status()
        now = gate.clock().wall
        return {
            "passgate_inflight_requests": gate.enforcer.inflight,
            "passgate_connections": gate.proxy.connections,
            "passgate_connections_refused_total": {
                (reason,): count for reason, count in gate.proxy.turned_away.items()
            },
            "passgate_certificate_expiry_seconds": {
                (use,): int(validity.ends_at - now)
                for use, validity in gate.proxy.validities.items()
            },
            "passgate_trust_age_seconds": {
                (row["issuer"], row["kind"]): row["age_s"]
                for row in rows
                if row["age_s"] is not None
            },
            "passgate_sync_failures_total": {
                (row["issuer"], row["kind"]): row["failures_total"] for row in rows
            }
            | {
                (row["issuer"], "push"): row["push"]["failures_total"]
                for row in rows
                if row["push"] is not None
            },
            "passgate_unknown_kid_total": {
                (row["issuer"],): row["unknown_kids"] for row in rows if row["kind"] == "keys"
            },
            **self._upstream_measurements(),
            "passgate_clock_skew_seconds": {
                (issuer,): round(gate.tally.lead_of(issuer, now), 3)
                for issuer in gate.keeper.trust.issuers
            },
            "passgate_trust_bundle_version": gate.keeper.trust.bundle,
            "passgate_kills": _by_kind(gate.keeper.trust.kills),
            **self._ledger_measurements(),
            "passgate_holds": {(state,): count for state, count in gate.approvals.counts().items()},
            "passgate_log_lines_total": log.size,
            "passgate_log_commit_seconds": gate.commit_seconds,
            "passgate_log_gaps_total": log.gaps,
            "passgate_log_healthy": int(log.healthy),
            "passgate_verify_cache_total": {("hit",): cache.hits, ("miss",): cache.misses},
        }

    def _upstream_measurements(self) -> dict[str, Any]:
        proxy = self._gate.proxy
        counted = proxy.upstream_tally
        states = dict.fromkeys((("up",), ("out",), ("trial",)), 0)
        for address in proxy.upstream_addresses:
            states[(address.state,)] += 1
        return {
            "passgate_upstream_addresses": states,
            "passgate_upstream_connections": proxy.upstream_connections,
            "passgate_upstream_failures_total": {(k,): v for k, v in counted.failures.items()},
            "passgate_upstream_ejections_total": counted.ejections,
            "passgate_upstream_retries_total": {(k,): v for k, v in counted.retries.items()},
            "passgate_upstream_resolution_failures_total": counted.resolutions_failed,
        }


def _switch(kills: Kills) -> dict[str, Any]:
    """The kill switch's row: what is stopped on purpose makes nothing unready."""
    warning = ""
    if kills.active:
        count = len(kills.entries)
        warning = f"{count} {'kill is' if count == 1 else 'kills are'} in force"
    if kills.everything:
        warning = "everything is stopped"
    return {"name": "kill switch", "ok": True, "kills": len(kills.entries), "warning": warning}


def _by_kind(kills: Kills) -> dict[tuple[str, ...], int]:
    counts: dict[tuple[str, ...], int] = {(kind,): 0 for kind in KINDS}
    for kill in kills.entries:
        counts[(kill.kind,)] += 1
    return counts


def _matching(directory: Path, query: RecordQuery) -> list[dict[str, Any]]:
    wanted = {
        "decision": query.decision,
        "reason_code": query.reason,
        "agent_id": query.agent,
        "decision_id": query.decision_id,
    }
    given = {key: value for key, value in wanted.items() if value}
    found = []
    for line in newest_lines(directory):
        if all(line.get(key) == value for key, value in given.items()):
            found.append(line)
            if len(found) >= query.limit:
                break
    return found
