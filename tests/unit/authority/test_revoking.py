"""An issuer's signed list: it only grows, in its entries and in its time."""

import stat
import threading
from pathlib import Path

import pytest
from tests.craft import revoked_ids

from passgate.authority.keys import REVOCATIONS_FILE, KeySigner
from passgate.authority.revoking import LIST_LIFETIME_S, Revoked, kind_of, new_list, revoke
from passgate.core.revocation import RevocationList, read_revocation_list
from passgate.errors import DataError
from passgate.testing import TestIssuer

LAB = TestIssuer("iss_lab")
NOW = 1_800_000_000.9


def published(directory: Path) -> RevocationList:
    """The list as a gate reads it."""
    raw = (directory / REVOCATIONS_FILE).read_bytes()
    keys = {LAB.kid: LAB.public_key}
    return read_revocation_list(raw, "iss_lab", keys, now=NOW, plain_allowed=False)


def test_a_new_list_is_empty_signed_and_good_for_thirty_days(tmp_path: Path) -> None:
    signed = new_list(tmp_path, LAB.signer, NOW)
    assert (signed.entries, signed.added) == (0, 0)
    found = published(tmp_path)
    assert (found.issued_at, found.expires_at) == (1_800_000_000, 1_800_000_000 + LIST_LIFETIME_S)
    assert found.passports == revoked_ids()
    mode = stat.S_IMODE((tmp_path / REVOCATIONS_FILE).stat().st_mode)
    assert mode == 0o644  # the gate may run as another user


def test_a_list_that_exists_is_not_begun_anew(tmp_path: Path) -> None:
    new_list(tmp_path, LAB.signer, NOW)
    revoke(tmp_path, LAB.signer, [Revoked("passport", "pass_1")], NOW)
    with pytest.raises(DataError, match="not overwritten"):
        new_list(tmp_path, LAB.signer, NOW)
    assert published(tmp_path).passports == revoked_ids("pass_1")


def test_what_is_revoked_is_added_to_what_was(tmp_path: Path) -> None:
    new_list(tmp_path, LAB.signer, NOW)
    revoke(tmp_path, LAB.signer, [Revoked("passport", "pass_1", "lost")], NOW)
    signed = revoke(
        tmp_path,
        LAB.signer,
        [Revoked("agent", "agent_1"), Revoked("key", LAB.kid), Revoked("issuer", "iss_lab")],
        NOW,
    )
    assert (signed.entries, signed.added) == (4, 3)
    found = published(tmp_path)
    assert found.passports == revoked_ids("pass_1")
    assert found.agents == revoked_ids("agent_1")
    assert found.keys == revoked_ids(LAB.kid)
    assert found.issuer_revoked


def test_every_list_is_newer_than_the_one_before_also_within_a_second(tmp_path: Path) -> None:
    times = [new_list(tmp_path, LAB.signer, NOW).issued_at]
    times += [
        revoke(tmp_path, LAB.signer, [Revoked("passport", f"p{n}")], NOW).issued_at
        for n in range(5)
    ]
    times.append(revoke(tmp_path, LAB.signer, [], NOW - 3600).issued_at)
    times.append(revoke(tmp_path, LAB.signer, [], NOW + 3600).issued_at)
    assert times == [1_800_000_000 + n for n in (0, 1, 2, 3, 4, 5, 6, 3600)]


def test_revoking_again_changes_no_entry_and_signs_anew(tmp_path: Path) -> None:
    new_list(tmp_path, LAB.signer, NOW)
    first = revoke(tmp_path, LAB.signer, [Revoked("passport", "p", "lost")], NOW)
    again = revoke(tmp_path, LAB.signer, [Revoked("passport", "p"), Revoked("agent", "p")], NOW)
    assert (again.entries, again.added) == (2, 1)
    assert again.issued_at == first.issued_at + 1


def test_the_same_id_twice_at_once_is_one_entry(tmp_path: Path) -> None:
    new_list(tmp_path, LAB.signer, NOW)
    signed = revoke(tmp_path, LAB.signer, [Revoked("passport", "p")] * 2, NOW)
    assert (signed.entries, signed.added) == (1, 1)


def test_an_expired_list_is_renewed(tmp_path: Path) -> None:
    new_list(tmp_path, LAB.signer, NOW - 2 * LIST_LIFETIME_S)
    revoke(tmp_path, LAB.signer, [], NOW)
    assert (published(tmp_path).expires_at or 0) > NOW


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (Revoked("device", "d"), "the kind must be one of"),
        (Revoked("passport", ""), "the id"),
        (Revoked("passport", "a\nb"), "the id"),
        (Revoked("issuer", "iss_other"), "only itself"),
    ],
)
def test_an_entry_that_gates_would_refuse_is_not_written(
    tmp_path: Path, entry: Revoked, sentence: str
) -> None:
    new_list(tmp_path, LAB.signer, NOW)
    before = (tmp_path / REVOCATIONS_FILE).read_bytes()
    with pytest.raises(ValueError, match=sentence):
        revoke(tmp_path, LAB.signer, [Revoked("passport", "p"), entry], NOW)
    assert (tmp_path / REVOCATIONS_FILE).read_bytes() == before


def test_a_lost_list_is_not_replaced_by_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="restore it from a copy"):
        revoke(tmp_path, LAB.signer, [Revoked("passport", "p")], NOW)
    assert not (tmp_path / REVOCATIONS_FILE).exists()


def test_a_list_that_was_changed_is_not_signed_anew(tmp_path: Path) -> None:
    new_list(tmp_path, LAB.signer, NOW)
    path = tmp_path / REVOCATIONS_FILE
    good = path.read_text()
    other = KeySigner.generate("iss_lab")
    head, _, tail = good.split(".")
    emptied = TestIssuer("iss_lab").revocation_list(now=NOW).split(".")[1]
    for bad in ("", "{}", good[:-4] + "AAAA", f"{head}.{emptied[:-2]}AA.{tail}"):
        path.write_text(bad)
        with pytest.raises(DataError, match="restore it from a copy"):
            revoke(tmp_path, LAB.signer, [], NOW)
        assert path.read_text() == bad
    path.write_text(good)
    with pytest.raises(DataError, match="restore it from a copy"):
        revoke(tmp_path, other, [], NOW)


def test_a_list_larger_than_gates_read_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_list(tmp_path, LAB.signer, NOW)
    monkeypatch.setattr("passgate.authority.revoking.MAX_LIST_BYTES", 300)
    with pytest.raises(ValueError, match="larger than the 300 bytes"):
        revoke(tmp_path, LAB.signer, [Revoked("passport", "p" * 200)], NOW)
    assert published(tmp_path).passports == revoked_ids()


def test_two_writers_lose_nothing(tmp_path: Path) -> None:
    new_list(tmp_path, LAB.signer, NOW)

    def write(name: str) -> None:
        for number in range(20):
            revoke(tmp_path, LAB.signer, [Revoked("passport", f"{name}{number}")], NOW)

    writers = [threading.Thread(target=write, args=(name,)) for name in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = published(tmp_path)
    assert len(found.passports) == 40
    assert found.issued_at == 1_800_000_000 + 40


def test_the_kind_is_read_from_the_id_where_it_shows_it() -> None:
    kinds = [
        kind_of(id_, LAB.signer)
        for id_ in ("pass_1", "agent_1", LAB.kid, "iss_lab", "iss_other", "7")
    ]
    assert kinds == ["passport", "agent", "key", "issuer", None, None]
