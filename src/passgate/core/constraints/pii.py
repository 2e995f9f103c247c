"""What becomes of personal data in a request: refused, hidden, or noted."""

from typing import Final

from passgate.core.constraints.base import Constraint, Context, Finding
from passgate.core.constraints.values import either, flag
from passgate.core.personal_data import FEW_ADDRESSES, redacted
from passgate.core.personal_spans import MOST_LOOKED_AT
from passgate.core.reasons import Refusal

NO_PII_EXPORT: Final = "core:data:no_pii_export"
PII_MODE: Final = "core:data:pii_mode"

MODES: Final[tuple[str, ...]] = ("log_only", "redact", "block")
"""What may become of personal data, the least strict first."""
_LOG_ONLY: Final = 0
_REDACT: Final = 1

_EXPORT: Final = Refusal(
    "constraint_violated", "The request holds personal data, and may not.", NO_PII_EXPORT
)
_BLOCKED: Final = Refusal(
    "constraint_violated", "The request holds personal data, and may not.", PII_MODE
)
_DECLARED: Final = Refusal(
    "constraint_violated", "The request declares personal data outside of its body.", PII_MODE
)
_UNHIDDEN: Final = Refusal(
    "constraint_violated", "The request holds more personal data than can be hidden.", PII_MODE
)
_UNJUDGED: Final = "What goes over an upgraded connection cannot be judged."
_UPGRADE: Final = Refusal("constraint_violated", _UNJUDGED, NO_PII_EXPORT)
_UPGRADE_BY_MODE: Final = Refusal("constraint_violated", _UNJUDGED, PII_MODE)


def _mode(raw: object) -> int:
    if not isinstance(raw, str) or raw not in MODES:
        raise ValueError(f"must be one of {', '.join(MODES)}")
    return MODES.index(raw)


def _judge_no_pii_export(forbidden: bool, context: Context) -> Refusal | None:
    if not forbidden:
        return None
    if context.request.sorted.upgrade:
        return _UPGRADE
    examined = context.examined()
    if isinstance(examined, Refusal):
        return examined
    return _EXPORT if examined[1].exports else None


def _judge_pii_mode(mode: int, context: Context) -> Refusal | Finding | None:
    if context.request.sorted.upgrade:
        return _UPGRADE_BY_MODE
    examined = context.examined()
    if isinstance(examined, Refusal):
        return examined
    document, personal = examined
    if not personal.exports:
        return None
    if mode == _LOG_ONLY:
        return Finding(PII_MODE, "note", personal.found)
    if mode == _REDACT:
        # What stands in a header, the path or the query is judged too, and cannot be hidden.
        if document is None:
            return _DECLARED
        body = redacted(document, personal)
        if body is None:
            return _UNHIDDEN
        if body == context.request.body:
            return _DECLARED
        return Finding(PII_MODE, "redact", personal.found, body)
    return _BLOCKED


_WHAT: Final = (
    "Personal data is: card numbers (Luhn), social security numbers of the United States, IBANs,"
    f" and more than {FEW_ADDRESSES} different e-mail addresses; in the names and values of the"
    " body's JSON, and in the vendor, domain and resource that the request declares. Each is proven"
    " by its check digits or ranges, not by its shape alone. What is encoded or spelt out is not"
    " found. A request with more than"
    f" {MOST_LOOKED_AT:,} places that look like such data, whether or not they are, counts as one"
    " that holds some (`unexamined` in the record), and none of it is hidden: it is refused, but"
    " with `log_only`. The body is read whole: one that is longer than"
    " `limits.judged_body_bytes` is answered 413, one that is not JSON 415, and an upgrade"
    " (WebSocket) is refused."
)

ROWS: Final = (
    Constraint(
        key=NO_PII_EXPORT,
        order=61,
        parse=flag,
        merge=either,
        value="true (false asks for nothing)",
        refuses="the body, or what the request declares, holds personal data",
        merging="true if either is",
        example=True,
        note=_WHAT,
        judge=_judge_no_pii_export,
        judges_body=True,
    ),
    Constraint(
        key=PII_MODE,
        order=62,
        parse=_mode,
        merge=max,
        value="`block`, `redact` or `log_only`",
        refuses=(
            "with `block`, the body or what the request declares holds personal data; with"
            " `redact`, it declares some outside of its body"
        ),
        merging="the strictest: `block`, then `redact`, then `log_only`",
        example="redact",
        note=(
            _WHAT
            + " With `redact` each piece of it becomes `[redacted]` in the body that is judged"
            " and forwarded, which is written anew as JSON and loses `Content-Digest`,"
            " `Repr-Digest`, `Digest` and `Content-MD5`. The record says what was found, never the"
            " data itself: `facts.personal_data`, with `redact` or `log_only`."
        ),
        judge=_judge_pii_mode,
        judges_body=True,
    ),
)
"""The rows of this family."""
