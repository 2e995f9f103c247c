"""Anybody may send anything, so what is remembered of it must stay small."""

import tracemalloc
from collections.abc import Callable

from passgate.core.client_address import TrustedProxies
from passgate.core.header_rules import header_rules
from passgate.core.request import Request, RequestRules, Wire, canonical_request
from passgate.proxy.forwarding import hop_lines

RULES = RequestRules(header_rules(), TrustedProxies(["10.0.0.0/8"]))
LONG = b"a" * 20_000


def retained(send: Callable[[int], object], times: int = 200) -> int:
    """The bytes that are still allocated after `send` was called with 0, 1, 2, ..."""
    send(-1)
    tracemalloc.start()
    try:
        for number in range(times):
            send(number)
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def read(*headers: tuple[bytes, bytes]) -> object:
    return canonical_request(Wire("GET", b"/", list(headers), "10.0.0.1"), RULES)


def test_hosts_that_are_none_are_forgotten() -> None:
    """Long ones are refused, and neither they nor their refusal stay in the memory."""
    assert retained(lambda number: read((b"Host", LONG + b"%d" % number))) < 100_000


def test_forwarded_hosts_that_are_none_are_forgotten() -> None:
    """The same for what a trusted proxy passes on."""
    host = (b"Host", b"api.example")

    assert retained(lambda n: read(host, (b"X-Forwarded-Host", b"b" + LONG + b"%d" % n))) < 100_000


def test_long_header_names_are_forgotten() -> None:
    """The roles of names are remembered, of long ones they are not."""
    host = (b"Host", b"api.example")

    assert retained(lambda n: read(host, (LONG + b"%d" % n, b"1"))) < 100_000


def test_long_via_lines_are_forgotten() -> None:
    """The lines that name the hops are kept for the next request, unless clients made them long."""

    def send(number: int) -> None:
        request = read((b"Host", b"api.example"), (b"Via", LONG + b"%d" % number))
        assert isinstance(request, Request)
        assert LONG + b"%d, 1.1 passgate" % number in hop_lines(request)

    assert retained(send) < 100_000
