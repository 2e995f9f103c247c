"""An issuer's key changes without losing a passport, and an old one goes when it is told to."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from tests.craft import revoked_ids

from passgate.authority import rotating
from passgate.authority.keys import JWKS_FILE, KEY_FILE, REVOCATIONS_FILE, load_issuer, new_issuer
from passgate.authority.minting import mint_passport
from passgate.authority.revoking import Revoked, new_list, revoke
from passgate.authority.rotating import Rotated, retire, rotate
from passgate.core.instant import Instant
from passgate.core.jwks import parse_jwks
from passgate.core.passport import Passport
from passgate.core.revocation import RevocationList, read_revocation_list
from passgate.core.trust import Trust
from passgate.core.verification import Acceptance, verify
from passgate.core.verified_cache import VerifiedCache
from passgate.errors import DataError, KeyFileError
from passgate.sync.keeper import Keeper
from passgate.sync.settings import IssuerSettings
from passgate.testing import TestIssuer

NOW = 1_800_000_000.0
STATIC = TestIssuer("iss_lab").trusted(Instant(NOW, 0), keys=None, revocations=None)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    new_list(tmp_path, new_issuer(tmp_path, "iss_lab"), NOW)
    return tmp_path


def minted(directory: Path) -> str:
    return mint_passport(load_issuer(directory), agent="a", permissions=["*"], now=NOW).token


def published(directory: Path) -> list[str]:
    return list(parse_jwks((directory / JWKS_FILE).read_bytes()))


def listed(directory: Path) -> RevocationList:
    """The list as a gate reads it that knows what is published now."""
    raw = (directory / REVOCATIONS_FILE).read_bytes()
    keys = parse_jwks((directory / JWKS_FILE).read_bytes())
    return read_revocation_list(raw, "iss_lab", keys, now=NOW, plain_allowed=False)


def judged(token: str, directory: Path, cache: VerifiedCache | None = None) -> str:
    """What a gate says of a passport that has read the key set just now."""
    import asyncio

    async def scenario() -> Trust:
        settings = IssuerSettings(STATIC, f"file:{directory / JWKS_FILE}", None)
        keeper = Keeper([settings], None)
        await keeper.read_once()
        return keeper.trust

    found = verify(token, asyncio.run(scenario()), Acceptance(), cache)
    return "ok" if isinstance(found, Passport) else found.code


def test_the_new_key_signs_and_the_old_one_still_verifies(directory: Path) -> None:
    """Passports by either pass, and the list is the new key's and newer."""
    old, before, first = load_issuer(directory).kid, minted(directory), listed(directory)

    rotated = rotate(directory, NOW)

    new = load_issuer(directory)
    assert new.issuer == "iss_lab"
    assert rotated == Rotated("iss_lab", new.kid, (new.kid, old))
    assert published(directory) == [new.kid, old]
    assert judged(before, directory) == judged(minted(directory), directory) == "ok"
    after = listed(directory)
    assert after.kid == new.kid != first.kid
    assert (after.issued_at or 0) > (first.issued_at or 0)


def test_the_old_key_withdrawn_ends_its_passports(directory: Path) -> None:
    """At the next reading, also those that were kept as verified; by the new key they pass."""
    old, before, cache = load_issuer(directory).kid, minted(directory), VerifiedCache()
    rotate(directory, NOW)
    after = minted(directory)
    assert judged(before, directory, cache) == judged(after, directory, cache) == "ok"
    assert judged(before, directory, cache) == "ok"
    assert (cache.hits, cache.misses) == (1, 2)

    rotated = retire(directory, old, NOW)

    assert rotated.published == (load_issuer(directory).kid,)
    assert judged(before, directory, cache) == "key_unknown"
    assert judged(after, directory, cache) == "ok"


def test_revocations_outlive_a_rotation(directory: Path) -> None:
    """What was revoked stays so, and more can be added."""
    revoke(directory, load_issuer(directory), [Revoked("agent", "a")], NOW)
    rotate(directory, NOW)
    revoke(directory, load_issuer(directory), [Revoked("agent", "b")], NOW)

    assert listed(directory).agents == revoked_ids("a", "b")


def test_private_keys_are_kept_until_they_are_retired(directory: Path) -> None:
    """Beside the new one, for their owner alone, and removed with the public half."""
    old = load_issuer(directory).kid
    rotate(directory, NOW)
    kept = directory / f"issuer.{old}.key"

    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE((directory / KEY_FILE).stat().st_mode) == 0o600
    assert json.loads(kept.read_bytes())["kid"] == old
    assert sorted(directory.glob("*.key")) == sorted([kept, directory / KEY_FILE])
    retire(directory, old, NOW)
    assert list(directory.glob("*.key")) == [directory / KEY_FILE]


def test_several_keys_may_overlap(directory: Path) -> None:
    """A second rotation keeps both old keys, and each is retired by its name."""
    kids = [load_issuer(directory).kid]
    for _ in range(2):
        kids.insert(0, rotate(directory, NOW).signing)

    assert published(directory) == kids
    retire(directory, kids[2], NOW)
    assert published(directory) == kids[:2]


STEPS = ["write_key", "write_jwks", "_keep", "sync_directory", "add"]


@pytest.mark.parametrize("step", STEPS)
def test_an_interrupted_rotation_loses_nothing(
    directory: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it stops, what signs is published, old passports pass, and it can be done again."""
    before = minted(directory)

    def stopped(*_: Any) -> None:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr(rotating, step, stopped)
        with pytest.raises(OSError, match="space"):
            rotate(directory, NOW)

    assert judged(before, directory) == judged(minted(directory), directory) == "ok"
    assert listed(directory).kid in published(directory)
    rotate(directory, NOW)
    assert judged(before, directory) == judged(minted(directory), directory) == "ok"
    signing = load_issuer(directory).kid
    assert listed(directory).kid == signing
    for kid in published(directory)[1:]:
        retire(directory, kid, NOW)
    assert published(directory) == [signing]
    assert judged(before, directory) == "key_unknown"


def test_a_list_that_the_old_key_still_signs_is_signed_anew_before_it_goes(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else gates would have no list that any key vouches for."""
    old = load_issuer(directory).kid

    def stopped(*_: Any) -> None:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr(rotating, "add", stopped)
        with pytest.raises(OSError, match="space"):
            rotate(directory, NOW)
    assert listed(directory).kid == old
    retire(directory, old, NOW)
    assert listed(directory).kid == load_issuer(directory).kid


def test_only_an_old_key_can_be_retired(directory: Path) -> None:
    """Not the one that signs, and none that is not there; nothing changes then."""
    signing = load_issuer(directory).kid
    with pytest.raises(KeyFileError, match="is the key that signs now"):
        retire(directory, signing, NOW)
    with pytest.raises(KeyFileError, match="none of the issuer's keys"):
        retire(directory, "../../etc/passwd", NOW)
    assert published(directory) == [signing]


def test_a_key_of_another_make_can_stay_and_go(directory: Path) -> None:
    """A key that was added by hand, under whatever name, is kept, and retired without a file."""
    document = json.loads((directory / JWKS_FILE).read_bytes())
    other = {**TestIssuer("x", seed="next").jwks["keys"][0], "kid": "../by hand"}
    document["keys"].append(other)
    (directory / JWKS_FILE).write_text(json.dumps(document))

    assert rotate(directory, NOW).published[2] == "../by hand"
    assert len(retire(directory, "../by hand", NOW).published) == 2


def test_what_is_no_issuer_is_not_touched(directory: Path) -> None:
    """A key set that gates would not read, or that lacks the key that signs, is not built upon."""
    jwks, key = directory / JWKS_FILE, (directory / KEY_FILE).read_bytes()
    whole = jwks.read_bytes()
    for text, sentence in [
        ('{"keys": []}', "is not in its jwks.json"),
        ('{"keys": 1}', "gates do not read it"),
        ("", "gates do not read it"),
    ]:
        jwks.write_text(text)
        with pytest.raises(KeyFileError, match=sentence):
            rotate(directory, NOW)
        assert jwks.read_text() == text
    jwks.unlink()
    with pytest.raises(KeyFileError, match="cannot be read"):
        rotate(directory, NOW)
    jwks.write_bytes(whole)
    (directory / REVOCATIONS_FILE).write_bytes(b"forged")
    with pytest.raises(DataError, match="restore it from a copy"):
        rotate(directory, NOW)
    assert (jwks.read_bytes(), (directory / KEY_FILE).read_bytes()) == (whole, key)
    assert list(directory.glob("*.key")) == [directory / KEY_FILE]
