"""Sources of trust: where keys and lists are read, each by the same two rules.

Whatever goes wrong leaves as `SourceError`, and no more than the limit is ever read; both are kept
here, outside of the implementations. The table SOURCES names every kind by its scheme.
"""

import asyncio
import hashlib
import json
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from passgate.core.jwks import MAX_JWKS_BYTES
from passgate.core.references import MAX_PASSPORTS_BYTES
from passgate.core.revocation import MAX_LIST_BYTES
from passgate.errors import SourceError
from passgate.sync.settings import Location

Kind: TypeAlias = Literal["keys", "revocations", "passports"]

TIMEOUT_S: Final = 20.0
_MAX_BYTES: Final[dict[Kind, int]] = {
    "keys": MAX_JWKS_BYTES,
    "revocations": MAX_LIST_BYTES,
    "passports": MAX_PASSPORTS_BYTES,
}

KINDS: Final[frozenset[str]] = frozenset({"keys", "revocations"})
"""What can be learnt of an issuer from a trust bundle."""

BUNDLE: Final = "bundle"
"""Where to learn something that is found in trust bundles alone."""

NOT_IN_A_BUNDLE: Final = "no trust bundle in force has it; see 'passgate trust import'"


@dataclass(frozen=True, slots=True)
class Fetched:
    """The whole body of a source, and the ETag to ask with next time (None: it gave none)."""

    body: bytes
    etag: str | None


@dataclass(frozen=True, slots=True)
class NotModified:
    """The source says that it still holds what was read with the given ETag."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A source that has begun to answer; `parts` may still fail, or never end."""

    parts: AsyncIterator[bytes]
    etag: str | None


class Source(ABC):
    """One place where an issuer's keys, revocations or passports are read.

    `name` is safe to show. `vouches` says that what is read came from whom the operator named (a
    file, TLS), so that a list without a signature may count; `local` that reading it needs no other
    machine. Implementations give `_open` and the
    exceptions that are `foreign`; `read` does the rest.
    """

    vouches: bool = False
    local: bool = False
    foreign: tuple[type[Exception], ...] = (OSError, ValueError)

    def __init__(
        self, name: str, kind: Kind, timeout_s: float = TIMEOUT_S, max_bytes: int | None = None
    ) -> None:
        self.name = name
        self._max_bytes = _MAX_BYTES[kind] if max_bytes is None else max_bytes
        self._timeout_s = timeout_s

    async def read(self, etag: str | None) -> Fetched | NotModified:
        """What the source holds now; `NotModified` only if it was asked with an `etag`.

        Raises `SourceError`, and nothing else, for whatever is wrong with source or answer.
        """
        try:
            async with asyncio.timeout(self._timeout_s), self._open(etag) as answer:
                if isinstance(answer, NotModified):
                    return answer
                return Fetched(await self._collect(answer.parts), answer.etag)
        except TimeoutError:
            raise SourceError(f"{self.name} did not answer within {self._timeout_s:g} s") from None
        except self.foreign as error:
            raise SourceError(f"{self.name} cannot be read: {_reason(error)}") from None

    async def _collect(self, parts: AsyncIterator[bytes]) -> bytes:
        body: list[bytes] = []
        size = 0
        async for part in parts:
            body.append(part)
            size += len(part)
            if size > self._max_bytes:
                raise SourceError(f"{self.name} is larger than {self._max_bytes} bytes")
        return b"".join(body)  # one part is not copied

    @abstractmethod
    def _open(self, etag: str | None) -> AbstractAsyncContextManager[Opened | NotModified]:
        """Asks the source, and closes it when left."""

    def changed(self) -> bool:
        """Whether something differs from the last `read`, where that is cheap to know."""
        return False

    async def close(self) -> None:
        """Gives up what the source holds open."""
        return


class InlineSource(Source):
    """A document that stands in the configuration itself."""

    vouches = True
    local = True

    def __init__(self, document: Mapping[str, Any], kind: Kind) -> None:
        self._body = json.dumps(document).encode()
        digest = hashlib.sha256(self._body).hexdigest()
        super().__init__(f"inline:{digest[:16]}", kind)

    @asynccontextmanager
    async def _open(self, etag: str | None) -> AsyncIterator[Opened | NotModified]:
        yield Opened(once(self._body), None)


class FileSource(Source):
    """A file; it is read again as soon as its time, size or inode differs."""

    vouches = True
    local = True

    def __init__(self, location: str, kind: Kind) -> None:
        self._path = location.removeprefix("file:")
        if not self._path:
            raise SourceError("file: needs a path, as in file:/etc/passgate/jwks.json")
        super().__init__(f"file:{self._path}", kind)
        self._seen: tuple[int, int, int] | None = None

    @asynccontextmanager
    async def _open(self, etag: str | None) -> AsyncIterator[Opened | NotModified]:
        yield Opened(once(await asyncio.to_thread(self._read)), None)

    def _read(self) -> bytes:
        # Noted first, so that a file that fails is not tried again before it changes.
        self._seen = _identity(os.stat(self._path))  # noqa: PTH116 - a path as the operator wrote it
        # O_NONBLOCK: opening a pipe must not wait for a writer.
        handle = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise SourceError(f"{self.name} is not a regular file")
            # And of what is read: what changes meanwhile differs at the next look.
            self._seen = _identity(status)
            with open(handle, "rb", closefd=False) as file:
                return file.read(self._max_bytes + 1)
        finally:
            os.close(handle)

    def changed(self) -> bool:
        """Whether the file is another one, or has another content, by a look at its status."""
        try:
            return _identity(os.stat(self._path)) != self._seen  # noqa: PTH116 - called each second
        except OSError:
            gone, self._seen = self._seen is not None, None
            return gone


class BundleSource(Source):
    """No place to read at: what an issuer has here comes in trust bundles, and only there."""

    vouches = True
    local = True

    def __init__(self, kind: Kind) -> None:
        super().__init__(BUNDLE, kind)

    @asynccontextmanager
    async def _open(self, etag: str | None) -> AsyncIterator[Opened | NotModified]:
        raise SourceError(NOT_IN_A_BUNDLE)
        yield Opened(once(b""), None)


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the operator allows a source beyond its rule; see `IssuerSettings`."""

    insecure_http: bool = False
    keys_origin: str | None = None


# Imported where they are opened, so that a gate with files alone stays small.
def _open_http(location: str, kind: Kind, allowed: Allowed) -> Source:
    from passgate.sync.http_source import HttpSource

    return HttpSource(location, kind, insecure_http=allowed.insecure_http)


def _open_oidc(location: str, kind: Kind, allowed: Allowed) -> Source:
    from passgate.sync.oidc_source import OidcSource

    _for_keys(kind, "oidc:")
    return OidcSource(
        location, insecure_http=allowed.insecure_http, keys_origin=allowed.keys_origin
    )


def _open_did(location: str, kind: Kind, allowed: Allowed) -> Source:
    from passgate.sync.did_source import DidSource

    del allowed  # a did:web is read over TLS, and from its own place
    _for_keys(kind, "did:")
    return DidSource(location)


def _open_file(location: str, kind: Kind, allowed: Allowed) -> Source:
    del allowed  # means nothing for files
    return FileSource(location, kind)


def _for_keys(kind: Kind, scheme: str) -> None:
    if kind != "keys":
        raise SourceError(f"{scheme} is a source of keys alone; name a file or a URL")


SOURCES: Final[Mapping[str, Callable[[str, Kind, Allowed], Source]]] = {
    "file": _open_file,
    "http": _open_http,
    "https": _open_http,
    "oidc": _open_oidc,
    "did": _open_did,
}
"""How to make a source of each scheme; a JWKS that stands inline has none."""


def open_source(
    location: Location,
    kind: Kind,
    *,
    insecure_http: bool = False,
    keys_origin: str | None = None,
) -> Source:
    """The source at `location`; nothing is read yet. Raises `SourceError` for what is no source."""
    if not isinstance(location, str):
        if kind != "keys":
            raise SourceError("a list cannot stand inline; name a file or a URL")
        return InlineSource(location, kind)
    if location == BUNDLE:
        return BundleSource(kind)
    scheme = location.partition(":")[0].lower() if ":" in location else ""
    opener = SOURCES.get(scheme)
    if opener is None:
        raise SourceError(
            f"a source begins with {': or '.join(SOURCES)}:, not {scheme or 'a path'}"
        )
    return opener(location, kind, Allowed(insecure_http, keys_origin))


async def once(body: bytes) -> AsyncIterator[bytes]:
    """The parts of a body that is there whole."""
    yield body


def _identity(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_mtime_ns, status.st_size, status.st_ino


def _reason(error: Exception) -> str:
    """What went wrong, in one line that holds nothing of the answer."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.splitlines()[0]
    return type(error).__name__
