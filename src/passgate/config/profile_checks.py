"""What `gate.profile` asks of the rest of the configuration."""

from typing import Final

from passgate.config.findings import Findings
from passgate.config.kinds import BAD, At
from passgate.config.reading import Tree

L3_REFRESH_S: Final = 20.0
"""The longest `refresh` in profile L3, so that one reading may fail before the list is too old."""


def settle_profile(tree: Tree, at: At) -> None:
    """Gives what the profile decides, and the file does not set, the value that it has to have."""
    gate, passport, issuers = tree["gate"], tree["passport"], tree["issuers"]
    if gate is BAD or gate["profile"] != "L3":
        return
    if passport is not BAD and "passport.proof" not in at.lines:
        passport["proof"] = "required"
    for index, entry in enumerate(() if issuers is BAD else issuers):
        if entry is BAD or entry["revocations_push"] is not None:
            continue
        if f"issuers[{index}].refresh" not in at.lines:
            entry["refresh"] = min(entry["refresh"], L3_REFRESH_S)


def profile_check(found: Findings) -> None:
    """Lists are compulsory from L2 on; L3 wants them fresh, and a proof with every passport."""
    profile = found.get("gate", "profile")
    if profile not in ("L2", "L3"):
        return
    for index, entry in found.entries("issuers"):
        path = f"issuers[{index}]"
        if entry["revocations"] is None:
            found.problem(
                f"{path}.revocations", f"is compulsory in profile {profile}: name the issuer's list"
            )
        refresh = entry["refresh"]
        pushed = entry["revocations_push"] is not None
        if profile == "L3" and not pushed and refresh is not BAD and refresh > L3_REFRESH_S:
            found.problem(
                f"{path}.refresh", "must be at most 20s in profile L3 without revocations_push"
            )
    if profile == "L3" and found.get("passport", "proof") == "bound":
        found.problem("passport.proof", "must be required in profile L3: leave it out")
