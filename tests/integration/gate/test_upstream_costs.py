"""The upstream's word on a cost, in head or trailers, over both versions of HTTP on both sides."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.support.http2_client import DATA, frame, http2
from tests.support.http2_upstream import Conversation, Http2Peer, speaking
from tests.support.raw_http import Peer, RawUpstream, connected
from tests.support.whole_gate import WholeGate, whole_gate

from passgate.core.constraints.base import Charge
from passgate.proxy.settings import Limits

PATIENT = Limits()
COST = "X-Passport-Cost-Cents"
CONFIG: dict[str, Any] = {
    "actions": {
        "routes": [
            {
                "match": "GET /metered",
                "action": "api:metered",
                "cost_cents": 50,
                "cost_from_upstream": True,
            },
            {"match": "GET /fixed", "action": "api:fixed", "cost_cents": 50},
        ]
    },
    "audit": {"durability": "relaxed"},
    "limits": {"refusals_per_second": 1000},
}
BUDGET = {"core:cost:max_cumulative": 1000}


class Said(NamedTuple):
    """An answer of the upstream: what its head and its trailers say of the cost."""

    head: tuple[str, ...] = ()
    trailers: tuple[str, ...] = ()
    status: int = 200


class Told(NamedTuple):
    """What the client got: the names of headers and trailers, in lower case."""

    status: int
    names: set[str]
    decision_id: str


class Upstream:
    """Answers each request as `said`, over HTTP/1.1 or HTTP/2, and keeps what it was asked."""

    def __init__(self) -> None:
        self.said = Said()
        self.asked: list[str] = []

    def http1(self, peer: Peer) -> None:
        while (request := peer.request()) is not None:
            self.asked.append(request.decode("latin-1").lower())
            said = self.said
            head = [f"HTTP/1.1 {said.status} X", "Transfer-Encoding: chunked"]
            head += [f"{COST}: {value}" for value in said.head]
            trailers = [f"{COST}: {value}\r\n" for value in said.trailers]
            peer.send("\r\n".join([*head, "", ""]).encode())
            peer.send(f"2\r\nok\r\n0\r\n{''.join(trailers)}X-Sum: 1\r\n\r\n".encode())

    def http2(self, peer: Http2Peer) -> None:
        while (asked := peer.request()) is not None:
            self.asked.append(str(asked.fields).lower())
            said = self.said
            fields = [(COST.lower(), value) for value in said.head]
            trailers = [(COST.lower(), value) for value in said.trailers]
            peer.send(
                peer.head(asked.stream, (":status", str(said.status)), *fields),
                frame(DATA, 0, asked.stream, b"ok"),
                peer.head(asked.stream, *trailers, ("x-sum", "1"), end=True),
            )


class Scene(NamedTuple):
    gate: WholeGate
    upstream: Upstream
    ask: Callable[[str], Told]

    def outcome(self, target: str, said: Said) -> dict[str, Any]:
        """What is on record of one request that is answered so."""
        self.upstream.said = said
        told = self.ask(target)
        assert told.status == said.status
        assert not any("passport-cost" in name for name in told.names)
        assert "cost" not in self.upstream.asked[-1]
        return self.gate.line("outcome", told.decision_id)


def _ask_http1(gate: WholeGate, passport: str) -> Callable[[str], Told]:
    def ask(target: str) -> Told:
        with connected(gate.port) as client:
            client.send(
                f"GET {target} HTTP/1.1\r\nHost: a\r\nAuthorization: Passport {passport}\r\n"
                f"{COST}: 1\r\nTE: trailers\r\nConnection: TE\r\n\r\n".encode()
            )
            found = client.answer()
            lines = (found.head + found.trailers).decode().splitlines()
            names = {line.partition(":")[0].lower() for line in lines}
            return Told(found.status, names, found.header("Passport-Decision-Id") or "")

    return ask


def _ask_http2(gate: WholeGate, passport: str) -> Callable[[str], Told]:
    def ask(target: str) -> Told:
        with http2(gate.port) as client:
            sent = [("authorization", f"Passport {passport}"), (COST.lower(), "1")]
            found = client.get(target, *sent, ("te", "trailers"))
            names = {*found.headers, *found.trailers}
            return Told(found.status, names, found.headers["passport-decision-id"])

    return ask


@contextlib.contextmanager
def scene(
    directory: Path, upstream_http2: bool, client_http2: bool, **limits: Any
) -> Iterator[Scene]:
    upstream = Upstream()
    script = speaking(upstream.http2, Conversation()) if upstream_http2 else upstream.http1
    with (
        RawUpstream(script) as raw,
        whole_gate(
            directory, raw.port, limits=PATIENT, config=CONFIG, http2=upstream_http2
        ) as gate,
    ):
        passport = gate.house.mint(constraints=limits or BUDGET)
        ask = (_ask_http2 if client_http2 else _ask_http1)(gate, passport)
        yield Scene(gate, upstream, ask)


def spent(gate: WholeGate) -> int:
    """All that is taken of budgets."""
    now = gate.house.clock()
    names = [name for name in gate.house.ledger._by_name if name.startswith("spend/")]
    charges = tuple(Charge(name, "spend", "daily", 0, 10**9, "k") for name in names)
    return sum(10**9 - balance.remaining for balance in gate.house.ledger.balances(charges, now))


both = pytest.mark.parametrize("upstream_http2", [False, True], ids=["to-http1", "to-http2"])
either = pytest.mark.parametrize("client_http2", [False, True], ids=["from-http1", "from-http2"])


@both
@either
def test_a_whole_answer_corrects_its_cost(
    tmp_path: Path, upstream_http2: bool, client_http2: bool
) -> None:
    """In its head or its trailers, once; the header stays at the gate, whatever becomes of it."""
    cases = [
        (Said(), 50, None),
        (Said(head=("7",)), 7, "applied"),
        (Said(trailers=("0",)), 0, "applied"),
        (Said(head=("50",)), 50, "applied"),
        (Said(head=("51",)), 50, "clamped"),
        (Said(trailers=("9" * 400,)), 50, "clamped"),
        (Said(head=("-1",)), 50, "malformed"),
        (Said(head=("1.5",)), 50, "malformed"),
        (Said(head=("",)), 50, "malformed"),
        (Said(head=("7", "7")), 50, "malformed"),
        (Said(trailers=("7", "7")), 50, "malformed"),
        (Said(head=("7",), trailers=("7",)), 50, "malformed"),
        (Said(head=("7",), status=404), 7, "applied"),
        (Said(head=("0",), status=500), 50, "ignored"),
        (Said(trailers=("0",), status=503), 50, "ignored"),
    ]
    with scene(tmp_path, upstream_http2, client_http2) as the:
        total = 0
        for said, settled, note in cases:
            outcome = the.outcome("/metered", said)
            assert (outcome["settled_cents"], outcome.get("cost_correction")) == (settled, note)
            assert outcome["released"] is False
            total += settled
        assert spent(the.gate) == total
        assert the.gate.house.tally.settled_cents == total


@both
@either
def test_elsewhere_the_upstream_has_no_say(
    tmp_path: Path, upstream_http2: bool, client_http2: bool
) -> None:
    """On another route, or without a budget: nothing is noted, nothing is passed on."""
    with scene(tmp_path, upstream_http2, client_http2) as the:
        outcome = the.outcome("/fixed", Said(head=("7",), trailers=("7",)))
        assert outcome["settled_cents"] == 50
        assert "cost_correction" not in outcome


def test_what_is_not_charged_is_corrected_on_record(tmp_path: Path) -> None:
    """A passport without a budget reserves nothing; what its requests cost is known too."""
    with scene(tmp_path, False, False, **{"core:rate:max_per_minute": 100}) as the:
        outcome = the.outcome("/metered", Said(head=("7",)))
        assert (outcome["settled_cents"], outcome["cost_correction"]) == (7, "applied")
