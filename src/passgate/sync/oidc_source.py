"""Keys by OpenID Connect Discovery: the issuer's document first, then the key set that it names."""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from passgate.core.discovery import MAX_DISCOVERY_BYTES, discovery_url, read_discovery
from passgate.core.jwks import without_encryption_keys
from passgate.errors import SourceError
from passgate.sync.http_source import HttpSource
from passgate.sync.sources import TIMEOUT_S, NotModified, Opened, Source, once

SCHEME: Final = "oidc:"

_TYPES: Final = frozenset({"application/json"})


class OidcSource(Source):
    """`oidc:` and the URL of an issuer; both documents obey the rules of every source by HTTPS.

    Both are asked for each time, so keys that moved are found and keys that an issuer no longer
    speaks for are not kept. The key set lies at the issuer's origin, or at `keys_origin`; its keys
    for encryption are left out.
    """

    def __init__(
        self,
        location: str,
        *,
        insecure_http: bool = False,
        keys_origin: str | None = None,
        tls: ssl.SSLContext | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._issuer = location.removeprefix(SCHEME)
        self._keys_origin = keys_origin
        self._insecure_http = insecure_http
        self._tls = tls
        try:
            url = discovery_url(self._issuer)
        except ValueError as error:
            raise SourceError(f"a source of keys {error}") from None
        super().__init__(f"{SCHEME}{self._issuer}", "keys", timeout_s)
        self._document = HttpSource(
            url,
            "keys",
            insecure_http=insecure_http,
            tls=tls,
            timeout_s=timeout_s,
            types=_TYPES,
            max_bytes=MAX_DISCOVERY_BYTES,
        )
        self._document_etag: str | None = None
        self._keys: HttpSource | None = None
        self._keys_tag = ""

    @asynccontextmanager
    async def _open(self, etag: str | None) -> AsyncIterator[Opened | NotModified]:
        keys = await self._discovered()
        # An ETag is of one URL: from another one it would confirm what was never there.
        tag = self._keys_tag
        known = etag.removeprefix(tag) if etag is not None and etag.startswith(tag) else None
        answer = await keys.read(known)
        if isinstance(answer, NotModified):
            yield answer
            return
        try:
            body = await asyncio.to_thread(without_encryption_keys, answer.body)
        except ValueError as error:
            raise SourceError(f"{self.name}: {error}") from None
        yield Opened(once(body), None if answer.etag is None else tag + answer.etag)

    async def _discovered(self) -> HttpSource:
        """The source of the key set that the issuer names now."""
        keys = self._keys
        answer = await self._document.read(None if keys is None else self._document_etag)
        if isinstance(answer, NotModified):
            assert keys is not None
            return keys
        try:
            url = read_discovery(answer.body, self._issuer, self._keys_origin)
        except ValueError as error:
            raise SourceError(f"{self.name}: {error}") from None
        tag = hashlib.sha256(url.encode()).hexdigest()[:16] + " "
        if keys is None or tag != self._keys_tag:
            if keys is not None:
                await keys.close()
            keys = HttpSource(
                url,
                "keys",
                insecure_http=self._insecure_http,
                tls=self._tls,
                timeout_s=self._timeout_s,
            )
            self._keys, self._keys_tag = keys, tag
        self._document_etag = answer.etag
        return keys

    async def close(self) -> None:
        """Closes the connections."""
        await self._document.close()
        if self._keys is not None:
            await self._keys.close()
