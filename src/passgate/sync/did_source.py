"""Keys by `did:web`: the DID document at the place that the name says, read over HTTPS alone."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from passgate.core.did_web import MAX_DOCUMENT_BYTES, document_url, read_did_document
from passgate.errors import SourceError
from passgate.sync.http_source import HttpSource
from passgate.sync.sources import TIMEOUT_S, NotModified, Opened, Source, once

_TYPES: Final = frozenset(
    {
        "application/did",
        "application/did+json",
        "application/did+ld+json",
        "application/json",
        "application/ld+json",
    }
)


class DidSource(Source):
    """A `did:web:…`; what it reads is the key set of what its document names for assertions."""

    def __init__(
        self, did: str, *, tls: ssl.SSLContext | None = None, timeout_s: float = TIMEOUT_S
    ) -> None:
        try:
            url = document_url(did)
        except ValueError as error:
            raise SourceError(f"a source of keys {error}") from None
        super().__init__(did, "keys", timeout_s)
        self._did = did
        self._document = HttpSource(
            url, "keys", tls=tls, timeout_s=timeout_s, types=_TYPES, max_bytes=MAX_DOCUMENT_BYTES
        )

    @asynccontextmanager
    async def _open(self, etag: str | None) -> AsyncIterator[Opened | NotModified]:
        answer = await self._document.read(etag)
        if isinstance(answer, NotModified):
            yield answer
            return
        try:
            body = await asyncio.to_thread(read_did_document, answer.body, self._did)
        except ValueError as error:
            raise SourceError(f"{self.name}: {error}") from None
        yield Opened(once(body), answer.etag)

    async def close(self) -> None:
        """Closes the connections."""
        await self._document.close()
