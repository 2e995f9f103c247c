"""How old what is known of an issuer is, by whichever clock says more."""

import pytest
from tests.craft import revoked_ids

from passgate.core.instant import Instant
from passgate.core.trust import NO_CONSTRAINTS, Issuer, KeySet, Revocations

NOW = Instant(1_000.0, 100.0)


@pytest.mark.parametrize(
    ("then", "age"),
    [
        (Instant(1_000.0, 100.0), 0.0),
        (Instant(990.0, 95.0), 10.0),  # the machine slept, or its clock was set forward
        (Instant(995.0, 80.0), 20.0),  # the wall clock was set back meanwhile
        (Instant(2_000.0, 60.0), 40.0),
        (Instant(2_000.0, 100.0), 0.0),
    ],
)
def test_age_is_the_greater(then: Instant, age: float) -> None:
    """Setting a clock back makes nothing younger, and nothing is younger than new."""
    assert NOW.age_of(then) == age


@pytest.mark.parametrize(
    ("keys", "revocations", "age"),
    [(None, None, 0.0), (30.0, None, 30.0), (None, 20.0, 20.0), (30.0, 40.0, 40.0)],
)
def test_age_of_an_issuer(keys: float | None, revocations: float | None, age: float) -> None:
    """It is that of the older of keys and revocations; what was never read has none."""

    def ago(seconds: float) -> Instant:
        return Instant(NOW.wall - seconds, NOW.boot - seconds)

    none = revoked_ids()
    issuer = Issuer(
        "iss_a", "L2", frozenset({"jwt"}), ("*",), NO_CONSTRAINTS, 60.0, True,
        None if keys is None else KeySet({}, "v", ago(keys)),
        None
        if revocations is None
        else Revocations(none, none, none, False, ago(revocations), None),
    )  # fmt: skip
    assert issuer.age_at(NOW) == age
