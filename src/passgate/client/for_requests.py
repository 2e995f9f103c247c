"""PassportAuth in the shape that requests asks for; requests must be installed."""

from typing import Any

import requests
from requests.auth import AuthBase

from passgate.client.auth import PassportAuth, origin_of


class RequestsAuth(AuthBase):
    """Adds the headers, and sends once more where the gate gave a nonce."""

    def __init__(self, auth: PassportAuth) -> None:
        self._auth = auth

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Prepares the request, and asks to see its answer."""
        self._present(request)
        home = origin_of(request.url or "")

        # The library takes a request's hooks along to wherever it is redirected.
        def again(response: requests.Response, **options: Any) -> requests.Response:
            if origin_of(response.url) != home:
                return response
            request.hooks["response"] = [
                each for each in request.hooks["response"] if each is not again
            ]
            return self._again(response, **options)

        request.hooks["response"].append(again)
        return request

    def _present(self, request: requests.PreparedRequest) -> None:
        body = request.body
        octets = body.encode() if isinstance(body, str) else body
        request.headers.update(
            self._auth.headers(
                request.method or "GET",
                request.url or "",
                octets if isinstance(octets, bytes) else None,
            )
        )

    def _again(self, response: requests.Response, **options: Any) -> requests.Response:
        if not self._auth.learn(response.url, response.status_code, response.headers):
            return response
        _ = response.content  # read, so that the connection can be used again
        response.close()
        request = response.request.copy()
        self._present(request)
        sent: requests.Response = response.connection.send(request, **options)
        sent.history.append(response)
        sent.request = request
        self._auth.learn(sent.url, sent.status_code, sent.headers)
        return sent
