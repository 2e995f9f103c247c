"""The published versions on disk: one file each, `1.json` upwards, written once and never again."""

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from passgate.catalog.snapshot import Published, Signer, read_snapshot
from passgate.core.catalog import Catalog
from passgate.core.jwks import thumbprint
from passgate.errors import DataError
from passgate.files import sync_directory

_NAME: Final = re.compile(r"([1-9][0-9]{0,8})\.json")


@dataclass(frozen=True, slots=True)
class Versions:
    """Every published version of one gate, oldest first, numbered from 1 without a gap."""

    published: tuple[Published, ...] = ()

    @property
    def newest(self) -> Published | None:
        """The version in force, if any was ever published."""
        return self.published[-1] if self.published else None

    def in_force(self, unpublished: Catalog | None, min_version: int = 0) -> Catalog | None:
        """The catalog that requests are judged by, which knows all older ones.

        It is the newest published one; what differs in the file counts once it is published.
        Without any it is `unpublished`, the one of the file.
        """
        newest = self.newest
        if newest is None:
            return None if unpublished is None else replace(unpublished, min_version=min_version)
        older = {each.catalog.content_hash: each.catalog for each in self.published[:-1]}
        return replace(newest.catalog, older=older, min_version=min_version)


NO_VERSIONS: Final = Versions()


class CatalogStore:
    """The versions of gate `gate_id` in `directory` (`data_dir/catalog`), which need not exist."""

    def __init__(self, directory: Path, gate_id: str) -> None:
        self.directory = directory
        self._gate_id = gate_id

    def file_of(self, version: int) -> Path:
        """Where a version is, or will be."""
        return self.directory / f"{version}.json"

    def count(self) -> int:
        """How many versions there are.

        Raises `DataError` where one is missing, or something else lies between them: who deleted a
        version would change the terms of those who are pinned to it.
        """
        try:
            names = [each.name for each in self.directory.iterdir() if each.name[0] != "."]
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise DataError(f"{self.directory} cannot be read: {error.strerror}") from error
        numbers = set()
        for name in names:
            found = _NAME.fullmatch(name)
            if found is None:
                raise DataError(
                    f"{self.directory / name} is no version of the catalog; move it elsewhere"
                )
            numbers.add(int(found[1]))
        for number in range(1, len(numbers) + 1):
            if number not in numbers:
                raise DataError(
                    f"{self.file_of(number)} is missing: restore it, or move {self.directory} "
                    "aside to have no published catalog"
                )
        return len(numbers)

    def read(self, public_key: bytes | None, known: Versions = NO_VERSIONS) -> Versions:
        """Every version; those that are `known` already are taken over, for they never change.

        Raises `DataError`, naming file and way out, for one that was not written by this gate under
        its `public_key` (None where it has none), and where one that is known is gone.
        """
        count = self.count()
        if count < len(known.published):
            raise DataError(
                f"{self.file_of(count + 1)} is gone: a version that was published stays; restore it"
            )
        published = list(known.published)
        keys = {} if public_key is None else {thumbprint(public_key): public_key}
        for version in range(len(published) + 1, count + 1):
            published.append(self._read(version, keys, published[-1] if published else None))
        return Versions(tuple(published)) if published else NO_VERSIONS

    def _read(self, version: int, keys: Mapping[str, bytes], before: Published | None) -> Published:
        file = self.file_of(version)
        try:
            return read_snapshot(
                file.read_bytes(),
                gate_id=self._gate_id,
                version=version,
                keys=keys,
                known=None if before is None else before.catalog.entries,
            )
        except OSError as error:
            raise DataError(f"{file} cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise DataError(
                f"{file} is damaged or not this gate's: {'; '.join(map(str, error.args))}; "
                "restore it"
            ) from error

    def add(self, version: int, body: bytes, signer: Signer) -> Published | None:
        """Writes a new version whole and durably, or not at all; None where it exists already.

        What is written was read back first: no version is published that the gate could not read.
        Raises `DataError` where it cannot be written.
        """
        keys = {thumbprint(signer.public_key): signer.public_key}
        added = read_snapshot(body, gate_id=self._gate_id, version=version, keys=keys)
        try:
            self.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=f".{version}.", dir=self.directory)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(body)
                    file.flush()
                    # Anyone may read what anyone is served, and the gate must, whoever published.
                    os.fchmod(file.fileno(), 0o644)
                    os.fsync(file.fileno())
                # A link fails where a rename would replace what another process published.
                os.link(name, self.file_of(version))
            except FileExistsError:
                return None
            finally:
                Path(name).unlink()
            sync_directory(self.directory)
            sync_directory(self.directory.parent)
        except OSError as error:
            raise DataError(
                f"{self.file_of(version)} cannot be written: {error.strerror}"
            ) from error
        return added
