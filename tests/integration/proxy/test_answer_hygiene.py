"""HTTP hygiene of answers, over raw sockets and through a whole gate, named by their rules.

Each upstream's bytes are sent whole and byte by byte, and must come out the same: what the client
gets, whether that is a whole answer, whether the upstream's connection is used again, and the
outcome on record.
"""

from collections.abc import Iterator

import pytest
from tests.support.hygiene import ANSWER_CASES
from tests.support.hygiene.case import HEADER_BYTES, HEADERS, AnswerCase, request
from tests.support.raw_http import OK, Peer, RawUpstream, until
from tests.support.readers import answer_by_h11
from tests.support.whole_gate import WholeGate, whole_gate

from passgate.proxy.settings import Limits

LIMITS = Limits(header_bytes=HEADER_BYTES, headers=HEADERS)
SHORT = {"first_byte_timeout": 0.3, "idle_timeout": 0.3}


class Misbehaving:
    """An upstream's script: the case to the first request, and an ordinary answer to others."""

    def __init__(self) -> None:
        self.case: AnswerCase | None = None
        self.bytewise = False
        self.sent = False

    def begin(self, case: AnswerCase, *, bytewise: bool) -> None:
        """The next request gets this answer."""
        self.case, self.bytewise, self.sent = case, bytewise, False

    def __call__(self, peer: Peer) -> None:
        while peer.request() is not None:
            case, self.case = self.case, None
            if case is None:
                peer.send(OK)
                continue
            step = 1 if self.bytewise else max(len(case.sent), 1)
            for at in range(0, len(case.sent), step):
                peer.send(case.sent[at : at + step])
            self.sent = True
            if case.ends:
                return


@pytest.fixture(scope="module")
def upstream() -> Iterator[RawUpstream]:
    with RawUpstream(Misbehaving()) as upstream:
        yield upstream


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def patient(
    upstream: RawUpstream,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[WholeGate]:
    directory = tmp_path_factory.mktemp("gate")
    plain = request.param == "asyncio"
    with whole_gate(
        directory, upstream.port, limits=LIMITS, plain_asyncio=plain, pool_idle=60.0
    ) as gate:
        yield gate


@pytest.fixture(scope="module")
def impatient(
    upstream: RawUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WholeGate]:
    directory = tmp_path_factory.mktemp("gate")
    with whole_gate(directory, upstream.port, limits=LIMITS, **SHORT) as gate:
        yield gate


CASES = [case for case in ANSWER_CASES if not case.stalls]
STALLS = [case for case in ANSWER_CASES if case.stalls]
DELIVERY = pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytewise"])


@DELIVERY
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_case(upstream: RawUpstream, patient: WholeGate, case: AnswerCase, bytewise: bool) -> None:
    """The case has the outcome that its table says."""
    check(upstream, patient, case, bytewise=bytewise)


@DELIVERY
@pytest.mark.parametrize("case", STALLS, ids=lambda case: case.id)
def test_upstream_that_stalls(
    upstream: RawUpstream, impatient: WholeGate, case: AnswerCase, bytewise: bool
) -> None:
    """An upstream that says no more is not waited for: 504, or the answer is cut."""
    check(upstream, impatient, case, bytewise=bytewise)


def check(upstream: RawUpstream, gate: WholeGate, case: AnswerCase, *, bytewise: bool) -> None:
    """One exchange with the case, and another one after it, which must be sound."""
    script = upstream.script
    assert isinstance(script, Misbehaving)
    until(lambda: gate.proxy.upstream_connections == 0, "no upstream connection is left")
    upstream.seen.clear()
    script.begin(case, bytewise=bytewise)
    with gate.client() as client:
        client.send(case.asked)
        raw, reset = client.until_end()
    interim, answer = answer_by_h11(raw, case.method, ended=not reset)
    assert interim == list(case.interim)
    assert answer.status == case.status
    if case.code:
        assert b'"%b"' % case.code.encode() in answer.body
    else:
        assert answer.body == case.body or (case.cut and case.body.startswith(answer.body))
    assert answer.trailers == case.trailers
    # A body that only the end of the connection delimits is broken by a reset alone.
    assert (reset or not answer.whole) if case.cut else (answer.whole and not reset)
    outcome = gate.line("outcome", dict(answer.headers)[b"passport-decision-id"].decode())
    assert outcome["status"] == case.status
    failed = bool(case.cut or case.code)
    assert outcome["outcome"] == ("upstream_failed" if failed else "completed")
    late = ("upstream_timeout" if case.stalls else "upstream_bad_response") if case.cut else ""
    assert outcome.get("reason_code", "") == (case.code or late)

    until(lambda: script.sent, "the upstream has sent all")
    if not case.reused:
        until(lambda: gate.proxy.upstream_connections == 0, "the upstream's connection is closed")
    with gate.client() as client:
        client.send(request(b"Connection: close"))
        again = client.answer()
        assert (again.status, again.body) == (200, b"ok")
        assert client.is_closed()
    assert len(upstream.seen) == (1 if case.reused else 2)
    close_idle(gate)


def close_idle(gate: WholeGate) -> None:
    """Leaves no idle upstream connection to the next case."""
    gate.loop.call_soon_threadsafe(gate.proxy._plane.pool.sweep, float("inf"))


def test_every_case_has_a_name_of_its_own() -> None:
    """A case is counted once."""
    assert len({case.id for case in ANSWER_CASES}) == len(ANSWER_CASES)
