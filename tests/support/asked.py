"""Requests as constraints look at them: method, path, host and client; the rest is plain."""

from copy import copy

from passgate.core.header_rules import header_rules
from passgate.core.reasons import Refusal
from passgate.core.request import Request, RequestRules, Wire, canonical_request

_PLAIN = canonical_request(
    Wire("GET", b"/", [(b"Host", b"a.example")], "192.0.2.1"), RequestRules(header_rules())
)


def asked(
    method: str = "GET",
    path: str = "/v1/search",
    host: str = "api.example",
    client: str = "192.0.2.1",
    body: bytes | None = None,
    content_type: bytes = b"",
    content_length: int | None = None,
    chunked: bool = False,
    upgrade: bytes = b"",
) -> Request:
    """A request of which these are said, also where no client could send it."""
    assert not isinstance(_PLAIN, Refusal)
    plain = _PLAIN.sorted
    if content_type or content_length is not None or chunked or upgrade:
        plain = copy(plain)
        plain.content_type = content_type
        plain.content_length = content_length
        plain.chunked = chunked
        plain.upgrade = upgrade
    return Request(
        method, path.encode(), path, b"", host, host, client, (), "http", (), plain, body
    )
