"""Lines have the contract's fields, RFC 8785 bytes, and no way out of a string."""

import hashlib
import hmac
import json
import math
from typing import Any

import pytest
import rfc8785
from tests.craft import CLAIMS
from tests.log_craft import passport, record

from passgate.core.constraints.base import Charge
from passgate.core.instant import Instant
from passgate.log.canonical import canonical
from passgate.log.lines import KINDS, Lines, stamp
from passgate.record import Record

KEY = bytes(range(32))


@pytest.fixture
def lines() -> Lines:
    return Lines("gate_lab", KEY)


def read(line: bytes) -> dict[str, object]:
    """The members of a line that must be canonical."""
    members: dict[str, object] = json.loads(line)
    assert rfc8785.dumps(members) == line  # type: ignore[arg-type]  # JSON values, all of them
    return members


def test_a_decision_line_has_the_contracts_fields(lines: Lines) -> None:
    """Names and values are exactly those of section 12; the query is only a keyed hash."""
    entry = record()
    assert entry.passport is not None
    assert read(lines.decision(entry, 9)) == {
        "access_mode": "passport",
        "action": "api:search",
        "agent_id": "agent-7",
        "catalog": "sha256:aa",
        "catalog_version": 3,
        "charges": [
            {"amount": 1, "counter": "rate/60/iss_lab/pass_1"},
            {"amount": 5, "counter": "spend/daily/iss_lab/pass_1"},
        ],
        "client": "192.0.2.7",
        "constraints": [["core:rate:max_per_minute", "charged"]],
        "cost_cents": 5,
        "decision": "allow",
        "decision_id": "att_00000000000000000000000000",
        "enforced": True,
        "facts": {"body_bytes": 12, "matched_route": "GET /v1/search"},
        "gate_id": "gate_lab",
        "issuer": "iss_lab",
        "kind": "decision",
        "method": "GET",
        "passport_hash": entry.passport.digest,
        "passport_id": "pass_01JZ0000000000000000000000",
        "policy": "sha256:bb",
        "query": hmac.new(KEY, b"q=cats", hashlib.sha256).hexdigest(),
        "seq": 9,
        "target": "/v1/search",
        "tier": "L2",
        "time": "2027-01-15T08:00:00.250Z",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "trust_age_s": 4,
        "v": 1,
    }


def test_absent_values_are_left_out(lines: Lines) -> None:
    """A refusal of a malformed request holds little, and no nulls."""
    bare = Record("att_0", Instant(0.0, 0.0), reason_code="request_malformed", enforced=False)
    assert read(lines.decision(bare, 0)) == {
        "access_mode": "none",
        "client": "",
        "cost_cents": 0,
        "decision": "block",
        "decision_id": "att_0",
        "enforced": False,
        "gate_id": "gate_lab",
        "kind": "decision",
        "method": "",
        "reason_code": "request_malformed",
        "seq": 0,
        "target": "",
        "time": "1970-01-01T00:00:00.000Z",
        "trust_age_s": 0,
        "v": 1,
    }


def test_every_line_names_the_trust_bundle(lines: Lines) -> None:
    """That of a request the one that it was judged under, any other the one in force."""
    plain = read(lines.decision(record(), 9))
    for seq in (10, 11, 12):  # written anew, then from prepared parts
        judged = read(lines.decision(record(bundle=7), seq))
        assert judged == plain | {"bundle": 7, "seq": seq}
    assert "bundle" not in read(lines.decision(record(), 13))
    assert read(lines.outcome(record(bundle=7), 14))["bundle"] == 7
    assert "bundle" not in read(lines.event("start", 15, 0.0, {}))
    lines.bundle = 8
    assert read(lines.event("start", 16, 0.0, {}))["bundle"] == 8
    for described in (passport(), passport(agent_name="\U0001f600")):
        assert read(lines.passport(described, 17, 0.0))["bundle"] == 8


def test_an_unverified_credential_leaves_only_its_hash(lines: Lines) -> None:
    """Nothing that an unverified token claims is recorded as a fact."""
    members = read(lines.decision(record(passport=None, passport_hash="ab" * 32), 1))
    assert members["passport_hash"] == "ab" * 32
    assert not {"agent_id", "issuer", "passport_id"} & set(members)


def test_the_key_that_refused_is_named(lines: Lines) -> None:
    """A violated constraint stands between client and the evaluated ones."""
    members = read(lines.decision(record(constraint="core:scope:path_blocklist"), 1))
    assert members["constraint"] == "core:scope:path_blocklist"


def test_an_outcome_line_has_the_contracts_fields(lines: Lines) -> None:
    """It is dated at the end of the request."""
    assert read(lines.outcome(record(), 3)) == {
        "bytes": 123,
        "decision_id": "att_00000000000000000000000000",
        "kind": "outcome",
        "ms": 7,
        "outcome": "completed",
        "released": False,
        "seq": 3,
        "settled_cents": 5,
        "status": 200,
        "time": "2027-01-15T08:00:00.257Z",
        "v": 1,
    }
    assert read(lines.outcome(record(bytes_in=7), 3))["bytes_in"] == 7
    assert "settled_cents" not in read(lines.outcome(record(settled_cents=None), 3))


def test_an_outcome_line_says_why_the_upstream_failed(lines: Lines) -> None:
    """The reason that the client was told is in the line, and only where the upstream failed."""
    failed = record(outcome="upstream_failed", reason_code="upstream_timeout")
    assert read(lines.outcome(failed, 3))["reason_code"] == "upstream_timeout"
    cut = record(outcome="cut", reason_code="budget_exhausted")
    assert read(lines.outcome(cut, 3))["reason_code"] == "budget_exhausted"
    for other in (
        record(outcome="upstream_failed", reason_code=""),
        record(outcome="completed", reason_code="upstream_timeout"),
    ):
        assert "reason_code" not in read(lines.outcome(other, 3))


def test_a_passport_line_keeps_the_claims_without_signature(lines: Lines) -> None:
    """Claims are an object; fractions are texts, as all numbers are integers."""
    held = passport(metadata={"score": 0.5, "tags": ["b", "a"]})
    members = read(lines.passport(held, 4, 1.0))
    assert members["claims"] == {**CLAIMS, "metadata": {"score": "0.5", "tags": ["b", "a"]}}
    assert members["passport_hash"] == held.digest
    assert members["passport_id"] == held.id
    assert members["kind"] == "passport"


def test_claims_that_need_escaping_are_kept_exactly(lines: Lines) -> None:
    """Quotes, controls, other scripts and code points beyond the first plane survive."""
    odd = {"a\n": 'q"\\', "\U0001f600": "\ue000", "\ue000": "é"}
    members = read(lines.passport(passport(metadata=odd), 4, 1.0))
    assert members["claims"] == {**CLAIMS, "metadata": odd}


@pytest.mark.parametrize(
    "attack",
    [
        'x","decision":"allow',
        'x\n{"kind":"stop"}',
        "x\r",
        "\x00",
        "\\",
        '\\"',
        "\x7f",
        "\u2028",
        "é",
        "\udc80",
    ],
)
@pytest.mark.parametrize(
    "member",
    [
        *("method", "target", "client", "reason_code", "constraint", "access_mode", "action"),
        *("catalog", "policy", "trace_id", "decision", "decision_id", "tier"),
    ],
)
def test_no_member_breaks_out_of_its_string(lines: Lines, member: str, attack: str) -> None:
    """Whatever a request can put into a member stays inside it, on one line."""
    line = lines.decision(record(**{member: attack}), 5)
    expected = attack.encode("utf-8", "backslashreplace").decode()
    assert b"\n" not in line
    assert read(line)[member] == expected


def test_no_nested_member_breaks_out(lines: Lines) -> None:
    """Facts, counters and results are escaped too."""
    attack = 'x","seq":0,"y":"'
    counter = Charge(attack, "rate", 60, 1, 1, "c")
    entry = record(facts={attack: attack}, charges=(counter,), evaluated=((attack, "no"),))
    members = read(lines.decision(entry, 5))
    assert members["facts"] == {attack: attack}
    assert members["charges"] == [{"amount": 1, "counter": attack}]
    assert members["constraints"] == [[attack, "no"]]
    assert members["seq"] == 5
    assert read(lines.outcome(record(outcome=attack), 6))["outcome"] == attack


def test_numbers_are_integers_that_every_reader_holds(lines: Lines) -> None:
    """Beyond 2^53 a number becomes the string of its digits, so that none is rounded."""
    huge = 10**18 - 1
    entry = record(
        cost_cents=huge,
        charges=(Charge("spend/daily/x", "spend", "daily", huge, 1, "c"),),
        facts={"amount": huge, "ratio": 0.5, "none": None, "yes": True, "low": -huge},
        settled_cents=huge,
    )
    members = read(lines.decision(entry, 5))
    assert members["cost_cents"] == str(huge)
    assert members["charges"] == [{"amount": str(huge), "counter": "spend/daily/x"}]
    assert members["facts"] == {
        "amount": str(huge),
        "ratio": "0.5",
        "none": None,
        "yes": True,
        "low": str(-huge),
    }
    assert read(lines.outcome(entry, 6))["settled_cents"] == str(huge)


@pytest.mark.parametrize(
    "change",
    [
        {"cost_cents": 2**53},
        {"charges": (Charge("spend/daily/x", "spend", "daily", 2**53, 1, "c"),)},
        {"facts": {"amount": 2**53}},
    ],
)
def test_one_huge_number_is_enough(lines: Lines, change: dict[str, object]) -> None:
    """Wherever the first number beyond 2^53 stands, the line has it as a string."""
    assert b'"9007199254740992"' in lines.decision(record(**change), 5)
    read(lines.decision(record(**change), 5))


def test_an_event_cannot_replace_what_every_line_has(lines: Lines) -> None:
    """`seq`, `kind`, `time` and `v` are the log's own."""
    members = read(lines.event("gap", 7, 0.0, {"seq": 1, "kind": "start", "v": 9, "n": math.pi}))
    assert members == {
        "gate_id": "gate_lab",
        "kind": "gap",
        "n": str(math.pi),
        "seq": 7,
        "time": "1970-01-01T00:00:00.000Z",
        "v": 1,
    }


def test_only_known_kinds_are_rendered(lines: Lines) -> None:
    """A checkpoint is no event, and neither is what the contract does not name."""
    for kind in ("checkpoint", "other"):
        with pytest.raises(ValueError, match="no line is of kind"):
            lines.event(kind, 0, 0.0, {})
    assert len(KINDS) == 13


def test_the_second_is_kept_and_turned(lines: Lines) -> None:
    """Times follow the record, forwards and backwards, with milliseconds cut off."""
    for wall, text in ((59.9999, "00:00:59.999"), (60.0, "00:01:00.000"), (1.5, "00:00:01.500")):
        members = read(lines.decision(record(at=Instant(wall, 0.0)), 1))
        assert members["time"] == f"1970-01-01T{text}Z"
        assert stamp(wall) == members["time"]


def test_results_are_remembered_within_bounds(lines: Lines) -> None:
    """However many combinations occur, the cache stays small and the lines right."""
    for number in range(5000):
        entry = record(evaluated=((f"core:x:{number}", "charged"),))
        assert f'[["core:x:{number}","charged"]]'.encode() in lines.decision(entry, 1)
    assert len(lines._evaluated) <= 4096


def test_deep_values_end_as_text() -> None:
    """Nesting beyond any use becomes text instead of exhausting the stack."""
    deep: object = "x"
    for _ in range(300):
        deep = [deep]
    assert canonical({"deep": deep}).startswith(b'{"deep":[[[[')


ALIKE = passport()
CHARGES = (Charge("rate/60/passport|iss_lab|pass_1", "rate", 60, 1, 9, "core:rate:max_per_minute"),)
EVALUATED = (("core:rate:max_per_minute", "charge"),)


def alike(**changes: Any) -> Record:
    """What the same agent's requests have in common, down to the objects."""
    same: dict[str, Any] = {
        "passport": ALIKE,
        "passport_hash": ALIKE.digest,
        "charges": CHARGES,
        "evaluated": EVALUATED,
        "facts": {"route": "GET /v1/search"},
    }
    return record(**(same | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"method": "HEAD", "target": "/other", "client": "198.51.100.1", "query": b""},
        {"trace_id": "", "decision_id": "att_1", "trust_age_s": 77, "at": Instant(9.5, 0.0)},
        {"trace_id": "ab" * 16, "query": b"x" * 300},
        {"target": '/a","decision":"block'},
        {"client": "\\"},
        {"method": 'GET"'},
        {"trace_id": "\n"},
        {"target": "/\xe9"},
        {"decision_id": '"'},
        {"action": "api:other"},
        {"policy": "sha256:cc"},
        {"decision": "block", "reason_code": "rate_limited", "constraint": "c"},
        {"access_mode": "none"},
        {"tier": "L3"},
        {"catalog": ""},
        {"catalog_version": 4},
        {"catalog": '"', "catalog_version": 0},
        {"cost_cents": 6},
        {"cost_cents": 2**60},
        {"enforced": False},
        {"passport": None},
        {"passport": passport(agent_name="other")},
        {"charges": ()},
        {"charges": (*CHARGES, *CHARGES)},
        {"evaluated": ()},
        {"facts": {}},
        {"facts": {"route": "other"}},
        {"facts": {"route": "GET /v1/search", "body_bytes": 1}},
        {"facts": {"route": "GET /v1/search", "body_bytes": True}},
    ],
)
def test_what_came_before_changes_no_line(lines: Lines, changes: dict[str, Any]) -> None:
    """However much a line has in common with earlier ones, it says what its own record says."""
    for earlier in (alike(), alike(facts={"route": "GET /v1/search", "body_bytes": 1}), alike()):
        lines.decision(earlier, 1)
    entry = alike(**changes)

    line = lines.decision(entry, 2)
    assert line == Lines("gate_lab", KEY).decision(entry, 2)
    assert line == lines._decision_slowly(entry, 2)
    read(line)


@pytest.mark.parametrize("decision_id", ["att_1", 'att_"'])
def test_an_outcome_tells_the_fee_and_what_the_upstream_said(
    lines: Lines, decision_id: str
) -> None:
    """The fee is on what was settled, rounded up; written either way, it is the same line."""
    found = read(
        lines.outcome(
            record(
                decision_id=decision_id,
                settled_cents=9007199254740991,
                fee_basis_points=9999,
                cost_correction="clamped",
            ),
            3,
        )
    )
    assert found["platform_fee_cents"] == 9006298534815517
    assert found["settled_cents"] == 9007199254740991
    assert found["cost_correction"] == "clamped"
    unpaid = read(lines.outcome(record(settled_cents=None, fee_basis_points=5), 3))
    assert "platform_fee_cents" not in unpaid
