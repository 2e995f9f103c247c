"""Requests as constraints look at them: method, path, host and client; the rest is plain."""

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
) -> Request:
    """A request of which these four are said, also where no client could send it."""
    assert not isinstance(_PLAIN, Refusal)
    return Request(
        method, path.encode(), path, b"", host, host, client, (), "http", (), _PLAIN.sorted
    )
