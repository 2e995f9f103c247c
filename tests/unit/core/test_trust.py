"""How old what is known of an issuer is, by whichever clock says more."""

from dataclasses import replace

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


@pytest.mark.parametrize(
    ("keys_max_age", "list_max_age", "stale"),
    [(30.0, 30.0, False), (29.0, 30.0, True), (30.0, 29.0, True), (90.0, 90.0, False)],
)
def test_the_lesser_age_counts(keys_max_age: float, list_max_age: float, stale: bool) -> None:
    """What a bundle says on how old its parts may get makes an issuer stale before its entry does,
    and never later."""
    then = Instant(NOW.wall - 30.0, NOW.boot - 30.0)
    none = revoked_ids()
    issuer = Issuer(
        "iss_a", "L2", frozenset({"jwt"}), ("*",), NO_CONSTRAINTS, 60.0, True,
        KeySet({}, "v", then, keys_max_age),
        Revocations(none, none, none, False, then, None, max_age_s=list_max_age),
    )  # fmt: skip
    assert issuer.stale_at(NOW) is stale
    later = Instant(NOW.wall + 31.0, NOW.boot + 31.0)
    assert issuer.stale_at(later)
    assert replace(issuer, max_stale_s=10.0).stale_at(NOW)
