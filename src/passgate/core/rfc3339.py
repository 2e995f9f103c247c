"""Instants as RFC 3339 writes them, and no other of the spellings of ISO 8601."""

import re
from datetime import UTC, datetime, timedelta

_INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?"
    r"(?:[Zz]|([+-])(\d\d):(\d\d))",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_instant(text: str) -> float:
    """Unix seconds of an RFC 3339 section 5.6 date-time, such as 2026-01-31T09:00:00+01:00.

    The offset is compulsory. Raises `ValueError` for anything else, also for a leap second, which
    Unix time cannot tell from the next one.
    """
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise ValueError("it must be an RFC 3339 instant, such as 2026-01-31T09:00:00Z")
    *whole, fraction, sign, hours, minutes = match.groups()
    year, month, day, hour, minute, second = map(int, whole)
    offset = timedelta()
    if sign is not None:
        if int(hours) > 23 or int(minutes) > 59:
            raise ValueError("it must have an offset of less than a day")
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        if sign == "-":
            offset = -offset
    try:
        local = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        raise ValueError("it must be a day and time that exist") from None
    # Subtracting from the epoch, not from `local`: year 1 and 9999 have no room for an offset.
    whole_seconds = (local - _EPOCH - offset).total_seconds()
    return whole_seconds + (float(f"0.{fraction}") if fraction else 0.0)
