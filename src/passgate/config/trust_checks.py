"""Checks of passports that nobody vouches for, and of those presented by their ids alone."""

from passgate.config.findings import Findings
from passgate.config.kinds import BAD


def self_issued_check(found: Findings) -> None:
    """Self-issued passports are for L1 alone, and only within what the operator says."""
    allowed, limits = found.get("allow_self_issued"), found.get("self_issued")
    if allowed is True:
        if found.get("gate", "profile") not in ("L1", BAD):
            found.problem("allow_self_issued", "is for profile L1 only: nobody vouches for them")
        if limits is None:
            found.problem(
                "self_issued", "is compulsory with allow_self_issued: what may they do, and owe?"
            )


def references_check(found: Findings) -> None:
    """An id is no secret, so whoever takes it for one is told."""
    for index, entry in found.entries("issuers"):
        path = f"issuers[{index}].by_reference"
        if entry["by_reference"] != "bearer":
            continue
        if found.get("gate", "profile") == "L3":
            found.problem(path, "bearer is refused in profile L3: every request needs a proof")
        elif entry["passports"] is None:
            found.problem(path, "means nothing without passports")
        else:
            found.warn(path, "bearer takes a passport's id for a secret, which it is not")
