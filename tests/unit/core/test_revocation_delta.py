"""Deltas: what they add, when they were true, and which are refused."""

import tracemalloc
from typing import Any

import pytest

from passgate.core.instant import Instant
from passgate.core.revocation import packed
from passgate.core.revocation_delta import MAX_DELTA_BYTES, Delta, read_delta
from passgate.testing import REMOVED, TestIssuer, revocations

NOW = 1_800_000_000
LAB = TestIssuer("iss_lab")
OTHER = TestIssuer("iss_other")
KEYS = {LAB.kid: LAB.public_key}
NONE = packed(())


def signed(*revoked: tuple[str, str], **claims: Any) -> str:
    header, key = claims.pop("header", {}), claims.pop("key", None)
    entries = [{"kind": kind, "id": id_, "at": NOW, "reason": ""} for kind, id_ in revoked]
    made = {
        "iss": "iss_lab",
        "iat": NOW,
        "exp": NOW + 1000,
        "before": NOW - 10,
        "after": NOW - 5,
        "revoked": entries,
    }
    head = {"alg": "EdDSA", "kid": LAB.kid, "typ": "revocations-delta+jwt"} | header
    return LAB.sign(made | claims, head, key)


def read(raw: str, now: float = NOW) -> Delta:
    return read_delta(raw.encode(), "iss_lab", KEYS, NONE, now=now)


def test_a_delta_adds_what_it_revokes_and_takes_nothing_away() -> None:
    """Of all kinds, beside what was packed; the list's age stays, its end is the new one's."""
    then = Instant(NOW - 50.0, 100.0)
    known = revocations(then, passports=["p1"], agents=["a1"], keys=["k1"], expires_at=NOW + 9.0)
    delta = read(signed(("passport", "p2"), ("agent", "a2"), ("key", "k2"), ("passport", "p1")))
    after = delta.added_to(known)
    assert all(each in after.passports for each in ("p1", "p2"))
    assert all(each in after.agents for each in ("a1", "a2"))
    assert all(each in after.keys for each in ("k1", "k2"))
    assert [len(ids) for ids in (after.passports, after.agents, after.keys)] == [2, 2, 2]
    assert "p3" not in after.passports
    assert (after.read_at, after.expires_at, after.issuer_revoked) == (then, NOW + 1000.0, False)
    assert "p2" not in known.passports
    again = delta.added_to(after)
    assert again == after
    assert again.passports is after.passports
    issuer = read(signed(("issuer", "iss_lab"))).added_to(known)
    assert issuer.issuer_revoked
    assert delta.added_to(issuer).issuer_revoked


def test_what_is_added_to_nothing_is_there() -> None:
    """A list that revoked nothing of the kind so far."""
    after = read(signed(("agent", "a"))).added_to(revocations(Instant(0.0, 0.0)))
    assert "a" in after.agents
    assert "b" not in after.agents
    assert after.agents != NONE


def test_a_delta_is_as_old_as_it_says() -> None:
    """What was held back on its way confirms no more than it did when it was made."""
    delta = read(signed())
    for wall, lag in ((NOW + 0.5, 0.5), (NOW + 3600.0, 3600.0), (NOW - 60.0, 0.0)):
        now = Instant(wall, 10_000.0)
        assert now.age_of(delta.confirmed_at(now)) == lag


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (signed(header={"typ": "revocations+jwt"}), "typ"),
        (signed(header={"typ": REMOVED}), "typ"),
        (signed(header={"alg": "none"}), "alg"),
        (signed(header={"kid": "other"}), "does not have now"),
        (signed(key=OTHER.key), "does not verify"),
        (signed()[:-2], "64 bytes"),
        ("x" * (MAX_DELTA_BYTES + 1), "larger than"),
        ("<html>", "three parts"),
        (signed(iss="iss_other"), "another issuer"),
        (signed(more=1), "claims"),
        (signed(exp=REMOVED), "claims"),
        (signed(iat=NOW + 121), "future"),
        (signed(iat="now"), "seconds"),
        (signed(before=True), "seconds"),
        (signed(before=-1), "seconds"),
        (signed(after=1.5), "seconds"),
        (signed(before=NOW), "leads back"),
        (signed(exp=NOW - 5), "leads back"),
        (signed(after=NOW + 86_401, exp=NOW + 90_000), "leads to a list of more than a day"),
        (signed(revoked={}), "`revoked`"),
        (signed(("agent", "a"), before=NOW - 5), "nowhere"),
        (signed(("group", "g")), "kind"),
        (signed(("issuer", "iss_other")), "another issuer"),
        (signed(revoked=[7]), "entry 1"),
    ],
)
def test_what_is_no_delta_of_the_issuer_s_is_refused(raw: str, words: str) -> None:
    """A list is none, a passport is none, nor is what another key signed."""
    with pytest.raises(ValueError, match=words):
        read(raw)


def test_a_revoked_key_signs_no_delta() -> None:
    """Whoever stole it could revoke, but also confirm."""
    with pytest.raises(ValueError, match="key that has been revoked"):
        read_delta(signed().encode(), "iss_lab", KEYS, packed([hash(LAB.kid)]), now=NOW)


def test_a_million_entries_stay_packed_while_deltas_are_added() -> None:
    """What is added stands beside them: nothing of the million is copied."""
    known = revocations(Instant(0.0, 0.0), passports=(f"pass_{n}" for n in range(1_000_000)))
    tracemalloc.start()
    try:
        after = read(signed(("passport", "pass_new"), ("passport", "pass_7"))).added_to(known)
        assert tracemalloc.get_traced_memory()[1] < 256 * 1024
    finally:
        tracemalloc.stop()
    assert len(after.passports) == 1_000_001
    assert all(each in after.passports for each in ("pass_new", "pass_0", "pass_999999"))
    assert "pass_x" not in after.passports
