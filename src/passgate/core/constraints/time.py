"""At which hours an agent may act, and when it must not.

A zone is resolved while a value is parsed, and kept: nothing is read from disk when a request is
judged. Only `now.wall` says what time it is.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from passgate.core.constraints.base import Constraint, Context
from passgate.core.constraints.values import duration_s, items, members, texts
from passgate.core.reasons import Refusal
from passgate.core.rfc3339 import parse_instant

OPERATING_HOURS = "core:time:operating_hours"
BLACKOUT_WINDOWS = "core:time:blackout_windows"
MAX_AGE = "core:time:max_age"

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_ZONE = re.compile(r"[A-Z][A-Za-z0-9_+-]*(?:/[A-Z][A-Za-z0-9_+-]*){0,2}")
_WHOLE_DAY = 1440
# 1970-01-01, day 0 of Unix time, was a Thursday.
_FIRST_WEEKDAY = 3

_CLOSED = Refusal("constraint_violated", "The request came outside the hours.", OPERATING_HOURS)
_TOO_OLD = Refusal("constraint_violated", "The passport was issued too long ago.", MAX_AGE)
_BLACKOUT = Refusal("constraint_violated", "No request may come at this time.", BLACKOUT_WINDOWS)


@dataclass(frozen=True, slots=True)
class Span:
    """Hours of a day, from minute `start` up to before minute `end`, on the days they start on.

    Weekdays count from 0, Monday. Where `end` is not after `start` the span goes on past midnight.
    `tz` is None for UTC.
    """

    days: frozenset[int]
    start: int
    end: int
    zone: str
    tz: tzinfo | None = field(compare=False)

    def holds(self, wall: float) -> bool:
        """Whether the moment lies in the span, by the clocks of its zone."""
        if self.tz is None:
            day, second = divmod(int(wall // 1), 86400)
            weekday = (day + _FIRST_WEEKDAY) % 7
            minute = second // 60
        else:
            # The zone's own rules answer for the hour that a change of clocks repeats or skips.
            local = datetime.fromtimestamp(wall, self.tz)
            weekday = local.weekday()
            minute = local.hour * 60 + local.minute
        if self.start < self.end:
            return self.start <= minute < self.end and weekday in self.days
        if minute >= self.start:
            return weekday in self.days
        return minute < self.end and (weekday - 1) % 7 in self.days


class Stretch(NamedTuple):
    """One stretch of time, from Unix time `start` up to before `end`."""

    start: float
    end: float

    def holds(self, wall: float) -> bool:
        """Whether the moment lies in the stretch."""
        return self.start <= wall < self.end


Spans: TypeAlias = tuple[Span, ...]
Windows: TypeAlias = tuple[Span | Stretch, ...]

_HOURS_NEED = frozenset({"from", "to"})
_HOURS_MAY = frozenset({"days", "zone"})


def _span(raw: object) -> Span:
    entry = members(raw, _HOURS_NEED, _HOURS_MAY)
    start = _minute(entry["from"])
    end = _WHOLE_DAY if entry["to"] == "24:00" else _minute(entry["to"])
    if start == end:
        raise ValueError("must have from and to that differ; a whole day is 00:00 to 24:00")
    days = texts(entry.get("days", _DAYS))
    if not days or not set(days) <= set(_DAYS):
        raise ValueError(f"must have days from {', '.join(_DAYS)}, at least one")
    zone, tz = _zone(entry.get("zone", "UTC"))
    return Span(frozenset(map(_DAYS.index, days)), start, end, zone, tz)


def _minute(raw: object) -> int:
    found = _CLOCK_TIME.fullmatch(raw) if isinstance(raw, str) else None
    if found is None:
        raise ValueError('must have times such as "09:00", up to "24:00" for to')
    return int(found[1]) * 60 + int(found[2])


def _zone(raw: object) -> tuple[str, tzinfo | None]:
    if raw == "UTC":
        return "UTC", None
    try:
        # The pattern keeps out what is no zone but lies beside them: localtime, right/, posix/, ..
        if isinstance(raw, str) and len(raw) <= 64 and _ZONE.fullmatch(raw):
            return raw, ZoneInfo(raw)
    except (LookupError, ValueError, OSError):
        pass
    raise ValueError("must have a zone that this machine knows, such as Europe/Berlin")


def _parse_operating_hours(raw: object) -> tuple[Spans, ...]:
    entries = items(raw) if isinstance(raw, list | tuple) else [raw]
    if not entries:
        raise ValueError("must have at least one span of hours")
    return (tuple(_span(entry) for entry in entries),)


def _merge_operating_hours(left: tuple[Spans, ...], right: tuple[Spans, ...]) -> tuple[Spans, ...]:
    # Both must hold, and spans of different zones have no intersection that is a span.
    return left + tuple(spans for spans in right if spans not in left)


def _judge_operating_hours(lists: tuple[Spans, ...], context: Context) -> Refusal | None:
    wall = context.now.wall
    for spans in lists:
        for span in spans:
            if span.holds(wall):
                break
        else:
            return _CLOSED
    return None


def _parse_blackout_windows(raw: object) -> Windows:
    return tuple(_window(entry) for entry in items(raw))


def _window(raw: object) -> Span | Stretch:
    entry = members(raw, _HOURS_NEED, _HOURS_MAY)
    start, end = entry["from"], entry["to"]
    if isinstance(start, str) and len(start) <= 5:
        return _span(entry)
    members(entry, _HOURS_NEED, frozenset())
    try:
        stretch = Stretch(_instant(start), _instant(end))
    except ValueError:
        raise ValueError(
            "must have from and to that both are times of day, or instants (RFC 3339)"
        ) from None
    if stretch.end <= stretch.start:
        raise ValueError("must have a to after its from")
    return stretch


def _instant(raw: object) -> float:
    if not isinstance(raw, str):
        raise ValueError(raw)  # noqa: TRY004 - every bad value is a ValueError here
    return parse_instant(raw)


def _merge_blackout_windows(left: Windows, right: Windows) -> Windows:
    return left + tuple(window for window in right if window not in left)


def _judge_blackout_windows(windows: Windows, context: Context) -> Refusal | None:
    wall = context.now.wall
    for window in windows:
        if window.holds(wall):
            return _BLACKOUT
    return None


def _judge_max_age(most_s: int, context: Context) -> Refusal | None:
    issued_at = context.issued_at
    if issued_at is None or context.now.wall - issued_at > most_s:
        return _TOO_OLD
    return None


_SPAN_NOTE = (
    "`days` are those on which a span starts (default: all), `zone` a name of the IANA database"
    " (default: UTC). From is inside, to is not; a to before its from is on the next day. Clocks"
    " are those of the zone: an hour that they repeat is in twice, one that they skip never is."
)

ROWS = (
    Constraint(
        key=OPERATING_HOURS,
        order=10,
        parse=_parse_operating_hours,
        merge=_merge_operating_hours,
        value='`{from: "09:00", to: "17:30", days, zone}`, or a list of these',
        refuses="the time lies in none of the spans",
        merging="all must hold",
        example={
            "days": ["mon", "tue", "wed", "thu", "fri"],
            "from": "09:00",
            "to": "17:30",
            "zone": "Europe/Berlin",
        },
        note=_SPAN_NOTE,
        judge=_judge_operating_hours,
    ),
    Constraint(
        key=BLACKOUT_WINDOWS,
        order=11,
        parse=_parse_blackout_windows,
        merge=_merge_blackout_windows,
        value=(
            "a list of `{from, to}` as RFC 3339 instants, or daily as"
            ' `{from: "22:00", to: "06:00", days, zone}`'
        ),
        refuses="the time lies in any of the windows",
        merging="the union",
        example=[
            {"from": "2026-12-24T00:00:00Z", "to": "2026-12-27T00:00:00Z"},
            {"from": "22:00", "to": "06:00", "zone": "Europe/Berlin"},
        ],
        note=_SPAN_NOTE,
        judge=_judge_blackout_windows,
    ),
    Constraint(
        key=MAX_AGE,
        order=12,
        parse=duration_s,
        merge=min,
        value="a duration such as `12h`, from `1s` to `366d`",
        refuses="the passport was issued longer ago than this (its `iat`), or there is none",
        merging="the least",
        example="12h",
        note=(
            "Exactly this old passes. A delegated passport is as old as the oldest above it: to"
            " hand it on makes nothing younger. One from the future is judged by check 7."
        ),
        judge=_judge_max_age,
    ),
)
"""The rows of this family."""
