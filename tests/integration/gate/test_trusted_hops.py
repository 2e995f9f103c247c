"""Whom the gate counts behind a proxy: whoever trusted hops name, and nobody by their own word."""

from collections.abc import Iterator

import pytest
from tests.support.running_gate import ADMIN_TOKEN, RunningGate, running_gate

from passgate.log import read_lines
from passgate.testing import FakeUpstream


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory, upstream: FakeUpstream) -> Iterator[RunningGate]:
    config = {
        "listen": {"trusted_proxies": ["127.0.0.1", "10.0.0.0/8"]},
        "anonymous": {
            "enabled": True,
            "allowed_actions": ["public"],
            "rate_limit_per_minute": 2,
        },
        "limits": {"refusals_per_second": 1000},
    }
    with running_gate(tmp_path_factory.mktemp("gate"), upstream.url, config=config) as running:
        yield running


def statuses(gate: RunningGate, *forwarded: str, header: str = "X-Forwarded-For") -> list[int]:
    """The answers to one anonymous request after another, as they come from the proxy."""
    return [gate.request("GET", "/public/x", headers={header: text}).status for text in forwarded]


def test_each_client_behind_a_trusted_proxy_has_its_own_limit(gate: RunningGate) -> None:
    assert statuses(gate, *["192.0.2.1"] * 3, "192.0.2.2") == [200, 200, 429, 200]


def test_what_a_client_writes_itself_makes_it_no_other(gate: RunningGate) -> None:
    """Only what stands to the right of it was written by a proxy; neither header helps."""
    own = [f"8.8.8.{n}, 198.51.100.1" for n in range(3)]
    assert statuses(gate, *own) == [200, 200, 429]
    own = [f"for=8.8.8.{n}, for=198.51.100.2, for=10.1.2.3" for n in range(3)]
    assert statuses(gate, *own, header="Forwarded") == [200, 200, 429]


def test_addresses_of_one_ipv6_network_are_one_client(gate: RunningGate) -> None:
    """Whoever holds a /64 has as many addresses as there are requests."""
    same = [f"2001:db8:0:1::{n:x}" for n in (1, 2, 0xFFFF)]
    assert statuses(gate, *same, "2001:db8:0:2::1") == [200, 200, 429, 200]


def test_one_address_in_two_spellings_is_one_client(gate: RunningGate) -> None:
    spellings = ["203.0.113.1", "::ffff:203.0.113.1", "[::ffff:203.0.113.1]:80"]
    assert statuses(gate, *spellings) == [200, 200, 429]


def test_proxies_that_no_longer_count_make_all_one_client(gate: RunningGate) -> None:
    """A reload takes their word away: then everyone behind them is their address."""
    gate.write_config(listen={"address": f"127.0.0.1:{gate.port}", "trusted_proxies": []})
    assert gate.admin("POST", "/api/reload", ADMIN_TOKEN).status == 200
    assert statuses(gate, "192.0.2.11", "192.0.2.12", "192.0.2.13") == [200, 200, 429]
    gate.write_config()
    assert gate.admin("POST", "/api/reload", ADMIN_TOKEN).status == 200
    assert statuses(gate, "192.0.2.14") == [200]
    clients = [
        line["client"] for line in read_lines(gate.log_directory) if line["kind"] == "decision"
    ]
    assert clients[-4:] == ["127.0.0.1"] * 3 + ["192.0.2.14"]
