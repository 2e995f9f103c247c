"""A gate as a process behind a load balancer: whose address counts, in each of the two words."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.proxy_v2 import LOCAL, UNSPEC, from_client, header
from tests.support.raw_http import Client
from tests.support.running_gate import RunningGate, running_gate

from passgate.log import read_lines
from passgate.testing import FakeUpstream, mint


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory, upstream: FakeUpstream) -> Iterator[RunningGate]:
    config = {
        "listen": {
            "trusted_proxies": ["203.0.113.0/24"],
            "proxy_protocol": "v2",
            "proxy_protocol_from": ["127.0.0.1"],
        },
    }
    directory: Path = tmp_path_factory.mktemp("gate")
    with running_gate(directory, upstream.url, config=config) as running:
        yield running


@pytest.mark.parametrize(
    ("sent", "forwarded", "client", "passed_on"),
    [
        # A proxy of ours connected to the balancer: what it says of the hop before it counts.
        (from_client("203.0.113.9"), "198.51.100.7", "198.51.100.7", "198.51.100.7, 203.0.113.9"),
        (from_client("203.0.113.9"), "1.2.3.4, 198.51.100.7", "198.51.100.7", None),
        (from_client("::ffff:203.0.113.9"), "198.51.100.7", "198.51.100.7", None),
        # A client connected to it: what it writes itself counts for nothing.
        (from_client("192.0.2.66"), "198.51.100.7", "192.0.2.66", "192.0.2.66"),
        (from_client("2001:db8::66"), "198.51.100.7", "2001:db8::66", "2001:db8::66"),
        # The balancer itself, which is not among the trusted proxies.
        (header(LOCAL, UNSPEC), "198.51.100.7", "127.0.0.1", "127.0.0.1"),
    ],
)
def test_hops_are_judged_from_the_address_in_the_header(
    gate: RunningGate,
    upstream: FakeUpstream,
    sent: bytes,
    forwarded: str,
    client: str,
    passed_on: str | None,
) -> None:
    """On record and towards the upstream; the balancer's own address is in neither."""
    passport = mint(issuer=gate.issuer, permissions=["api:*"])
    request = (
        f"GET /v1/search HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {forwarded}\r\n"
        f"Authorization: Passport {passport}\r\n\r\n"
    )
    with Client(socket.create_connection(("127.0.0.1", gate.port), 5)) as raw:
        raw.send(sent + request.encode())
        answer = raw.answer()
    assert answer.status == 200
    decision_id = answer.header("Passport-Decision-Id")
    (line,) = (
        line
        for line in read_lines(gate.log_directory)
        if line["kind"] == "decision" and line["decision_id"] == decision_id
    )
    assert line["client"] == client
    if passed_on is not None:
        assert upstream.seen[-1].header("X-Forwarded-For") == passed_on
    if client != "127.0.0.1":
        assert "127.0.0.1" not in str(upstream.seen[-1].header("Forwarded"))
