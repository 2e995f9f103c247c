"""What an authority pushes: the difference between its lists, for gates that have an older one."""

import time
from pathlib import Path

import pytest

from passgate.authority import pushing
from passgate.authority.keys import REVOCATIONS_FILE, KeySigner, load_issuer, new_issuer
from passgate.authority.pushing import Pushing
from passgate.authority.revoking import Revoked, new_list, revoke
from passgate.authority.rotating import rotate
from passgate.core.revocation import packed
from passgate.core.revocation_delta import Delta, read_delta
from passgate.errors import DataError, KeyFileError
from passgate.testing import TestIssuer

NOW = time.time()


class Lab:
    """An issuer's directory, and the deltas as a gate would read them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.signer: KeySigner = new_issuer(directory, "iss_lab")
        new_list(directory, self.signer, NOW)
        self.pushing = Pushing(directory, self.signer)

    def revoke(self, *agents: str) -> None:
        revoke(self.directory, self.signer, [Revoked("agent", each) for each in agents], NOW)

    def read(self, raw: str) -> Delta:
        keys = {self.signer.kid: self.signer.key.public_key().public_bytes_raw()}
        return read_delta(raw.encode(), "iss_lab", keys, packed(()), now=NOW)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def test_each_list_leads_from_the_one_before(lab: Lab) -> None:
    """Gates get what they miss, and nothing before; what is added is in it, and only that."""
    assert lab.pushing.look(NOW)
    first = lab.pushing.number
    assert lab.pushing.after(0) == []
    lab.revoke("a1")
    assert lab.pushing.look(NOW)
    second = lab.pushing.number
    lab.revoke("a2", "a3")
    assert lab.pushing.look(NOW)
    assert not lab.pushing.look(NOW)
    third = lab.pushing.number

    found = [(number, lab.read(raw)) for number, raw in lab.pushing.after(first)]
    assert [(each.before, each.after) for _, each in found] == [(first, second), (second, third)]
    assert [number for number, _ in found] == [second, third]
    assert [each.agents for _, each in found] == [
        frozenset([hash("a1")]),
        frozenset([hash("a2"), hash("a3")]),
    ]
    assert lab.pushing.after(second) == lab.pushing.after(first)[1:]
    assert lab.pushing.after(third) == []
    number, raw = lab.pushing.heartbeat(NOW)
    beat = lab.read(raw)
    assert (number, beat.before, beat.after, beat.issued_at) == (third, third, third, int(NOW))


def test_a_list_that_is_signed_anew_is_pushed_with_its_new_end(lab: Lab) -> None:
    """Nothing is added; gates know until when it is good."""
    lab.pushing.look(NOW)
    lab.revoke()
    assert lab.pushing.look(NOW)
    ((number, raw),) = lab.pushing.after(0)
    delta = lab.read(raw)
    assert (delta.after, delta.agents) == (number, frozenset())
    assert delta.expires_at == number + 30 * 86_400


@pytest.mark.parametrize("how", ["removed", "large"])
def test_what_is_no_addition_is_a_gap(lab: Lab, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """An entry that is gone, or more than an event may hold: gates read the list."""
    lab.pushing.look(NOW)
    lab.revoke("a1")
    lab.pushing.look(NOW)
    if how == "removed":
        (lab.directory / REVOCATIONS_FILE).unlink()
        new_list(lab.directory, lab.signer, NOW + 100)
    else:
        monkeypatch.setattr(pushing, "MAX_DELTA_BYTES", 10)
        lab.revoke("a2")
    assert lab.pushing.look(NOW)
    assert lab.pushing.after(0) == []
    assert lab.pushing.heartbeat(NOW)[0] == lab.pushing.number


def test_the_backlog_is_bounded(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever missed more finds a gap."""
    monkeypatch.setattr(pushing, "BACKLOG", 2)
    lab.pushing.look(NOW)
    for number in range(3):
        lab.revoke(f"a{number}")
        lab.pushing.look(NOW)
    assert [
        hash(f"a{n}") in lab.read(raw).agents for n, (_, raw) in enumerate(lab.pushing.after(0), 1)
    ] == [True, True]


def test_a_key_that_is_changed_signs_from_then_on(lab: Lab) -> None:
    """Rotation signs the list anew; what the old key pushed is still good with the old key."""
    lab.pushing.look(NOW)
    lab.revoke("a1")
    lab.pushing.look(NOW)
    old = lab.signer
    rotate(lab.directory, NOW)
    lab.signer = load_issuer(lab.directory)
    assert lab.signer.kid != old.kid
    assert lab.pushing.look(NOW)
    assert lab.read(lab.pushing.heartbeat(NOW)[1]).kid == lab.signer.kid
    (first, second) = lab.pushing.after(0)
    assert lab.read(second[1]).kid == lab.signer.kid
    lab.signer = old
    assert lab.read(first[1]).agents == {hash("a1")}


def test_a_directory_that_became_another_issuer_s_is_not_served(lab: Lab) -> None:
    """Its gates would be told about somebody else."""
    lab.pushing.look(NOW)
    for name in ("issuer.key", "jwks.json", REVOCATIONS_FILE):
        (lab.directory / name).unlink()
    with pytest.raises(KeyFileError):
        lab.pushing.look(NOW)
    new_list(lab.directory, new_issuer(lab.directory, "iss_other"), NOW)
    with pytest.raises(DataError, match="another issuer's now: iss_other"):
        lab.pushing.look(NOW)


FOREIGN = TestIssuer("iss_lab", seed="other")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (None, "cannot be read"),
        ("", "three parts"),
        (FOREIGN.revocation_list(now=NOW), "does not have now"),
        (FOREIGN.status_list("s", 0, now=NOW), "does not have now"),
    ],
)
def test_what_is_not_the_issuer_s_list_is_not_pushed(lab: Lab, raw: str | None, words: str) -> None:
    """What was pushed before stays, and the file is named."""
    lab.pushing.look(NOW)
    before = lab.pushing.number
    path = lab.directory / REVOCATIONS_FILE
    path.unlink()
    if raw is not None:
        path.write_text(raw)
    with pytest.raises(DataError, match=words) as caught:
        lab.pushing.look(NOW)
    assert str(path) in str(caught.value)
    assert lab.pushing.number == before


def test_an_older_list_is_not_pushed(lab: Lab) -> None:
    """A restored backup would take back what was revoked since; nor is a status list one."""
    path = lab.directory / REVOCATIONS_FILE
    old = path.read_bytes()
    lab.revoke("a1")
    lab.pushing.look(NOW)
    path.write_bytes(old)
    with pytest.raises(DataError, match="older than the list"):
        lab.pushing.look(NOW)
    places = {"sub": "s", "iat": int(NOW) + 50, "status_list": {"bits": 1, "lst": "eNoDAAAAAAE"}}
    path.write_text(lab.signer.sign("statuslist+jwt", places))
    with pytest.raises(DataError, match="no list that deltas could add to"):
        lab.pushing.look(NOW)
