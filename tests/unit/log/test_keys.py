"""The gate's keys are made once, kept private, and never guessed at."""

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from passgate.errors import KeyFileError
from passgate.log.keys import open_gate_key, open_query_key


def test_keys_are_made_once_and_readable_by_their_owner_alone(tmp_path: Path) -> None:
    """The second start finds what the first made."""
    directory = tmp_path / "data"
    key, secret = open_gate_key(directory), open_query_key(directory)
    for name in ("gate.key", "query.key"):
        assert stat.S_IMODE((directory / name).stat().st_mode) == 0o600
    assert open_gate_key(directory) == key
    assert open_query_key(directory) == secret
    assert len(secret) == 32
    assert sorted(path.name for path in directory.iterdir()) == ["gate.key", "query.key"]
    assert key.seed.hex() not in repr(key)


def test_other_tools_read_the_key(tmp_path: Path) -> None:
    """It is PKCS #8 in PEM, and signs what they would sign."""
    key = open_gate_key(tmp_path)
    other = load_pem_private_key((tmp_path / "gate.key").read_bytes(), None)
    assert isinstance(other, Ed25519PrivateKey)
    assert other.public_key().public_bytes_raw() == key.public_key
    assert other.sign(b"text") == key.sign(b"text")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
@pytest.mark.parametrize("name", ["gate.key", "query.key"])
def test_a_key_open_to_others_is_refused(tmp_path: Path, name: str, mode: int) -> None:
    """The error says what to do."""
    make = open_gate_key if name == "gate.key" else open_query_key
    make(tmp_path)
    (tmp_path / name).chmod(mode)
    with pytest.raises(KeyFileError, match=f"chmod 600 .*{name}"):
        make(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        b"-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n",
        b"-----BEGIN PRIVATE KEY-----\n",
        b"0" * 63,
    ],
)
@pytest.mark.parametrize("name", ["gate.key", "query.key"])
def test_what_is_no_key_is_refused_and_left_alone(
    tmp_path: Path, name: str, content: bytes
) -> None:
    """A damaged key is never replaced by a new one: the log would lose its identity."""
    make = open_gate_key if name == "gate.key" else open_query_key
    (tmp_path / name).touch(mode=0o600)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(KeyFileError, match="restore it or move it aside"):
        make(tmp_path)
    assert (tmp_path / name).read_bytes() == content


def test_a_place_that_holds_no_file_is_named(tmp_path: Path) -> None:
    """Neither a directory in the key's place nor a missing one to create it in is a key."""
    (tmp_path / "gate.key").mkdir(mode=0o700)
    with pytest.raises(KeyFileError, match=r"gate\.key"):
        open_gate_key(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(KeyFileError, match="cannot be"):
        open_gate_key(tmp_path / "file")


def test_of_two_first_starts_one_key_results(tmp_path: Path) -> None:
    """A key that another process made in the meantime is used, not replaced."""
    from passgate.log import keys

    first = open_gate_key(tmp_path)
    text = keys._write_private(tmp_path / "gate.key", keys._pem(bytes(32)))
    assert keys._seed(text, tmp_path) == first.seed
    assert open_gate_key(tmp_path) == first
