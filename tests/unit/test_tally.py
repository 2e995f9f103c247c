"""What the gate counts about itself: exact, and with no more labels than it is given."""

import pytest

from passgate.core.constraints.base import Charge
from passgate.core.instant import Instant
from passgate.core.passport import Passport
from passgate.core.trust import Trust
from passgate.core.verification import Acceptance, verify
from passgate.record import Record
from passgate.tally import BOUNDS, Histogram, Tally
from passgate.testing import TestIssuer


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


def of_issuer(issuer: str, ahead_s: float, wall: float) -> Record:
    """A decision at `wall` about a passport that is dated so far ahead of it."""
    minted = TestIssuer(issuer)
    at = Instant(wall, wall)
    token = minted.mint(now=wall + ahead_s)
    passport = verify(token, Trust({issuer: minted.trusted(at)}), Acceptance())
    assert isinstance(passport, Passport)
    return Record("att_1", at, decision="allow", route="a", passport=passport)


def test_how_far_an_issuer_runs_ahead_is_remembered_for_a_while() -> None:
    """The most of ten minutes; who is behind, or has no passport at all, is not ahead."""
    tally, now = Tally(), 1_800_000_000.0
    for issuer, ahead_s in (("iss_a", 4), ("iss_a", 9), ("iss_a", 2), ("iss_b", -5)):
        tally.decided(of_issuer(issuer, ahead_s, now))
    tally.decided(record("a"))

    assert tally.lead_of("iss_a", now) == 9
    assert tally.lead_of("iss_a", now + 600) == 9
    assert tally.lead_of("iss_a", now + 601) == 0
    assert tally.lead_of("iss_b", now) == tally.lead_of("iss_c", now) == 0
    tally.decided(of_issuer("iss_a", 3, now + 601))
    assert tally.lead_of("iss_a", now + 602) == 3


def test_issuers_that_run_ahead_are_bounded() -> None:
    """Whoever invents issuers fills no memory, and those that are known go on being seen."""
    tally, now = Tally(), 1_800_000_000.0
    tally._leads = {f"iss_{number}": (1.0, now) for number in range(1000)}
    tally.decided(of_issuer("iss_new", 9, now))
    tally.decided(of_issuer("iss_7", 9, now))

    assert len(tally._leads) == 1000
    assert (tally.lead_of("iss_new", now), tally.lead_of("iss_7", now)) == (0, 9)
