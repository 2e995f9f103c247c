"""Every constraint against its vectors: allowed, refused, edge, malformed, merged."""

import json
from pathlib import Path
from typing import Any

import pytest

from passgate.core.constraints import (
    CONSTRAINTS,
    ConstraintValueError,
    compile_owed,
    parse_constraints,
    problems,
    refusal_for,
)
from passgate.core.constraints.base import (
    NO_CONSTRAINTS,
    UNBOUNDED,
    Bounds,
    Charge,
    Recall,
)
from passgate.core.constraints.data import RESPONSE_TOO_LONG
from passgate.core.constraints.subjects import subject_of_counterparty, subject_of_passport
from passgate.core.facts import Facts
from passgate.core.header_rules import header_rules
from passgate.core.instant import Instant
from passgate.core.reasons import REASONS
from passgate.core.request import Request, RequestRules, Wire, canonical_request
from passgate.core.rfc3339 import parse_instant
from passgate.core.trust import Issuer, KeySet
from passgate.proxy.rewriting import told
from passgate.testing import revocations

VECTORS: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parents[3] / "vectors" / "constraints.json").read_text()
)["vectors"]
KINDS = {"allowed", "refused", "edge", "malformed", "merged"}

SUBJECT = subject_of_passport("iss_lab", "pass_1")
RULES = RequestRules(header_rules())

CASES = [
    pytest.param(key, vector, id=f"{key}-{vector['kind']}-{vector['name']}")
    for key, vectors in VECTORS.items()
    for vector in vectors
]


def a_request(
    method: str = "GET",
    target: str = "/v1/search",
    host: str = "api.example",
    client: str = "192.0.2.1",
    content_type: str | None = None,
    content_length: int | None = None,
    chunked: bool = False,
    upgrade: str = "",
    body: str | None = None,
) -> Request:
    """A request as the gate itself reads it from the wire, and its body where that was read."""
    headers = [(b"Host", host.encode())]
    if body is not None and content_type is None:
        content_type = "application/json"
    if content_type is not None:
        headers.append((b"Content-Type", content_type.encode()))
    if body is not None and not chunked:
        content_length = len(body.encode())
    if content_length is not None:
        headers.append((b"Content-Length", b"%d" % content_length))
    if chunked:
        headers.append((b"Transfer-Encoding", b"chunked"))
    if upgrade:
        headers += [(b"Connection", b"Upgrade"), (b"Upgrade", upgrade.encode())]
    request = canonical_request(Wire(method, target.encode(), headers, client), RULES)
    assert isinstance(request, Request), request
    request.body = b"" if body is None else body.encode()
    if body is None and (content_length or chunked):
        request.body = None
    return request


def the_facts(said: dict[str, Any]) -> Facts:
    """Facts with the tuples that JSON has no word for."""
    lists = {name: tuple(said[name]) for name in ("missing", "assurance") if name in said}
    return Facts(**said | lists)


def an_issuer(
    now: Instant,
    tier: str = "L2",
    max_stale_s: int = 3600,
    keys_age_s: int | None = None,
    list_age_s: int | None = None,
    list_expired: bool = False,
    revocations_required: bool = False,
) -> Issuer:
    """An issuer of which so much is known, since so long ago."""
    keys = known = None
    if keys_age_s is not None:
        keys = KeySet({}, "1", Instant(now.wall - keys_age_s, now.boot - keys_age_s))
    if list_age_s is not None:
        read_at = Instant(now.wall - list_age_s, now.boot - list_age_s)
        known = revocations(read_at, expires_at=now.wall if list_expired else now.wall + 1)
    return Issuer(
        "iss_lab",
        tier,
        frozenset({"jwt"}),
        ("*",),
        NO_CONSTRAINTS,
        max_stale_s,
        revocations_required,
        keys,
        known,
    )


def counter_of(charge: Charge) -> str:
    assert charge.counter == f"{charge.kind}/{charge.window}/{SUBJECT}"
    return f"{charge.kind}/{charge.window}"


def outcome(vector: dict[str, Any]) -> str:
    """What becomes of a vector's request, with counters that hold what it says."""
    try:
        owed = [(SUBJECT, parse_constraints(each)) for each in vector["constraints"]]
    except ConstraintValueError:
        return "malformed"
    request = a_request(**vector.get("request", {}))
    now = Instant(parse_instant(vector.get("time", "2026-03-02T12:00:00Z")), 1000.0)
    issued_at = vector.get("issued_at")
    found = compile_owed(owed).evaluate(
        request,
        vector.get("action", "api:search"),
        the_facts(vector.get("facts", {})),
        now,
        an_issuer(now, **vector["issuer"]) if "issuer" in vector else None,
        "agent_1" if "issuer" in vector else "",
        None if issued_at is None else int(parse_instant(issued_at)),
    )
    if found.refusal is not None:
        assert found.charges == ()
        return found.refusal.code
    if "found" in vector:
        assert (told(found.findings) if found.findings else "") == vector["found"]
    if found.holds or any(unknown(recall, vector) for recall in found.recalls):
        return "hold"
    compiled = compile_owed(owed)
    if any(watch.exceeded(**vector["pace"]) for watch in compiled.watches):
        return "hold"
    bounds = compiled.bounds
    if "bounds" in vector:
        assert bounds == Bounds(*[UNBOUNDED if n is None else n for n in vector["bounds"]])
    if bounds is not None and vector.get("answered", 0) > bounds.response:
        return RESPONSE_TOO_LONG.code
    used = vector.get("used", {})
    if "used" in vector:
        assert {counter_of(charge) for charge in found.charges} == set(used)
    for charge in found.charges:
        if used[counter_of(charge)] + charge.amount > charge.limit:
            return refusal_for(charge, None).code
    return "allow"


def unknown(recall: Recall, vector: dict[str, Any]) -> bool:
    """Whether the agent has not dealt with any of these before."""
    known = {
        f"total/total/{subject_of_counterparty('iss_lab', 'agent_1', *each.split('|'))}"
        for each in vector.get("known", ())
    }
    return any(mark.counter not in known for mark in recall.marks)


@pytest.mark.parametrize(("key", "vector"), CASES)
def test_a_vector_comes_out_as_written(key: str, vector: dict[str, Any]) -> None:
    """The outcome of each vector is the one that it names."""
    assert any(key in each for each in vector["constraints"])
    assert outcome(vector) == vector["expect"]
    found = [problem for each in vector["constraints"] for problem in problems(each)]
    assert bool(found) == (vector["expect"] == "malformed")


@pytest.mark.parametrize("key", CONSTRAINTS)
def test_each_constraint_has_vectors_of_each_kind(key: str) -> None:
    """No row of the table goes without a vector of every kind that it can have."""
    vectors = VECTORS[key]
    kinds = {vector["kind"] for vector in vectors}

    assert kinds == KINDS
    for vector in vectors:
        match vector["kind"]:
            case "allowed":
                assert vector["expect"] == "allow"
            case "refused":
                assert vector["expect"] == "hold" or vector["expect"] in REASONS
            case "malformed":
                assert vector["expect"] == "malformed"
            case "merged":
                assert len(vector["constraints"]) > 1


def test_every_vector_is_for_a_constraint() -> None:
    """No vector is left behind for a key that the table does not have."""
    assert set(VECTORS) == set(CONSTRAINTS)


@pytest.mark.parametrize(
    ("key", "vector"),
    [case for case in CASES if case.values[1]["kind"] == "merged"],
)
def test_merging_forgets_nothing(key: str, vector: dict[str, Any]) -> None:
    """A merged set refuses or holds whatever one of the merged sets refuses or holds alone."""
    told_of_all = {"found", "bounds"}
    common = {name: said for name, said in vector.items() if name not in told_of_all}
    alone = [
        outcome({**common, "constraints": [each]} | _all_counters(each, vector))
        for each in vector["constraints"]
    ]

    assert vector["expect"] != "allow" or set(alone) == {"allow"}


def _all_counters(each: dict[str, Any], vector: dict[str, Any]) -> dict[str, Any]:
    """The vector's counters, of those that one set alone has."""
    if "used" not in vector:
        return {}
    charges = compile_owed([(SUBJECT, parse_constraints(each))]).charges
    return {"used": {counter_of(charge): vector["used"][counter_of(charge)] for charge in charges}}
