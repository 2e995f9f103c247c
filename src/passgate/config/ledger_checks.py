"""Checks of section `ledger` that look at more than one key."""

from passgate.config.environment import open_to_others
from passgate.config.findings import Findings
from passgate.config.kinds import BAD, Section
from passgate.config.places import is_loopback
from passgate.config.reading import CHILDREN


def ledger_check(found: Findings) -> None:
    """A server for shared counters and for nothing else, out of the reach of strangers."""
    kind, url = found.get("ledger", "kind"), found.get("ledger", "url")
    if kind is BAD or url is BAD:
        return
    if kind != "valkey":
        # What cannot be lost may be told what to do then, and all remember keys; everything else
        # says that a server is meant to be used.
        for name, row in CHILDREN["ledger"].items():
            if name in {"kind", "idempotency_keys", "on_loss"}:
                continue
            value = found.get("ledger", name)
            plain = not isinstance(row.kind, Section)
            default = plain and value is not BAD and row.kind.show(value) == row.default
            if value not in (None, BAD) and not default:
                found.problem(row.path, f"is of the kind valkey, and ledger.kind is {kind}")
        return
    if url is None:
        found.problem("ledger.url", "is compulsory with ledger.kind valkey")
        return
    outside = [host for host, _ in url.addresses if not is_loopback(host)]
    if outside and not url.secure:
        if found.get("ledger", "insecure") is False:
            found.problem("ledger.url", "must be rediss:// (or set ledger.insecure: true)")
        else:
            found.warn("ledger.url", "is asked without TLS: anyone between can change budgets")
    tls = found.get("ledger", "tls")
    if tls not in (None, BAD):
        if not url.secure:
            found.problem("ledger.tls", "is of rediss://, and ledger.url is another")
        if BAD not in tls.values() and (tls["cert"] is None) != (tls["key"] is None):
            found.problem("ledger.tls", "must have both cert and key, or neither")
    if found.get("ledger", "user") not in (None, BAD) and found.get("ledger", "password") is None:
        found.problem("ledger.user", "needs ledger.password")
    if not url.master and found.get("ledger", "sentinel_password") not in (None, BAD):
        found.problem("ledger.sentinel_password", "is of sentinels, and ledger.url names none")
    for name in ("password", "sentinel_password"):
        secret = found.get("ledger", name)
        if secret not in (None, BAD) and open_to_others(secret.reference, found.at.base):
            found.warn(
                f"ledger.{name}",
                f"stands in a file that everyone may read: chmod 600 {secret.reference}",
            )
    if found.get("ledger", "on_loss", "spend") == "local":
        found.warn(
            "ledger.on_loss.spend",
            "is local: while the server is away, gates can together spend more than a budget",
        )
