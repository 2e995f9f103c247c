"""What the gate counts about itself: exact, and with no more labels than it is given."""

import pytest

from passgate.core.constraints.base import Charge
from passgate.core.instant import Instant
from passgate.record import Record
from passgate.tally import BOUNDS, Histogram, Tally


def record(route: str, decision: str = "allow", reason: str = "") -> Record:
    return Record(
        "att_1", Instant(0.0, 0.0), decision=decision, reason_code=reason, route=route
    )  # fmt: skip


def test_decisions_are_counted_by_their_labels() -> None:
    """Decision, reason, and the name of the route."""
    tally = Tally()
    for each in (record("a"), record("a"), record("a", "block", "rate_limited"), record("b")):
        tally.decided(each)

    assert tally.requests == {
        ("allow", "", "a"): 2,
        ("block", "rate_limited", "a"): 1,
        ("allow", "", "b"): 1,
    }


def test_labels_are_bounded() -> None:
    """However many routes there are, a time series database gets so many names; none is lost."""
    tally = Tally()
    for number in range(5000):
        tally.decided(record(f"r{number}"))
        tally.decided(record("r7"))

    assert len({action for _, _, action in tally.requests}) <= 1001
    assert sum(tally.requests.values()) == 10_000
    assert tally.requests["allow", "", "r7"] == 5001
    assert tally.requests["allow", "", "other"] == 4000


def test_charges_are_counted_by_kind() -> None:
    """Not by counter, of which there are as many as passports."""
    tally = Tally()
    rate = Charge("rate/60/a", "rate", 60, 1, 5, "k")
    spend = Charge("spend/daily/a", "spend", "daily", 50, 500, "k")
    tally.charged((rate, spend))
    tally.charged((rate,))
    tally.charged(())

    assert tally.charges == {"rate": 2, "spend": 1}


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [
        (0.0, 0),
        (BOUNDS[0], 0),
        (BOUNDS[0] * 1.01, 1),
        (BOUNDS[-1], len(BOUNDS) - 1),
        (BOUNDS[-1] + 1, len(BOUNDS)),
        (-0.001, 0),
    ],
)
def test_an_observation_falls_into_its_bucket(seconds: float, bucket: int) -> None:
    """A bound belongs to the bucket below it, as Prometheus's `le` says."""
    histogram = Histogram()
    histogram.observe(seconds)

    assert histogram.counts == [int(number == bucket) for number in range(len(BOUNDS) + 1)]
    assert histogram.total == seconds


def test_bounds_only_grow() -> None:
    """Otherwise the search among them would be wrong."""
    assert list(BOUNDS) == sorted(set(BOUNDS))
