"""PassportAuth: adds passport and proof to the requests of an HTTP client, whichever it is."""

import json
import threading
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from passgate.client.holder import Holder
from passgate.client.proofs import dpop_proof, signature_headers

if TYPE_CHECKING:
    import httpx
    import requests.auth
    from aiohttp import ClientMiddlewareType

DPOP: Final = "dpop"
SIGNATURE: Final = "signature"

_MOST_ORIGINS: Final = 1024


class PassportAuth:
    """Presents `passport` with every request, and proves possession where there is a `holder`.

    `proof` is `dpop` (the default) or `signature`. `refresh`, where given, is asked for another
    passport once the one at hand ends within `refresh_before_s` seconds; it may be called from
    several threads, one at a time. With `origin` (such as `https://api.example`) the passport goes
    there and nowhere else; no redirect takes it to another origin in any case. `for_httpx`,
    `for_requests` and `for_aiohttp` are what those libraries take; each repeats a request once
    that was refused for want of the gate's nonce.
    """

    def __init__(
        self,
        passport: str,
        holder: Holder | None = None,
        *,
        proof: str = DPOP,
        refresh: Callable[[], str] | None = None,
        refresh_before_s: float = 60.0,
        origin: str = "",
        now: Callable[[], float] = time.time,
    ) -> None:
        if proof not in (DPOP, SIGNATURE):
            raise ValueError(f"a proof is {DPOP!r} or {SIGNATURE!r}, unlike {proof!r}")
        self._passport = passport.strip()
        self._holder = holder
        self._proof = proof
        self._refresh = refresh
        self._refresh_before_s = refresh_before_s
        self._origin = origin_of(origin) if origin else ""
        self._now = now
        self._nonces: dict[str, str] = {}
        self._renewing = threading.Lock()

    def __repr__(self) -> str:
        return f"PassportAuth(holder={self._holder!r}, proof={self._proof!r})"

    def passport(self) -> str:
        """The passport to present now; a fresh one where the old one is about to end."""
        if self._refresh is not None and self._ends_soon():
            with self._renewing:
                if self._ends_soon():
                    self._passport = self._refresh().strip()
        return self._passport

    def headers(self, method: str, url: str, body: bytes | None = None) -> dict[str, str]:
        """The headers to add to one request; for another origin than its own, none.

        `body` is what will be sent, None where there is none or it is not at hand: then a gate that
        reads the body refuses a signature, though not DPoP.
        """
        origin = origin_of(url)
        if self._origin and origin != self._origin:
            return {}
        passport = self.passport()
        holder = self._holder
        if holder is None:
            return {"Authorization": f"Passport {passport}"}
        nonce = self._nonces.get(origin, "")
        if self._proof == DPOP:
            made = dpop_proof(holder, passport, method, url, nonce=nonce, now=self._now)
            return {"Authorization": f"DPoP {passport}", "DPoP": made}
        authorization = f"Passport {passport}"
        signed = signature_headers(
            holder, method, url, authorization, body, nonce=nonce, now=self._now
        )
        return {"Authorization": authorization, **signed}

    def learn(self, url: str, status: int, headers: Mapping[str, str]) -> bool:
        """Takes note of an answer; True where the request is worth repeating once, with its nonce.

        `headers` is asked without regard to case, as the mappings of HTTP clients are.
        """
        nonce = headers.get("DPoP-Nonce") or headers.get("dpop-nonce")
        if not nonce:
            return False
        origin = origin_of(url)
        known = self._nonces.get(origin)
        if len(self._nonces) >= _MOST_ORIGINS and known is None:
            self._nonces.clear()
        self._nonces[origin] = nonce
        return status == 401 and nonce != known and self._holder is not None

    def for_httpx(self) -> "httpx.Auth":
        """What `httpx.Client(auth=…)` and `httpx.AsyncClient(auth=…)` take."""
        from passgate.client.for_httpx import HttpxAuth

        return HttpxAuth(self)

    def for_requests(self) -> "requests.auth.AuthBase":
        """What `requests.get(…, auth=…)` and `Session.auth` take."""
        from passgate.client.for_requests import RequestsAuth

        return RequestsAuth(self)

    def for_aiohttp(self) -> "ClientMiddlewareType":
        """What `aiohttp.ClientSession(middlewares=[…])` takes."""
        from passgate.client.for_aiohttp import middleware_of

        return middleware_of(self)

    def _ends_soon(self) -> bool:
        expires_at = expiry_of(self._passport)
        return expires_at is None or self._now() >= expires_at - self._refresh_before_s


def origin_of(url: str) -> str:
    """Scheme, host and port of `url` in lower case, the default port left out (RFC 6454)."""
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme.lower())
    host = (parts.hostname or "").lower()
    name = f"[{host}]" if ":" in host else host
    port = "" if parts.port in (None, default) else f":{parts.port}"
    return f"{parts.scheme.lower()}://{name}{port}"


def expiry_of(passport: str) -> float | None:
    """When a passport says that it ends, in Unix seconds; None where it cannot be read."""
    try:
        body = passport.split(".")[1]
        claims: Any = json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return float(claims["exp"])
    except (ValueError, IndexError, KeyError, TypeError):
        return None
