"""A body that a rule has written anew: judged again, and forwarded without what it no longer is."""

from collections.abc import Callable
from typing import Final

from passgate.core.constraints.base import Finding
from passgate.core.decision import Plan
from passgate.core.request import Request

_DIGESTS: Final = (b"content-digest:", b"repr-digest:", b"digest:", b"content-md5:")


def judged_again(plan: Plan, request: Request, decide_again: Callable[[], Plan]) -> Plan:
    """The plan for the request with the body that a finding has for it, if one has.

    What is forwarded is then what was judged, facts and all. Raises RuntimeError should the new
    body need another one, which would be a defect.
    """
    body = _new_body(plan.findings)
    if body is None or plan.refusal is not None:
        return plan
    request.received = request.body
    request.body = body
    again = decide_again()
    if _new_body(again.findings) is not None:
        raise RuntimeError("a body that was written anew is not what its rule wants")
    again.findings = plan.findings
    again.evaluated = tuple(
        [
            before if before[1] == "redact" else after
            for before, after in zip(plan.evaluated, again.evaluated, strict=False)
        ]
    )
    return again


def told(findings: tuple[Finding, ...]) -> str:
    """What was found, for the record: kinds and counts, never the data."""
    first = findings[0]
    return " ".join([first.result, *[f"{kind}={count}" for kind, count in first.found]])


def without_digests(lines: bytes) -> bytes:
    """Header lines without those that speak of the body as it was sent (RFC 9530, RFC 1864)."""
    return b"".join(
        [line for line in lines.splitlines(keepends=True) if not line.lower().startswith(_DIGESTS)]
    )


def _new_body(findings: tuple[Finding, ...]) -> bytes | None:
    for finding in findings:
        if finding.body is not None:
            return finding.body
    return None
