"""Changing an issuer's key: the new one signs at once, the old one verifies until it is retired.

Whatever interrupts it, what signs was published before and no passport that is meant to count is
lost: at worst a key is published that never signs, which can be retired like an old one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from passgate.authority.keys import (
    KEY_FILE,
    KeySigner,
    Signer,
    load_issuer,
    read_jwks,
    write_jwks,
    write_key,
)
from passgate.authority.revoking import add, check_list, locked
from passgate.errors import KeyFileError
from passgate.files import sync_directory

_THUMBPRINT: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Rotated:
    """Which key signs now, and which keys gates accept, the signing one first."""

    issuer: str
    signing: str
    published: tuple[str, ...]


def rotate(directory: Path, now: float) -> Rotated:
    """Makes a new key for the issuer in `directory`, and signs the revocation list with it.

    The old public key stays in `jwks.json`, and the old private key beside as `issuer.KID.key`.
    Raises `KeyFileError` or `DataError` where what is there is not an issuer's, and `OSError`.
    """
    with locked(directory):
        old = load_issuer(directory)
        keys = _published(directory, old)
        check_list(directory, old, now)
        new = KeySigner.generate(old.issuer)
        # In this order: what signs was always published before, and no private key is ever lost.
        write_key(_private(directory, new.kid), new)
        write_jwks(directory, [new.public_jwk, *keys])
        _keep(directory, old.kid)
        _private(directory, new.kid).replace(directory / KEY_FILE)
        sync_directory(directory)
        add(directory, new, [], now)
        return _rotated(new, [new.public_jwk, *keys])


def retire(directory: Path, kid: str, now: float) -> Rotated:
    """Takes key `kid` out of `jwks.json`, and removes its private half.

    Passports that it signed end at each gate's next reading. Raises as `rotate`, `KeyFileError` for
    the key that signs now and for one that is not published.
    """
    with locked(directory):
        signer = load_issuer(directory)
        keys = _published(directory, signer)
        if kid == signer.kid:
            raise KeyFileError(f"{kid} is the key that signs now; rotate first, then retire it")
        kept = [key for key in keys if key["kid"] != kid]
        if len(kept) == len(keys):
            raise KeyFileError(f"{kid} is none of the issuer's keys: {', '.join(_kids(keys))}")
        # A list that the key still signs, from a rotation that was interrupted, would end with it.
        add(directory, signer, [], now)
        write_jwks(directory, kept)
        if _THUMBPRINT.fullmatch(kid) is not None:
            _private(directory, kid).unlink(missing_ok=True)
            sync_directory(directory)
        return _rotated(signer, kept)


def _published(directory: Path, signer: Signer) -> list[dict[str, Any]]:
    keys = read_jwks(directory)
    if signer.kid not in _kids(keys):
        raise KeyFileError(
            f"the key in {directory / KEY_FILE} is not in its jwks.json; restore that file"
        )
    return keys


def _keep(directory: Path, kid: str) -> None:
    """Gives the private key that signs until now a second name, which it keeps."""
    kept = _private(directory, kid)
    if not kept.exists():
        kept.hardlink_to(directory / KEY_FILE)


def _private(directory: Path, kid: str) -> Path:
    return directory / f"issuer.{kid}.key"


def _kids(keys: Sequence[dict[str, Any]]) -> list[str]:
    return [key["kid"] for key in keys]


def _rotated(signer: Signer, keys: Sequence[Any]) -> Rotated:
    others = [key["kid"] for key in keys if key["kid"] != signer.kid]
    return Rotated(signer.issuer, signer.kid, (signer.kid, *others))
