"""What `passport.formats` and an issuer's entry ask for that nothing could ever satisfy."""

from passgate.config.findings import Findings
from passgate.config.kinds import BAD


def formats_check(found: Findings) -> None:
    """Warns of formats that are not read, of levels that a format has not, of unneeded consent."""
    read = found.get("passport", "formats")
    if read is BAD:
        return
    if "csp" in read and found.get("passport", "proof") == "required":
        found.warn(
            "passport.formats",
            "has csp, whose passports prove no possession: passport.proof refuses them all",
        )
    for index, entry in found.entries("issuers"):
        path = f"issuers[{index}]"
        formats, floors = entry["formats"], entry["assurance"]
        if formats is BAD:
            continue
        for name in formats:
            if name not in read:
                found.warn(f"{path}.formats", f"has {name}, which passport.formats has not")
        others = [name for name in formats if name != "csp"]
        asked = floors is not BAD and any(level not in (0, BAD) for level in floors.values())
        if others and asked:
            found.warn(
                f"{path}.assurance",
                f"refuses all its {others[0]} passports: they have no levels",
            )
        if entry["catch_all"] is True and "csp" not in formats:
            found.warn(f"{path}.catch_all", "is about csp passports, which it may not issue")
