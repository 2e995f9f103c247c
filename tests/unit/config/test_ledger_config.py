"""Section `ledger`: where shared counters are, said in one way, and out of strangers' reach."""

from collections.abc import Callable
from typing import Any

import pytest

Problems = Callable[..., list[str]]
Load = Callable[..., Any]
ENVIRON = {"PASSWORD": "a password of some length"}


@pytest.mark.parametrize(
    ("url", "means"),
    [
        ("redis://127.0.0.1", (False, (("127.0.0.1", 6379),), "", 0)),
        ("rediss://cache.example:7000/3", (True, (("cache.example", 7000),), "", 3)),
        ("redis://[::1]:6380", (False, (("::1", 6380),), "", 0)),
        (
            "rediss+sentinel://one.example,two.example:26380/mymaster/2",
            (True, (("one.example", 26379), ("two.example", 26380)), "mymaster", 2),
        ),
    ],
)
def test_a_url_says_where_the_server_is(load: Load, url: str, means: tuple[Any, ...]) -> None:
    """Ports are the usual ones of servers and sentinels where none is written."""
    server = load({"ledger": {"kind": "valkey", "url": url}}).config.ledger.url
    assert (server.secure, server.addresses, server.master, server.database) == means
    assert str(server) == url


def test_a_socket_needs_no_host(load: Load) -> None:
    """Its path starts where the file is."""
    server = load({"ledger": {"kind": "valkey", "url": "unix:run/counters.sock"}}).config.ledger.url
    assert server.addresses == ()
    assert server.socket.name == "counters.sock"


@pytest.mark.parametrize(
    ("ledger", "sentence"),
    [
        ({}, "ledger.url is compulsory with ledger.kind valkey"),
        ({"url": "http://127.0.0.1"}, "ledger.url must be a URL such as redis://127.0.0.1:6379"),
        ({"url": "redis://a:b@127.0.0.1"}, "ledger.url must not hold a user or password"),
        ({"url": "redis://127.0.0.1?db=1"}, "ledger.url must be a URL without spaces"),
        ({"url": "redis://127.0.0.1/one"}, "ledger.url must end in the number of a database"),
        ({"url": "redis://127.0.0.1/0/1"}, "ledger.url must end in the number of a database"),
        ({"url": "redis://127.0.0.1,127.0.0.2"}, "ledger.url must name one server"),
        ({"url": "redis://127.0.0.1:0"}, "ledger.url must name a host, and a port"),
        ({"url": "redis+sentinel://127.0.0.1"}, "ledger.url must name the master"),
        ({"url": "redis://cache.example"}, "ledger.url must be rediss:// (or set ledger.insecure"),
        ({"url": "redis://127.0.0.1", "tls": {}}, "ledger.tls is of rediss://"),
        (
            {"url": "rediss://a.example", "tls": {"cert": "cert.pem"}},
            "ledger.tls must have both cert and key, or neither",
        ),
        ({"url": "rediss://a.example", "user": "gate"}, "ledger.user needs ledger.password"),
        (
            {"url": "rediss://a.example", "sentinel_password": "env:PASSWORD"},
            "ledger.sentinel_password is of sentinels",
        ),
        ({"url": "rediss://a.example", "lease_cents": -1}, "ledger.lease_cents must be auto or"),
        ({"url": "rediss://a.example", "lease_calls": "all"}, "ledger.lease_calls must be auto or"),
        ({"url": "rediss://a.example", "timeout": "5s"}, "ledger.timeout must be"),
    ],
)
def test_what_cannot_be_meant_is_a_problem(
    problems_of: Problems, ledger: dict[str, Any], sentence: str
) -> None:
    """One sentence each, that says what to do."""
    (problem,) = problems_of({"ledger": {"kind": "valkey", **ledger}}, ENVIRON)
    assert f": {sentence}" in problem


@pytest.mark.parametrize("kind", ["memory", "embedded"])
def test_a_server_that_nobody_would_ask_is_a_problem(problems_of: Problems, kind: str) -> None:
    """Whoever names one means to share, and would not; what to do on a loss may be said."""
    (problem,) = problems_of(
        {"ledger": {"kind": kind, "url": "rediss://a.example", "on_loss": {"spend": "local"}}}
    )
    assert problem.endswith(f"ledger.url is of the kind valkey, and ledger.kind is {kind}")


def test_what_is_dangerous_is_warned_about(load: Load) -> None:
    """Clear text on the operator's word, and budgets that several gates can exceed."""
    ledger = {"url": "redis://a.example", "insecure": True, "on_loss": {"spend": "local"}}
    warnings = load({"ledger": {"kind": "valkey", **ledger}}).warnings
    assert any("ledger.url is asked without TLS" in each for each in warnings)
    assert any("ledger.on_loss.spend is local" in each for each in warnings)


def test_another_password_needs_a_restart(load: Load) -> None:
    """The reference is the same, and the server would be asked with the old one."""
    from passgate.config import needs_restart

    over = {"ledger": {"kind": "valkey", "url": "rediss://a.example", "password": "env:PASSWORD"}}
    old = load(over, ENVIRON).config
    new = load(over, {"PASSWORD": "another one"}).config
    assert needs_restart(old, new) == ["ledger.password"]
