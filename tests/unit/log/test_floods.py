"""A flood of refusals is answered cheaply, counted, and bounded in memory."""

from collections.abc import Callable, Mapping
from typing import Any

from passgate.core.instant import Instant
from passgate.log import FloodGate
from passgate.log.floods import OTHERS


class Sink:
    """Keeps events and what is to be called later."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.calls: list[Callable[[], None]] = []

    def append_event(self, kind: str, fields: Mapping[str, Any]) -> None:
        self.events.append({"kind": kind, **fields})

    def later(self, delay_s: float, call: Callable[[], None]) -> None:
        assert delay_s == 1.0
        self.calls.append(call)


def at(second: float) -> Instant:
    return Instant(0.0, second)


def refuse(gate: FloodGate, client: str, now: Instant, times: int) -> list[bool]:
    return [gate.refused(client, now) for _ in range(times)]


def test_refusals_up_to_the_limit_are_judged_and_recorded() -> None:
    """The twentieth in a second is still an ordinary refusal."""
    gate = FloodGate(20, Sink())
    assert refuse(gate, "192.0.2.1", at(1), 19) == [True] * 19
    assert gate.over("192.0.2.1", at(1)) is None


def test_beyond_the_limit_a_client_is_not_judged_until_the_second_is_over() -> None:
    """Others go on being judged; the sums become one line."""
    sink = Sink()
    gate = FloodGate(20, sink)
    refuse(gate, "192.0.2.1", at(1.0), 20)
    assert [gate.over("192.0.2.1", at(1.9)) for _ in range(5)] == [1] * 5
    assert gate.over("192.0.2.2", at(1.9)) is None
    assert gate.over("192.0.2.1", at(2.0)) is None
    assert len(sink.calls) == 1
    sink.calls[0]()
    assert sink.events == [
        {"kind": "suppressed", "client": "192.0.2.1", "count": 5, "reason_code": "rate_limited"}
    ]
    refuse(gate, "192.0.2.1", at(2.0), 20)
    assert gate.over("192.0.2.1", at(2.5)) == 1
    assert len(sink.calls) == 2


def test_a_flood_of_one_network_counts_together() -> None:
    """An IPv6 host has a whole /64 of addresses; IPv4 in IPv6 is the IPv4 address."""
    sink = Sink()
    gate = FloodGate(4, sink)
    for number in range(4):
        assert gate.refused(f"2001:db8::{number}", at(1))
    assert gate.over("2001:db8::ffff", at(1)) == 1
    assert gate.over("2001:db8:0:1::1", at(1)) is None
    for _ in range(4):
        gate.refused("::ffff:192.0.2.1", at(1))
    assert gate.over("192.0.2.1", at(1)) == 1
    assert gate.over("unix", at(1)) is None
    assert gate.over("no:address", at(1)) is None
    sink.calls[0]()
    assert [(event["client"], event["count"]) for event in sink.events] == [
        ("2001:db8::/64", 1),
        ("192.0.2.1", 1),
    ]


def test_memory_is_bounded_and_the_honest_are_not_refused() -> None:
    """Beyond the table, refusals are summed up; a client never seen is never over."""
    sink = Sink()
    gate = FloodGate(2, sink)
    recorded = sum(gate.refused(f"10.{n >> 8}.{n & 255}.1", at(1)) for n in range(6000))
    assert recorded == 4096
    assert gate.over("192.0.2.1", at(1)) is None
    assert len(gate._refused) == 4096
    sink.calls[0]()
    assert sink.events == [
        {"kind": "suppressed", "client": OTHERS, "count": 1904, "reason_code": "rate_limited"}
    ]


def test_many_floods_are_few_lines() -> None:
    """The greatest are named, the rest is one sum; nothing is lost."""
    sink = Sink()
    gate = FloodGate(1, sink)
    for number in range(100):
        gate.refused(f"10.0.0.{number}", at(1))
        for _ in range(number + 1):
            assert gate.over(f"10.0.0.{number}", at(1)) == 1
    sink.calls[0]()
    assert len(sink.events) == 32
    assert sum(event["count"] for event in sink.events) == 5050
    assert sink.events[0]["client"] == "10.0.0.99"
    assert sink.events[-1]["client"] == OTHERS


def test_the_limit_can_change_at_any_time() -> None:
    """A reload takes effect at once."""
    gate = FloodGate(20, Sink())
    gate.limit = 1
    gate.refused("192.0.2.1", at(1))
    assert gate.over("192.0.2.1", at(1)) == 1
