"""Revocation lists: what is read, what is refused, and which may follow which."""

import json
from typing import Any, Self

import pytest
from tests.craft import b64, revoked_ids

from passgate.core.instant import Instant
from passgate.core.revocation import (
    MAX_LIST_BYTES,
    RevocationList,
    check_succession,
    packed,
    read_revocation_list,
)
from passgate.core.status_list import MAX_STATUS_LIST_BYTES, StatusReference
from passgate.testing import REMOVED, TestIssuer

NOW = 1_800_000_000
LAB = TestIssuer("iss_lab")
OTHER = TestIssuer("iss_other")


class Fixed(str):
    """A text whose hash is what the test wants, since nobody can find one that has it."""

    __slots__ = ("_hash",)

    def __new__(cls, hashed: int) -> Self:
        made = super().__new__(cls, "")
        made._hash = hashed
        return made

    def __hash__(self) -> int:
        return self._hash


KEYS = {LAB.kid: LAB.public_key}


def read(raw: str | bytes, *, plain_allowed: bool = False, now: float = NOW) -> RevocationList:
    data = raw.encode() if isinstance(raw, str) else raw
    return read_revocation_list(data, "iss_lab", KEYS, now=now, plain_allowed=plain_allowed)


def over(payload: str) -> str:
    """A list whose payload is encoded already, or claims to be; its signature fits."""
    head = signed().partition(".")[0]
    signature = LAB.key.sign(f"{head}.{payload}".encode())
    return f"{head}.{payload}." + b64(signature)


def signed(*revoked: Any, **options: Any) -> str:
    return LAB.revocation_list(*revoked, now=NOW, **options)


def test_a_status_list_is_one_more_kind() -> None:
    """Signed by the same keys; it revokes nothing but by its places."""
    raw = LAB.status_list("s:1", 0, 1, now=NOW, claims={"exp": NOW + 9, "ttl": 5})
    found = read_revocation_list(
        raw.encode(), "iss_lab", KEYS, now=NOW, plain_allowed=False, uri="s:1"
    )
    assert (found.issued_at, found.expires_at, found.kid, found.ttl_s) == (NOW, NOW + 9, LAB.kid, 5)
    revocations = found.read_at(Instant(float(NOW), 0.0))
    assert revocations.statuses is not None
    assert revocations.statuses.revokes(StatusReference("s:1", 1))
    assert len(revocations.passports) == len(revocations.agents) == len(revocations.keys) == 0


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (LAB.status_list("s:2", 0, now=NOW), "another address"),
        (LAB.status_list("s:1", 0, now=NOW, claims={"iss": "iss_other"}), "another issuer"),
        (LAB.status_list("s:1", 0, now=NOW + 86_401), "in the future"),
        (LAB.status_list("s:1", 0, now=NOW, header={"kid": "other"}), "does not have now"),
        (LAB.status_list("s:1", 0, now=NOW)[:-4] + "AAAA", "does not verify"),
        (LAB.sign(b"[]", {"alg": "EdDSA", "kid": LAB.kid, "typ": "statuslist+jwt"}), "no"),
    ],
)
def test_a_status_list_that_is_not_the_issuer_s_is_refused(raw: str, words: str) -> None:
    """By its address, issuer, time, key and signature."""
    with pytest.raises(ValueError, match=words):
        read_revocation_list(raw.encode(), "iss_lab", KEYS, now=NOW, plain_allowed=True, uri="s:1")


def test_a_status_list_has_a_limit_of_its_own() -> None:
    """Its length is judged before its signature is."""
    head, _, tail = LAB.status_list("s:1", 0, now=NOW).split(".")
    raw = f"{head}.{'A' * MAX_STATUS_LIST_BYTES}.{tail}"
    with pytest.raises(ValueError, match="status list is larger"):
        read(raw)


def test_a_signed_list_says_what_it_revokes() -> None:
    found = read(
        signed(("passport", "pass_1"), ("agent", "agent_1"), ("key", "k1"), ("issuer", "iss_lab"))
    )
    assert found == RevocationList(
        passports=revoked_ids("pass_1"),
        agents=revoked_ids("agent_1"),
        keys=revoked_ids("k1"),
        issuer_revoked=True,
        issued_at=NOW,
        expires_at=NOW + 30 * 86_400,
        kid=LAB.kid,
    )


def test_an_empty_list_revokes_nothing() -> None:
    found = read(signed())
    assert (found.passports, found.issuer_revoked) == (revoked_ids(), False)


def test_a_list_becomes_part_of_trust_with_its_time_of_reading() -> None:
    when = Instant(float(NOW), 5.0)
    learnt = read(signed(("passport", "pass_1"))).read_at(when)
    assert learnt.passports == revoked_ids("pass_1")
    assert learnt.read_at == when
    assert learnt.expires_at == float(NOW + 30 * 86_400)
    plain = read('{"passport_ids": []}', plain_allowed=True).read_at(when)
    assert plain.expires_at is None


def test_white_space_around_a_list_is_no_part_of_it() -> None:
    assert read(f" {signed()}\r\n").issued_at == NOW


def test_an_entry_needs_no_time_and_no_reason() -> None:
    assert read(signed({"kind": "passport", "id": "pass_1"})).passports == revoked_ids("pass_1")


def test_an_expired_list_still_names_what_was_revoked() -> None:
    assert read(signed(("passport", "p")), now=NOW + 40 * 86_400).passports == revoked_ids("p")


def test_a_plain_list_counts_where_its_way_vouches_for_it() -> None:
    found = read('{"passport_ids": ["pass_1", "pass_2"]}', plain_allowed=True)
    assert found.passports == revoked_ids("pass_1", "pass_2")
    assert (found.issued_at, found.expires_at, found.kid) == (None, None, "")


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (bytes(MAX_LIST_BYTES + 1), "larger than"),
        ("a.b", "three parts"),
        (signed() + ".x", "three parts"),
        (signed()[:-1], "64 bytes"),
        (signed().replace(".", "!.", 1), "base64url"),
        (over(""), "empty"),
        (over("e30="), "base64url"),
        (over("e31"), "canonical"),
        (b'{"passport_ids": []}', "not signed"),
        (b"", "three parts"),
        (b"<html>", "three parts"),
        (signed(header={"typ": "passport+jwt"}), "typ"),
        (signed(header={"typ": REMOVED}), "typ"),
        (signed(header={"typ": "statuslist+jwt"}), "claims that this version does not know"),
        (signed(header={"kid": "other"}), "does not have now"),
        (signed(header={"crit": ["b64"]}), "crit"),
        (signed(header={"alg": "none"}), "alg"),
        (signed(key=OTHER.key), "does not verify"),
        (signed(claims={"iss": "iss_other"}), "another issuer"),
        (signed(claims={"iss": REMOVED}), "another issuer"),
        (signed(claims={"sub": "x"}), "does not know"),
        (signed(claims={"iat": REMOVED}), "iat"),
        (signed(claims={"iat": float(NOW)}), "iat"),
        (signed(claims={"iat": True}), "iat"),
        (signed(claims={"iat": -1}), "iat"),
        (signed(claims={"exp": REMOVED}), "exp"),
        (signed(claims={"exp": str(NOW + 60)}), "exp"),
        (signed(claims={"exp": NOW}), "later `exp`"),
        (signed(claims={"iat": NOW + 86_401, "exp": NOW + 90_000}), "in the future"),
        (signed(claims={"revoked": REMOVED}), "list `revoked`"),
        (signed(claims={"revoked": {}}), "list `revoked`"),
        (signed(claims={"revoked": ["pass_1"]}), "entry 1"),
        (signed(("issuer", "iss_other")), "another issuer than its own"),
        (signed(("passport", "p"), ("device", "d")), "entry 2 of the revocation list is of a kind"),
        (signed({"id": "p"}), "kind"),
        (signed({"kind": ["passport"], "id": "p"}), "kind"),
        (signed({"kind": "passport"}), "`id`"),
        (signed({"kind": "passport", "id": 7}), "`id`"),
        (signed({"kind": "passport", "id": ""}), "`id`"),
        (signed({"kind": "passport", "id": "a\nb"}), "`id`"),
        (signed({"kind": "passport", "id": "p", "until": 1}), "object of"),
        (signed({"kind": "passport", "id": "p", "at": "now"}), "`at`"),
        (signed({"kind": "passport", "id": "p", "at": True}), "`at`"),
        (signed({"kind": "passport", "id": "p", "reason": 1}), "`reason`"),
    ],
)
def test_a_list_that_is_not_wholly_right_is_refused_whole(raw: str | bytes, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read(raw)


@pytest.mark.parametrize(
    "document",
    [
        "{",
        "{}",
        '{"passport_ids": {}}',
        '{"passport_ids": [1]}',
        '{"passport_ids": [""]}',
        '{"passport_ids": [], "agents": []}',
        '{"passport_ids": ["a"], "passport_ids": []}',
    ],
)
def test_a_plain_list_has_one_reading_or_none(document: str) -> None:
    with pytest.raises(ValueError, match="revocation list"):
        read(document, plain_allowed=True)


def test_duplicate_members_of_a_signed_list_are_refused() -> None:
    payload = json.dumps({"iss": "iss_lab", "iat": NOW, "exp": NOW + 60, "revoked": []})
    twice = payload[:-1] + ', "revoked": []}'
    header = {"alg": "EdDSA", "kid": LAB.kid, "typ": "revocations+jwt"}
    with pytest.raises(ValueError, match="unambiguous"):
        read(LAB.sign(twice.encode(), header))


def test_a_passport_is_never_taken_for_a_list() -> None:
    with pytest.raises(ValueError, match="typ"):
        read(LAB.mint(now=NOW))


def test_a_list_may_follow_one_that_is_no_newer() -> None:
    nothing = revoked_ids()
    first = read(signed())
    check_succession(first, highest_iat=None, signed_before=False, revoked_keys=nothing)
    check_succession(first, highest_iat=NOW, signed_before=True, revoked_keys=nothing)
    with pytest.raises(ValueError, match=f"iat {NOW}, expected at least {NOW + 1}"):
        check_succession(first, highest_iat=NOW + 1, signed_before=True, revoked_keys=nothing)


def test_a_plain_list_may_not_take_the_place_of_a_signed_one() -> None:
    plain = read('{"passport_ids": []}', plain_allowed=True)
    nothing = revoked_ids()
    check_succession(plain, highest_iat=NOW, signed_before=False, revoked_keys=nothing)
    with pytest.raises(ValueError, match="not signed"):
        check_succession(plain, highest_iat=NOW, signed_before=True, revoked_keys=nothing)


def test_a_stolen_key_cannot_undo_its_own_revocation() -> None:
    with pytest.raises(ValueError, match="has been revoked"):
        check_succession(
            read(signed()),
            highest_iat=NOW,
            signed_before=True,
            revoked_keys=revoked_ids(LAB.kid),
        )


def test_a_list_names_no_id_but_its_own_however_many_there_are() -> None:
    some = [f"pass_{number}" for number in range(3000)]
    found = packed(map(hash, [*some, *some]))
    assert len(found) == 3000
    assert all(id_ in found for id_ in some)
    assert not any(f"pass_{number}" in found for number in range(3000, 6000))
    assert "pass_0" not in packed(())
    edges = [-(1 << 63), -2, 0, 1, (1 << 63) - 1]  # no text has the hash -1
    for hashes in (edges, [*edges, *range(2, 1000)], [*edges, *map(hash, some)]):
        shelved = packed(hashes)
        assert all(Fixed(hashed) in shelved for hashed in hashes)
        assert Fixed(5000) not in shelved
    assert found != some
    assert found == revoked_ids(*reversed(some))


def test_what_is_not_decoded_before_the_signature_fits() -> None:
    """The payload may be anything: nothing of it is looked at."""
    good = signed().split(".")
    with pytest.raises(ValueError, match="does not verify"):
        read(f"{good[0]}.{'!' * 1000}.{good[2]}")


def test_a_long_list_is_kept_whole() -> None:
    """It is longer than what is decoded at once."""
    revoked = [("passport", f"pass_{number:026d}") for number in range(5_000)]
    assert len(signed(*revoked)) > 2 * 256 * 1024
    assert read(signed(*revoked)).passports == revoked_ids(*(id_ for _, id_ in revoked))
