"""A body that a rule judges: read whole, in one way only, and forwarded as exactly those bytes."""

import gzip
import hashlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.raw_http import Client, Received
from tests.support.running_gate import RunningGate, eventually, running_gate

from passgate.log import read_lines
from passgate.testing import FakeUpstream, mint

LIMIT = 8192
JSON = "Content-Type: application/json"
CHUNKED = "Transfer-Encoding: chunked"


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory, upstream: FakeUpstream) -> Iterator[RunningGate]:
    routes = [
        {"match": "POST /orders", "action": "shop:order", "amount": "body:/amount",
         "vendor": "body:/vendor", "require": ["amount", "vendor"]},
        {"match": "POST /free", "action": "shop:free"},
    ]  # fmt: skip
    config = {
        "actions": {"routes": routes},
        "limits": {
            "judged_body_bytes": LIMIT,
            "body_idle_timeout": "1s",
            "refusals_per_second": 1000,
        },
    }
    directory = tmp_path_factory.mktemp("gate")
    with running_gate(directory, upstream.url, config=config) as running:
        yield running


@pytest.fixture(scope="module")
def passport(gate: RunningGate) -> str:
    limited = {"core:scope:resource_allowlist": ["acme"]}
    order = {"permission_key": "shop:order", "constraints": limited}
    return mint(issuer=gate.issuer, agent="agent_1", permissions=[order, "shop:free"])


@pytest.fixture
def client(gate: RunningGate) -> Iterator[Client]:
    with Client(socket.create_connection(("127.0.0.1", gate.port), 5)) as connected:
        yield connected


def head(passport: str, *lines: str, path: str = "/orders") -> bytes:
    fixed = (f"POST {path} HTTP/1.1", "Host: api", f"Authorization: Passport {passport}")
    return "\r\n".join((*fixed, *lines, "", "")).encode()


def ask(client: Client, passport: str, body: bytes, *lines: str) -> Received:
    client.send(head(passport, *lines, f"Content-Length: {len(body)}") + body)
    return client.answer()


def order(padding: int = 0) -> bytes:
    """An order with whatever two readers might write differently, of at least `padding` bytes."""
    return (
        b' {"vendor" : "\\u0061cme",\t"amount":1.50,\r\n "x":[1e400,-0,"\xc3\xa9"],"pad":"'
        + b"." * padding
        + b'"}\n '
    )


@pytest.mark.parametrize("size", [1, 7, 4096])
@pytest.mark.parametrize("how", ["length", "chunked", "expect"])
def test_what_is_judged_is_what_is_forwarded(
    client: Client, passport: str, upstream: FakeUpstream, how: str, size: int
) -> None:
    """The upstream gets exactly the judged bytes, with their length, however they came."""
    body = order(2000)
    assert len(body) < LIMIT
    before = len(upstream.seen)
    if how == "chunked":
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        client.send(head(passport, JSON, CHUNKED) + chunks + b"0\r\n\r\n")
    elif how == "expect":
        client.send(head(passport, JSON, f"Content-Length: {len(body)}", "Expect: 100-continue"))
        assert client.answer().status == 100
        client.send(body)
    else:
        client.send(head(passport, JSON, f"Content-Length: {len(body)}") + body[:size])
        client.send(body[size:])

    assert client.answer().status == 200
    (seen,) = upstream.seen[before:]
    assert hashlib.sha256(seen.body).digest() == hashlib.sha256(body).digest()
    assert seen.header("Content-Length") == str(len(body))
    assert seen.header("Transfer-Encoding") is None
    assert seen.header("Expect") is None


UNFIT = [
    (415, (), b"{}"),
    (415, ("Content-Type: text/plain",), b"{}"),
    (415, ("Content-Type: application/json; charset=latin-1",), b"{}"),
    (415, (JSON, "Content-Encoding: gzip"), gzip.compress(order())),
    (415, (JSON, "Content-Encoding: identity"), order()),
    (400, (JSON,), b'{"vendor":"acme","vendor":"acme","amount":1}'),
    (400, (JSON,), b'{"vendor":"acme","amount":1,"x":[{"y":{"z":1,"\\u007a":1}}]}'),
    (400, (JSON,), b'{"vendor":"acme","amount":1,"Vendor":"other"}'),
    (400, (JSON,), b'{"vendor":"ac\xffme","amount":1}'),
    (400, (JSON,), b'{"vendor":"acme","amount":1,"x":"\xed\xa0\x80"}'),
    (400, (JSON,), b'{"vendor":"acme","amount":1,"x":"\xc0\xaf"}'),
    (400, (JSON,), b'{"vendor":"acme","amount":1,"x":"\\ud800"}'),
    (400, (JSON,), b"\xef\xbb\xbf" + order()),
    (400, (JSON,), order().decode().encode("utf-16")),
    (400, (JSON,), b'{"vendor":"acme","amount":1,"x":NaN}'),
    (400, (JSON,), b'{"vendor":"acme","amount":Infinity}'),
    (400, (JSON,), b'{"vendor":"acme","amount":1,"x":' + b"[" * 64 + b"]" * 64 + b"}"),
    (400, (JSON,), b"[" * 4000),
    (400, (JSON,), b'{"vendor":"acme","amount":1234567890123456789}'),
    (400, (JSON,), b'{"vendor":"acme","amount":1e2}'),
    (400, (JSON,), b'{"vendor":"acme","amount":-1}'),
    (400, (JSON,), b'{"vendor":"acme","amount":"' + b"9" * 5000 + b'"}'),
    (400, (JSON,), b'{"vendor":"acme","amount":' + b"9" * 5000 + b"}"),
    (400, (JSON,), order() + b"{}"),
    (400, (JSON,), order() + b"\0"),
    (400, (JSON,), b""),
    (400, (JSON,), b"vendor=acme&amount=1"),
    (403, (JSON,), b'{"vendor":"other","amount":1}'),
]


@pytest.mark.parametrize(
    ("status", "lines", "body"), UNFIT, ids=[f"{at}-{case[0]}" for at, case in enumerate(UNFIT)]
)
def test_what_cannot_be_judged_reaches_nobody(
    client: Client, passport: str, upstream: FakeUpstream, gate: RunningGate,
    status: int, lines: tuple[str, ...], body: bytes,
) -> None:  # fmt: skip
    """Each is refused with its status and put on record, and the connection goes on."""
    before = len(upstream.seen)

    answer = ask(client, passport, body, *lines)

    assert answer.status == status
    assert len(upstream.seen) == before
    assert ask(client, passport, order(), JSON).status == 200
    decision_id = answer.header("Content-Type") and _member(answer.body, "decision_id")
    (line,) = eventually(lambda: _on_record(gate, decision_id))
    code = "constraint_violated" if status == 403 else "request_malformed"
    assert (line["decision"], line["reason_code"]) == ("block", code)


def test_a_body_of_two_types_has_none(
    client: Client, passport: str, upstream: FakeUpstream
) -> None:
    """Content-Type is a singleton (RFC 9110 section 5.3): two, though alike, are refused."""
    before = len(upstream.seen)

    assert ask(client, passport, order(), JSON, JSON).status == 400
    assert len(upstream.seen) == before


def test_a_declared_length_too_long_is_refused_unread(
    client: Client, passport: str, upstream: FakeUpstream
) -> None:
    """413 by the head alone: no byte of the body is waited for, nor asked for."""
    before = len(upstream.seen)
    client.send(head(passport, JSON, f"Content-Length: {LIMIT + 1}", "Expect: 100-continue"))

    answer = client.answer()

    assert answer.status == 413
    assert answer.header("Connection") == "close"
    assert client.is_closed()
    assert len(upstream.seen) == before


def test_chunks_too_many_are_refused_as_soon_as_they_are(
    client: Client, passport: str, upstream: FakeUpstream
) -> None:
    """413 with the first byte too many, though the body never ends."""
    before = len(upstream.seen)
    client.send(head(passport, JSON, CHUNKED) + b"%x\r\n%b\r\n" % (LIMIT, b" " * LIMIT))
    client.send(b"1\r\n ")

    assert client.answer().status == 413
    assert client.is_closed()
    assert len(upstream.seen) == before


def test_a_body_at_the_limit_is_judged(client: Client, passport: str) -> None:
    """The limit itself is allowed, in both framings."""
    body = order(LIMIT - len(order()))
    assert len(body) == LIMIT
    assert ask(client, passport, body, JSON).status == 200
    client.send(head(passport, JSON, CHUNKED) + b"%x\r\n%b\r\n0\r\n\r\n" % (LIMIT, body))
    assert client.answer().status == 200


def test_other_routes_take_any_body(client: Client, passport: str, upstream: FakeUpstream) -> None:
    """Where no rule judges the body, its type, coding and size up to the limit are its own."""
    body = gzip.compress(b"anything") + bytes(LIMIT)
    client.send(head(passport, f"Content-Length: {len(body)}", path="/free") + body)

    assert client.answer().status == 200
    assert upstream.seen[-1].body == body


def test_a_judged_body_that_stops_coming(
    client: Client, passport: str, upstream: FakeUpstream
) -> None:
    """408, and nothing of it reaches the upstream."""
    before = len(upstream.seen)
    client.send(head(passport, JSON, "Content-Length: 500") + b'{"vendor":')

    assert client.answer().status == 408
    assert client.is_closed()
    assert len(upstream.seen) == before


def test_a_revocation_overtakes_a_slow_body(
    client: Client, gate: RunningGate, upstream: FakeUpstream, tmp_path: Path
) -> None:
    """Whoever is revoked between the head and the end of the body is refused."""
    doomed = mint(issuer=gate.issuer, agent="agent_2", passport_id="pass_doomed",
                  permissions=["shop:*"])  # fmt: skip
    body = order()
    before = len(upstream.seen)
    client.send(head(doomed, JSON, f"Content-Length: {len(body)}", "Expect: 100-continue"))
    assert client.answer().status == 100
    gate.revoke(("passport", "pass_doomed"))
    other = head(doomed, path="/free")
    try:
        eventually(lambda: _refused(gate, client, other), 5)
        client.send(body)

        answer = client.answer()
    finally:
        gate.revoke()
    assert answer.status == 401
    assert _member(answer.body, "code") == "passport_revoked"
    assert all(seen.target == "/free" for seen in upstream.seen[before:])


def _refused(gate: RunningGate, slow: Client, request: bytes) -> bool:
    """Whether a request of its own is refused now; `slow` keeps on sending, so as not to stall."""
    with Client(socket.create_connection(("127.0.0.1", gate.port), 5)) as other:
        other.send(request)
        return other.answer().status == 401


def _member(body: bytes, name: str) -> str:
    return str(json.loads(body)[name])


def _on_record(gate: RunningGate, decision_id: str) -> list[dict[str, object]]:
    lines = [dict(line) for line in read_lines(gate.log_directory)]
    return [
        line for line in lines if line["kind"] == "decision" and line["decision_id"] == decision_id
    ]
