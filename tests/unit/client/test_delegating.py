"""Delegating: a child that gates take, or none."""

import stat
from pathlib import Path
from typing import Any

import pytest

from passgate.authority.minting import mint_passport
from passgate.client.delegating import delegate
from passgate.client.holder import Holder
from passgate.core.instant import Instant
from passgate.core.passport import Passport
from passgate.core.trust import Trust
from passgate.core.verification import Acceptance, verify
from passgate.errors import KeyFileError
from passgate.testing import TestIssuer

LAB = TestIssuer("iss_lab")
NOW = 1_800_000_000.5
HOLDER, CHILD = Holder.generate(), Holder.generate()


def parent(**options: Any) -> str:
    given: dict[str, Any] = {
        "agent": "agent_7",
        "permissions": ["api:*"],
        "now": NOW,
        "ttl_s": 3600,
        "holder": HOLDER.jwk,
        "may_delegate": True,
    }
    return mint_passport(LAB.signer, **(given | options)).token


def child(of: str | None = None, by: Holder = HOLDER, **options: Any) -> str:
    given: dict[str, Any] = {"name": "helper", "permissions": ["api:search"], "now": NOW}
    return delegate(of or parent(), by, **(given | options))


def judged(token: str) -> Passport:
    read_at = Instant(NOW, 1.0)
    passport = verify(token, Trust({"iss_lab": LAB.trusted(read_at)}), Acceptance())
    assert isinstance(passport, Passport), passport
    return passport


def test_a_child_is_what_was_asked_for_and_verifies() -> None:
    """Named below its parent, as long-lived as it, with no more than was given."""
    made = judged(child(constraints={"core:rate:max_per_minute": 5}))

    assert made.agent == "agent_7/helper"
    assert made.expires_at == int(NOW) + 3600
    assert made.flaw is None
    assert made.holder is None
    assert [entry.pattern for entry in made.permissions] == ["api:search"]
    assert made.constraints.values == {"core:rate:max_per_minute": 5}


def test_a_child_may_delegate_in_its_turn() -> None:
    """Five parents at most."""
    token, holder = parent(), HOLDER
    for depth in range(5):
        below = Holder.generate()
        token = child(
            token, holder, name=f"d{depth}", permissions=["api:*"], child=below.jwk,
            may_delegate=True,
        )  # fmt: skip
        holder = below

    assert len(judged(token).chain) == 5
    with pytest.raises(ValueError, match="5 parents"):
        child(token, holder)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"permissions": ["shop:buy"]}, "permits what its parent does not"),
        ({"permissions": ["*"]}, "permits what its parent does not"),
        ({"name": "a/b"}, "below its parent"),
        ({"name": ""}, "below its parent"),
        ({"ttl_s": 0}, "no second"),
        ({"now": NOW + 3600}, "expired"),
        ({"by": CHILD}, "another key"),
        ({"may_delegate": True}, "bound to its holder's key"),
        ({"of": parent(holder=None, may_delegate=False)}, "not bound"),
        ({"of": parent(may_delegate=False)}, "may not delegate"),
        ({"of": "no passport"}, "three parts"),
        ({"of": "ä"}, "ASCII"),
        ({"name": "x" * 300}, "`sub`"),
        ({"constraints": {"core:rate:max_per_minute": "ten"}}, "core:rate:max_per_minute"),
    ],
)
def test_what_a_gate_would_refuse_is_not_made(options: dict[str, Any], words: str) -> None:
    """Each with a sentence that says why."""
    with pytest.raises(ValueError, match=words):
        child(**options)


def test_a_child_never_outlives_its_parents() -> None:
    """A longer life is cut to theirs, a shorter one stays."""
    assert judged(child(ttl_s=7200)).expires_at == int(NOW) + 3600
    assert judged(child(ttl_s=60)).expires_at == int(NOW) + 60


def test_a_holder_s_key_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    """Never overwritten, never printed, refused where others can read it."""
    path = tmp_path / "holder.key"
    made = Holder.create(path)

    assert Holder.load(path).thumbprint == made.thumbprint
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert repr(made) == f"Holder(thumbprint={made.thumbprint!r})"
    with pytest.raises(KeyFileError, match="never overwritten"):
        Holder.create(path)
    path.chmod(0o640)
    with pytest.raises(KeyFileError, match="open to others"):
        Holder.load(path)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"kty":"OKP"}', "[" * 100_000])
def test_what_is_no_key_is_refused_without_being_shown(tmp_path: Path, text: str) -> None:
    """The message names the file alone."""
    path = tmp_path / "holder.key"
    path.write_text(text)
    path.chmod(0o600)

    with pytest.raises(KeyFileError, match="not a holder's private key"):
        Holder.load(path)
    with pytest.raises(KeyFileError, match="does not exist"):
        Holder.load(tmp_path / "none")
