"""PassportAuth in the shape that httpx asks for; httpx must be installed."""

from collections.abc import Generator

import httpx

from passgate.client.auth import PassportAuth, origin_of


class HttpxAuth(httpx.Auth):
    """Adds the headers, and sends once more where the gate gave a nonce."""

    requires_request_body = True

    def __init__(self, auth: PassportAuth) -> None:
        self._auth = auth

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """One request, or two."""
        url = str(request.url)
        for _ in range(2):
            request.headers.update(self._auth.headers(request.method, url, request.content or None))
            response = yield request
            if origin_of(str(response.url)) != origin_of(url):
                return  # A redirect's answer: its nonce is another server's.
            if not self._auth.learn(url, response.status_code, response.headers):
                return
