"""When to stop although all is in order: trust that is not fresh, a pace that is not usual."""

from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

from passgate.core.constraints.base import Constraint, Context, Watch
from passgate.core.constraints.values import count, duration_s, either, flag, members
from passgate.core.reasons import Refusal

FAIL_CLOSED: Final = "core:safety:fail_closed"
ANOMALY_SUSPEND: Final = "core:safety:anomaly_suspend"

MOST_FACTOR: Final = 1000
LONGEST_PACE_S: Final = 7 * 86400

_STALE: Final = Refusal(
    "constraint_violated", "What the gate knows of the issuer is not fresh.", FAIL_CLOSED
)
_NEEDS: Final[frozenset[str]] = frozenset()
_MAY: Final = frozenset({"factor", "window", "baseline"})


class Pace(NamedTuple):
    """How much faster than over `baseline_s` before it a subject may be over `window_s`."""

    factor: int
    window_s: int
    baseline_s: int


Paces: TypeAlias = tuple[Pace, ...]
"""Every one of which must be kept."""

_USUAL: Final = Pace(3, 300, 1800)


def _judge_fail_closed(fail_closed: bool, context: Context) -> Refusal | None:
    issuer = context.issuer
    # Without a passport nothing is believed of anybody, so nothing can be stale.
    if not fail_closed or issuer is None:
        return None
    return _STALE if issuer.stale_at(context.now) else None


def _parse_anomaly_suspend(raw: object) -> Paces:
    if isinstance(raw, bool):
        return (_USUAL,) if raw else ()
    if not isinstance(raw, Mapping):
        raise ValueError("must be true, false, or an object of factor, window and baseline")  # noqa: TRY004 - every bad value is a ValueError
    given = members(raw, _NEEDS, _MAY)
    factor = count(given["factor"]) if "factor" in given else _USUAL.factor
    window_s = duration_s(given["window"]) if "window" in given else _USUAL.window_s
    baseline_s = duration_s(given["baseline"]) if "baseline" in given else _USUAL.baseline_s
    if not 1 <= factor <= MOST_FACTOR:
        raise ValueError(f"must have a factor from 1 to {MOST_FACTOR}")
    if window_s > baseline_s:
        raise ValueError("must have a baseline that is at least as long as its window")
    if baseline_s > LONGEST_PACE_S:
        raise ValueError("must have a baseline of at most 7d")
    return (Pace(factor, window_s, baseline_s),)


def _merge_anomaly_suspend(left: Paces, right: Paces) -> Paces:
    return left + tuple(pace for pace in right if pace not in left)


def _watch_anomaly_suspend(paces: Paces, subject: str) -> tuple[Watch, ...]:
    return tuple(
        Watch(ANOMALY_SUSPEND, subject, pace.factor, pace.window_s, pace.baseline_s)
        for pace in paces
    )


ROWS: Final = (
    Constraint(
        key=FAIL_CLOSED,
        order=1,
        parse=flag,
        merge=either,
        value="true (false asks for nothing)",
        refuses=(
            "keys or revocations of the passport's issuer were never read, are older than its"
            " `max_stale`, or have expired"
        ),
        merging="true if either is",
        example=True,
        note=(
            "Check 9 refuses stale trust with `trust_stale` wherever the gate's profile does; this"
            " refuses it in every profile. A request without a passport rests on no trust."
        ),
        judge=_judge_fail_closed,
    ),
    Constraint(
        key=ANOMALY_SUSPEND,
        order=2,
        parse=_parse_anomaly_suspend,
        merge=_merge_anomaly_suspend,
        value=(
            "true (false asks for nothing), or `{factor, window, baseline}`: a whole number from 1,"
            " and two durations"
        ),
        refuses=(
            "holds, when the rate over the last `window` (5m) exceeds `factor` (3) times that of"
            " the `baseline` (30m) before it, once the baseline has 20 requests"
            " (`approval_required`)"
        ),
        merging="all must hold",
        example={"factor": 3, "window": "5m", "baseline": "30m"},
        note=(
            "The baseline ends where the window begins, and its rate is that of the time since the"
            " first request in it: who begins, or goes on at the same pace, is not suspended. Only"
            " requests that pass count, so the pace falls while it is held. Paces are kept in"
            " memory, for at most 100,000 subjects, and begin anew when the gate does."
        ),
        watch=_watch_anomaly_suspend,
    ),
)
"""The rows of this family."""
