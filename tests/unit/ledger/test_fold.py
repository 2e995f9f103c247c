"""Counters as a fold over log lines."""

from typing import Any

import pytest

from passgate.errors import DataError
from passgate.ledger.fold import Fold, fold

AT = "2027-01-15T08:00:00.250Z"
WALL = 1_800_000_000.25
MS = 1_800_000_000_250
RATE, SPEND, TOTAL = "rate/60/passport|i|p", "spend/daily/agent|i|a", "total/total/passport|i|p"


def allow(seq: int, decision_id: str = "att_1", time: str = AT, **charges: int) -> dict[str, Any]:
    names = {"rate": RATE, "spend": SPEND, "total": TOTAL, "concurrent": "concurrent/now/x"}
    return {
        "kind": "decision",
        "decision": "allow",
        "decision_id": decision_id,
        "seq": seq,
        "time": time,
        "charges": [{"counter": names[k], "amount": v} for k, v in charges.items()],
    }


def outcome(seq: int, decision_id: str = "att_1", **members: Any) -> dict[str, Any]:
    return {"kind": "outcome", "decision_id": decision_id, "seq": seq, "time": AT, **members}


def used(folded: Fold) -> dict[str, int]:
    time = folded.time
    found = folded.counters.by_name.items()
    return {name: c.used_at(int(time.steady * 1000), time.wall) for name, c in found}


def test_an_allowed_decision_takes_its_charges() -> None:
    folded = fold([allow(0, rate=1, spend=50, total=1), allow(1, "att_2", spend=7)])
    assert used(folded) == {RATE: 1, SPEND: 57, TOTAL: 1}
    assert folded.position == 2


def test_charges_count_at_the_time_of_their_line() -> None:
    folded = fold([allow(0, rate=1)])
    (counter,) = folded.counters.by_name.values()
    assert counter.used_at(MS - MS % 1000 + 60_999, 0.0) == 1
    assert counter.used_at(MS - MS % 1000 + 61_000, 0.0) == 0


def test_a_line_with_an_earlier_time_counts_at_the_latest_one() -> None:
    """A clock set back must not put charges into windows that have passed."""
    folded = fold([allow(0, rate=1), allow(1, "att_2", time="2027-01-15T06:00:00.000Z", rate=1)])
    assert used(folded) == {RATE: 2}


@pytest.mark.parametrize(
    "line",
    [
        {**allow(0, rate=1), "decision": "block"},
        {**allow(0, rate=1), "decision": "request_hold"},
        {"kind": "start", "seq": 0, "time": AT},
        {"kind": "decision", "decision": "allow", "decision_id": "d", "seq": 0, "time": AT},
    ],
)
def test_nothing_else_takes_anything(line: dict[str, Any]) -> None:
    folded = fold([line])
    assert used(folded) == {}
    assert folded.position == 1


def test_what_is_in_flight_is_not_restored() -> None:
    assert used(fold([allow(0, concurrent=1)])) == {}


def test_a_released_outcome_takes_everything_back() -> None:
    assert used(fold([allow(0, rate=1, spend=50, total=1), outcome(1, released=True)])) == {
        RATE: 0,
        SPEND: 0,
        TOTAL: 0,
    }


@pytest.mark.parametrize(
    ("settled", "left"), [(None, 50), (20, 20), (0, 0), (50, 50), (80, 50), (-5, 0)]
)
def test_a_settled_outcome_lowers_spend_alone_and_never_raises_it(
    settled: int | None, left: int
) -> None:
    lines = [allow(0, rate=1, spend=50), outcome(1, released=False, settled_cents=settled)]
    assert used(fold(lines)) == {RATE: 1, SPEND: left}


def test_an_outcome_counts_once() -> None:
    """Attack: an outcome repeated, or one of a decision that is not known, gives nothing back."""
    lines = [
        allow(0, "att_1", spend=50),
        allow(1, "att_2", spend=50),
        outcome(2, "att_1", released=True),
        outcome(3, "att_1", released=True),
        outcome(4, "att_9", released=True),
    ]
    folded = fold(lines)
    assert used(folded) == {SPEND: 50}
    assert set(folded.open) == {"att_2"}


def test_a_counter_that_has_passed_meanwhile_gets_nothing_back() -> None:
    lines = [allow(0, rate=1)]
    lines += [allow(1 + i, f"att_x{i}", time="2027-01-16T08:00:00.000Z", spend=1) for i in range(9)]
    lines.append(outcome(10, released=True))
    assert used(fold(lines)) == {SPEND: 9}


def held(seq: int, hold_id: str = "appr_1", **members: Any) -> dict[str, Any]:
    if "spend" in members:
        members["charges"] = [{"counter": SPEND, "amount": members.pop("spend")}]
    return {"kind": "hold", "hold_id": hold_id, "seq": seq, "time": AT, **members}


def test_a_hold_takes_its_charges_until_it_is_released() -> None:
    """An approval in between changes nothing; the end of the hold gives everything back, once."""
    lines = [held(0, spend=50), held(1, "appr_2", spend=7)]
    assert used(fold(lines)) == {SPEND: 57}
    lines.append({**held(2), "kind": "approval", "decision": "approved"})
    assert used(fold(lines)) == {SPEND: 57}
    lines.append(held(3, released=True))
    folded = fold(lines)
    assert used(folded) == {SPEND: 7}
    assert set(folded.open) == {"appr_2"}
    lines += [{**held(4, "appr_2", released=True), "kind": "approval"}, held(5, released=True)]
    assert used(fold(lines)) == {SPEND: 0}


def test_what_is_reserved_anew_for_a_hold_takes_the_place_of_what_was() -> None:
    """Never both: a hold is charged once, however often its reservation moves."""
    folded = fold([held(0, spend=50), held(1, spend=20)])
    assert used(folded) == {SPEND: 20}
    assert used(fold([held(0, spend=50), held(1, charges=[])])) == {SPEND: 0}


def test_the_request_that_an_approval_lets_pass_is_charged_like_any_other() -> None:
    """Its decision takes, the hold's end gives back: between the two lines never less counts."""
    lines = [held(0, spend=50), allow(1, spend=50, rate=1)]
    assert used(fold(lines)) == {SPEND: 100, RATE: 1}
    lines += [held(2, released=True), outcome(3, released=False)]
    assert used(fold(lines)) == {SPEND: 50, RATE: 1}


def test_checkpoints_are_no_lines_of_the_count() -> None:
    folded = fold([allow(0, rate=1), {"kind": "checkpoint", "note": "…"}, allow(1, "b", rate=1)])
    assert used(folded) == {RATE: 2}


def test_a_fold_may_begin_anywhere() -> None:
    assert fold([allow(41, rate=1)], position=41).position == 42


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (allow(1, rate=1), "numbered 1"),
        ({**allow(0), "kind": "lease"}, "'lease' is not known"),
        ({"seq": 0}, "no 'kind'"),
        ({"kind": "decision", "seq": 0}, "no 'decision'"),
        ({**allow(0), "time": "yesterday"}, "yesterday"),
        ({**allow(0), "time": "2027-01-15T08:00:00.250"}, "offset"),
        ({**allow(0), "time": 7}, "str"),
        ({**allow(0), "charges": [{"counter": "spend/yearly/x", "amount": 1}]}, "spend/yearly"),
        ({**allow(0), "charges": [{"counter": SPEND, "amount": -1}]}, "-1 is no amount"),
        ({**allow(0), "charges": [{"counter": SPEND, "amount": True}]}, "True is no amount"),
        ({**allow(0), "charges": [{"counter": SPEND, "amount": 2**53}]}, "is no amount"),
        ({**allow(0), "charges": [{"counter": SPEND}]}, "no 'amount'"),
        ({**allow(0), "charges": 5}, "iterable"),
    ],
)
def test_a_line_that_cannot_be_counted_is_named(line: dict[str, Any], says: str) -> None:
    """A line that is skipped would be money forgotten."""
    with pytest.raises(DataError, match=says) as caught:
        fold([line])
    assert "log line 0" in str(caught.value)
    assert "audit verify" in str(caught.value)


@pytest.mark.parametrize("members", [{"released": "true"}, {"spend": -1}])
def test_a_hold_that_cannot_be_counted_is_named(members: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="log line 0"):
        fold([held(0, **members)])


@pytest.mark.parametrize("members", [{"released": "true"}, {"settled_cents": "5"}])
def test_an_outcome_that_cannot_be_counted_is_named(members: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="log line 1"):
        fold([allow(0, spend=50), outcome(1, **members)])


def minute(seq: int, number: Any, time: str = AT, amount: int = 2) -> dict[str, Any]:
    charges = [{"counter": SPEND, "amount": amount}]
    members = {"decision_id": "att_1", "minute": number, "charges": charges}
    return {"kind": "charge", "seq": seq, "time": time, **members}


def test_minutes_stay_charged_without_an_outcome() -> None:
    """As a crash leaves a stream: nothing that was forwarded is given back."""
    assert used(fold([allow(0, spend=7), minute(1, 2), minute(2, 3)])) == {SPEND: 11}


@pytest.mark.parametrize(
    ("members", "spent"),
    [
        ({"minutes": 3, "settled_cents": 11}, 11),
        ({"minutes": 2, "settled_cents": 9}, 9),
        ({"minutes": 1, "settled_cents": 7}, 7),
        ({"minutes": 3, "settled_cents": 6}, 6),
        ({"minutes": 3, "settled_cents": 4}, 4),
        ({"minutes": 2, "settled_cents": 4}, 4),
        ({"released": True}, 0),
    ],
)
def test_an_outcome_ends_the_minutes_of_its_decision(members: dict[str, Any], spent: int) -> None:
    """Those that began stay; what is lowered is what the decision took."""
    folded = fold([allow(0, spend=7), minute(1, 2), minute(2, 3), outcome(3, **members)])
    assert used(folded) == {SPEND: spent}
    assert not folded.open


def test_a_minute_comes_back_to_the_day_that_it_was_taken_from() -> None:
    """It was charged ahead, after midnight, and did not begin."""
    late = "2027-01-16T00:00:01.000Z"
    folded = fold(
        [
            allow(0, spend=7),
            minute(1, 2, late),
            outcome(2, minutes=1, settled_cents=7) | {"time": late},
        ]
    )
    assert used(folded) == {SPEND: 0}


@pytest.mark.parametrize("number", [None, True, "2", 2.0])
def test_what_is_no_number_of_minutes_is_not_counted(number: Any) -> None:
    with pytest.raises(DataError, match="`minute` is of a wrong type"):
        fold([allow(0, spend=7), minute(1, number)])
    with pytest.raises(DataError, match="`minutes` is of a wrong type"):
        fold([allow(0, spend=7), outcome(1, minutes=number, settled_cents=7)])


def keyed(seq: int, decision_id: str, *, repeated: bool = False, **charges: int) -> dict[str, Any]:
    key: dict[str, Any] = {"name": "agent|i|a/k", "digest": "d"}
    if repeated:
        key["repeated"] = True
    return {**allow(seq, decision_id, **charges), "idempotency": key}


REPEATED = [keyed(0, "att_1", rate=1, spend=50), keyed(1, "att_2", repeated=True, rate=1, spend=0)]


def test_an_operation_spends_once_and_its_rate_counts_each_time() -> None:
    assert used(fold(REPEATED)) == {RATE: 2, SPEND: 50}


def test_what_one_request_of_an_operation_gives_up_another_bears() -> None:
    """Released is what was never sent; the other may have been."""
    first = outcome(2, "att_1", released=True)
    assert used(fold([*REPEATED, first])) == {RATE: 1, SPEND: 50}
    both = [*REPEATED, first, outcome(3, "att_2", released=True)]
    assert used(fold(both)) == {RATE: 0, SPEND: 0}
    settled = [*REPEATED, first, outcome(3, "att_2", released=False, settled_cents=30)]
    assert used(fold(settled)) == {RATE: 1, SPEND: 30}


def test_the_first_request_of_an_operation_that_was_sent_settles_it() -> None:
    ends = [
        outcome(2, "att_2", released=False, settled_cents=30),
        outcome(3, "att_1", released=False, settled_cents=10),
    ]
    assert used(fold([*REPEATED, *ends])) == {RATE: 2, SPEND: 30}


def test_an_operation_of_which_nothing_was_sent_is_forgotten() -> None:
    folded = fold([keyed(0, "att_1", spend=50), outcome(1, "att_1", released=True)])
    assert len(folded.operations) == 0


def test_a_repeat_of_what_the_log_no_longer_has_spends_nothing() -> None:
    folded = fold([keyed(0, "att_1", repeated=True, rate=1, spend=0)])
    assert used(folded) == {RATE: 1}
    assert len(folded.operations) == 0


def test_who_had_open_requests_is_gone_and_they_stay_charged() -> None:
    """They may have been sent: a repeat is one, and gives nothing back if it is not sent itself."""
    folded = fold(REPEATED)
    folded.close()
    operation = folded.operations.known("agent|i|a/k")
    assert operation is not None
    assert (operation.open, operation.sent) == (0, True)


@pytest.mark.parametrize(
    "key", [{"name": "x/y"}, {"name": "x/y", "digest": 1}, {"name": "x", "digest": "d"}, 7]
)
def test_a_key_that_the_gate_does_not_write_is_no_line(key: Any) -> None:
    with pytest.raises(DataError, match="log line 0 cannot be counted"):
        fold([{**allow(0, spend=1), "idempotency": key}])
