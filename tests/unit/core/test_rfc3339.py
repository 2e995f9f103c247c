"""RFC 3339 instants."""

import pytest

from passgate.core.rfc3339 import parse_instant


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-01-31T09:00:00Z", 1_769_850_000),
        ("2026-01-31t09:00:00z", 1_769_850_000),
        ("2026-01-31T10:30:00+01:30", 1_769_850_000),
        ("2026-01-31T01:00:00-08:00", 1_769_850_000),
        ("2026-01-31T09:00:00-00:00", 1_769_850_000),
        ("2026-01-31T09:00:00.250Z", 1_769_850_000.25),
        ("2024-02-29T00:00:00Z", 1_709_164_800),
        ("0001-01-01T00:00:00+23:59", -62_135_683_140),
    ],
)
def test_instants_become_unix_seconds(text: str, seconds: float) -> None:
    """With either case of the letters, offsets of both signs, and fractions."""
    assert parse_instant(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-31",
        "2026-01-31T09:00:00",
        "2026-01-31 09:00:00Z",
        "2026-01-31T09:00Z",
        "2026-W05-6T09:00:00Z",
        "20260131T090000Z",
        "2026-01-31T09:00:00+0100",
        "2026-01-31T09:00:00+24:00",
        "2026-01-31T09:00:00+01:60",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-01-31T24:00:00Z",
        "2016-12-31T23:59:60Z",
        "0000-01-01T00:00:00Z",
        "2026-01-31T09:00:00.Z",
        "2026-01-31T09:00:00.1234567890Z",
        "٢٠٢٦-01-31T09:00:00Z",
        "2026-01-31T09:00:00Z\n",
    ],
)
def test_other_spellings_are_refused(text: str) -> None:
    """No offset, other ISO 8601 forms, days that do not exist, leap seconds."""
    with pytest.raises(ValueError, match=r"^it must"):
        parse_instant(text)
