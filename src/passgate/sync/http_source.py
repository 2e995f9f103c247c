"""Sources over HTTPS: one GET that follows nothing, decodes nothing and believes no length."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from passgate.errors import SourceError
from passgate.sync.sources import TIMEOUT_S, Kind, NotModified, Opened, Source

_TYPES: Final[dict[Kind, frozenset[str]]] = {
    "keys": frozenset({"application/json", "application/jwk-set+json"}),
    "passports": frozenset({"application/json"}),
    "revocations": frozenset(
        {
            "application/json",
            "application/jwt",
            "application/revocations+jwt",
            "application/statuslist+jwt",
            # What file servers say of a name that ends in .jwt. The content decides anyway.
            "application/octet-stream",
        }
    ),
}
_CHARSETS: Final = frozenset({"utf-8", "utf8", "us-ascii"})
_PART_BYTES: Final = 64 * 1024
_MAX_ETAG: Final = 1024


class HttpSource(Source):
    """A document behind a URL. Certificates are always verified.

    `http://` counts only on the loopback interface, or with `insecure_http`, and vouches for
    nothing. `tls` replaces the machine's own set of certificates; `types` and `max_bytes` are for a
    document that only leads to what is wanted.
    """

    foreign = (OSError, aiohttp.ClientError, ValueError)

    def __init__(
        self,
        location: str,
        kind: Kind,
        *,
        insecure_http: bool = False,
        tls: ssl.SSLContext | None = None,
        timeout_s: float = TIMEOUT_S,
        types: frozenset[str] | None = None,
        max_bytes: int | None = None,
    ) -> None:
        scheme, host, shown = check_url(location)
        if scheme == "http" and not insecure_http and not is_loopback(host):
            raise SourceError(
                f"{shown} is not protected; use https, or set insecure_http: true for this issuer"
            )
        super().__init__(shown, kind, timeout_s, max_bytes)
        self.vouches = scheme == "https"
        self._url = location
        self._types = _TYPES[kind] if types is None else types
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def _open(self, etag: str | None) -> AsyncIterator[Opened | NotModified]:
        headers = {"Accept": ", ".join(sorted(self._types)), "Accept-Encoding": "identity"}
        if etag is not None:
            headers["If-None-Match"] = etag
        async with self._ready().get(self._url, headers=headers, allow_redirects=False) as answer:
            if answer.status == 304 and etag is not None:
                yield NotModified()
                return
            self._check(answer)
            given = answer.headers.get("ETag", "")
            yield Opened(
                answer.content.iter_chunked(_PART_BYTES),
                given if 0 < len(given) <= _MAX_ETAG else None,
            )

    def _ready(self) -> aiohttp.ClientSession:
        if self._session is None:
            # A connection of its own each time: a minute later the old one is mostly dead, and
            # nothing one answer left behind can be read as the next.
            connector = aiohttp.TCPConnector(
                ssl=self._tls if self._tls is not None else True, limit=1, force_close=True
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                # A body that is never unpacked cannot be larger than it came.
                auto_decompress=False,
                trust_env=False,
            )
        return self._session

    def _check(self, answer: aiohttp.ClientResponse) -> None:
        """Raises `SourceError` unless status and headers are those of a document to read."""
        if 300 <= answer.status < 400 and answer.status != 304:
            raise SourceError(
                f"{self.name} answered with a redirect ({answer.status}), which is not followed;"
                " name the final address"
            )
        if answer.status != 200:
            raise SourceError(f"{self.name} answered {answer.status}, expected 200")
        encodings = answer.headers.getall("Content-Encoding", ["identity"])
        if any(encoding.strip().lower() != "identity" for encoding in encodings):
            raise SourceError(f"{self.name} answered in a content encoding that was not asked for")
        # The header itself: the client library would make up a type where there is none.
        given = answer.headers.getall("Content-Type", [])
        if len(given) != 1 or given[0].partition(";")[0].strip().lower() not in self._types:
            raise SourceError(
                f"{self.name} answered with another content type than"
                f" {' or '.join(sorted(self._types))}"
            )
        # JSON and JWS are UTF-8 (RFC 8259 section 8.1): who says otherwise sends something else.
        if (answer.charset or "utf-8").lower() not in _CHARSETS:
            raise SourceError(f"{self.name} answered in another charset than UTF-8")
        if answer.content_length is not None and answer.content_length > self._max_bytes:
            raise SourceError(f"{self.name} is larger than {self._max_bytes} bytes")

    async def close(self) -> None:
        """Closes the connections."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()


def check_url(location: str) -> tuple[str, str, str]:
    """Scheme, host, and the URL without its query, which may hold a secret."""
    try:
        url = urlsplit(location)
        host, port = url.hostname, url.port
    except ValueError:
        raise SourceError("the URL of a source is malformed") from None
    if not location.isascii() or not location.isprintable() or " " in location or not host:
        raise SourceError("the URL of a source needs a host, and plain ASCII without spaces")
    if url.username is not None or url.password is not None or url.fragment:
        raise SourceError("the URL of a source takes no user, password or fragment")
    shown = f"[{host}]" if ":" in host else host
    shown += "" if port is None else f":{port}"
    return url.scheme, host, f"{url.scheme}://{shown}{url.path}"


def is_loopback(host: str) -> bool:
    """Whether a URL's host is this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
