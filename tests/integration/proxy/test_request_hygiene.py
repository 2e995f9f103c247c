"""HTTP hygiene of requests, over raw sockets and through a whole gate, named by their rules.

Each case is sent whole and byte by byte, and must come out the same: the answers, whether the
connection goes on, what the upstream has seen, and the reason on record.
"""

from collections.abc import Iterator

import pytest
from tests.support.hygiene import REQUEST_CASES
from tests.support.hygiene.case import (
    BODY_BYTES,
    HEADER_BYTES,
    HEADERS,
    JUDGED_BYTES,
    TARGET_BYTES,
    Arrived,
    RequestCase,
)
from tests.support.raw_http import Client, Peer, RawUpstream, Received, until
from tests.support.readers import Reading, requests_in
from tests.support.whole_gate import OPEN, WholeGate, whole_gate

from passgate.proxy.settings import Limits

LIMITS = Limits(
    header_bytes=HEADER_BYTES, headers=HEADERS, target_bytes=TARGET_BYTES, body_bytes=BODY_BYTES
)
CONFIG = OPEN | {"limits": OPEN["limits"] | {"judged_body_bytes": JUDGED_BYTES}}
PROBE = b"GET /probe HTTP/1.1\r\nHost: api.example\r\n\r\n"


def once(peer: Peer) -> None:
    """Answers one request and closes, so that what was seen belongs to one exchange."""
    if peer.request() is not None:
        body = b"" if peer.seen.requests[0].startswith(b"HEAD ") else b"ok"
        peer.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n" + body)
    peer.rest()


@pytest.fixture(scope="module")
def gate(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[RawUpstream, WholeGate]]:
    directory = tmp_path_factory.mktemp("gate")
    with (
        RawUpstream(once) as upstream,
        whole_gate(directory, upstream.port, limits=LIMITS, config=CONFIG) as gate,
    ):
        yield upstream, gate


def as_arrived(reading: Reading, expected: Arrived) -> Arrived:
    """What arrived, told in the terms of what was expected."""
    lines = {b"%b: %b" % (name, value.lower()) for name, value in reading.headers}
    assert set(expected.lines) <= lines, lines
    assert not lines & set(expected.not_lines), lines
    assert not [name for name, _ in reading.headers if b"_" in name]
    return Arrived(reading.target, reading.method, reading.body, expected.lines, expected.not_lines)


def converse(client: Client, case: RequestCase, *, bytewise: bool) -> list[Received]:
    """Sends the steps and returns the answers to them."""
    answers: list[Received] = []
    for sent, statuses in case.steps:
        (client.send_bytewise if bytewise else client.send)(sent)
        for _ in statuses:
            method = case.methods[len(answers)] if len(answers) < len(case.methods) else "GET"
            answers.append(client.answer(method))
    return answers


@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytewise"])
@pytest.mark.parametrize("case", REQUEST_CASES, ids=lambda case: case.id)
def test_case(gate: tuple[RawUpstream, WholeGate], case: RequestCase, bytewise: bool) -> None:
    """The case has the outcome that its table says."""
    upstream, plane = gate
    upstream.seen.clear()
    with plane.client() as client:
        answers = converse(client, case, bytewise=bytewise)
        assert [answer.status for answer in answers] == [
            status for _, statuses in case.steps for status in statuses
        ]
        said_close = answers[-1].header("Connection") == "close"
        assert said_close == case.closes
        if case.closes:
            assert client.is_closed()
        else:
            # The framing was understood to the byte: the next request is read as such.
            (client.send_bytewise if bytewise else client.send)(PROBE)
            assert client.answer().status == 200

    until(lambda: plane.proxy.upstream_connections == 0, "no upstream connection is left")
    whole: list[Reading] = []
    parts = 0
    for seen in upstream.settled():
        if seen.received:
            readings, more = requests_in(bytes(seen.received))
            assert len(readings) + more == 1, seen.received
            whole += readings
            parts += more
    if not case.closes:
        assert whole.pop().target == b"/probe"
    assert [reading.target for reading in whole] == [one.target for one in case.arrived]
    assert tuple(map(as_arrived, whole, case.arrived)) == case.arrived
    assert parts <= case.cut
    check_record(plane, case, answers[-1])


def check_record(plane: WholeGate, case: RequestCase, last: Received) -> None:
    """The record of the last answer says what the client was told, and why."""
    decision_id = last.header("Passport-Decision-Id")
    assert decision_id is not None
    line = plane.line("decision", decision_id)
    if case.code:
        assert (line["decision"], line["reason_code"]) == ("block", case.code)
        assert b'"%b"' % case.code.encode() in last.body
    else:
        assert line["decision"] == "allow"
        assert plane.line("outcome", decision_id)["status"] == 200


def test_every_case_has_a_name_of_its_own() -> None:
    """A case is counted once."""
    assert len({case.id for case in REQUEST_CASES}) == len(REQUEST_CASES)
