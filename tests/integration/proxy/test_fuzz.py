"""The data plane under hostile bytes and timing, without sockets: a bounded run of `tests.fuzz`.

What must hold stands in `tests.fuzz.world`; `make fuzz` runs a million executions.
"""

import pytest
from tests.fuzz.__main__ import KINDS, plan_of, run
from tests.fuzz.plan import Plan
from tests.fuzz.shrink import shrunk
from tests.fuzz.world import World
from tests.support.hygiene import ANSWER_CASES, REQUEST_CASES
from tests.support.hygiene.case import AnswerCase, RequestCase, request

EXECUTIONS = 1_500


@pytest.mark.parametrize("kind", range(len(KINDS)), ids=KINDS)
def test_invariant_holds(kind: int) -> None:
    """No execution of a fixed seed raises or breaks the invariant."""
    assert run(2026, range(kind, EXECUTIONS * len(KINDS), len(KINDS))) == 0


def outcome(plan: Plan) -> tuple[object, ...]:
    """What came of a plan with one client: its answers, its end, what the upstream saw whole."""
    world = World(plan)
    world.run()
    client = world.clients[0]
    answers, tunnel, part = world.answers(client)
    return (
        [(answer.first, answer.body, answer.lines) for answer in answers],
        tunnel,
        part,
        client.transport.cut,
        [
            (each.number, each.target, each.body)
            for upstream in world.upstreams
            for each in upstream.whole
        ],
        [(judged.method, judged.target, judged.outcomes) for judged in world.judge.judged],
        world.judge.refused,
    )


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize("case", REQUEST_CASES, ids=lambda case: case.id)
def test_request_has_one_outcome(case: RequestCase) -> None:
    """However a request is cut into packets, what comes of it is the same to the byte."""
    data = b"".join(sent for sent, _ in case.steps)
    step = max(len(data) // 5, 1)

    def of(*pieces: bytes) -> tuple[object, ...]:
        return outcome(Plan([("client", 0, piece) for piece in pieces if piece], [OK]))

    whole = of(data)
    for at in range(1, len(data), step):
        assert of(data[:at], data[at:]) == whole, at
    size = 1 if len(data) < 1000 else 100
    assert of(*(data[at : at + size] for at in range(0, len(data), size))) == whole


@pytest.mark.parametrize("case", ANSWER_CASES, ids=lambda case: case.id)
def test_answer_has_one_outcome(case: AnswerCase) -> None:
    """However an answer is cut into packets, what comes of it is the same."""

    def of(*pace: int) -> tuple[object, ...]:
        return outcome(
            Plan([("client", 0, case.asked), ("client", 0, request())], [case.sent, OK], [*pace])
        )

    whole = of(0)[1:]
    for pace in (1, 3, 20) if len(case.sent) < 1000 else (100,):
        assert of(pace)[1:] == whole, pace


def test_failures_are_made_small() -> None:
    """What does not matter to a failure is taken out of its plan."""
    plan = plan_of(1, 0)
    plan.events.append(("client", 0, b"before the needle and after"))

    small = shrunk(plan, lambda each: any(b"needle" in data for _, _, data in each.events))

    assert small.events == [("client", 0, b"needle")]
    assert (small.answers, small.pace, small.rooms) == ([b""], [0], (0, 0))
