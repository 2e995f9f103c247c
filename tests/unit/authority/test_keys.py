"""An issuer's key pair on disk."""

import json
import stat
from pathlib import Path

import pytest

from passgate.authority.keys import JWKS_FILE, KEY_FILE, load_issuer, new_issuer
from passgate.core.jwks import parse_jwks
from passgate.errors import KeyFileError


def test_a_key_pair_is_made_and_loaded_again(tmp_path: Path) -> None:
    made = new_issuer(tmp_path / "a" / "b", "iss_lab")
    loaded = load_issuer(tmp_path / "a" / "b")
    assert (loaded.issuer, loaded.kid) == ("iss_lab", made.kid)
    assert loaded.public_jwk == made.public_jwk


def test_the_private_key_is_for_its_owner_alone_and_the_public_one_for_all(tmp_path: Path) -> None:
    new_issuer(tmp_path, "iss_lab")
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / JWKS_FILE).stat().st_mode) == 0o644
    assert "d" not in json.loads((tmp_path / JWKS_FILE).read_bytes())["keys"][0]


def test_the_published_set_is_one_that_gates_take(tmp_path: Path) -> None:
    signer = new_issuer(tmp_path, "iss_lab")
    keys = parse_jwks((tmp_path / JWKS_FILE).read_bytes())
    assert keys == {signer.kid: signer.key.public_key().public_bytes_raw()}


@pytest.mark.parametrize("file", [KEY_FILE, JWKS_FILE])
def test_keys_are_never_overwritten(tmp_path: Path, file: str) -> None:
    (tmp_path / file).write_text("mine")
    with pytest.raises(KeyFileError, match=f"{file} exists"):
        new_issuer(tmp_path, "iss_lab")
    assert [path.name for path in tmp_path.iterdir()] == [file]
    assert (tmp_path / file).read_text() == "mine"


def test_a_link_that_leads_nowhere_is_not_followed_to_write_a_key(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeyFileError, match="exists"):
        new_issuer(tmp_path, "iss_lab")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("issuer", ["", "a\nb", "\x7f", "x" * 257, "ä" * 129, "\udcff"])
def test_an_id_that_no_passport_may_carry_makes_no_issuer(tmp_path: Path, issuer: str) -> None:
    with pytest.raises(ValueError, match="the issuer id"):
        new_issuer(tmp_path / "new", issuer)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o644])
def test_a_key_file_that_is_open_to_others_is_refused_with_what_to_do(
    tmp_path: Path, mode: int
) -> None:
    new_issuer(tmp_path, "iss_lab")
    (tmp_path / KEY_FILE).chmod(mode)
    with pytest.raises(KeyFileError, match=f"open to others .mode {mode:04o}.; chmod 600"):
        load_issuer(tmp_path)
    (tmp_path / KEY_FILE).chmod(0o400)
    load_issuer(tmp_path)


def test_a_missing_key_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="passgate issuer new"):
        load_issuer(tmp_path)


def test_a_directory_in_place_of_a_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).mkdir(mode=0o700)
    with pytest.raises(KeyFileError, match="cannot be read"):
        load_issuer(tmp_path)


def _with(tmp_path: Path, **members: object) -> Path:
    new_issuer(tmp_path, "iss_lab")
    path = tmp_path / KEY_FILE
    jwk = json.loads(path.read_bytes()) | members
    path.write_text(json.dumps({name: value for name, value in jwk.items() if value is not None}))
    return tmp_path


@pytest.mark.parametrize(
    "members",
    [
        {"kty": "EC"},
        {"crv": "Ed448"},
        {"d": None},
        {"d": "AAAA"},
        {"d": "****"},
        {"d": 7},
        {"x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        {"issuer": None},
        {"issuer": 7},
        {"issuer": "a\nb"},
    ],
)
def test_a_key_file_that_is_not_quite_one_is_refused(
    tmp_path: Path, members: dict[str, object]
) -> None:
    with pytest.raises(KeyFileError, match="not an issuer's private key"):
        load_issuer(_with(tmp_path, **members))


@pytest.mark.parametrize("content", [b"", b"secret-key", b"[]", b"null", b"[" * 60_000, b"\xff"])
def test_no_word_of_a_key_file_is_ever_shown(tmp_path: Path, content: bytes) -> None:
    (tmp_path / KEY_FILE).write_bytes(content)
    (tmp_path / KEY_FILE).chmod(0o600)
    with pytest.raises(KeyFileError) as caught:
        load_issuer(tmp_path)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
