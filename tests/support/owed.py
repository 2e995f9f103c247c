"""What a log's lines say is owed, worked out the plain way: one bill for each operation."""

from collections.abc import Sequence
from typing import Any


def owed(log: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Cents and counts by counter. Whoever is on the way at a `start` stays charged."""
    bills: list[tuple[dict[str, int], list[dict[str, Any]]]] = []
    newest: dict[str, int] = {}  # the bill of an operation, by its name
    bill_of: dict[str, int] = {}  # that of a decision
    others: dict[str, dict[str, int]] = {}  # what each request takes for itself, by decision
    for line in log:
        if line["kind"] == "start":
            for _, ends in bills:
                ends.append(line)
        elif line["kind"] == "outcome":
            bills[bill_of[line["decision_id"]]][1].append(line)
            if line["released"]:
                others.pop(line["decision_id"])
        else:
            decision, key = line["decision_id"], line.get("idempotency", {})
            charges = {c["counter"]: c["amount"] for c in line["charges"]}
            spent = {name: amount for name, amount in charges.items() if name.startswith("spend/")}
            others[decision] = {n: a for n, a in charges.items() if n not in spent}
            name = key.get("name", decision)
            if not key.get("repeated"):
                bills.append((spent, []))
                newest[name] = len(bills) - 1
            bill_of[decision] = newest[name]
            bills[newest[name]][1].append(line)
    total: dict[str, int] = {}
    for charges in others.values():
        for name, amount in charges.items():
            total[name] = total.get(name, 0) + amount
    for charges, lines in bills:
        paid = settled(lines)
        for name, amount in charges.items():
            total[name] = total.get(name, 0) + (amount if paid is None else min(amount, paid))
    return total


def settled(lines: Sequence[dict[str, Any]]) -> int | None:
    """What the first settled that was sent or may have been, None for all; 0 where none was."""
    on_way = 0
    for line in lines:
        if line["kind"] == "decision":
            on_way += 1
        elif line["kind"] == "start":
            if on_way:
                return None
        elif not line["released"]:
            paid = line.get("settled_cents")
            assert paid is None or type(paid) is int
            return paid
        else:
            on_way -= 1
    return None if on_way else 0
